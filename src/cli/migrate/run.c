/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/run.c - the migration itself, from the destination that is to listen to its end. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "cli/migrate/migrate.h"

/* While its devices are saved a QEMU answers nobody. */
#define FOLLOW_TIMES 10
#define EVERY_MS     200
/* For all devices together: who was told how much comes is faster, or brought most of it, and that
 * is no reason to wait for long. An answer takes no longer than a thread to start, and what was
 * said stays said. */
#define EXPECT_MS 1000

struct run {
	struct mg_move *move;
	struct mg_machine *source, *destination;
	char uri[MG_PATH_MAX];
	bool own_socket;	       /* the destination made one only for this */
	uint64_t cancelled;	       /* when; 0: it is not */
	json_t *switched_on[MG_SIDES]; /* capabilities, as they were before */
};

/* -- what QEMU says it is doing ------------------------------------------------------------- */

enum course { GOES_ON, WAITS_FOR_US, COMPLETED, ENDED };

static const struct status {
	const char *word;
	enum course course;
	enum mg_phase phase; /* MG_PHASES: of whatever phase it was in */
} statuses[] = {
	{"none", GOES_ON, MG_SETTING_UP},
	{"setup", GOES_ON, MG_SETTING_UP},
	{"wait-unplug", GOES_ON, MG_SETTING_UP},
	{"active", GOES_ON, MG_PRECOPY},
	{"colo", GOES_ON, MG_PRECOPY},
	{"postcopy-active", GOES_ON, MG_SWITCHOVER},
	{"postcopy-paused", GOES_ON, MG_SWITCHOVER},
	{"postcopy-recover-setup", GOES_ON, MG_SWITCHOVER},
	{"postcopy-recover", GOES_ON, MG_SWITCHOVER},
	{"pre-switchover", WAITS_FOR_US, MG_SWITCHOVER},
	{"device", GOES_ON, MG_SWITCHOVER},
	{"cancelling", GOES_ON, MG_PHASES},
	{"completed", COMPLETED, MG_PHASES},
	{"cancelled", ENDED, MG_PHASES},
	{"failed", ENDED, MG_PHASES},
};

/* A word that is not known yet (they become more) says that it goes on. */
static const struct status *find_status(const char *word)
{
	static const struct status unknown = {"", GOES_ON, MG_PHASES};

	for (size_t i = 0; i < GW_ARRAY_LEN(statuses); i++)
		if (!strcmp(statuses[i].word, word))
			return &statuses[i];
	return &unknown;
}

static void note_status(struct mg_move *move, const char *word)
{
	const struct status *status = find_status(word);

	if (status->phase != MG_PHASES)
		mg_phase_enter(move, status->phase);
}

/* -- events --------------------------------------------------------------------------------- */

static void source_event(struct mg_move *move, const char *name, const json_t *data)
{
	const char *status = json_string_value(json_object_get(data, "status"));

	if (!strcmp(name, "MIGRATION") && status)
		note_status(move, status);
	else if (!strcmp(name, "STOP"))
		move->dark_from = move->group.heard_ns;
}

static void backend_event(struct mg_backend *backend, const char *name, const json_t *data)
{
	const char *reason = json_string_value(json_object_get(data, "reason"));

	if (!strcmp(name, "MIGRATION_FAILED") && reason)
		snprintf(backend->failure, sizeof(backend->failure), "%s", reason);
}

static void on_event(void *opaque, struct gw_qmp *qmp, const char *name, const json_t *data)
{
	struct mg_move *move = opaque;

	move->news |=
		qmp == move->machines[MG_SOURCE].qmp || qmp == move->machines[MG_DESTINATION].qmp;
	if (qmp == move->machines[MG_SOURCE].qmp)
		source_event(move, name, data);
	else if (qmp != move->machines[MG_DESTINATION].qmp)
		backend_event(qmp->owner, name, data);
	else if (!strcmp(name, "RESUME"))
		move->dark_to = move->group.heard_ns;
}

static void listen_to_backends(struct mg_machine *machine)
{
	for (unsigned i = 0; i < machine->count; i++)
		if (machine->devices[i].backend.talk)
			machine->devices[i].backend.talk->owner = &machine->devices[i].backend;
}

