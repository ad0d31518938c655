/* SPDX-License-Identifier: BSD-3-Clause */
/* model/baseline.c - the largest profile that all of a set of implementations can run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/baseline.h"

struct making {
	struct gw_baseline *baseline;
	const struct gw_compat_implementation *const *implementations;
	const char *model;
};

/* The one model that all have, as far as the first one knows. */
static int choose_model(struct making *making)
{
	const struct gw_compat_implementation *const *all = making->implementations;
	unsigned count = making->baseline->implementation_count;
	const struct gw_model *model;

	for (unsigned i = 0;
	     count && !making->model && (model = gw_compat_implementation_model(all[0], i)); i++) {
		unsigned k = 1;

		while (k < count && gw_compat_implementation_find(all[k], model->name))
			k++;
		if (k < count)
			continue;
		if (making->model)
			return gw_fail(EINVAL, "baseline: they have more than one model in common, "
					       "and none is told to be meant");
		making->model = model->name;
	}
	return making->model ? 0 : gw_fail(EINVAL, "baseline: they have no model in common");
}

/* -- all profiles, each assignment once ---------------------------------------------------- */

static bool is_known(const struct gw_baseline *baseline, const char *form)
{
	for (unsigned i = 0; i < baseline->count; i++)
		if (!strcmp(baseline->candidates[i].form, form))
			return true;
	return false;
}

static int add_candidate(struct making *making, unsigned owner, const char *profile,
			 const char *form)
{
	struct gw_baseline *baseline = making->baseline;
	struct gw_candidate *more, *candidate;
	char name[GW_PARAM_VALUE_MAX + sizeof("profile ")];

	if (is_known(baseline, form))
		return 0;
	more = reallocarray(baseline->candidates, baseline->count + 1, sizeof(*more));
	if (!more)
		return gw_fail(ENOMEM, "baseline: no memory");
	baseline->candidates = more;
	candidate = &more[baseline->count++];
	*candidate = (struct gw_candidate){.profile = profile, .owner = owner};
	candidate->form = strdup(form);
	candidate->reports =
		calloc(baseline->implementation_count, sizeof(struct gw_compat_report *));
	if (!candidate->form || !candidate->reports)
		return gw_fail(ENOMEM, "baseline: no memory");
	snprintf(name, sizeof(name), "profile %s", profile);
	return gw_compat_instance_canonical(&candidate->instance, name, form, strlen(form), NULL);
}

static int add_profile(struct making *making, unsigned owner, const struct gw_model *model,
		       const char *profile)
{
	char form[GW_CANONICAL_MAX];
	struct gw_params *params;
	int len = 0, err = gw_params_new(&params, model);

	if (err)
		return err;
	err = gw_params_apply_profile(params, profile);
	if (!err)
		len = gw_params_canonical(params, form, sizeof(form));
	gw_params_free(params);
	if (err || len < 0)
		return err ? err : len;
	return add_candidate(making, owner, profile, form);
}

static int add_all(struct making *making)
{
	int err = 0;

	for (unsigned i = 0; i < making->baseline->implementation_count && !err; i++) {
		const struct gw_model *model =
			gw_compat_implementation_find(making->implementations[i], making->model);

		for (const struct gw_profile *p = model ? model->profiles : NULL;
		     p && p->name && !err; p++)
			err = add_profile(making, i, model, p->name);
	}
	return err;
}

/* -- who can run them ---------------------------------------------------------------------- */

/* Room comes and goes. */
static bool accepts(const struct gw_compat_report *report)
{
	for (unsigned i = 0; i < gw_compat_report_count(report); i++)
		if (gw_compat_report_reason(report, i)->code != GW_NO_CAPACITY)
			return false;
	return true;
}

static int ask_all(const struct making *making, struct gw_candidate *candidate)
{
	int err = 0;

	for (unsigned i = 0; i < making->baseline->implementation_count && !err; i++) {
		err = gw_compat_report_new(&candidate->reports[i]);
		if (!err)
			err = gw_compat_check(candidate->instance, making->implementations[i],
					      candidate->reports[i]);
		candidate->refused += !err && !accepts(candidate->reports[i]);
	}
	return err;
}

/* -- which is larger ----------------------------------------------------------------------- */

static unsigned count_params(const struct gw_compat_instance *instance)
{
	unsigned count = 0;

	while (gw_compat_instance_param(instance, count, NULL))
		count++;
	return count;
}

static int compare_values(const char *left, const char *right)
{
	char *left_end, *right_end;
	long long one = strtoll(left, &left_end, 10), other = strtoll(right, &right_end, 10);

	if (*left && *right && !*left_end && !*right_end)
		return (one > other) - (one < other);
	return strcmp(left, right);
}

/* The larger first. */
static int by_size(const void *a, const void *b)
{
	const struct gw_candidate *left = a, *right = b;
	unsigned count = count_params(left->instance), other = count_params(right->instance);

	if (count != other)
		return count > other ? -1 : 1;
	for (unsigned i = 0; i < count; i++) {
		const char *value, *its;
		int order = strcmp(gw_compat_instance_param(left->instance, i, &value),
				   gw_compat_instance_param(right->instance, i, &its));

		if (!order)
			order = -compare_values(value, its);
		if (order)
			return order;
	}
	return 0;
}

int gw_baseline_new(struct gw_baseline **out,
		    const struct gw_compat_implementation *const *implementations, unsigned count,
		    const char *model)
{
	struct gw_baseline *baseline = calloc(1, sizeof(*baseline));
	struct making making = {baseline, implementations, model};
	int err;

	if (!baseline)
		return gw_fail(ENOMEM, "baseline: no memory");
	baseline->implementation_count = count;
	err = choose_model(&making);
	if (!err)
		err = add_all(&making);
	for (unsigned i = 0; i < baseline->count && !err; i++)
		err = ask_all(&making, &baseline->candidates[i]);
	if (err) {
		gw_baseline_free(baseline);
		return err;
	}
	if (baseline->count)
		qsort(baseline->candidates, baseline->count, sizeof(baseline->candidates[0]),
		      by_size);
	*out = baseline;
	return 0;
}

static void free_candidate(const struct gw_baseline *baseline, struct gw_candidate *candidate)
{
	for (unsigned i = 0; candidate->reports && i < baseline->implementation_count; i++)
		gw_compat_report_free(candidate->reports[i]);
	free(candidate->reports);
	gw_compat_instance_free(candidate->instance);
	free(candidate->form);
}

void gw_baseline_free(struct gw_baseline *baseline)
{
	for (unsigned i = 0; baseline && i < baseline->count; i++)
		free_candidate(baseline, &baseline->candidates[i]);
	if (baseline)
		free(baseline->candidates);
	free(baseline);
}

int gw_baseline_chosen(const struct gw_baseline *baseline)
{
	for (unsigned i = 0; i < baseline->count; i++)
		if (!baseline->candidates[i].refused)
			return (int)i;
	return -1;
}
