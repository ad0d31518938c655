/* SPDX-License-Identifier: BSD-3-Clause */
/* model/instance_document.c - the document of an instance: what it is, and what it needs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/compat.h"
#include "model/syntax.h"

static void free_instance(struct gw_compat_instance **instance)
{
	gw_compat_instance_free(*instance);
}

#define AUTO_INSTANCE GW_CLEANUP(free_instance)

static int by_name(const void *a, const void *b)
{
	const struct gw_compat_value *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int new_instance(struct gw_compat_instance **instance, const char *name)
{
	*instance = calloc(1, sizeof(**instance));
	if (*instance)
		(*instance)->name = strdup(name);
	if (*instance && (*instance)->name)
		return 0;
	return gw_fail(ENOMEM, "%s: no memory", name);
}

/* -- out of JSON --------------------------------------------------------------------------- */

static bool read_value(struct gw_compat_value *value, const json_t *json)
{
	const char *word = json_string_value(json);

	if (json_is_boolean(json)) {
		value->spelling = GW_SPELT_BOOL;
		snprintf(value->text, sizeof(value->text), "%s", json_is_true(json) ? "on" : "off");
		return true;
	}
	if (json_is_integer(json)) {
		value->spelling = GW_SPELT_INT;
		snprintf(value->text, sizeof(value->text), "%" PRId64,
			 (int64_t)json_integer_value(json));
		return true;
	}
	if (!word || !gw_syntax_value(word, json_string_length(json)))
		return false;
	value->spelling = GW_SPELT_WORD;
	snprintf(value->text, sizeof(value->text), "%s", word);
	return true;
}

static int read_params(struct gw_compat_instance *instance, const json_t *params)
{
	struct gw_place place = {instance->name, .list = "params"};
	const char *name;
	json_t *json;

	if (!json_is_object(params))
		return gw_document_wrong(&place, NULL, "an object");
	if (json_object_size(params) > GW_PARAMS_MAX)
		return gw_document_wrong(&place, NULL, "of at most 64 parameters");
	json_object_foreach((json_t *)params, name, json)
	{
		struct gw_compat_value *value = &instance->values[instance->count];

		if (!gw_syntax_param(name, strlen(name)))
			return gw_document_wrong(&place, NULL, "an object of names of [a-z0-9-]+");
		snprintf(value->name, sizeof(value->name), "%s", name);
		if (!read_value(value, json))
			return gw_document_wrong(&place, value->name,
						 "true, false, an integer or a name");
		instance->count++;
	}
	qsort(instance->values, instance->count, sizeof(instance->values[0]), by_name);
	return 0;
}

static int add_requirement(struct gw_compat_instance *instance, const char *text, size_t len)
{
	const struct gw_place place = {instance->name};

	if (instance->require_count == GW_REQUIRES_MAX)
		return gw_document_wrong(&place, "requires", "of at most 16 prerequisites");
	if (!text || !gw_syntax_prerequisite(text, len))
		return gw_document_wrong(&place, "requires",
					 "an array of short words without spaces");
	snprintf(instance->requires[instance->require_count++], GW_REQUIRE_MAX, "%.*s", (int)len,
		 text);
	return 0;
}

static int read_requires(struct gw_compat_instance *instance, const json_t *list)
{
	if (list && !json_is_array(list))
		return gw_document_wrong(&(struct gw_place){instance->name}, "requires",
					 "an array");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		int err = add_requirement(instance, json_string_value(item),
					  json_string_length(item));

		if (err)
			return err;
	}
	return 0;
}

static int read_unset(struct gw_compat_instance *instance, const json_t *list)
{
	const struct gw_place place = {instance->name};

	if (list && (!json_is_array(list) || json_array_size(list) > GW_PARAMS_MAX))
		return gw_document_wrong(&place, "unset", "an array of at most 64 names");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		const char *name = json_string_value(item);

		if (!name || !gw_syntax_param(name, json_string_length(item)))
			return gw_document_wrong(&place, "unset", "an array of names");
		snprintf(instance->unset[instance->unset_count++], GW_PARAM_NAME_MAX, "%s", name);
	}
	return 0;
}

