/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/instance.h - a device instance as vhost-user drives it: rings, memory, log, features.
 */
#ifndef GW_VHOST_USER_INSTANCE_H
#define GW_VHOST_USER_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "godwit/loop.h"
#include "migration/session.h"
#include "virtio/queue.h"

/*
 * What a front-end has set up on top of a session. The session stays when the front-end goes; all
 * of this ends with it. Knows queues and the session, no messages. Control thread only.
 *
 * A ring whose queue works on a change or a stop is busy. An operation spans any number of rings
 * and is done when none of them is busy for it; there is one operation at a time, since a front-end
 * has one message at a time. A front-end that goes away in the middle of one abandons it; then its
 * rings are stopped as each becomes free.
 */
typedef void gw_instance_done(void *opaque, int result);

/* What whoever serves an instance hears of it. */
struct gw_instance_listener {
	/* The first ring starts, the last one is stopped. */
	void (*activity)(void *opaque, bool active);
	/* gw_config_changed() */
	void (*config_changed)(void *opaque);
};

struct gw_instance;
struct gw_device_news; /* upcalls.c */

struct gw_ring {
	struct gw_instance *instance;
	struct gw_queue *queue;
	unsigned index;
	bool busy;  /* its queue owes an answer */
	bool in_op; /* the operation waits for it */
	bool due;   /* it was started, but what it serves has yet to be taken over */
	bool held;  /* started as far as the front-end goes; SUSPEND holds it */
	bool addr_set;
	uint64_t desc, avail, used; /* as SET_VRING_ADDR gave them */
	uint64_t stop_ns;	    /* since when */
	const char *stop_reason;    /* why it is being stopped, for the status; NULL: it is not */
};

/* What SET_LOG_BASE and SET_LOG_FD gave; -1: nothing. */
struct gw_log_setup {
	int table;
	uint64_t offset, size;
	int notify;
};

struct gw_instance {
	struct gw_loop *loop;
	struct gw_session *session;
	const struct gw_device_ops *ops;
	void *dev;

	unsigned ring_count;
	struct gw_ring *rings; /* NULL: no front-end */

	struct gw_mem *mem;
	struct gw_dirty *log;
	struct gw_log_setup log_setup;
	unsigned experimental; /* what may be offered, enum gw_experimental */
	uint64_t features;
	bool negotiated; /* the device was told `features` */
	bool running;	 /* the session was told that the first ring is on */
	bool suspended;	 /* SUSPEND came, RESUME did not: no ring's queue is started */
	bool connected;
	bool failing; /* the device has failed, its rings still drain */

	unsigned op_waiting; /* rings that the operation waits for, and one while it is begun */
	int op_result;
	gw_instance_done *op_done; /* NULL: abandoned */
	void *op_opaque;

	bool yielding; /* a transfer that the front-end left behind comes to its end */
	gw_instance_done *released;
	void *released_opaque;

	const struct gw_instance_listener *listener; /* NULL: no front-end */
	void *listener_opaque;
	/* upcalls.c's, under its lock: its list; what the device said and nobody heard yet. */
	struct gw_instance *next;
	struct gw_device_news *news, **news_end;
	unsigned news_count;
	uint64_t news_lost;
};

/* @session is borrowed. */
int gw_instance_new(struct gw_instance **instance, struct gw_loop *loop,
		    struct gw_session *session);
/* Only when released. NULL is allowed. */
void gw_instance_free(struct gw_instance *instance);

/* A front-end takes the instance: rings are made, nothing is set up. */
int gw_instance_attach(struct gw_instance *instance);
/* The front-end is gone: cancel, stop all rings, forget what it set up. 0, or -EINPROGRESS and
 * @done later. */
int gw_instance_release(struct gw_instance *instance, gw_instance_done *done, void *opaque);

/* The bits offered to front-ends. */
uint64_t gw_instance_offered(const struct gw_instance *instance);
/* Set up to run, as far as the front-end knows: at work, or held by SUSPEND. */
bool gw_ring_is_started(const struct gw_ring *ring);
bool gw_instance_any_started(const struct gw_instance *instance);
/* At work. */
bool gw_instance_any_active(const struct gw_instance *instance);

/* Operations: 0 or a negative errno at once, or -EINPROGRESS and @done later. */
int gw_instance_change_all(struct gw_instance *instance, const struct gw_queue_change *change,
			   gw_instance_done *done, void *opaque);
int gw_ring_change(struct gw_ring *ring, const struct gw_queue_change *change,
		   gw_instance_done *done, void *opaque);
/* Stop and drain; @why shows in the status. */
int gw_ring_stop(struct gw_ring *ring, const char *why, gw_instance_done *done, void *opaque);
int gw_instance_stop_all(struct gw_instance *instance, const char *why, gw_instance_done *done,
			 void *opaque);

/* A stopped ring starts, with what was parked in the session. If that is to be taken over from
 * another connection, and does not yet run here, the ring starts when it does. */
int gw_ring_start(struct gw_ring *ring);
/* @ring is about to be both started and enabled: may the device run? Commits the first time. */
int gw_instance_ring_on(struct gw_instance *instance, const struct gw_ring *ring);
/* The same for all rings that are started. */
int gw_instance_all_on(struct gw_instance *instance);
/* All rings drain and are held; what is set up until RESUME is remembered. */
int gw_instance_suspend(struct gw_instance *instance, gw_instance_done *done, void *opaque);
/* They go on where they were. The first ring's failure; the others go on all the same. */
int gw_instance_resume(struct gw_instance *instance);
/* The device says that it cannot go on: all rings break and stop, then the session is told. */
void gw_instance_fail(struct gw_instance *instance);
/* Each gets the other's session; no ring of either is started. */
void gw_instance_exchange(struct gw_instance *a, struct gw_instance *b);
/* After all rings are stopped: as created. */
int gw_instance_reset(struct gw_instance *instance);

#endif
