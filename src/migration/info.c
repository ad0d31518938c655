/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/info.c - what an implementation supports, and what an instance is, as documents. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/build_id.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/info.h"
#include "model/params.h"
#include "model/prerequisite.h"
#include "state/mac.h"

#define REASONS_MAX 64 /* of one verdict; the rest of the document is not looked at */

static const char *const type_names[] = {
	[GW_PARAM_BOOL] = "bool", [GW_PARAM_INT] = "int", [GW_PARAM_ENUM] = "enum"};

/* -- written ------------------------------------------------------------------------------- */

static json_t *value_of(const struct gw_param *param, int64_t value)
{
	switch (param->type) {
	case GW_PARAM_BOOL:
		return json_boolean(value);
	case GW_PARAM_INT:
		return json_integer(value);
	case GW_PARAM_ENUM:
		return json_string(param->values[value]);
	}
	return NULL;
}

static json_t *info_of_param(const struct gw_param *param)
{
	json_t *info = json_pack("{s:s}", "type", type_names[param->type]);

	if (!param->no_off)
		json_object_set_new(info, "off", value_of(param, param->off));
	if (param->type == GW_PARAM_INT) {
		json_object_set_new(info, "min", json_integer(param->min));
		json_object_set_new(info, "max", json_integer(param->max));
	}
	if (param->type == GW_PARAM_ENUM) {
		json_t *values = json_array();

		for (unsigned i = 0; param->values[i]; i++)
			json_array_append_new(values, json_string(param->values[i]));
		json_object_set_new(info, "values", values);
	}
	if (param->doc)
		json_object_set_new(info, "description", json_string(param->doc));
	return info;
}

static const struct gw_param *find_param(const struct gw_model *model, const char *name)
{
	const struct gw_param *param = model->params;

	while (param && param->name && strcmp(param->name, name) != 0)
		param++;
	return param && param->name ? param : NULL;
}

static json_t *info_of_profile(const struct gw_model *model, const struct gw_profile *profile)
{
	json_t *info = json_object();

	for (const struct gw_setting *s = profile->settings; s && s->name; s++) {
		const struct gw_param *param = find_param(model, s->name);

		if (param)
			json_object_set_new(info, s->name, value_of(param, s->value));
	}
	return info;
}

/* All numbers of record layouts are read and written: the parameter says which. */
static json_t *info_of_state(const struct gw_model *model)
{
	const struct gw_param *param = find_param(model, GW_PARAM_STATE);
	json_t *numbers = json_array(), *info;

	for (int64_t i = param ? param->min : 1; param && i <= param->max; i++)
		json_array_append_new(numbers, json_integer(i));
	info = json_pack("{s:O, s:o}", "write", numbers, "read", numbers);
	return info;
}

static json_t *info_of_model(const struct gw_model *model)
{
	json_t *params = json_object(), *profiles = json_object();

	for (const struct gw_param *p = model->params; p && p->name; p++)
		json_object_set_new(params, p->name, info_of_param(p));
	for (const struct gw_profile *p = model->profiles; p && p->name; p++)
		json_object_set_new(profiles, p->name, info_of_profile(model, p));
	return json_pack("{s:o, s:o, s:s?, s:o}", "params", params, "profiles", profiles, "default",
			 model->default_profile, "state", info_of_state(model));
}

static json_t *words_of(const char *text)
{
	json_t *list = json_array();
	struct gw_words words;

	for (unsigned i = 0; !gw_words_split(&words, text) && i < words.count; i++)
		json_array_append_new(list, json_string(words.word[i]));
	return list;
}

json_t *gw_info_implementation(const struct gw_device_ops *ops, const char *program,
			       const char *version, const char *boot,
			       const struct gw_environment *environment)
{
	json_t *models = json_object(), *implementation;
	char build[GW_BUILD_NAME_MAX];

	gw_build_name(version, build);
	for (const struct gw_model *const *m = ops->models; m && *m; m++)
		json_object_set_new(models, (*m)->name, info_of_model(*m));
	implementation = json_pack("{s:s, s:s}", "name", program, "build", build);
	if (boot)
		json_object_set_new(implementation, "boot", json_string(boot));
	return json_pack("{s:i, s:o, s:o*, s:o*, s:o}", "format", GW_INFO_FORMAT, "implementation",
			 implementation, "provides",
			 environment ? words_of(environment->provides) : NULL, "requires",
			 environment ? words_of(environment->requires) : NULL, "models", models);
}

