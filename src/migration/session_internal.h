/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_internal.h - a session's own state: for session.c and session_*.c. */
#ifndef GW_MIGRATION_SESSION_INTERNAL_H
#define GW_MIGRATION_SESSION_INTERNAL_H

#include "migration/journaling.h"
#include "migration/precopy.h"
#include "migration/transfer.h"

/* What goes, or came, ahead of a state (session_ahead.c). */
struct gw_ahead {
	struct gw_precopy *job; /* NULL: none is under way */
	int made, written;	/* memfds, or -1: for who reads it; and not loaded yet */
	uint64_t made_len, written_len;
};

struct gw_session {
	struct gw_loop *loop;
	const struct gw_device_ops *ops;
	void *dev;
	struct gw_session_config config; /* its pointers are not used, but for opaque */
	char implementation[GW_STATE_NAME_MAX];
	uint8_t key[GW_STATE_KEY_LEN];
	bool has_key;

	/* As create() got them, and what is in force: the same, or adopted. */
	struct gw_params *created, *params;

	struct gw_journaling *journaling; /* NULL: the state ends with the process */
	bool journals;			  /* it has begun */

	struct gw_lifecycle life;
	enum gw_why why; /* what run() will be told */
	bool announced;	 /* gw_session_prepare(): a migration may be coming */

	/* Stateless mode (session_mode.c). */
	bool offered; /* since when, and by which ticket */
	uint64_t offered_ns;
	uint8_t ticket[GW_STATE_ID_LEN];
	struct gw_session *claim, *claimant; /* what it shall get; who shall get it */

	struct gw_parked_list parked;

	int wake; /* eventfd, written by the worker */
	struct gw_source *wake_source;
	struct gw_source *frozen_timer;

	/* For what is told of a transfer; 0: it did not happen since the device last ran. */
	uint64_t stopping_ns, stopped_ns, loaded_ns;
	int restless; /* what suspend() said last, 0: nothing will happen */

	struct gw_preflight *preflight; /* likewise, as are the next two */
	struct gw_ahead ahead;
	bool makes_way; /* what is asked of the device beside its guest is given up */
	struct gw_transfer *transfer;
	struct gw_params *adopted; /* by a load under way */
	struct gw_transfer_info last;
	uint8_t last_save[GW_STATE_ID_LEN];
	bool has_saved;
	bool has_outcome; /* of that save */
	enum gw_outcome outcome;
	uint64_t frozen_ns; /* since when; the timer was started then */
	void (*check_done)(void *opaque, int verdict);
	void *check_opaque;
	/* Who waits for a transfer to end that was cancelled, and what for. */
	void (*yield_done)(void *opaque, int result);
	void *yield_opaque;
	enum gw_event yield_event;
};

/* session_transfer.c, also for session_precopy.c: whatever is under way is given up; then the
 * worker starts. @event was found to be allowed; @taken: the front-end's descriptor, or -1. */
int gw_session_make_way(struct gw_session *session);
int gw_session_begin_transfer(struct gw_session *session, enum gw_event event, bool phased,
			      int taken, int *own_fd);
void gw_session_note_stop(struct gw_session *session, uint64_t now);
/* Cancels a preflight and a precopy under way: what they look at is about to change. */
void gw_session_drop_jobs(struct gw_session *session);
void gw_session_drop_preflight(struct gw_session *session); /* or takes the result of one */
/* Is neither of them, nor a transfer, under way? -EBUSY; @what is refused. */
int gw_session_check_idle(const struct gw_session *session, const char *what);
/* Worker's news. */
void gw_session_on_wake(void *opaque, int fd, uint32_t events);
/* Ends a transfer under way as if @event had cancelled it, and tells who waits. */
void gw_session_drop_transfer(struct gw_session *session, enum gw_event event);
void gw_session_thaw(struct gw_session *session);

/* session_header.c. What stands at the front of a stream of this session's. */
int gw_session_fill_header(const struct gw_session *session, struct gw_state_header *header);
/* May the transfer, which has read such a header, go on? The device takes the parameters. */
int gw_session_adopt(struct gw_session *session);
/* They stay, or the device takes its own back. */
void gw_session_settle_adoption(struct gw_session *session, bool good);
/* Which session of this process a stateless stream's ticket names; NULL: none. */
struct gw_session *gw_session_find_offer(const struct gw_session *session,
					 const struct gw_state_header *header);
/* Parameters that are unset take the default profile's values: from now on they never change. */
int gw_session_settle_params(struct gw_session *session);

/* session_ahead.c. Ends a job that has ended, or gives it up. */
void gw_session_end_precopy(struct gw_session *session);
/* What was brought ahead to a device that was to be loaded is of no use any more. */
void gw_session_forget_ahead(struct gw_session *session);
void gw_session_free_ahead(struct gw_session *session);

/* session_mode.c. Not in mode none; @what is refused. */
int gw_session_may_migrate(const struct gw_session *session, const char *what);
/* Does the device collect state, as far as the session knows; and tell it so. */
bool gw_session_collects(const struct gw_session *session);
void gw_session_tell_prepare(struct gw_session *session);
/* A save with this header begins. */
void gw_session_offer(struct gw_session *session, const struct gw_state_header *header);
/* Give up what it has claimed; then there is nothing here that could run. */
void gw_session_unclaim(struct gw_session *session);
void gw_session_waive(struct gw_session *session);
void gw_session_freeze(struct gw_session *session);

#endif
