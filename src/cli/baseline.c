/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/baseline.c - `godwit baseline`: the largest profile that all can run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "cli/command.h"
#include "cli/print.h"
#include "cli/what/what.h"
#include "control/control.h"
#include "godwit/error.h"
#include "model/baseline.h"
#include "model/document.h"

struct baseline_options {
	const char *model, *sysfs_root;
	bool json, help;
};

#define AT(member) offsetof(struct baseline_options, member)
static const struct gw_option options[] = {
	{"model", "NAME", "of this device model, where they have several", AT(model),
	 GW_OPTION_STRING},
	{"sysfs-root", "DIR", "where mdev parents are looked for [/sys]", AT(sysfs_root),
	 GW_OPTION_STRING},
	{"json", NULL, "one JSON object", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

/* What was named, each a host, and all implementations that they have. */
struct fleet {
	unsigned what_count, count;
	struct gw_what **whats;
	struct gw_hosted *implementations;
};

static const char *name_of(const struct fleet *fleet, unsigned i)
{
	return gw_compat_implementation_name(fleet->implementations[i].implementation);
}

/* -- as text ------------------------------------------------------------------------------- */

static void print_params(const struct gw_compat_instance *instance)
{
	const char *name, *value;

	for (unsigned i = 0; (name = gw_compat_instance_param(instance, i, &value)); i++)
		printf(" %s=%s", name, value);
	printf("\n");
}

static void print_refusals(const struct gw_candidate *candidate, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const struct gw_compat_report *report = candidate->reports[i];

		for (unsigned k = 0; candidate->refuses[i] && k < gw_compat_report_count(report);
		     k++) {
			const struct gw_compat_reason *reason = gw_compat_report_reason(report, k);

			if (reason->code == GW_NO_CAPACITY)
				continue;
			printf("    %s: ", gw_refusal_name(reason->code));
			gw_cli_print_text(reason->text);
			printf("\n");
		}
	}
}

static void print_text(const struct fleet *fleet, const struct gw_baseline *baseline, int chosen)
{
	unsigned larger = chosen < 0 ? baseline->count : (unsigned)chosen;

	if (chosen < 0) {
		printf("none: there is no profile that all can run\n");
	} else {
		printf("profile %s:", baseline->candidates[chosen].profile);
		print_params(baseline->candidates[chosen].instance);
	}
	for (unsigned i = 0; i < larger; i++) {
		const struct gw_candidate *candidate = &baseline->candidates[i];

		printf("  given up: profile %s of ", candidate->profile);
		gw_cli_print_text(name_of(fleet, candidate->owner));
		printf(":");
		print_params(candidate->instance);
		print_refusals(candidate, baseline->implementation_count);
	}
}

/* -- as JSON ------------------------------------------------------------------------------- */

static json_t *describe(const struct fleet *fleet, const struct gw_candidate *candidate)
{
	return json_pack("{s:s, s:o, s:o}", "profile", candidate->profile, "of",
			 gw_control_text(name_of(fleet, candidate->owner)), "instance",
			 gw_compat_instance_json(candidate->instance));
}

static json_t *describe_refusals(const struct fleet *fleet, const struct gw_candidate *candidate)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < fleet->count; i++) {
		json_t *report;

		if (!candidate->refuses[i])
			continue;
		report = gw_compat_report_json(candidate->reports[i]);
		json_object_set_new(report, "for", gw_control_text(name_of(fleet, i)));
		json_array_append_new(list, report);
	}
	return list;
}

static void print_json(const struct fleet *fleet, const struct gw_baseline *baseline, int chosen)
{
	json_t *given_up = json_array(), *root;
	unsigned larger = chosen < 0 ? baseline->count : (unsigned)chosen;

	for (unsigned i = 0; i < larger; i++) {
		const struct gw_candidate *candidate = &baseline->candidates[i];
		json_t *one = describe(fleet, candidate);

		json_object_set_new(one, "refused", describe_refusals(fleet, candidate));
		json_array_append_new(given_up, one);
	}
	root = json_pack("{s:o, s:o}", "baseline",
			 chosen < 0 ? json_null() : describe(fleet, &baseline->candidates[chosen]),
			 "given_up", given_up);
	json_dumpf(root, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(root);
}

/* -- the question -------------------------------------------------------------------------- */

static int take(struct fleet *fleet, const char *name, const struct baseline_options *given)
{
	struct gw_what *what;
	int err = gw_what_read(&what, name, given->sysfs_root);

	if (err)
		return err;
	fleet->whats[fleet->what_count++] = what;
	if (!what->implementation_count)
		return gw_fail(EINVAL, "%s: it is an instance, and no implementation", name);
	for (unsigned i = 0; i < what->implementation_count; i++)
		fleet->implementations[fleet->count++] = (struct gw_hosted){
			what->implementations[i].implementation, fleet->what_count - 1};
	return 0;
}

static int answer(const struct fleet *fleet, const struct baseline_options *given)
{
	struct gw_baseline *baseline;
	int chosen;

	if (gw_baseline_new(&baseline, fleet->implementations, fleet->count, given->model))
		return gw_cli_complain("baseline", GW_EXIT_FAILED);
	chosen = gw_baseline_chosen(baseline);
	if (given->json)
		print_json(fleet, baseline, chosen);
	else
		print_text(fleet, baseline, chosen);
	gw_baseline_free(baseline);
	return chosen < 0 ? GW_EXIT_FAILED : GW_EXIT_OK;
}

static int run(char **names, unsigned count, const struct baseline_options *given)
{
	struct fleet fleet = {
		.whats = calloc(count, sizeof(struct gw_what *)),
		.implementations = calloc((size_t)count * GW_WHATS_MAX, sizeof(struct gw_hosted)),
	};
	int err = fleet.whats && fleet.implementations ? 0 : gw_fail(ENOMEM, "no memory");
	int code;

	for (unsigned i = 0; i < count && !err; i++)
		err = take(&fleet, names[i], given);
	code = err ? gw_cli_complain("baseline", GW_EXIT_UNKNOWN) : answer(&fleet, given);
	for (unsigned i = 0; i < fleet.what_count; i++)
		gw_what_free(fleet.whats[i]);
	free(fleet.whats);
	free(fleet.implementations);
	return code;
}

int gw_cli_baseline(int argc, char **argv)
{
	struct baseline_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit baseline",
		.summary = "The largest profile that all can run, and what was given up for whom.",
		.operands = "WHAT...",
		.tables = tables,
	};
	int first;

	if (gw_options_parse(&line, argc, argv, &first))
		return gw_cli_complain("baseline", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (first == argc) {
		gw_fail(EINVAL, "of whom? (see --help)");
		return gw_cli_complain("baseline", GW_EXIT_USAGE);
	}
	return run(argv + first, (unsigned)(argc - first), &given);
}