/* Of a MAC over words of our own: it tells keys apart, and nothing of them. */
static void name_key(char word[32], const uint8_t *key)
{
	static const char label[] = "godwit: which key is it";
	uint8_t mac[GW_WIRE_MAC_LEN];
	struct gw_mac *signing = NULL;
	int err = gw_mac_new(&signing, key);

	if (!err)
		err = gw_mac_update(signing, label, sizeof(label));
	if (!err)
		err = gw_mac_get(signing, mac);
	gw_mac_free(signing);
	if (err)
		snprintf(word, 32, "state-key:unknown");
	else
		snprintf(word, 32, "state-key:%02x%02x%02x%02x", mac[0], mac[1], mac[2], mac[3]);
}

void gw_info_add_key(struct gw_environment *environment, const uint8_t *key)
{
	char word[32] = "state-key:none";

	if (key)
		name_key(word, key);
	gw_words_add(environment->requires, GW_ENVIRONMENT_MAX, word);
	gw_words_add(environment->provides, GW_ENVIRONMENT_MAX, key ? word : "state-key:any");
}

void gw_info_set_available(json_t *implementation, int64_t available)
{
	const char *name;
	json_t *model;

	json_object_foreach(json_object_get(implementation, "models"), name, model)
	{
		json_object_set_new(model, "available_instances", json_integer(available));
	}
}

/* Names are for people; NULL while something is open, or if no profile is just that. */
static const char *profile_of(const struct gw_params *params)
{
	for (const struct gw_profile *p = params->model->profiles; p && p->name; p++)
		if (gw_params_is_profile(params, p))
			return p->name;
	return NULL;
}

json_t *gw_info_instance(const struct gw_params *params, const struct gw_environment *environment)
{
	json_t *set = json_object(), *unset = json_array();

	for (unsigned i = 0; i < params->count; i++) {
		const struct gw_param *param = &params->model->params[i];

		if (!params->set[i])
			json_array_append_new(unset, json_string(param->name));
		else if (param->no_off || params->value[i] != param->off)
			json_object_set_new(set, param->name, value_of(param, params->value[i]));
	}
	return json_pack("{s:i, s:s, s:s*, s:o, s:o, s:o}", "format", GW_INFO_FORMAT, "model",
			 params->model->name, "profile", profile_of(params), "params", set, "unset",
			 unset, "requires", words_of(environment ? environment->requires : ""));
}

/* -- read ---------------------------------------------------------------------------------- */

static int malformed(const char *member, const char *expected)
{
	return gw_fail(EBADMSG, "document of an instance: member '%s' is not %s", member, expected);
}

static const struct gw_model *find_model(const struct gw_model *const *models, const char *name)
{
	while (models && *models && strcmp((*models)->name, name) != 0)
		models++;
	return models ? *models : NULL;
}

/* As the parameter's type is spelled in JSON; true and false only for a bool. */
static int read_value(const struct gw_param *param, const json_t *json, struct gw_params *params,
		      enum gw_refusal *refusal)
{
	if (param->type == GW_PARAM_BOOL && json_is_boolean(json))
		return gw_params_set(params, param->name, json_is_true(json), refusal);
	if (param->type == GW_PARAM_INT && json_is_integer(json))
		return gw_params_set(params, param->name, json_integer_value(json), refusal);
	if (param->type == GW_PARAM_ENUM && json_is_string(json))
		return gw_params_set_text(params, param->name, json_string_value(json), refusal);
	gw_refuse(refusal, GW_VALUE_NOT_ALLOWED);
	return gw_fail(EINVAL, "parameter %s: its value is no %s", param->name,
		       type_names[param->type]);
}

/* The last sentence is why: -EINVAL, as long as there is room for more of them. */
static int add_reason(json_t *reasons, enum gw_refusal refusal)
{
	json_array_append_new(reasons, json_pack("{s:s, s:s}", "code", gw_refusal_name(refusal),
						 "text", gw_last_error()));
	return json_array_size(reasons) < REASONS_MAX ? 0 : -EINVAL;
}

