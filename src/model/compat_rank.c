/* SPDX-License-Identifier: BSD-3-Clause */
/* model/compat_rank.c - the canonical form of an instance, and which of several right answers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/error.h"
#include "model/compat.h"

static const struct gw_param *find_param(const struct gw_model *model, const char *name)
{
	for (const struct gw_param *p = model ? model->params : NULL; p && p->name; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

static bool is_off(const struct gw_compat_value *value, const struct gw_param *param)
{
	int64_t number;

	return param && !param->no_off && gw_compat_value_read(value, param, &number) &&
	       number == param->off;
}

int gw_compat_fingerprint(const struct gw_compat_instance *instance, const struct gw_model *model,
			  char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "%s\n", instance->model);

	for (unsigned i = 0; i < instance->count && len < size; i++) {
		const struct gw_compat_value *value = &instance->values[i];

		if (!is_off(value, find_param(model, value->name)))
			len += (size_t)snprintf(text + len, size - len, "%s=%s\n", value->name,
						value->text);
	}
	if (len >= size)
		return gw_fail(ENOSPC, "canonical form: more than %zu bytes", size);
	return (int)len;
}

/* What each parameter of @model is in @source; off where it says nothing (that is never met). */
static void complete_source(const struct gw_compat_instance *source, const struct gw_model *model,
			    int64_t *values)
{
	for (unsigned i = 0; model->params[i].name; i++) {
		const struct gw_param *param = &model->params[i];
		const struct gw_compat_value *value = gw_compat_value_find(source, param->name);

		if (!value || !gw_compat_value_read(value, param, &values[i]))
			values[i] = param->off;
	}
}

/* How many of @values differ from @profile; NULL: from off. */
static unsigned differ(const struct gw_model *model, const struct gw_profile *profile,
		       const int64_t *values)
{
	unsigned count = 0;

	for (unsigned i = 0; model->params[i].name; i++) {
		int64_t value = model->params[i].off;

		for (const struct gw_setting *s = profile ? profile->settings : NULL; s && s->name;
		     s++)
			if (!strcmp(s->name, model->params[i].name))
				value = s->value;
		count += value != values[i];
	}
	return count;
}

void gw_compat_rank(const struct gw_compat_instance *source,
		    const struct gw_compat_implementation *destination, struct gw_compat_rank *rank)
{
	const struct gw_model *model = gw_compat_implementation_find(destination, source->model);
	const struct gw_profile *standard = NULL;
	int64_t values[GW_PARAMS_MAX];

	*rank = (struct gw_compat_rank){0};
	if (!model)
		return;
	complete_source(source, model, values);
	for (const struct gw_profile *p = model->profiles; p->name; p++) {
		rank->exact |= !differ(model, p, values);
		rank->same_profile |= !strcmp(p->name, source->profile);
		if (model->default_profile && !strcmp(p->name, model->default_profile))
			standard = p;
	}
	rank->changed = differ(model, standard, values);
}

int gw_compat_rank_compare(const struct gw_compat_rank *left, const char *left_name,
			   const struct gw_compat_rank *right, const char *right_name)
{
	if (left->exact != right->exact)
		return left->exact ? -1 : 1;
	if (left->same_profile != right->same_profile)
		return left->same_profile ? -1 : 1;
	if (left->changed != right->changed)
		return left->changed < right->changed ? -1 : 1;
	return strcmp(left_name, right_name);
}