static int read_names(struct gw_compat_instance *instance, const json_t *root)
{
	const json_t *model = json_object_get(root, "model");
	const json_t *profile = json_object_get(root, "profile");
	const struct gw_place place = {instance->name};

	if (!json_is_string(model) ||
	    !gw_syntax_model(json_string_value(model), json_string_length(model)))
		return gw_document_wrong(&place, "model", "a name <domain>/<path>");
	snprintf(instance->model, sizeof(instance->model), "%s", json_string_value(model));
	if (!profile || json_is_null(profile))
		return 0;
	if (!json_is_string(profile) ||
	    !gw_syntax_value(json_string_value(profile), json_string_length(profile)))
		return gw_document_wrong(&place, "profile", "a name");
	snprintf(instance->profile, sizeof(instance->profile), "%s", json_string_value(profile));
	return 0;
}

int gw_compat_instance_from_json(struct gw_compat_instance **out, const char *name,
				 const json_t *root)
{
	AUTO_INSTANCE struct gw_compat_instance *instance = NULL;
	int err = gw_document_check(name, root);

	if (!err)
		err = new_instance(&instance, name);
	if (!err)
		err = read_names(instance, root);
	if (!err)
		err = read_params(instance, json_object_get(root, "params"));
	if (!err)
		err = read_requires(instance, json_object_get(root, "requires"));
	if (!err)
		err = read_unset(instance, json_object_get(root, "unset"));
	if (!err)
		*out = gw_take_ptr(instance);
	return err;
}

int gw_compat_instance_parse(struct gw_compat_instance **instance, const char *name,
			     const char *text, size_t len)
{
	json_t *root = NULL;
	int err = gw_document_load(&root, name, text, len);

	if (!err)
		err = gw_compat_instance_from_json(instance, name, root);
	json_decref(root);
	return err;
}

/* In a canonical form all are text: what looks like a bool or a number is one. */
static enum gw_spelling spelling_of(const struct gw_compat_value *value)
{
	static const struct gw_param number = {.type = GW_PARAM_INT};
	int64_t unused;

	if (value->spelling != GW_SPELT_ANY)
		return value->spelling;
	if (!strcmp(value->text, "on") || !strcmp(value->text, "off"))
		return GW_SPELT_BOOL;
	return gw_param_parse(&number, value->text, strlen(value->text), &unused) ? GW_SPELT_INT
										  : GW_SPELT_WORD;
}

static json_t *value_json(const struct gw_compat_value *value)
{
	switch (spelling_of(value)) {
	case GW_SPELT_BOOL:
		return json_boolean(!strcmp(value->text, "on"));
	case GW_SPELT_INT:
		return json_integer(strtoll(value->text, NULL, 10));
	default:
		return json_string(value->text);
	}
}

json_t *gw_compat_instance_json(const struct gw_compat_instance *instance)
{
	json_t *params = json_object(), *requires = json_array(), *unset = json_array();

	for (unsigned i = 0; i < instance->count; i++) {
		const struct gw_compat_value *value = &instance->values[i];

		json_object_set_new(params, value->name, value_json(value));
	}
	for (unsigned i = 0; i < instance->require_count; i++)
		json_array_append_new(requires, json_string(instance->requires[i]));
	for (unsigned i = 0; i < instance->unset_count; i++)
		json_array_append_new(unset, json_string(instance->unset[i]));
	return json_pack("{s:i, s:s, s:s*, s:o, s:o, s:o}", "format", GW_DOCUMENT_FORMAT, "model",
			 instance->model, "profile",
			 instance->profile[0] ? instance->profile : NULL, "params", params,
			 "requires", requires, "unset", unset);
}

/* -- out of a stream's header -------------------------------------------------------------- */

static int malformed(const struct gw_compat_instance *instance, const char *what)
{
	return gw_fail(EBADMSG, "%s: the canonical form in it: %s", instance->name, what);
}

static int read_line(struct gw_compat_instance *instance, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	size_t name = equals ? (size_t)(equals - line) : 0;
	struct gw_compat_value *value = &instance->values[instance->count];

	if (instance->count == GW_PARAMS_MAX)
		return malformed(instance, "more than 64 parameters");
	if (!gw_syntax_param(line, name) || !gw_syntax_value(equals + 1, len - name - 1))
		return malformed(instance, "a line is not name=value");
	value->spelling = GW_SPELT_ANY;
	snprintf(value->name, sizeof(value->name), "%.*s", (int)name, line);
	snprintf(value->text, sizeof(value->text), "%.*s", (int)(len - name - 1), equals + 1);
	if (instance->count && strcmp(value[-1].name, value->name) >= 0)
		return malformed(instance, "parameters are not sorted, or one is there twice");
	instance->count++;
	return 0;
}

