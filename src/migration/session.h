/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session.h - what migrates: a device, its life cycle and its transfers. */
#ifndef GW_MIGRATION_SESSION_H
#define GW_MIGRATION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "godwit/device.h"
#include "godwit/loop.h"
#include "migration/lifecycle.h"
#include "virtio/queue.h"

/*
 * A session owns the device that ops->create made, and outlives connections. Transports tell it
 * events; it asks the life cycle (lifecycle.h) what is allowed, calls the device, and runs
 * transfers on a worker thread. Control thread only.
 */
struct gw_session;

/* What is known of the last transfer, for the status and for events. */
struct gw_transfer_info {
	bool load;
	char id[33]; /* hexadecimal, "" if there was none */
	uint64_t bytes;
	unsigned ms; /* from the request to the end of the stream */
	/* Of those, at its end: how long it took until the device had the word. */
	uint64_t open_us;
	uint64_t device_us; /* and the device, with all its bytes */
	/* Around it. Save: the drain of all rings before it, and from there to the request. Load:
	 * from its end to the first ring that runs, 0 as long as none does. */
	uint64_t stop_us, idle_us, start_us;
	int result;	  /* 0, negative errno, or -EINPROGRESS */
	char reason[256]; /* sentence of the failure, "" if there was none */
};

#define GW_FROZEN_TIMEOUT_MS 60000

/* How operators spell the enums of godwit/device.h: in their order, ended by NULL. */
extern const char *const gw_migration_words[];
extern const char *const gw_on_save_words[];
extern const char *const gw_on_lost_outcome_words[];
extern const char *const gw_after_migration_words[];
extern const char *const gw_on_save_words[];
extern const char *const gw_on_lost_outcome_words[];
extern const char *const gw_after_migration_words[];

struct gw_session_config {
	struct gw_loop *loop;
	const struct gw_device_ops *ops; /* already defaulted: gw_device_ops_complete() */
	const struct gw_params *params;	 /* copied */
	const void *host;
	const char *program, *version;
	const uint8_t *state_key; /* or NULL; GW_STATE_KEY_LEN bytes, copied */
	enum gw_on_save on_save;
	enum gw_on_lost_outcome on_lost_outcome;
	unsigned frozen_timeout_ms; /* 0: GW_FROZEN_TIMEOUT_MS */
	enum gw_migration migration;
	enum gw_after_migration after_migration;
	const uint8_t *transfer_id; /* GW_STATE_ID_LEN bytes, for all saves; NULL: random ones */
	unsigned idle_timeout_ms;   /* a transfer fails when no byte moved for so long; 0: never */
	/* A transfer failed; called before CHECK is answered. */
	void (*transfer_failed)(void *opaque, const struct gw_transfer_info *info);
	/* Stateless mode: the session that offers @ticket and may change hands now, or NULL; and
	 * the first ring of a session that has a claim is on: what it claimed comes in its place
	 * (gw_session_hand_on()), or a negative errno. */
	struct gw_session *(*find_offer)(void *opaque, const uint8_t *ticket);
	int (*take_over)(void *opaque);
	/* It was told that it moved away: what after_migration says is to be done. */
	void (*moved)(void *opaque);
	/* gw_device_event(); @data may be NULL. */
	void (*event)(void *opaque, const char *name, const struct gw_report *data);
	void *opaque;
};

/* Fill in what @ops leaves out (by size or NULL): the one place of defaults. */
int gw_device_ops_complete(struct gw_device_ops *complete, const struct gw_device_ops *ops);

int gw_session_new(struct gw_session **session, const struct gw_session_config *config);
void gw_session_free(
	struct gw_session *session); /* cancels and joins a transfer; NULL is allowed */
void *gw_session_device(const struct gw_session *session);
/* In force; what a load may still decide is unset. NULL: the device has no model. */
const struct gw_params *gw_session_params(const struct gw_session *session);
const struct gw_device_ops *gw_session_ops(const struct gw_session *session);
/* As the device says; empty if it does not. */
void gw_session_environment(const struct gw_session *session, struct gw_environment *environment);

/* A connection takes the session, or leaves it (all its rings are stopped by then). */
int gw_session_connect(struct gw_session *session);
void gw_session_disconnect(struct gw_session *session);
/* The first ring became both started and enabled: commits, calls run(). Refused in states where
 * the device may not run. */
int gw_session_ring_on(struct gw_session *session);
/* While it runs: a ring is asked to stop, or starts again; how long a drain takes is told. */
void gw_session_ring_stopping(struct gw_session *session, bool stopping);
/* The last started ring is stopped (drained). */
void gw_session_last_ring_off(struct gw_session *session);
/* RESET_DEVICE: cancels a transfer, resets the device, fresh again. Rings are stopped. */
int gw_session_reset(struct gw_session *session);
/* F_LOG_ALL went on or off: a hint. */
void gw_session_prepare(struct gw_session *session, bool on);

