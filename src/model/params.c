/* SPDX-License-Identifier: BSD-3-Clause */
/* model/params.c - values for a model's parameters, each set or unset. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/params.h"
#include "model/syntax.h"

static int check_values(const struct gw_param *param)
{
	for (unsigned i = 0; param->values && param->values[i]; i++)
		if (!gw_syntax_value(param->values[i], strlen(param->values[i])))
			return gw_fail(EINVAL, "parameter %s: value %u has a bad name", param->name,
				       i);
	return 0;
}

static int check_param(const struct gw_param *param)
{
	if (!gw_syntax_param(param->name, strlen(param->name)))
		return gw_fail(EINVAL, "parameter name '%.64s' is not [a-z0-9-]+", param->name);
	if (param->type == GW_PARAM_ENUM && (!param->values || !param->values[0]))
		return gw_fail(EINVAL, "parameter %s: an enum without values", param->name);
	if (!param->no_off && !gw_param_accepts(param, param->off))
		return gw_fail(EINVAL, "parameter %s: off is no value of it", param->name);
	return check_values(param);
}

static bool is_twice(const struct gw_param *params, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(params[k].name, params[i].name))
			return true;
	return false;
}

/* Tables are written by hand: a wrong one should fail at its first use and say where. */
static int check_model(const struct gw_model *model, unsigned *count)
{
	unsigned n = 0;
	int err;

	if (!gw_syntax_model(model->name, strlen(model->name)))
		return gw_fail(EINVAL, "model name '%.128s' is not <domain>/<path>", model->name);
	for (; model->params && model->params[n].name; n++) {
		if (n == GW_PARAMS_MAX)
			return gw_fail(EINVAL, "model %s: more than %d parameters", model->name,
				       GW_PARAMS_MAX);
		err = check_param(&model->params[n]);
		if (err)
			return gw_fail_in(err, "model %s", model->name);
		if (is_twice(model->params, n))
			return gw_fail(EINVAL, "model %s: parameter %s is there twice", model->name,
				       model->params[n].name);
	}
	*count = n;
	return 0;
}

int gw_params_new(struct gw_params **out, const struct gw_model *model)
{
	GW_AUTO_FREE struct gw_params *params = calloc(1, sizeof(*params));
	int err;

	if (!params)
		return gw_fail(ENOMEM, "parameters: no memory");
	err = check_model(model, &params->count);
	if (err)
		return err;
	params->model = model;
	*out = gw_take_ptr(params);
	return 0;
}

int gw_params_copy(struct gw_params **out, const struct gw_params *params)
{
	struct gw_params *copy = malloc(sizeof(*copy));

	if (!copy)
		return gw_fail(ENOMEM, "parameters: no memory");
	*copy = *params;
	*out = copy;
	return 0;
}

void gw_params_free(struct gw_params *params)
{
	free(params);
}

const struct gw_model *gw_params_model(const struct gw_params *params)
{
	return params->model;
}

int gw_param_find(const struct gw_params *params, const char *name, size_t len)
{
	for (unsigned i = 0; i < params->count; i++) {
		const char *known = params->model->params[i].name;

		if (strlen(known) == len && !memcmp(known, name, len))
			return (int)i;
	}
	return -1;
}

static int find_or_refuse(const struct gw_params *params, const char *name,
			  enum gw_refusal *refusal)
{
	int i = gw_param_find(params, name, strlen(name));

	if (i >= 0)
		return i;
	gw_refuse(refusal, GW_PARAM_UNKNOWN);
	return gw_fail(EINVAL, "model %s has no parameter '%.64s'", params->model->name, name);
}

static int assign(struct gw_params *params, int i, int64_t value, enum gw_refusal *refusal)
{
	const struct gw_param *param = &params->model->params[i];

	if (!gw_param_accepts(param, value)) {
		gw_refuse(refusal, GW_VALUE_NOT_ALLOWED);
		if (param->type == GW_PARAM_INT)
			return gw_fail(EINVAL,
				       "parameter %s: %" PRId64 " is not from %" PRId64
				       " to %" PRId64,
				       param->name, value, param->min, param->max);
		return gw_fail(EINVAL, "parameter %s: %" PRId64 " is none of its values",
			       param->name, value);
	}
	params->set[i] = true;
	params->value[i] = value;
	gw_refuse(refusal, GW_ACCEPTED);
	return 0;
}

