/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/lifecycle.h - who owns a device that can move, and when it may run: two total tables.
 */
#ifndef GW_MIGRATION_LIFECYCLE_H
#define GW_MIGRATION_LIFECYCLE_H

#include <stdbool.h>

/*
 * The device. Only RUNNING may act towards the guest; the callbacks of struct gw_device_ops that
 * are named are allowed in that state and in no other (docs/lifecycle.md has the picture).
 *
 * FRESH: as create() or reset() left it. Parameters not given are unset. adopt(), load() (staged:
 *	a load that fails leaves FRESH), precopy_load() before that, save() (a valid, empty state).
 *	Left by the first ring (the commit: run(FRESH)), and by a load that came to its end.
 * RUNNING: a ring is started and enabled. queue_*(). Left when the last ring has drained. Neither
 *	saved (but for phase RUNNING) nor loaded nor reset here.
 * SUSPENDED: it has run, or was loaded, and no ring is started. Nothing spontaneous (suspend() was
 *	called). save(), any number of times. Left by a ring: run(RESUMED), or run(LOADED) if what
 *	it holds was loaded and never ran. Never loaded into: reset first.
 * FROZEN: an exclusive device (GW_EXCLUSIVE) was saved in order to move. It is still all there,
 *	and may not act, nor let go, until the outcome is told. A ring takes it back: its start says
 *	that the destination does not run.
 * GONE: the destination runs. What it held is not its own any more: no ring may start, nothing is
 *	saved. Left by reset only.
 * FAILED: the device has said that it cannot go on. Left by reset only.
 */
enum gw_device_state {
	GW_DEVICE_FRESH,
	GW_DEVICE_RUNNING,
	GW_DEVICE_SUSPENDED,
	GW_DEVICE_FROZEN,
	GW_DEVICE_GONE,
	GW_DEVICE_FAILED,
	GW_DEVICE_STATES,
};

/*
 * The transfer: what the front-end asked for last.
 *
 * IDLE: nothing, or its verdict has been told. CHECK is refused.
 * PRECOPY: a worker sends a state in phase RUNNING, or waits to be told to go on. Rings may start
 *	and stop meanwhile. It has no verdict yet: CHECK is refused. Left by SAVE_STOPPED, for
 *SAVING; what cancels a transfer, but a ring, cancels it. SAVING, LOADING: a worker moves the
 *stream. CHECK waits. A new request, a reset and a disconnect cancel it; so does a ring that starts
 *while SAVING, and none may start while LOADING. SAVED, LOADED, FAILED: it ended, the verdict has
 *not been told. CHECK tells it, once.
 */
enum gw_transfer_state {
	GW_TRANSFER_IDLE,
	GW_TRANSFER_SAVING,
	GW_TRANSFER_SAVED,
	GW_TRANSFER_LOADING,
	GW_TRANSFER_LOADED,
	GW_TRANSFER_FAILED,
	GW_TRANSFER_PRECOPY,
	GW_TRANSFER_STATES,
};

enum gw_event {
	GW_EVENT_CONNECT,
	GW_EVENT_DISCONNECT,	/* all rings are stopped by then */
	GW_EVENT_RING_ON,	/* the first ring is both started and enabled: the commit */
	GW_EVENT_LAST_RING_OFF, /* drained */
	GW_EVENT_RESET,
	GW_EVENT_SAVE_RUNNING, /* a save begins, or goes on, while the device may run */
	GW_EVENT_SAVE_STOPPED,
	GW_EVENT_LOAD,
	GW_EVENT_SAVE_OK,	 /* shared, or a copy: this side still owns the device */
	GW_EVENT_SAVE_OK_MOVING, /* exclusive, and not a copy: from here on the outcome decides */
	GW_EVENT_LOAD_OK,
	GW_EVENT_TRANSFER_BAD,
	GW_EVENT_CHECK,
	GW_EVENT_CANCEL,
	GW_EVENT_SUSPEND, /* the messages, where a transport has them */
	GW_EVENT_RESUME,
	GW_EVENT_OUTCOME_MOVED,
	GW_EVENT_OUTCOME_FAILED,
	GW_EVENT_OUTCOME_COPIED,
	GW_EVENT_OUTCOME_TIMEOUT,
	GW_EVENT_CLAIM, /* another front-end takes the device over, in place (stateless mode) */
	GW_EVENT_TAKEN, /* what this front-end had, or had claimed, is another's */
	GW_EVENT_DEVICE_FAILED,
	GW_EVENTS,
};

struct gw_lifecycle {
	enum gw_device_state device;
	enum gw_transfer_state transfer;
};

/* May @event happen now? 0, or a negative errno with a sentence. Changes nothing. */
int gw_lifecycle_check(const struct gw_lifecycle *life, enum gw_event event);
/* The same, and then both states go on together; refused, neither does. */
int gw_lifecycle_step(struct gw_lifecycle *life, enum gw_event event);
/* The third table: may a device in @device have a transfer in @transfer? */
bool gw_lifecycle_pair_is_possible(enum gw_device_state device, enum gw_transfer_state transfer);

/* "running", "saving", "ring-on"; "?" for what is no state or event. */
const char *gw_device_state_name(enum gw_device_state state);
const char *gw_transfer_state_name(enum gw_transfer_state state);
const char *gw_event_name(enum gw_event event);

#endif
