/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate.c - `godwit migrate`: a guest goes to another QEMU, and exactly one side has it. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <syslog.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/options.h"
#include "cli/check/check.h"
#include "cli/command.h"
#include "cli/migrate/migrate.h"
#include "cli/print.h"

#define TIME_LIMIT_MAX (7 * 24 * 3600)
#define PATIENCE_S     30
#define PATIENCE_MAX   3600

struct migrate_options {
	const char *from, *to, *uri, *plan, *override, *checkers, *svg;
	unsigned time_limit, patience;
	bool dry_run, json, help;
};

#define AT(member) offsetof(struct migrate_options, member)
static const struct gw_option options[] = {
	{"from", "QMP", "monitor of the QEMU with the guest", AT(from), GW_OPTION_STRING,
	 .required = true},
	{"to", "QMP", "monitor of the QEMU that waits for it", AT(to), GW_OPTION_STRING,
	 .required = true},
	{"uri", "URI", "over which way: tcp:HOST:PORT, unix:PATH", AT(uri), GW_OPTION_STRING},
	{"plan", "FILE", "which control socket each device's back-end has", AT(plan),
	 GW_OPTION_STRING},
	{"dry-run", NULL, "only look whether anything forbids it", AT(dry_run), GW_OPTION_FLAG},
	{"override", "REASON", "go on in spite of what is found; it is reported", AT(override),
	 GW_OPTION_STRING, .max = MG_TEXT_MAX - 1},
	{"checkers", "DIR", "programs that may also refuse", AT(checkers), GW_OPTION_STRING},
	{"time-limit", "SECONDS", "cancel if it takes longer [no limit]", AT(time_limit),
	 GW_OPTION_NUMBER, .min = 1, .max = TIME_LIMIT_MAX},
	{"patience", "SECONDS", "for an answer [30]", AT(patience), GW_OPTION_NUMBER, .min = 1,
	 .max = PATIENCE_MAX},
	{"json", NULL, "the report as one JSON object", AT(json), GW_OPTION_FLAG},
	{"svg", "FILE", "the report as a picture, too", AT(svg), GW_OPTION_STRING},
	{"help", NULL, "print this", AT(help), GW_OPTION_FLAG, .letter = 'h'},
	{NULL},
};

/* A monitor serves one at a time: it would wait for itself. */
static int check_sides(const char *from, const char *to)
{
	GW_AUTO_FREE char *here = realpath(from, NULL);
	GW_AUTO_FREE char *there = realpath(to, NULL);

	if (!strcmp(from, to) || (here && there && !strcmp(here, there)))
		return gw_fail(EINVAL, "--from and --to are the same QEMU");
	if (strlen(from) >= GW_QMP_WHERE_MAX || strlen(to) >= GW_QMP_WHERE_MAX)
		return gw_fail(EINVAL, "--from or --to is longer than %d bytes",
			       GW_QMP_WHERE_MAX - 1);
	return 0;
}

/* From here on an interrupt is a wish, never the end of the process in the midst of something. */
static int take_signals(struct gw_qmp_group *group)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	group->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return group->signals < 0 ? gw_fail(errno, "signalfd: %s", strerror(errno)) : 0;
}

static void ask_backends(struct mg_move *move, struct mg_machine *machine)
{
	for (unsigned i = 0; i < machine->count; i++) {
		struct mg_device *device = &machine->devices[i];

		if (device->kind != MG_VHOST_USER)
			continue;
		device->backend.side = machine->side;
		mg_plan_control(move->plan, machine->side, device);
		mg_backend_ask(&device->backend, &move->group);
	}
}

/* All that is to be known of both sides. */
static int ask(struct mg_move *move, const struct migrate_options *given)
{
	const char *where[MG_SIDES] = {given->from, given->to};
	int err = 0;

	mg_phase_enter(move, MG_ASKING);
	for (int side = 0; side < MG_SIDES && !err; side++)
		err = mg_machine_open(&move->machines[side], &move->group, where[side]);
	for (int side = 0; side < MG_SIDES && !err; side++)
		err = mg_machine_describe(&move->machines[side]);
	if (!err)
		err = mg_plan_check(move->plan, &move->machines[MG_SOURCE]);
	for (int side = 0; side < MG_SIDES && !err; side++)
		ask_backends(move, &move->machines[side]);
	move->was_running = move->machines[MG_SOURCE].running;
	return err;
}

/* Whoever comes later has to see that somebody wanted it so. */
static void shout(const struct mg_move *move)
{
	openlog("godwit", LOG_PID, LOG_DAEMON);
	for (unsigned i = 0; i < move->finding_count; i++) {
		const struct mg_finding *finding = &move->findings[i];

		if (!finding->overridden)
			continue;
		fprintf(stderr, "godwit migrate: OVERRIDDEN (%s): %s ", move->override,
			finding->code);
		gw_cli_put_text(stderr, finding->device);
		fputs(": ", stderr);
		gw_cli_put_text(stderr, finding->text);
		fputc('\n', stderr);
		syslog(LOG_WARNING, "migrate: OVERRIDDEN (%s): %s %s: %s", move->override,
		       finding->code, finding->device, finding->text);
	}
	closelog();
}

