/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_outcome.c - what became of a session's last save, and what waits to know it. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "migration/session_internal.h"

void gw_session_thaw(struct gw_session *session)
{
	gw_source_remove(gw_take_ptr(session->frozen_timer));
}

static const enum gw_event outcome_events[] = {
	[GW_OUTCOME_MOVED] = GW_EVENT_OUTCOME_MOVED,
	[GW_OUTCOME_FAILED] = GW_EVENT_OUTCOME_FAILED,
	[GW_OUTCOME_COPIED] = GW_EVENT_OUTCOME_COPIED,
	[GW_OUTCOME_UNKNOWN] = GW_EVENT_OUTCOME_TIMEOUT,
};

const char *const gw_on_save_words[] = {"hint", "move", "copy", NULL};
const char *const gw_on_lost_outcome_words[] = {"keep", "drop", "resume", NULL};
const char *const gw_after_migration_words[] = {"wait", "exit", "reset", NULL};

static const char *const outcome_names[] = {
	[GW_OUTCOME_MOVED] = "moved",
	[GW_OUTCOME_FAILED] = "failed",
	[GW_OUTCOME_COPIED] = "copied",
	[GW_OUTCOME_UNKNOWN] = "unknown",
};

const char *gw_outcome_name(enum gw_outcome outcome)
{
	return (unsigned)outcome < GW_ARRAY_LEN(outcome_names) ? outcome_names[outcome] : "?";
}

const char *gw_session_last_outcome(const struct gw_session *session)
{
	return session->has_outcome ? gw_outcome_name(session->outcome) : NULL;
}

/* In place nothing moves: it changes hands at the other's start, and there is nothing to wait
 * for. */
static int step_outcome(struct gw_session *session, enum gw_outcome outcome)
{
	if (!session->offered)
		return gw_lifecycle_step(&session->life, outcome_events[outcome]);
	if (outcome != GW_OUTCOME_MOVED)
		gw_session_keep(session);
	return 0;
}

static int settle_outcome(struct gw_session *session, enum gw_outcome outcome)
{
	bool in_place = session->offered;
	int err = step_outcome(session, outcome);

	if (err)
		return err;
	session->has_outcome = true;
	session->outcome = outcome;
	gw_session_thaw(session);
	if (in_place)
		return 0;
	session->ops->outcome(session->dev, outcome);
	if (session->life.device == GW_DEVICE_GONE && session->config.moved)
		session->config.moved(session->config.opaque);
	return 0;
}

static bool is_last_save(const struct gw_session *session, const char *id)
{
	char text[2 * GW_STATE_ID_LEN + 1];

	gw_transfer_print_id(text, session->last_save);
	return session->has_saved && (!id || !strcasecmp(id, text));
}

int gw_session_outcome(struct gw_session *session, const char *id, enum gw_outcome outcome)
{
	if ((unsigned)outcome > GW_OUTCOME_UNKNOWN)
		return gw_fail(EINVAL, "outcome %d is unknown", (int)outcome);
	if (!is_last_save(session, id))
		return gw_fail(ENOENT, "outcome: the last save was not %s", id ? id : "made yet");
	if (!session->has_outcome || session->outcome == GW_OUTCOME_UNKNOWN)
		return settle_outcome(session, outcome);
	/* Whoever told the first one may have been acted upon. */
	if (outcome != session->outcome)
		return gw_fail(EALREADY, "outcome: that save has %s already",
			       gw_outcome_name(session->outcome));
	return 0;
}

static void on_frozen_timeout(void *opaque)
{
	static const enum gw_outcome lost[] = {
		[GW_LOST_KEEP] = GW_OUTCOME_UNKNOWN,
		[GW_LOST_DROP] = GW_OUTCOME_MOVED,
		[GW_LOST_RESUME] = GW_OUTCOME_FAILED,
	};
	struct gw_session *session = opaque;

	gw_warn("device %s: nobody told for %u ms what became of its save", session->ops->name,
		session->config.frozen_timeout_ms);
	if (settle_outcome(session, lost[session->config.on_lost_outcome]))
		gw_warn("%s", gw_last_error());
}

void gw_session_freeze(struct gw_session *session)
{
	gw_session_thaw(session);
	session->frozen_ns = gw_clock_ns();
	if (gw_loop_add_timer(session->loop, session->config.frozen_timeout_ms, on_frozen_timeout,
			      session, &session->frozen_timer))
		gw_error("device %s stays frozen until it is told: %s", session->ops->name,
			 gw_last_error());
}

bool gw_session_waits(const struct gw_session *session, struct gw_wait_info *info)
{
	bool frozen = session->life.device == GW_DEVICE_FROZEN;
	uint64_t timeout_ms = session->config.frozen_timeout_ms, since_ns;

	if (!frozen && !session->offered)
		return false;
	since_ns = frozen ? session->frozen_ns : session->offered_ns;
	*info = (struct gw_wait_info){
		.what = frozen		    ? "outcome"
			: session->claimant ? "start"
					    : "claim",
		.ms = (gw_clock_ns() - since_ns) / GW_NS_PER_MS,
		.then = frozen ? gw_on_lost_outcome_words[session->config.on_lost_outcome] : "end",
	};
	gw_transfer_print_id(info->id, session->last_save);
	if (info->ms < timeout_ms)
		info->left_ms = timeout_ms - info->ms;
	return true;
}

void gw_session_set_on_save(struct gw_session *session, enum gw_on_save on_save)
{
	session->config.on_save = on_save;
}

enum gw_on_save gw_session_on_save(const struct gw_session *session)
{
	return session->config.on_save;
}

enum gw_after_migration gw_session_after_migration(const struct gw_session *session)
{
	return session->config.after_migration;
}