static int read_form(struct gw_compat_instance *instance, const char *form, size_t len)
{
	const char *end = form + len, *newline = memchr(form, '\n', len);
	int err = 0;

	if (!newline || !gw_syntax_model(form, (size_t)(newline - form)))
		return malformed(instance, "it does not begin with the name of a model");
	snprintf(instance->model, sizeof(instance->model), "%.*s", (int)(newline - form), form);
	while (!err && ++newline < end) {
		form = newline;
		newline = memchr(form, '\n', (size_t)(end - form));
		if (!newline)
			return malformed(instance, "the last line is cut");
		err = read_line(instance, form, (size_t)(newline - form));
	}
	return err;
}

static int read_words(struct gw_compat_instance *instance, const char *text)
{
	int err = 0;

	for (text += strspn(text, " "); *text && !err; text += strspn(text, " ")) {
		size_t len = strcspn(text, " ");

		err = add_requirement(instance, text, len);
		text += len;
	}
	return err;
}

int gw_compat_instance_canonical(struct gw_compat_instance **out, const char *name,
				 const char *form, size_t len, const char *prerequisites)
{
	AUTO_INSTANCE struct gw_compat_instance *instance = NULL;
	int err;

	if (len >= GW_CANONICAL_MAX)
		return gw_fail(EFBIG, "%s: a canonical form of %zu bytes, %d are allowed", name,
			       len, GW_CANONICAL_MAX - 1);
	err = new_instance(&instance, name);
	if (!err)
		err = read_form(instance, form, len);
	if (!err)
		err = read_words(instance, prerequisites ? prerequisites : "");
	if (!err)
		*out = gw_take_ptr(instance);
	return err;
}

/* -- asked --------------------------------------------------------------------------------- */

void gw_compat_instance_free(struct gw_compat_instance *instance)
{
	if (instance)
		free(instance->name);
	free(instance);
}

const char *gw_compat_instance_name(const struct gw_compat_instance *instance)
{
	return instance->name;
}

const char *gw_compat_instance_model(const struct gw_compat_instance *instance)
{
	return instance->model;
}

const char *gw_compat_instance_profile(const struct gw_compat_instance *instance)
{
	return instance->profile[0] ? instance->profile : NULL;
}

const char *gw_compat_instance_param(const struct gw_compat_instance *instance, unsigned i,
				     const char **value)
{
	if (i >= instance->count)
		return NULL;
	if (value)
		*value = instance->values[i].text;
	return instance->values[i].name;
}

const char *gw_compat_instance_requires(const struct gw_compat_instance *instance, unsigned i)
{
	return i < instance->require_count ? instance->requires[i] : NULL;
}

const char *gw_compat_instance_unset(const struct gw_compat_instance *instance, unsigned i)
{
	return i < instance->unset_count ? instance->unset[i] : NULL;
}

const struct gw_compat_value *gw_compat_value_find(const struct gw_compat_instance *instance,
						   const char *name)
{
	for (unsigned i = 0; i < instance->count; i++)
		if (!strcmp(instance->values[i].name, name))
			return &instance->values[i];
	return NULL;
}

bool gw_compat_is_unset(const struct gw_compat_instance *instance, const char *name)
{
	for (unsigned i = 0; i < instance->unset_count; i++)
		if (!strcmp(instance->unset[i], name))
			return true;
	return false;
}

bool gw_compat_value_read(const struct gw_compat_value *value, const struct gw_param *param,
			  int64_t *number)
{
	static const enum gw_spelling spelling[] = {[GW_PARAM_BOOL] = GW_SPELT_BOOL,
						    [GW_PARAM_INT] = GW_SPELT_INT,
						    [GW_PARAM_ENUM] = GW_SPELT_WORD};

	if (value->spelling != GW_SPELT_ANY && value->spelling != spelling[param->type])
		return false;
	return gw_param_parse(param, value->text, strlen(value->text), number) &&
	       gw_param_accepts(param, *number);
}