/* -- steps ---------------------------------------------------------------------------------- */

static int set_capabilities(struct mg_machine *machine, const json_t *list)
{
	if (!json_array_size(list))
		return 0;
	return gw_qmp_execute(machine->qmp, "migrate-set-capabilities",
			      json_pack("{s:O}", "capabilities", list), NULL);
}

static json_t *setting(const char *capability, bool on)
{
	return json_pack("{s:s, s:b}", "capability", capability, "state", on);
}

/* Those that a QEMU has; without events it is asked now and then. */
static int switch_on(struct run *run, struct mg_machine *machine)
{
	static const char *const wanted[] = {"return-path", "events"};
	json_t *on = json_array(), *before = json_array();
	int err;

	for (size_t i = 0; i < GW_ARRAY_LEN(wanted); i++) {
		if (!json_is_false(json_object_get(machine->capabilities, wanted[i])))
			continue;
		json_array_append_new(on, setting(wanted[i], true));
		json_array_append_new(before, setting(wanted[i], false));
	}
	err = set_capabilities(machine, on);
	json_decref(on);
	if (err)
		json_decref(before);
	else
		run->switched_on[machine->side] = before;
	return err;
}

/* A destination that listens already takes no capabilities any more, and needs none: it answers if
 * it is asked to. */
static int step_capabilities(struct run *run)
{
	int err = switch_on(run, run->source);

	if (!err && !mg_uri_listens(run->destination))
		err = switch_on(run, run->destination);
	return err;
}

static int step_listen(struct run *run)
{
	if (!mg_uri_choose(run->move, run->uri))
		return gw_fail(EINVAL, "nobody says where the destination should listen (--uri)");
	if (mg_uri_listens(run->destination))
		return 0;
	run->own_socket = !run->move->uri;
	return gw_qmp_execute(run->destination->qmp, "migrate-incoming",
			      json_pack("{s:s}", "uri", run->uri), NULL);
}

static int step_start(struct run *run)
{
	int err = gw_qmp_execute(run->source->qmp, "migrate", json_pack("{s:s}", "uri", run->uri),
				 NULL);

	if (!err)
		mg_phase_enter(run->move, MG_SETTING_UP);
	return err;
}

static int step_expect(struct run *run)
{
	uint64_t deadline = gw_clock_ns() + (uint64_t)EXPECT_MS * GW_NS_PER_MS;

	for (unsigned i = 0; i < run->source->count; i++) {
		const struct mg_device *device = &run->source->devices[i];
		struct mg_device *peer = mg_device_peer(device, run->destination);

		if (peer && strcmp(mg_backend_mode(&device->backend), "stateless") != 0)
			mg_backend_expect(&peer->backend, device->backend.preflight,
					  (unsigned)gw_qmp_ms_until(deadline));
	}
	return 0;
}

static int step_ahead(struct run *run)
{
	mg_ahead_open(run->move, EXPECT_MS);
	return 0;
}

static const struct {
	const char *what;
	int (*take)(struct run *run);
} steps[] = {
	{"switching the return path on", step_capabilities},
	{"letting the destination listen", step_listen},
	{"telling the destination's back-ends how much comes", step_expect},
	{"finding ways for what goes ahead", step_ahead},
	{"starting", step_start},
};

static int begin(struct run *run)
{
	int err = 0;

	mg_phase_enter(run->move, MG_PREPARING);
	for (size_t i = 0; i < GW_ARRAY_LEN(steps) && !err; i++) {
		err = steps[i].take(run);
		if (err)
			mg_reason(run->move, "%s: %s", steps[i].what, gw_last_error());
	}
	return err;
}

/* -- following ------------------------------------------------------------------------------ */

/* A QEMU that does not come to an end is not waited for without one. */
static int wait_for_cancel(const struct run *run)
{
	uint64_t limit = (uint64_t)FOLLOW_TIMES * run->move->group.patience * GW_NS_PER_S;

	if (gw_clock_ns() - run->cancelled < limit)
		return 0;
	return gw_fail(ETIMEDOUT, "it was cancelled, and has not ended since");
}

