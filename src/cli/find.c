/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/find.c - `godwit find`: which hosts can take this device, the best first. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"
#include "cli/command.h"
#include "cli/fleet/access.h"
#include "cli/fleet/judge.h"
#include "cli/print.h"
#include "cli/what/what.h"
#include "godwit/error.h"
#include "model/document.h"

struct find_options {
	const char *from, *sysfs_root;
	unsigned limit;
	bool json, help;
};

#define AT(member) offsetof(struct find_options, member)
static const struct gw_option options[] = {
	{"from", "WHAT", "the device that is to move", AT(from), GW_OPTION_STRING,
	 .required = true},
	{"limit", "N", "print at most so many that can", AT(limit), GW_OPTION_NUMBER, .min = 1,
	 .max = GW_HOSTS_MAX},
	{"json", NULL, "print all as a JSON object", AT(json), GW_OPTION_FLAG},
	{"sysfs-root", "DIR", "look for mediated devices there [/sys]", AT(sysfs_root),
	 GW_OPTION_STRING},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

struct found {
	struct gw_judgement all;
	size_t yes;  /* at the beginning */
	bool unsure; /* of some nothing can be told */
};

static void count_found(struct found *found)
{
	for (size_t i = 0; i < found->all.count; i++) {
		found->yes += found->all.judged[i]->verdict == GW_COMPATIBLE;
		found->unsure |= found->all.judged[i]->verdict == GW_VERDICT_UNKNOWN;
	}
}

/* -- as text ------------------------------------------------------------------------------- */

static void print_rank(const struct gw_compat_rank *rank)
{
	if (rank->exact)
		printf("%s", "one of its profiles exactly");
	else
		printf("%u parameter%s not as in its default profile", rank->changed,
		       rank->changed == 1 ? "" : "s");
	printf("%s\n", rank->same_profile ? ", and has the profile's name" : "");
}

static void print_reasons(const struct gw_judged *judged)
{
	if (!judged->report)
		printf("  no memory\n");
	for (unsigned i = 0; judged->report && i < gw_compat_report_count(judged->report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(judged->report, i);

		printf("  %s: ", gw_refusal_name(reason->code));
		gw_cli_print_text(reason->text);
		printf("\n");
	}
}

static void print_found(const struct found *found, unsigned limit)
{
	for (size_t i = 0; i < found->all.count; i++) {
		const struct gw_judged *judged = found->all.judged[i];

		if (judged->verdict == GW_COMPATIBLE) {
			if (limit && i >= limit)
				continue;
			printf("%s: ", judged->name);
			print_rank(&judged->rank);
		} else {
			printf("%s: %s\n", judged->name,
			       judged->verdict == GW_INCOMPATIBLE ? "no" : "cannot tell");
			print_reasons(judged);
		}
	}
	if (!found->all.count)
		printf("no host has published a document there\n");
}

/* -- as JSON ------------------------------------------------------------------------------- */

static json_t *rank_json(const struct gw_judged *judged)
{
	return json_pack("{s:s, s:b, s:b, s:i}", "host", judged->name, "exact", judged->rank.exact,
			 "same_profile", judged->rank.same_profile, "changed",
			 (int)judged->rank.changed);
}

static json_t *refusal_json(const struct gw_judged *judged)
{
	json_t *json = judged->report ? gw_compat_report_json(judged->report) : json_object();

	json_object_set_new(json, "host", json_string(judged->name));
	return json;
}

static void print_found_json(const struct found *found, unsigned limit)
{
	json_t *can = json_array(), *rejected = json_array(), *all;

	for (size_t i = 0; i < found->all.count; i++) {
		if (found->all.judged[i]->verdict != GW_COMPATIBLE)
			json_array_append_new(rejected, refusal_json(found->all.judged[i]));
		else if (!limit || i < limit)
			json_array_append_new(can, rank_json(found->all.judged[i]));
	}
	all = json_pack("{s:o, s:o}", "found", can, "rejected", rejected);
	json_dumpf(all, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(all);
}

/* ------------------------------------------------------------------------------------------ */

/* "Cannot tell" is never no, either: where nobody can but somebody might, that is the answer. */
static int exit_code(const struct found *found)
{
	if (found->yes)
		return GW_EXIT_OK;
	return found->unsure ? GW_EXIT_UNKNOWN : GW_EXIT_FAILED;
}

static int find_among(const struct find_options *given, const struct gw_compat_instance *source,
		      const char *where, const struct gw_etcd_access *access)
{
	struct found found = {0};
	int code = GW_EXIT_UNKNOWN;

	if (gw_judge(&found.all, where, access, source)) {
		gw_cli_complain("find", code);
	} else {
		count_found(&found);
		if (given->json)
			print_found_json(&found, given->limit);
		else
			print_found(&found, given->limit);
		code = exit_code(&found);
	}
	gw_judgement_free(&found.all);
	return code;
}

static int find(const struct find_options *given, const char *where,
		const struct gw_etcd_access *access)
{
	const struct gw_compat_instance *source;
	struct gw_what *what = NULL;
	int code = GW_EXIT_UNKNOWN;

	if (gw_what_read(&what, given->from, given->sysfs_root ? given->sysfs_root : GW_WHAT_SYSFS))
		return gw_cli_complain("find", GW_EXIT_UNKNOWN);
	source = gw_what_instance(what, given->from);
	if (source)
		code = find_among(given, source, where, access);
	else
		gw_cli_complain("find", code);
	gw_what_free(what);
	return code;
}

int gw_cli_find(int argc, char **argv)
{
	struct find_options given = {0};
	struct gw_etcd_access access = gw_etcd_access_default;
	const struct gw_option_table tables[] = {
		{"options", options, &given}, {"etcd", gw_etcd_options, &access}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit find",
		.summary = "Which of these hosts can take the device? The best first.",
		.operands = "HOSTS",
		.tables = tables,
	};
	int first;

	if (gw_options_parse(&line, argc, argv, &first)) {
		return gw_cli_complain("find", GW_EXIT_USAGE);
	}
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (first != argc - 1) {
		gw_fail(EINVAL, "HOSTS is a directory of documents, or etcd://HOST:PORT/PREFIX "
				"(see --help)");
		return gw_cli_complain("find", GW_EXIT_USAGE);
	}
	return find(&given, argv[first], &access);
}