/*
 * Begin a transfer on @fd (taken over, also on failure); a transfer under way is cancelled first.
 * Returns at once: the stream moves on a worker. 0: accepted; *@own_fd is -1, or a descriptor that
 * the device prefers (caller's, to send). Refused with -EBUSY while not suspended, -EINVAL for an
 * unknown phase, and what the life cycle says.
 */
int gw_session_transfer(struct gw_session *session, bool load, uint32_t phase, int fd, int *own_fd);
/*
 * A save in phases. It begins as gw_session_transfer() does, at any time at which the device could
 * be saved or runs, and sends what there is; then it waits. Each gw_session_go_on() with
 * GW_PHASE_RUNNING sends what changed since; with GW_PHASE_STOPPED, once the device is suspended,
 * the rest, which ends it. -EBADF if no such save is under way.
 */
int gw_session_precopy(struct gw_session *session, int fd, int *own_fd);
int gw_session_go_on(struct gw_session *session, enum gw_phase phase);
struct gw_precopy_info {
	struct gw_pending pending;
	uint64_t sent; /* bytes of the stream that are written */
	bool idle;     /* all there was is sent: it waits to be told to go on */
};
/* Of a save under way, in whatever phase, or a load: what it has read, and whether it waits for
 * more with all of that dealt with. -ENODATA if there is none. */
int gw_session_pending(struct gw_session *session, struct gw_precopy_info *info);
/* The verdict: 0 or a negative errno at once, or -EINPROGRESS and then @done on the control thread,
 * once the worker is joined. -ENODATA if nothing was transferred. A verdict is told once. */
int gw_session_check(struct gw_session *session, void (*done)(void *opaque, int verdict),
		     void *opaque);
/* A transfer under way fails with -ECANCELED; a CHECK that waits is answered before this returns.
 * Waits for the worker, which ends as soon as the device's save or load gets -ECANCELED from the
 * stream. */
void gw_session_cancel(struct gw_session *session);
/*
 * The same without waiting: if @event would cancel a transfer under way, the transfer is told to
 * end, and -EINPROGRESS; @done(@opaque, 0) on the control thread when it has, which is the moment
 * to let @event happen. 0: there is none, or @event is refused. A second call takes the place of
 * the first.
 */
int gw_session_yield(struct gw_session *session, enum gw_event event,
		     void (*done)(void *opaque, int result), void *opaque);
/* Forget the @done given to gw_session_check() with @opaque (its connection is gone). */
void gw_session_check_abandon(struct gw_session *session, const void *opaque);

/* What became of the save with this id (32 hexadecimal digits; NULL: the last one). -ENOENT if the
 * last save was another one. */
int gw_session_outcome(struct gw_session *session, const char *id, enum gw_outcome outcome);
/* A state of so many bytes is going to be loaded. -EBUSY if the device is not fresh. */
int gw_session_expect(struct gw_session *session, uint64_t state_bytes);
/* What was told of the last save, or taken for granted; NULL: nothing yet. "moved", "failed",
 * "copied", "unknown". */
const char *gw_session_last_outcome(const struct gw_session *session);
const char *gw_outcome_name(enum gw_outcome outcome);
/* How it migrates from the next transfer on. */
void gw_session_set_migration(struct gw_session *session, enum gw_migration migration);
enum gw_migration gw_session_migration(const struct gw_session *session);
void gw_session_set_on_save(struct gw_session *session, enum gw_on_save on_save);
enum gw_on_save gw_session_on_save(const struct gw_session *session);
enum gw_after_migration gw_session_after_migration(const struct gw_session *session);

/* After a save that may have moved it, a device waits. */
struct gw_wait_info {
	const char *what; /* "outcome": frozen; in place "claim", and then "start" elsewhere */
	char id[33];	  /* of the save, hexadecimal */
	uint64_t ms;	  /* since when */
	uint64_t left_ms; /* until what follows is done; 0: that is over */
	const char *then; /* "keep", "drop", "resume", "end" */
};
/* False: for nothing. */
bool gw_session_waits(const struct gw_session *session, struct gw_wait_info *info);

/* May @event happen now? 0, or what the life cycle says against it. */
int gw_session_check_event(const struct gw_session *session, enum gw_event event);
/* SUSPEND and RESUME, for transports that have the messages. */
int gw_session_suspend(struct gw_session *session);
int gw_session_resume(struct gw_session *session);

/*
 * Stateless mode. A save offers the session to who brings its ticket (a load on another session of
 * the same process), which claims it. Claimed, it does not let the process end.
 */
