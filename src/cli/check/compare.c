/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check/compare.c - which of what a destination has takes the instance best. */
#include <openssl/sha.h>
#include <string.h>

#include "cli/check/check.h"
#include "godwit/error.h"

struct candidate {
	const struct gw_what_implementation *implementation;
	const struct gw_compat_instance *made;
	struct gw_compat_report *report;
	struct gw_compat_rank rank;
};

static int compare(const struct gw_compat_instance *source, struct candidate *candidate)
{
	const struct gw_compat_implementation *implementation =
		candidate->implementation ? candidate->implementation->implementation : NULL;
	int err = gw_compat_report_new(&candidate->report);

	if (!err && implementation)
		err = gw_compat_check(source, implementation, candidate->report);
	if (!err && candidate->made)
		err = gw_compat_check_made(source, candidate->made, implementation,
					   candidate->report);
	if (!err && implementation)
		gw_compat_rank(source, implementation, &candidate->rank);
	return err;
}

/* Yes is better than perhaps, which is better than no. */
static int by_verdict(const struct candidate *candidate)
{
	switch (gw_compat_report_verdict(candidate->report)) {
	case GW_COMPATIBLE:
		return 0;
	case GW_VERDICT_UNKNOWN:
		return 1;
	case GW_INCOMPATIBLE:
		break;
	}
	return 2;
}

static const char *name_of(const struct candidate *candidate)
{
	return candidate->implementation
		       ? gw_compat_implementation_name(candidate->implementation->implementation)
		       : gw_compat_instance_name(candidate->made);
}

static bool is_better(const struct candidate *one, const struct candidate *other)
{
	unsigned mine = gw_compat_report_count(one->report), its;

	if (!other->report)
		return true;
	if (by_verdict(one) != by_verdict(other))
		return by_verdict(one) < by_verdict(other);
	its = gw_compat_report_count(other->report);
	if (mine != its)
		return mine < its;
	return gw_compat_rank_compare(&one->rank, name_of(one), &other->rank, name_of(other)) < 0;
}

static int try(const struct gw_check *check, struct candidate *best,
	       const struct gw_what_implementation *implementation,
	       const struct gw_compat_instance *made)
{
	struct candidate candidate = {.implementation = implementation, .made = made};
	int err = compare(check->source, &candidate);

	if (err || !is_better(&candidate, best)) {
		gw_compat_report_free(candidate.report);
		return err;
	}
	gw_compat_report_free(best->report);
	*best = candidate;
	return 0;
}

/* Every implementation, with every instance that is made of it already. */
static int choose(const struct gw_check *check, struct candidate *best)
{
	const struct gw_what *to = check->to;
	int err = 0;

	for (unsigned i = 0; i < to->implementation_count && !err; i++) {
		if (!to->instance_count)
			err = try(check, best, &to->implementations[i], NULL);
		for (unsigned k = 0; k < to->instance_count && !err; k++)
			err = try(check, best, &to->implementations[i], to->instances[k]);
	}
	for (unsigned k = 0; !to->implementation_count && k < to->instance_count && !err; k++)
		err = try(check, best, NULL, to->instances[k]);
	return err;
}

int gw_check_run(struct gw_check *check)
{
	struct candidate best = {0};
	int err = choose(check, &best);

	if (!err && !best.report)
		err = gw_compat_report_new(&best.report);
	check->report = best.report;
	check->implementation = best.implementation;
	check->made = best.made;
	if (!err && !best.implementation && !best.made)
		err = gw_compat_report_add(check->report, GW_CANNOT_TELL, "",
					   "%s has neither implementations nor instances",
					   check->to_name);
	if (!err)
		err = gw_check_ask(check);
	return err ? err : gw_check_ask_checkers(check);
}

void gw_check_digest(const char *form, size_t len, char text[GW_FINGERPRINT_LEN + 1])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)form, len, digest);
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

void gw_check_fingerprint(const struct gw_compat_instance *instance, const struct gw_model *model,
			  char text[GW_FINGERPRINT_LEN + 1])
{
	char form[GW_CANONICAL_MAX];
	int len = gw_compat_fingerprint(instance, model, form, sizeof(form));

	text[0] = 0;
	if (len >= 0)
		gw_check_digest(form, (size_t)len, text);
}