int gw_params_set(struct gw_params *params, const char *name, int64_t value,
		  enum gw_refusal *refusal)
{
	int i = find_or_refuse(params, name, refusal);

	return i < 0 ? i : assign(params, i, value, refusal);
}

int gw_params_set_text(struct gw_params *params, const char *name, const char *text,
		       enum gw_refusal *refusal)
{
	int i = find_or_refuse(params, name, refusal);
	int64_t value;

	if (i < 0)
		return i;
	if (!gw_param_parse(&params->model->params[i], text, strlen(text), &value)) {
		gw_refuse(refusal, GW_VALUE_NOT_ALLOWED);
		return gw_fail(EINVAL, "parameter %s: '%.64s' is none of its values", name, text);
	}
	return assign(params, i, value, refusal);
}

static unsigned find_or_abort(const struct gw_params *params, const char *name)
{
	int i = gw_param_find(params, name, strlen(name));

	if (i < 0)
		abort();
	return (unsigned)i;
}

bool gw_params_is_set(const struct gw_params *params, const char *name)
{
	return params->set[find_or_abort(params, name)];
}

int64_t gw_params_get(const struct gw_params *params, const char *name, int64_t fallback)
{
	unsigned i = find_or_abort(params, name);

	return params->set[i] ? params->value[i] : fallback;
}

static const struct gw_profile *find_profile(const struct gw_model *model, const char *name)
{
	for (const struct gw_profile *p = model->profiles; p && p->name; p++)
		if (name && !strcmp(p->name, name))
			return p;
	return NULL;
}

static const struct gw_setting *find_setting(const struct gw_profile *profile, const char *name)
{
	for (const struct gw_setting *s = profile->settings; s && s->name; s++)
		if (!strcmp(s->name, name))
			return s;
	return NULL;
}

bool gw_params_is_profile(const struct gw_params *params, const struct gw_profile *profile)
{
	for (unsigned i = 0; i < params->count; i++) {
		const struct gw_param *param = &params->model->params[i];
		const struct gw_setting *setting = find_setting(profile, param->name);

		if (!params->set[i] || params->value[i] != (setting ? setting->value : param->off))
			return false;
	}
	return true;
}

static int apply_setting(struct gw_params *params, unsigned i, const struct gw_profile *profile)
{
	const struct gw_param *param = &params->model->params[i];
	const struct gw_setting *setting = find_setting(profile, param->name);

	if (!setting && param->no_off)
		return gw_fail(EINVAL, "profile %s does not state %s, which has no off value",
			       profile->name, param->name);
	return assign(params, (int)i, setting ? setting->value : param->off, NULL);
}

/* -EINVAL: which there are is what helps. */
static int no_profile(const struct gw_model *model, const char *wanted)
{
	char names[256] = "";
	size_t len = 0;

	for (const struct gw_profile *p = model->profiles; p && p->name && len < sizeof(names); p++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
					p->name);
	return gw_fail(EINVAL, "model %s has no profile '%.64s', it has %s", model->name,
		       wanted ? wanted : "", len ? names : "none");
}

int gw_params_apply_profile(struct gw_params *params, const char *name)
{
	const char *wanted = name ? name : params->model->default_profile;
	const struct gw_profile *profile = find_profile(params->model, wanted);
	struct gw_params result = *params;
	int err;

	if (!profile)
		return no_profile(params->model, wanted);
	for (const struct gw_setting *s = profile->settings; s && s->name; s++)
		if (gw_param_find(params, s->name, strlen(s->name)) < 0)
			return gw_fail(EINVAL, "profile %s names '%.64s', which model %s lacks",
				       profile->name, s->name, params->model->name);
	for (unsigned i = 0; i < result.count; i++) {
		err = result.set[i] ? 0 : apply_setting(&result, i, profile);
		if (err)
			return err;
	}
	*params = result;
	return 0;
}

int gw_profile_canonical(const struct gw_model *model, const char *profile, char *text, size_t size)
{
	struct gw_params *params = NULL;
	int ret = gw_params_new(&params, model);

	if (!ret)
		ret = gw_params_apply_profile(params, profile);
	if (!ret)
		ret = gw_params_canonical(params, text, size);
	gw_params_free(params);
	return ret;
}
