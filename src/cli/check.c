/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/check.c - `godwit check`: may this instance go there? Before anything moves. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/options.h"
#include "cli/check/check.h"
#include "cli/command.h"
#include "cli/print.h"
#include "control/control.h"
#include "godwit/error.h"
#include "model/document.h"

struct check_options {
	const char *from, *to, *model, *profile, *override, *checkers, *sysfs_root;
	bool json, explain, help;
};

#define AT(member) offsetof(struct check_options, member)
static const struct gw_option options[] = {
	{"from", "WHAT", "the instance that is to move", AT(from), GW_OPTION_STRING,
	 .required = true},
	{"to", "WHAT", "where to: what godwit info can show", AT(to), GW_OPTION_STRING,
	 .required = true},
	{"profile", "NAME", "--from is none yet: as this profile makes it", AT(profile),
	 GW_OPTION_STRING},
	{"model", "NAME", "and it has several models: of this one", AT(model), GW_OPTION_STRING},
	{"explain", NULL, "parameter by parameter, side by side", AT(explain), GW_OPTION_FLAG},
	{"override", "REASON", "go in spite of all reasons; this is logged", AT(override),
	 GW_OPTION_STRING, .max = 256},
	{"checkers", "DIR", "programs that may also refuse", AT(checkers), GW_OPTION_STRING},
	{"sysfs-root", "DIR", "where mdev devices are looked for [/sys]", AT(sysfs_root),
	 GW_OPTION_STRING},
	{"json", NULL, "the report as one JSON object", AT(json), GW_OPTION_FLAG},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

/* -- the report ---------------------------------------------------------------------------- */

static const struct gw_model *model_there(const struct gw_check *check)
{
	return check->implementation
		       ? gw_compat_implementation_find(check->implementation->implementation,
						       gw_compat_instance_model(check->source))
		       : NULL;
}

static void print_json(const struct gw_check *check, const struct check_options *given)
{
	char fingerprint[GW_FINGERPRINT_LEN + 1];
	json_t *report = gw_compat_report_json(check->report);

	gw_check_fingerprint(check->source, model_there(check), fingerprint);
	json_object_set_new(report, "from", gw_control_text(given->from));
	json_object_set_new(report, "to", gw_control_text(given->to));
	json_object_set_new(report, "model", json_string(gw_compat_instance_model(check->source)));
	json_object_set_new(report, "fingerprint", json_string(fingerprint));
	if (check->implementation && check->to->implementation_count > 1)
		json_object_set_new(report, "chosen",
				    gw_control_text(gw_compat_implementation_name(
					    check->implementation->implementation)));
	if (given->override)
		json_object_set_new(report, "override", gw_control_text(given->override));
	json_dumpf(report, stdout, JSON_COMPACT);
	printf("\n");
	json_decref(report);
}

static void print_text(const struct gw_check *check)
{
	printf("%s\n", gw_verdict_name(gw_compat_report_verdict(check->report)));
	for (unsigned i = 0; i < gw_compat_report_count(check->report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(check->report, i);

		printf("%s: ", gw_refusal_name(reason->code));
		gw_cli_print_text(reason->text);
		printf("\n");
	}
	if (check->implementation && check->to->implementation_count > 1) {
		printf("chosen: ");
		gw_cli_print_text(
			gw_compat_implementation_name(check->implementation->implementation));
		printf("\n");
	}
}

/* Whoever comes later has to see that somebody wanted it so. */
static void shout(const struct gw_check *check, const struct check_options *given)
{
	const char *verdict = gw_verdict_name(gw_compat_report_verdict(check->report));

	fprintf(stderr, "godwit check: OVERRIDDEN: %s to %s is %s, and that is ignored because: ",
		given->from, given->to, verdict);
	fprintf(stderr, "%s\n", given->override);
	openlog("godwit", LOG_PID, LOG_DAEMON);
	syslog(LOG_WARNING, "check: OVERRIDDEN: %s to %s is %s, ignored because: %s", given->from,
	       given->to, verdict, given->override);
	for (unsigned i = 0; i < gw_compat_report_count(check->report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(check->report, i);

		fprintf(stderr, "godwit check: ignored: %s: ", gw_refusal_name(reason->code));
		gw_cli_put_text(stderr, reason->text);
		fputc('\n', stderr);
		syslog(LOG_WARNING, "check: ignored: %s: %s", gw_refusal_name(reason->code),
		       reason->text);
	}
	closelog();
}

static int report(const struct gw_check *check, const struct check_options *given)
{
	enum gw_verdict verdict = gw_compat_report_verdict(check->report);

	if (given->explain && !given->json)
		gw_check_explain(check, stdout);
	if (given->json)
		print_json(check, given);
	else
		print_text(check);
	if (verdict == GW_COMPATIBLE || !given->override)
		return (int)verdict;
	shout(check, given);
	return GW_EXIT_OK;
}

/* -- the question -------------------------------------------------------------------------- */

/* What cannot be read cannot be told, and --json says so too. */
static int cannot_tell(const struct check_options *given)
{
	if (given->json) {
		json_t *report = json_pack("{s:s, s:[{s:s, s:s, s:o}]}", "verdict",
					   gw_verdict_name(GW_VERDICT_UNKNOWN), "reasons", "code",
					   gw_refusal_name(GW_CANNOT_TELL), "subject", "", "text",
					   gw_control_text(gw_last_error()));

		json_dumpf(report, stdout, JSON_COMPACT);
		printf("\n");
		json_decref(report);
	}
	return gw_cli_complain("check", GW_EXIT_UNKNOWN);
}

static int compare(const struct gw_what *from, const struct gw_what *to,
		   const struct check_options *given)
{
	struct gw_check check = {.source = gw_what_instance(from, given->from),
				 .to = to,
				 .to_name = given->to,
				 .checkers = given->checkers ? given->checkers : GW_CHECKERS};
	int code;

	if (!check.source)
		return cannot_tell(given);
	if (gw_check_run(&check))
		code = gw_cli_complain("check", GW_EXIT_UNKNOWN);
	else
		code = report(&check, given);
	gw_compat_report_free(check.report);
	return code;
}

static int check(const struct check_options *given)
{
	struct gw_what *from = NULL, *to = NULL;
	int code, err = gw_what_read(&from, given->from, given->sysfs_root);

	/* As the command line would start it. */
	if (!err && given->profile)
		err = gw_what_take_profile(from, given->from, given->model, given->profile);
	if (!err)
		err = gw_what_read(&to, given->to, given->sysfs_root);
	code = err ? cannot_tell(given) : compare(from, to, given);
	gw_what_free(from);
	gw_what_free(to);
	return code;
}

int gw_cli_check(int argc, char **argv)
{
	struct check_options given = {0};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit check",
		.summary = "May an instance go there? Nothing moves; exit code 3: cannot tell.",
		.tables = tables,
	};

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("check", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (given.override && !*given.override) {
		gw_fail(EINVAL, "option --override: whoever goes in spite of a refusal says why");
		return gw_cli_complain("check", GW_EXIT_USAGE);
	}
	if (given.model && !given.profile) {
		gw_fail(EINVAL, "option --model goes with --profile");
		return gw_cli_complain("check", GW_EXIT_USAGE);
	}
	return check(&given);
}