bool gw_session_offers(const struct gw_session *session, const uint8_t *ticket);
/* Offered not long ago, or claimed: not for just anybody who connects. */
bool gw_session_is_promised(const struct gw_session *session);
/* @session's front-end is to have @offer. -EBUSY: somebody else is, or it runs. */
int gw_session_claim(struct gw_session *session, struct gw_session *offer);
/* What @session has claimed, or NULL. */
struct gw_session *gw_session_claimed(const struct gw_session *session);
/* A ring of @session starts: offer and claim end, and who had claimed it may not run. */
void gw_session_keep(struct gw_session *session);
/* The first ring is about to be on: if there is a claim, it is made good. */
int gw_session_take_over(struct gw_session *session);
/* For config.take_over: @session is reset and gone, what it had claimed is free to be put where it
 * was. */
void gw_session_hand_on(struct gw_session *session);
/* Of the config's callbacks, for who puts it elsewhere. */
void gw_session_set_opaque(struct gw_session *session, void *opaque);

/* The device has told that it cannot go on; all its rings are stopped, or will never run. */
void gw_session_device_failed(struct gw_session *session);

/* Parked elements between two starts, and in the stream. */
int gw_session_park(struct gw_session *session, unsigned queue, const struct gw_parked *parked);
bool gw_session_has_parked(const struct gw_session *session, unsigned queue);
/* Calls @fn for each parked element of @queue and forgets them. */
int gw_session_unpark(struct gw_session *session, unsigned queue,
		      int (*fn)(void *opaque, const struct gw_parked *parked), void *opaque);

/* The device's own words, which its transport heard. */
void gw_session_event(struct gw_session *session, const char *name, const struct gw_report *data);
/* Ask the device for GW_REPORT_STATUS or GW_REPORT_STATS. */
void gw_session_report(struct gw_session *session, enum gw_report_kind kind,
		       struct gw_report *report);
/*
 * GW_REPORT_PREFLIGHT, on a thread of its own; @done on the control thread when that has ended,
 * with 0 and the report, or with a negative errno and a sentence. -EBUSY while another one or a
 * transfer is under way, -EPERM if the device could not be saved in the state that it is in. A
 * transfer, a reset and the session's end cancel it.
 */
typedef void gw_preflight_done(void *opaque, int result, const struct gw_report *report);
int gw_session_preflight(struct gw_session *session, gw_preflight_done *done, void *opaque);

/*
 * Ahead of a state (struct gw_device_ops.precopy). At the source most of it is made while the guest
 * runs, and read in pieces; at the destination that is written in pieces, and loaded aside. -EBUSY
 * while a preflight, another one or a transfer is under way; a transfer, a disconnect, a reset and
 * the session's end cancel a job. What was made stays until the next one is, a reset, or the
 * session's end. -EOPNOTSUPP: not this device.
 */
#define GW_AHEAD_MAX (UINT64_C(1) << 30)
static inline bool gw_device_takes_ahead(const struct gw_device_ops *ops)
{
	return ops->precopy && ops->precopy_load;
}
/* On the control thread when it has ended, with its size; or with a negative errno and a sentence.
 */
typedef void gw_precopy_done(void *opaque, int result, uint64_t bytes);
int gw_session_ahead_save(struct gw_session *session, gw_precopy_done *done, void *opaque);
/* At most @len bytes from @position on, 0 at the end. */
ssize_t gw_session_ahead_read(struct gw_session *session, uint64_t position, void *buf, size_t len);
/* @position 0 begins anew, else it is where the last one ended. To a fresh device only. */
int gw_session_ahead_write(struct gw_session *session, uint64_t position, const void *buf,
			   size_t len);
/* What was written so far; after that nothing is. */
int gw_session_ahead_load(struct gw_session *session, gw_precopy_done *done, void *opaque);

/* Requests (struct gw_elem.serial) that the process before this one may not have answered. */
struct gw_unanswered {
	bool (*may_come)(void *opaque, unsigned queue, uint64_t serial);
	void *opaque;
};

/* Before anything else: the device's state is what a process before this one left in @store
 * (borrowed), and from now on outlives this one. The loop runs meanwhile. @unanswered is asked
 * until it returns. */
struct gw_fdstore;
int gw_session_recover(struct gw_session *session, struct gw_fdstore *store,
		       const struct gw_unanswered *unanswered);

/* May the process end as far as this session goes: nothing frozen, claimed or pending? */
bool gw_session_may_end(const struct gw_session *session);
enum gw_device_state gw_session_device_state(const struct gw_session *session);
enum gw_transfer_state gw_session_transfer_state(const struct gw_session *session);
void gw_session_last_transfer(const struct gw_session *session, struct gw_transfer_info *info);

#endif