static int read_param(const char *name, const json_t *value, struct gw_params *params,
		      json_t *reasons)
{
	const struct gw_param *param = find_param(params->model, name);
	enum gw_refusal refusal = GW_ACCEPTED;
	int err;

	if (!param) {
		gw_set_error("parameter '%.64s' is unknown here", name);
		return add_reason(reasons, GW_PARAM_UNKNOWN);
	}
	err = read_value(param, value, params, &refusal);
	return err && refusal != GW_ACCEPTED ? add_reason(reasons, refusal) : err;
}

static int read_params(const json_t *document, struct gw_params *params, json_t *reasons)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(document, "params"), name, value)
	{
		int err = read_param(name, value, params, reasons);

		if (err)
			return err;
	}
	return 0;
}

/* Absence means off; what is there and was refused has had its reason. */
static int complete(const json_t *document, struct gw_params *params, json_t *reasons)
{
	const json_t *given = json_object_get(document, "params");
	int err = 0;

	for (unsigned i = 0; i < params->count && !err; i++) {
		const struct gw_param *param = &params->model->params[i];

		if (params->set[i])
			continue;
		if (param->no_off && !json_object_get(given, param->name)) {
			gw_set_error("parameter %s: the document does not state it", param->name);
			err = add_reason(reasons, GW_PARAM_REQUIRED);
		}
		params->value[i] = param->off;
		params->set[i] = true;
	}
	return err;
}

/* What is not decided yet could become anything: no answer, rather than one about off values. */
static int check_unset(const json_t *unset)
{
	if (unset && !json_is_array(unset))
		return malformed("unset", "an array");
	if (json_array_size(unset))
		return gw_fail(EBADMSG,
			       "document of an instance: parameter '%.64s' is unset in it, so that "
			       "nobody can tell what it will be",
			       json_is_string(json_array_get(unset, 0))
				       ? json_string_value(json_array_get(unset, 0))
				       : "?");
	return 0;
}

static int check_members(const json_t *document)
{
	const json_t *format = json_object_get(document, "format");

	if (!json_is_object(document))
		return gw_fail(EBADMSG, "document of an instance: it is no JSON object");
	if (!json_is_integer(format) || json_integer_value(format) != GW_INFO_FORMAT)
		return malformed("format", "1");
	if (!json_is_string(json_object_get(document, "model")))
		return malformed("model", "a string");
	if (!json_is_object(json_object_get(document, "params")))
		return malformed("params", "an object");
	return check_unset(json_object_get(document, "unset"));
}

int gw_info_read_instance(struct gw_params **out, const struct gw_model *const *models,
			  const json_t *document, json_t *reasons)
{
	GW_AUTO_FREE struct gw_params *params = NULL;
	const struct gw_model *model;
	const char *name;
	int err = check_members(document);

	if (err)
		return err;
	name = json_string_value(json_object_get(document, "model"));
	model = find_model(models, name);
	if (!model) {
		gw_set_error("model '%.128s' is unknown here", name);
		add_reason(reasons, GW_MODEL_UNKNOWN);
		return -EINVAL;
	}
	err = gw_params_new(&params, model);
	if (!err)
		err = read_params(document, params, reasons);
	if (!err)
		err = complete(document, params, reasons);
	if (!err && json_array_size(reasons))
		err = -EINVAL;
	if (!err)
		*out = gw_take_ptr(params);
	return err;
}

int gw_info_check(const struct gw_device_ops *ops, const json_t *document, json_t **verdict)
{
	json_t *reasons = json_array();
	struct gw_params *params = NULL;
	int err = gw_info_read_instance(&params, ops->models, document, reasons);

	/* Whether values go together is asked of values that are allowed. */
	if (!err && ops->check && ops->check(gw_params_model(params), params))
		add_reason(reasons, GW_COMBINATION_REFUSED);
	gw_params_free(params);
	if (err && !json_array_size(reasons)) {
		json_decref(reasons);
		return err;
	}
	*verdict = json_pack("{s:b, s:o}", "compatible", !json_array_size(reasons), "reasons",
			     reasons);
	return *verdict ? 0 : gw_fail(ENOMEM, "no memory");
}