static bool interrupted(struct mg_move *move)
{
	if (!move->group.interrupts)
		return false;
	mg_reason(move, "it was interrupted before anything was begun");
	move->outcome = MG_CANCELLED;
	return true;
}

/* What was found decides, or else what happens. */
static void decide(struct mg_move *move)
{
	enum mg_verdict verdict;

	mg_gates_ask(move);
	verdict = mg_findings_verdict(move);
	shout(move);
	if (interrupted(move))
		return;
	if (verdict == MG_REFUSED)
		move->outcome = MG_REFUSED_OUTCOME;
	else if (verdict == MG_CANNOT_TELL)
		move->outcome = MG_CANNOT_TELL_OUTCOME;
	else if (move->dry_run)
		move->outcome = MG_WOULD_MOVE;
	else
		mg_run(move);
}

static int report(struct mg_move *move, const struct migrate_options *given)
{
	int code = mg_outcome_exit(move->outcome);
	json_t *json;

	mg_phase_enter(move, MG_PHASES);
	if (given->json) {
		json = mg_report_json(move);
		json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
		printf("\n");
		json_decref(json);
	} else {
		mg_report_text(move, stdout);
	}
	/* A picture that could not be drawn changes nothing of what happened. */
	if (given->svg && mg_report_svg(move, given->svg))
		gw_cli_complain("migrate", code);
	return code;
}

static int migrate(struct mg_move *move, const struct migrate_options *given)
{
	int err = take_signals(&move->group);

	move->begun = gw_clock_ns();
	if (!err)
		err = ask(move, given);
	if (!err) {
		decide(move);
		return report(move, given);
	}
	if (interrupted(move))
		return report(move, given);
	move->outcome = MG_CANNOT_TELL_OUTCOME;
	mg_reason(move, "%s", gw_last_error());
	if (given->json)
		report(move, given);
	return gw_cli_complain("migrate", err == -EINVAL ? GW_EXIT_USAGE : GW_EXIT_UNKNOWN);
}

static struct mg_move *new_move(const struct migrate_options *given)
{
	struct mg_move *move = calloc(1, sizeof(*move));

	if (!move)
		return NULL;
	move->uri = given->uri;
	move->override = given->override;
	move->checkers = given->checkers ? given->checkers : GW_CHECKERS;
	move->time_limit = given->time_limit;
	move->dry_run = given->dry_run;
	move->quiet = given->json;
	move->group.signals = -1;
	move->group.patience = given->patience;
	move->phase = MG_PHASES;
	move->machines[MG_DESTINATION].side = MG_DESTINATION;
	move->machines[MG_SOURCE].where = given->from;
	move->machines[MG_DESTINATION].where = given->to;
	return move;
}

static void free_move(struct mg_move *move)
{
	for (int side = 0; side < MG_SIDES; side++)
		mg_machine_close(&move->machines[side]);
	json_decref(move->plan);
	json_decref(move->progress);
	gw_close(&move->group.signals);
	free(move);
}

static int migrate_with_plan(const struct migrate_options *given)
{
	struct mg_move *move = new_move(given);
	int err, code;

	if (!move) {
		gw_fail(ENOMEM, "no memory");
		return gw_cli_complain("migrate", GW_EXIT_UNKNOWN);
	}
	err = given->plan ? mg_plan_read(&move->plan, given->plan) : 0;
	code = err ? gw_cli_complain("migrate", GW_EXIT_USAGE) : migrate(move, given);
	free_move(move);
	return code;
}

int gw_cli_migrate(int argc, char **argv)
{
	struct migrate_options given = {.patience = PATIENCE_S};
	const struct gw_option_table tables[] = {{"options", options, &given}, {NULL}};
	const struct gw_command_line line = {
		.program = "godwit migrate",
		.summary = "Move a guest to another QEMU, with the state of its back-ends.",
		.tables = tables,
	};

	if (gw_options_parse(&line, argc, argv, NULL))
		return gw_cli_complain("migrate", GW_EXIT_USAGE);
	if (given.help) {
		gw_options_help(&line, false, stdout);
		return GW_EXIT_OK;
	}
	if (given.override && !*given.override) {
		gw_fail(EINVAL, "option --override: whoever goes on in spite of it says why");
		return gw_cli_complain("migrate", GW_EXIT_USAGE);
	}
	if (check_sides(given.from, given.to))
		return gw_cli_complain("migrate", GW_EXIT_USAGE);
	return migrate_with_plan(&given);
}
