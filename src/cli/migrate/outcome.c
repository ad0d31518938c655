/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/outcome.c - who has the guest now? */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "cli/migrate/migrate.h"

/* For both sides to become what they will be, in multiples of the patience with an answer. */
#define SETTLE_TIMES 2
#define EVERY_MS     100

enum has {
	HAS,	 /* the guest is here: it runs, or is paused as it was before */
	HAS_NOT, /* it answers, and the guest is not */
	GONE,	 /* there is no such QEMU any more */
	SILENT,	 /* there may be one, but it does not answer */
	HAS_COUNT,
};

static const char *const nothing_sure =
	"Look at both sides; do not start the guest where it does not run before the other side's "
	"QEMU has ended.";

/* Total: by what the source and what the destination is. */
static const struct {
	enum mg_outcome outcome;
	const char *sentence;
} verdicts[HAS_COUNT][HAS_COUNT] = {
	[HAS][HAS] = {MG_UNKNOWN, "the guest runs on both sides"},
	[HAS][HAS_NOT] = {MG_FAILED, NULL},
	[HAS][GONE] = {MG_FAILED, NULL},
	[HAS][SILENT] = {MG_UNKNOWN, "the guest is at the source, and the destination is silent"},
	[HAS_NOT][HAS] = {MG_MOVED, NULL},
	[HAS_NOT][HAS_NOT] = {MG_UNKNOWN, "neither side has the guest"},
	[HAS_NOT][GONE] = {MG_UNKNOWN, "the source has no guest, and the destination is gone"},
	[HAS_NOT][SILENT] = {MG_UNKNOWN, "the source has no guest, and the destination is silent"},
	[GONE][HAS] = {MG_UNKNOWN, "the guest is at the destination, and the source is gone"},
	[GONE][HAS_NOT] = {MG_UNKNOWN, "the source is gone, and the destination has no guest"},
	[GONE][GONE] = {MG_UNKNOWN, "both sides are gone"},
	[GONE][SILENT] = {MG_UNKNOWN, "the source is gone, and the destination is silent"},
	[SILENT][HAS] = {MG_UNKNOWN, "the guest is at the destination, and the source is silent"},
	[SILENT][HAS_NOT] = {MG_UNKNOWN, "the source is silent, and the destination has no guest"},
	[SILENT][GONE] = {MG_UNKNOWN, "the source is silent, and the destination is gone"},
	[SILENT][SILENT] = {MG_UNKNOWN, "both sides are silent"},
};

/* A connection may have broken where a QEMU has not. A socket that nobody holds any more tells of
 * the end of a QEMU that is on this host; of one elsewhere, that what forwards it has ended. */
static enum has connect_again(struct mg_machine *machine)
{
	struct gw_qmp *again;
	int err = gw_qmp_open(&again, machine->qmp->group, machine->where);
	bool nobody = err == -ENOENT || err == -ECONNREFUSED;

	if (err)
		return nobody && machine->qmp->is_qemu ? GONE : SILENT;
	gw_qmp_close(machine->qmp);
	machine->qmp = again;
	machine->reconnected = true;
	return HAS_NOT;
}

static bool is_there(const struct mg_move *move, const struct mg_machine *machine)
{
	return machine->running || (!move->was_running && (!strcmp(machine->state, "paused") ||
							   !strcmp(machine->state, "suspended")));
}

static enum has ask(struct mg_move *move, enum mg_side side)
{
	struct mg_machine *machine = &move->machines[side];
	int err = mg_machine_ask_state(machine);

	if (err && gw_qmp_is_over(machine->qmp)) {
		enum has found = connect_again(machine);

		if (found != HAS_NOT)
			return found;
		err = mg_machine_ask_state(machine);
	}
	if (err)
		return SILENT;
	return is_there(move, machine) ? HAS : HAS_NOT;
}

static void go_on(struct mg_machine *machine)
{
	gw_qmp_execute(machine->qmp, "cont", NULL, NULL);
}

/*
 * What is not yet as it should be, and may be made so: a destination that was started paused (-S)
 * has the guest and lets it go on; a source whose QEMU did not do so itself goes on, if the
 * destination says for certain that it has no guest.
 */
static void help(struct mg_move *move, bool completed, enum has source, enum has destination)
{
	struct mg_machine *here = &move->machines[MG_SOURCE];
	struct mg_machine *there = &move->machines[MG_DESTINATION];

	if (!move->was_running || source != HAS_NOT || destination != HAS_NOT)
		return;
	if (completed && !strcmp(there->state, "paused") &&
	    !strcmp(mg_migrate_state(there), "completed"))
		go_on(there);
	else if (!completed && !strcmp(here->state, "paused") &&
		 strcmp(mg_migrate_state(there), "completed") != 0)
		go_on(here);
}

/* Did the source's guest never stand still? Then there is none anywhere else. */
static bool has_never_left(const struct mg_move *move)
{
	if (!move->begin[MG_SETTING_UP])
		return true;
	return move->was_running && !move->machines[MG_SOURCE].reconnected && !move->dark_from &&
	       !move->begin[MG_SWITCHOVER];
}

/* A destination of which one device could not be loaded lets no guest run. */
static bool was_refused_there(const struct mg_move *move)
{
	const struct mg_machine *destination = &move->machines[MG_DESTINATION];

	for (unsigned i = 0; i < destination->count; i++)
		if (*destination->devices[i].backend.failure)
			return true;
	return false;
}

/* Known without asking it. */
static bool cannot_be_there(const struct mg_move *move)
{
	return has_never_left(move) || was_refused_there(move);
}

static bool is_settled(const struct mg_move *move, bool completed, enum has source,
		       enum has destination)
{
	if (!completed && source == HAS && destination == SILENT)
		return cannot_be_there(move);
	if (source == SILENT || destination == SILENT)
		return false;
	if (source == GONE)
		return true;
	return completed ? source == HAS_NOT && destination != HAS_NOT
			 : source == HAS && destination != HAS;
}

/* A migration that nobody follows any more may still succeed. */
static void judge(struct mg_move *move, enum has source, enum has destination)
{
	const char *sentence = verdicts[source][destination].sentence;

	move->outcome = verdicts[source][destination].outcome;
	if (source == HAS && destination == SILENT && cannot_be_there(move))
		move->outcome = MG_FAILED;
	if (move->outcome == MG_FAILED && mg_migration_runs(&move->machines[MG_SOURCE])) {
		move->outcome = MG_UNKNOWN;
		sentence = "the guest is at the source, and the migration still runs";
	}
	if (move->outcome == MG_UNKNOWN)
		mg_note(move, "%s. %s", sentence, nothing_sure);
}

void mg_outcome_settle(struct mg_move *move, bool completed)
{
	uint64_t deadline =
		gw_clock_ns() + (uint64_t)SETTLE_TIMES * move->group.patience * GW_NS_PER_S;
	enum has source, destination;

	mg_phase_enter(move, MG_VERIFYING);
	while (true) {
		source = ask(move, MG_SOURCE);
		destination = ask(move, MG_DESTINATION);
		if (is_settled(move, completed, source, destination) ||
		    !gw_qmp_ms_until(deadline) || move->group.interrupts > move->group.tolerated)
			break;
		help(move, completed, source, destination);
		gw_qmp_group_listen(&move->group, EVERY_MS);
	}
	judge(move, source, destination);
	mg_phase_enter(move, MG_TELLING);
	mg_tell(move, move->outcome == MG_MOVED);
}
