/* SPDX-License-Identifier: BSD-3-Clause */
/* model/baseline.c - the largest profile that all of a set of hosts can run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "model/baseline.h"
#include "model/compat.h"
#include "model/params.h"

struct making {
	struct gw_baseline *baseline;
	const struct gw_hosted *all;
	unsigned count;
	const char *model;
	/* What instances of any of them require: it has to be wherever one may go. */
	unsigned word_count;
	const char *words[GW_REQUIRES_MAX];
	char prerequisites[GW_REQUIRES_MAX * GW_REQUIRE_MAX]; /* the same as one text */
};

static bool has_model(const struct gw_hosted *hosted, const char *model)
{
	return gw_compat_implementation_find(hosted->implementation, model) != NULL;
}

static bool every_host_has(const struct making *making, const char *model)
{
	unsigned hosts = 0; /* that have it, of those that were looked at */

	for (unsigned i = 0; i < making->count && hosts >= making->all[i].host; i++)
		if (hosts == making->all[i].host && has_model(&making->all[i], model))
			hosts++;
	return making->count && hosts > making->all[making->count - 1].host;
}

static int take_model(struct making *making, const char *model)
{
	if (making->model && strcmp(making->model, model) != 0)
		return gw_fail(EINVAL,
			       "baseline: they have several models in common, among them %s and "
			       "%s; which one is meant has to be said",
			       making->model, model);
	making->model = model;
	return 0;
}

/* The one model that all have: the first host has it among others. */
static int choose_model(struct making *making)
{
	const struct gw_model *model;
	int err = 0;

	if (making->model)
		return 0;
	for (unsigned i = 0; i < making->count && !making->all[i].host; i++)
		for (unsigned k = 0;
		     !err &&
		     (model = gw_compat_implementation_model(making->all[i].implementation, k));
		     k++)
			if (every_host_has(making, model->name))
				err = take_model(making, model->name);
	if (!err && !making->model)
		err = gw_fail(EINVAL, "baseline: they have no model in common");
	return err;
}

/* -- what is required ---------------------------------------------------------------------- */

static int add_word(struct making *making, const char *word)
{
	for (unsigned i = 0; i < making->word_count; i++)
		if (!strcmp(making->words[i], word))
			return 0;
	if (making->word_count == GW_REQUIRES_MAX)
		return gw_fail(E2BIG,
			       "baseline: their instances would require more than %d different "
			       "things, %s among them",
			       GW_REQUIRES_MAX, word);
	making->words[making->word_count++] = word;
	return 0;
}

static int collect_requires(struct making *making)
{
	size_t len = 0;
	int err = 0;

	for (unsigned i = 0; i < making->count && !err; i++) {
		const struct gw_compat_implementation *of = making->all[i].implementation;

		if (!has_model(&making->all[i], making->model))
			continue;
		for (unsigned k = 0; k < of->require_count && !err; k++)
			err = add_word(making, of->requires[k]);
	}
	for (unsigned i = 0; i < making->word_count && !err; i++)
		len += (size_t)snprintf(making->prerequisites + len,
					sizeof(making->prerequisites) - len, "%s ",
					making->words[i]);
	return err;
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
	candidate->refuses = calloc(baseline->implementation_count, sizeof(bool));
	if (!candidate->form || !candidate->reports || !candidate->refuses)
		return gw_fail(ENOMEM, "baseline: no memory");
	snprintf(name, sizeof(name), "profile %s", profile);
	return gw_compat_instance_canonical(&candidate->instance, name, form, strlen(form),
					    making->prerequisites);
}

static int add_profile(struct making *making, unsigned owner, const struct gw_model *model,
		       const char *profile)
{
	char form[GW_CANONICAL_MAX];
	int len = gw_profile_canonical(model, profile, form, sizeof(form));

	return len < 0 ? len : add_candidate(making, owner, profile, form);
}

static int add_all(struct making *making)
{
	int err = 0;

	for (unsigned i = 0; i < making->count && !err; i++) {
		const struct gw_model *model =
			gw_compat_implementation_find(making->all[i].implementation, making->model);

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

/* A host refuses where each of its implementations does; those that are of another model have no
 * say, unless all are. */
static void judge_host(const struct making *making, struct gw_candidate *candidate, unsigned first,
		       unsigned end)
{
	bool refuses = true, has = false;

	for (unsigned i = first; i < end; i++) {
		refuses &= !accepts(candidate->reports[i]);
		has |= has_model(&making->all[i], making->model);
	}
	for (unsigned i = first; i < end; i++)
		candidate->refuses[i] =
			refuses && (!has || has_model(&making->all[i], making->model));
	candidate->refused |= refuses;
}

static void judge(const struct making *making, struct gw_candidate *candidate)
{
	for (unsigned i = 0, end; i < making->count; i = end) {
		for (end = i + 1;
		     end < making->count && making->all[end].host == making->all[i].host;)
			end++;
		judge_host(making, candidate, i, end);
	}
}

static int ask_all(const struct making *making, struct gw_candidate *candidate)
{
	int err = 0;

	for (unsigned i = 0; i < making->count && !err; i++) {
		err = gw_compat_report_new(&candidate->reports[i]);
		if (!err)
			err = gw_compat_check(candidate->instance, making->all[i].implementation,
					      candidate->reports[i]);
	}
	if (!err)
		judge(making, candidate);
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

int gw_baseline_new(struct gw_baseline **out, const struct gw_hosted *implementations,
		    unsigned count, const char *model)
{
	struct gw_baseline *baseline = calloc(1, sizeof(*baseline));
	struct making making = {
		.baseline = baseline, .all = implementations, .count = count, .model = model};
	int err;

	if (!baseline)
		return gw_fail(ENOMEM, "baseline: no memory");
	baseline->implementation_count = count;
	err = choose_model(&making);
	if (!err)
		err = collect_requires(&making);
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
	free(candidate->refuses);
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
