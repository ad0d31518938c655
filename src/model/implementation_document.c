/* SPDX-License-Identifier: BSD-3-Clause */
/* model/implementation_document.c - the document of an implementation: its models, as tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/compat.h"
#include "model/syntax.h"

#define PROGRAM_TEXT_MAX 128

/* What belongs to a document goes with it. */
struct gw_memory {
	struct gw_memory *next;
	max_align_t bytes[];
};

struct reading {
	struct gw_compat_implementation *to;
	struct gw_place place;
};

/* Zeroed; NULL with a sentence. */
static void *take(struct reading *reading, size_t count, size_t size)
{
	struct gw_memory *memory = calloc(1, sizeof(*memory) + count * size);

	if (!memory) {
		gw_set_error("%s: no memory", reading->place.document);
		return NULL;
	}
	memory->next = reading->to->memory;
	reading->to->memory = memory;
	return memory->bytes;
}

static int wrong(const struct reading *reading, const char *member, const char *expected)
{
	return gw_document_wrong(&reading->place, member, expected);
}

/* -- parameters ---------------------------------------------------------------------------- */

static int read_range(const struct reading *reading, struct gw_param *param, const json_t *json)
{
	const json_t *min = json_object_get(json, "min"), *max = json_object_get(json, "max");

	if (!json_is_integer(min))
		return wrong(reading, "min", "an integer");
	if (!json_is_integer(max))
		return wrong(reading, "max", "an integer");
	param->min = json_integer_value(min);
	param->max = json_integer_value(max);
	return param->min <= param->max ? 0 : wrong(reading, "max", "at least min");
}

static bool is_among(const char *const *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

static int read_values(struct reading *reading, struct gw_param *param, const json_t *json)
{
	const json_t *list = json_object_get(json, "values");
	size_t count = json_array_size(list);
	const char **values;

	if (!count || count > GW_VALUES_MAX)
		return wrong(reading, "values", "an array of 1 to 256 names");
	values = take(reading, count + 1, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_string(item) ||
		    !gw_syntax_value(json_string_value(item), json_string_length(item)))
			return wrong(reading, "values", "an array of names");
		if (is_among(values, i, json_string_value(item)))
			return wrong(reading, "values", "an array of names that differ");
		values[i] = json_string_value(item);
	}
	param->values = values;
	return 0;
}

/* Whether @json is spelled as a value of @param; what it accepts is another question. */
static bool value_of(const struct gw_param *param, const json_t *json, int64_t *value)
{
	switch (param->type) {
	case GW_PARAM_BOOL:
		*value = json_is_true(json);
		return json_is_boolean(json);
	case GW_PARAM_INT:
		*value = json_integer_value(json);
		return json_is_integer(json);
	case GW_PARAM_ENUM:
		return json_is_string(json) && gw_param_parse(param, json_string_value(json),
							      json_string_length(json), value);
	}
	return false;
}

static int read_off(const struct reading *reading, struct gw_param *param, const json_t *json)
{
	const json_t *off = json_object_get(json, "off");

	param->no_off = !off;
	if (off && !value_of(param, off, &param->off))
		return wrong(reading, "off", "a value of the parameter's type");
	return 0;
}

static int read_param(struct reading *reading, struct gw_param *param, const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	int err = 0;

	if (!type ||
	    (strcmp(type, "bool") != 0 && strcmp(type, "int") != 0 && strcmp(type, "enum") != 0))
		return wrong(reading, "type", "bool, int or enum");
	param->type = *type == 'b' ? GW_PARAM_BOOL : *type == 'i' ? GW_PARAM_INT : GW_PARAM_ENUM;
	if (param->type == GW_PARAM_INT)
		err = read_range(reading, param, json);
	if (param->type == GW_PARAM_ENUM)
		err = read_values(reading, param, json);
	return err ? err : read_off(reading, param, json);
}