static int cancel(struct run *run, const char *why)
{
	if (run->cancelled)
		return wait_for_cancel(run);
	run->cancelled = gw_clock_ns();
	mg_reason(run->move, "%s", why);
	return gw_qmp_execute_long(run->source->qmp, "migrate_cancel", NULL, FOLLOW_TIMES, NULL);
}

static bool is_late(const struct mg_move *move)
{
	return move->time_limit && gw_clock_ns() - move->begin[MG_SETTING_UP] >
					   (uint64_t)move->time_limit * GW_NS_PER_S;
}

static int cancel_if_wanted(struct run *run)
{
	if (run->move->group.interrupts)
		return cancel(run, "it was cancelled");
	return is_late(run->move) ? cancel(run, "it was not done within --time-limit") : 0;
}

static int ask_status(struct run *run, const struct status **status)
{
	struct mg_move *move = run->move;
	json_t *answer;
	const char *word;
	int err =
		gw_qmp_execute_long(run->source->qmp, "query-migrate", NULL, FOLLOW_TIMES, &answer);

	if (err)
		return err;
	json_decref(move->progress);
	move->progress = answer;
	word = json_string_value(json_object_get(answer, "status"));
	if (!word)
		return gw_fail(EPROTO, "%s: an answer that is no state", run->source->where);
	*status = find_status(word);
	note_status(move, word);
	return 0;
}

static void take_reason(struct mg_move *move)
{
	const char *reason = json_string_value(json_object_get(move->progress, "error-desc"));

	mg_reason(move, "%.512s", reason ? reason : "the source's QEMU gives no reason");
}

/* Until the source's QEMU says that it has ended; an error if it cannot be asked any more. */
static int follow(struct run *run, bool *completed)
{
	const struct status *status = NULL;
	int err = 0;

	while (!err) {
		err = ask_status(run, &status);
		if (err || status->course == COMPLETED || status->course == ENDED)
			break;
		mg_progress_show(run->move);
		if (status->course == WAITS_FOR_US)
			err = gw_qmp_execute_long(run->source->qmp, "migrate-continue",
						  json_pack("{s:s}", "state", status->word),
						  FOLLOW_TIMES, NULL);
		if (!err)
			err = cancel_if_wanted(run);
		if (!err)
			mg_ahead_listen(run->move, !run->cancelled, EVERY_MS);
	}
	mg_progress_end(run->move);
	*completed = !err && status->course == COMPLETED;
	if (err)
		mg_reason(run->move, "while it was under way: %s", gw_last_error());
	else if (!*completed)
		take_reason(run->move);
	return err;
}

/* -- all ------------------------------------------------------------------------------------ */

static void clean_up(struct run *run)
{
	bool stayed = run->move->outcome == MG_FAILED || run->move->outcome == MG_CANCELLED;

	for (int side = 0; side < MG_SIDES; side++) {
		struct mg_machine *machine = &run->move->machines[side];

		if (stayed && run->switched_on[side] && !gw_qmp_is_over(machine->qmp))
			set_capabilities(machine, run->switched_on[side]);
		json_decref(run->switched_on[side]);
	}
	/* One that still waits can be tried again. */
	if (run->own_socket && !mg_uri_listens(run->destination))
		unlink(run->uri + strlen("unix:"));
}

void mg_run(struct mg_move *move)
{
	struct run run = {.move = move,
			  .source = &move->machines[MG_SOURCE],
			  .destination = &move->machines[MG_DESTINATION]};
	bool completed = false;

	move->group.on_event = on_event;
	move->group.opaque = move;
	/* The first one cancels, and is waited for. */
	move->group.tolerated = 1;
	listen_to_backends(run.source);
	listen_to_backends(run.destination);
	if (!begin(&run))
		follow(&run, &completed);
	mg_ahead_close(move);
	mg_outcome_settle(move, completed);
	if (move->outcome == MG_FAILED && run.cancelled)
		move->outcome = MG_CANCELLED;
	clean_up(&run);
	mg_phase_enter(move, MG_PHASES);
}
