/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/move.c - the words for what happens, and when it did. */
#include <stdarg.h>

#include "base/clock.h"
#include "base/options.h"
#include "cli/migrate/migrate.h"

static const char *const phase_names[MG_PHASES] = {
	[MG_ASKING] = "asking",		 [MG_PREFLIGHT] = "preflight",
	[MG_PREPARING] = "preparing",	 [MG_SETTING_UP] = "setup",
	[MG_PRECOPY] = "pre-copy",	 [MG_SWITCHOVER] = "switchover",
	[MG_VERIFYING] = "verification", [MG_TELLING] = "outcome",
};

static const struct {
	const char *name;
	int exit;
} outcomes[MG_OUTCOMES] = {
	[MG_UNKNOWN] = {"unknown", MG_EXIT_UNKNOWN_OUTCOME},
	[MG_MOVED] = {"moved", GW_EXIT_OK},
	[MG_WOULD_MOVE] = {"would-move", GW_EXIT_OK},
	[MG_REFUSED_OUTCOME] = {"refused", GW_EXIT_FAILED},
	[MG_CANNOT_TELL_OUTCOME] = {"cannot-tell", GW_EXIT_UNKNOWN},
	[MG_FAILED] = {"failed", MG_EXIT_STAYED},
	[MG_CANCELLED] = {"cancelled", MG_EXIT_STAYED},
};

const char *mg_phase_name(enum mg_phase phase)
{
	return phase_names[phase];
}

const char *mg_outcome_name(enum mg_outcome outcome)
{
	return outcomes[outcome].name;
}

int mg_outcome_exit(enum mg_outcome outcome)
{
	return outcomes[outcome].exit;
}

/* They only go on: a status is told by an event, by an answer, and perhaps late. */
void mg_phase_enter(struct mg_move *move, enum mg_phase phase)
{
	uint64_t now = gw_clock_ns();

	if (phase == move->phase || (phase != MG_PHASES && move->begin[phase]))
		return;
	if (move->phase != MG_PHASES)
		move->end[move->phase] = now;
	move->phase = phase;
	if (phase != MG_PHASES)
		move->begin[phase] = now;
}

void mg_note(struct mg_move *move, const char *format, ...)
{
	va_list arguments;

	if (move->note_count == MG_NOTES_MAX)
		return;
	va_start(arguments, format);
	vsnprintf(move->notes[move->note_count++], MG_TEXT_MAX, format, arguments);
	va_end(arguments);
}

/* The first reason is the cause of those that follow. */
void mg_reason(struct mg_move *move, const char *format, ...)
{
	va_list arguments;

	if (*move->reason)
		return;
	va_start(arguments, format);
	vsnprintf(move->reason, sizeof(move->reason), format, arguments);
	va_end(arguments);
}