static int by_param_name(const void *a, const void *b)
{
	const struct gw_param *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int read_params(struct reading *reading, struct gw_compat_model *model, const json_t *json)
{
	struct gw_param *params;
	const char *name;
	json_t *member;

	if (!json_is_object(json) || json_object_size(json) > GW_PARAMS_MAX)
		return wrong(reading, "params", "an object of at most 64 parameters");
	params = take(reading, json_object_size(json) + 1, sizeof(*params));
	if (!params)
		return -ENOMEM;
	reading->place.list = "params";
	json_object_foreach((json_t *)json, name, member)
	{
		int err;

		reading->place.item = NULL;
		if (!gw_syntax_param(name, strlen(name)))
			return wrong(reading, NULL, "an object of names of [a-z0-9-]+");
		reading->place.item = name;
		params[model->param_count].name = name;
		err = read_param(reading, &params[model->param_count++], member);
		if (err)
			return err;
	}
	reading->place.list = reading->place.item = NULL;
	qsort(params, model->param_count, sizeof(*params), by_param_name);
	model->model.params = params;
	return 0;
}

/* -- profiles ------------------------------------------------------------------------------ */

static const struct gw_param *find_param(const struct gw_model *model, const char *name)
{
	for (const struct gw_param *p = model->params; p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

/* A profile is a complete assignment: what cannot be off has to be in it. */
static int check_complete(const struct reading *reading, const struct gw_model *model,
			  const json_t *settings)
{
	for (const struct gw_param *p = model->params; p->name; p++)
		if (p->no_off && !json_object_get(settings, p->name))
			return wrong(reading, p->name, "stated, and it has no off value");
	return 0;
}

static int read_profile(struct reading *reading, const struct gw_model *model,
			struct gw_profile *profile, const json_t *json)
{
	struct gw_setting *settings;
	unsigned count = 0;
	const char *name;
	json_t *member;

	if (!json_is_object(json))
		return wrong(reading, NULL, "an object");
	settings = take(reading, json_object_size(json) + 1, sizeof(*settings));
	if (!settings)
		return -ENOMEM;
	json_object_foreach((json_t *)json, name, member)
	{
		const struct gw_param *param = find_param(model, name);
		struct gw_setting *setting = &settings[count];

		if (!param)
			return wrong(reading, NULL, "an object of the model's parameters");
		if (!value_of(param, member, &setting->value) ||
		    !gw_param_accepts(param, setting->value))
			return wrong(reading, param->name, "a value that the parameter accepts");
		setting->name = param->name;
		count++;
	}
	profile->settings = settings;
	return check_complete(reading, model, json);
}

static int by_profile_name(const void *a, const void *b)
{
	const struct gw_profile *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int read_profiles(struct reading *reading, struct gw_compat_model *model, const json_t *json)
{
	struct gw_profile *profiles;
	unsigned count = 0;
	const char *name;
	json_t *member;

	if (json && (!json_is_object(json) || json_object_size(json) > GW_PROFILES_MAX))
		return wrong(reading, "profiles", "an object of at most 256 profiles");
	profiles = take(reading, json_object_size(json) + 1, sizeof(*profiles));
	if (!profiles)
		return -ENOMEM;
	reading->place.list = "profiles";
	json_object_foreach((json_t *)json, name, member)
	{
		int err;

		reading->place.item = NULL;
		if (!gw_syntax_value(name, strlen(name)))
			return wrong(reading, NULL, "an object of names of [A-Za-z0-9._-]+");
		reading->place.item = profiles[count].name = name;
		err = read_profile(reading, &model->model, &profiles[count++], member);
		if (err)
			return err;
	}
	reading->place.list = reading->place.item = NULL;
	qsort(profiles, count, sizeof(*profiles), by_profile_name);
	model->model.profiles = profiles;
	return 0;
}

static int read_default(struct reading *reading, struct gw_compat_model *model, const json_t *json)
{
	const char *name = json_string_value(json);

	if (!json || json_is_null(json))
		return 0;
	for (const struct gw_profile *p = model->model.profiles; name && p->name; p++)
		if (!strcmp(p->name, name))
			model->model.default_profile = p->name;
	return model->model.default_profile ? 0 : wrong(reading, "default", "one of its profiles");
}

/* -- the rest of a model ------------------------------------------------------------------- */

static int read_state(struct reading *reading, struct gw_compat_model *model, const json_t *json)
{
	const json_t *list = json_object_get(json, "read");
	size_t count = json_array_size(list);
	int64_t *numbers;

	if (json && !json_is_object(json))
		return wrong(reading, "state", "an object");
	if (!list)
		return 0;
	if (!json_is_array(list) || count > GW_STATE_NUMBERS_MAX)
		return wrong(reading, "state.read", "an array of at most 256 numbers");
	numbers = take(reading, count, sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const json_t *item = json_array_get(list, i);

		if (!json_is_integer(item))
			return wrong(reading, "state.read", "an array of integers");
		numbers[i] = json_integer_value(item);
	}
	model->read = numbers;
	model->read_count = (unsigned)count;
	model->says_read = true;
	return 0;
}

static int read_available(struct reading *reading, struct gw_compat_model *model,
			  const json_t *json)
{
	model->available = -1;
	if (!json)
		return 0;
	if (!json_is_integer(json) || json_integer_value(json) < 0)
		return wrong(reading, "available_instances", "a number that is not negative");
	model->available = json_integer_value(json);
	return 0;
}

static int read_model(struct reading *reading, struct gw_compat_model *model, const json_t *json)
{
	int err;

	if (!json_is_object(json))
		return wrong(reading, NULL, "an object");
	err = read_params(reading, model, json_object_get(json, "params"));
	if (!err)
		err = read_profiles(reading, model, json_object_get(json, "profiles"));
	if (!err)
		err = read_default(reading, model, json_object_get(json, "default"));
	if (!err)
		err = read_state(reading, model, json_object_get(json, "state"));
	if (!err)
		err = read_available(reading, model, json_object_get(json, "available_instances"));
	return err;
}

static int read_models(struct reading *reading, const json_t *json)
{
	struct gw_compat_implementation *to = reading->to;
	const char *name;
	json_t *member;

	if (!json_is_object(json) || json_object_size(json) > GW_MODELS_MAX)
		return wrong(reading, "models", "an object of at most 64 models");
	to->models = take(reading, json_object_size(json) + 1, sizeof(*to->models));
	if (!to->models)
		return -ENOMEM;
	json_object_foreach((json_t *)json, name, member)
	{
		int err;

		reading->place.model = NULL;
		if (!gw_syntax_model(name, strlen(name)))
			return wrong(reading, "models", "an object of names <domain>/<path>");
		reading->place.model = to->models[to->count].model.name = name;
		err = read_model(reading, &to->models[to->count++], member);
		if (err)
			return err;
	}
	reading->place.model = NULL;
	return 0;
}

/* -- the whole ----------------------------------------------------------------------------- */

/* For people and logs: short, and nothing that steers a terminal. */
static bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 127)
			return false;
	return len < PROGRAM_TEXT_MAX;
}

static int read_program(struct reading *reading, const json_t *json)
{
	static const char *const members[] = {"name", "build", "boot"};

	if (json && !json_is_object(json))
		return wrong(reading, "implementation", "an object");
	reading->place.list = "implementation";
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const json_t *text = json_object_get(json, members[i]);

		if (text && (!json_is_string(text) ||
			     !is_printable(json_string_value(text), json_string_length(text))))
			return wrong(reading, members[i], "a printable text below 128 bytes");
	}
	reading->place.list = NULL;
	return 0;
}

/* What the host has, or what any instance that is made here would need. */
static int read_words(struct reading *reading, const char *member,
		      const char *words[GW_REQUIRES_MAX], unsigned *count)
{
	const json_t *json = json_object_get(reading->to->root, member);

	if (json && (!json_is_array(json) || json_array_size(json) > GW_REQUIRES_MAX))
		return wrong(reading, member, "an array of at most 16 words");
	for (size_t i = 0; i < json_array_size(json); i++) {
		const json_t *item = json_array_get(json, i);

		if (!json_is_string(item) ||
		    !gw_syntax_prerequisite(json_string_value(item), json_string_length(item)))
			return wrong(reading, member, "an array of short words without spaces");
		words[(*count)++] = json_string_value(item);
	}
	return 0;
}

static int read_all(struct gw_compat_implementation *to)
{
	struct reading reading = {.to = to, .place = {.document = to->name}};
	int err = read_program(&reading, json_object_get(to->root, "implementation"));

	to->says_provides = json_object_get(to->root, "provides") != NULL;
	if (!err)
		err = read_words(&reading, "provides", to->provides, &to->provide_count);
	if (!err)
		err = read_words(&reading, "requires", to->requires, &to->require_count);
	return err ? err : read_models(&reading, json_object_get(to->root, "models"));
}

int gw_compat_implementation_from_json(struct gw_compat_implementation **out, const char *name,
				       const json_t *root)
{
	struct gw_compat_implementation *to;
	int err = gw_document_check(name, root);

	if (err)
		return err;
	to = calloc(1, sizeof(*to));
	if (to)
		to->name = strdup(name);
	if (!to || !to->name) {
		free(to);
		return gw_fail(ENOMEM, "%s: no memory", name);
	}
	to->root = json_incref((json_t *)root);
	err = read_all(to);
	if (err)
		gw_compat_implementation_free(to);
	else
		*out = to;
	return err;
}

int gw_compat_implementation_borrow(struct gw_compat_implementation *to,
				    struct gw_compat_implementation *lender)
{
	struct reading reading = {.to = to, .place = {.document = to->name}};

	to->models = take(&reading, lender->count + 1, sizeof(*to->models));
	if (!to->models)
		return -ENOMEM;
	memcpy(to->models, lender->models, lender->count * sizeof(*to->models));
	to->count = lender->count;
	to->lender = lender;
	lender->holders++;
	return 0;
}

int gw_compat_implementation_parse(struct gw_compat_implementation **implementation,
				   const char *name, const char *text, size_t len)
{
	json_t *root = NULL;
	int err = gw_document_load(&root, name, text, len);

	if (!err)
		err = gw_compat_implementation_from_json(implementation, name, root);
	json_decref(root);
	return err;
}

void gw_compat_implementation_free(struct gw_compat_implementation *implementation)
{
	if (!implementation || implementation->holders--)
		return;
	gw_compat_implementation_free(implementation->lender);
	while (implementation->memory) {
		struct gw_memory *next = implementation->memory->next;

		free(implementation->memory);
		implementation->memory = next;
	}
	json_decref(implementation->root);
	free(implementation->name);
	free(implementation);
}
