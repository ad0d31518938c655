/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue.h - a virtqueue as its owner (the transport) sees it: set up, start, change, stop.
 */
#ifndef GW_VIRTIO_QUEUE_H
#define GW_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "godwit/loop.h"
#include "godwit/queue.h"
#include "virtio/dirty.h"
#include "virtio/inflight.h"
#include "virtio/memory.h"

/*
 * Whose is a queue's state? While stopped, the control thread's: no thread exists, so that
 * "suspended means silent" holds by construction. While started, the queue thread's: the control
 * thread sends changes, which the thread applies between two batches and acknowledges by a post to
 * the loop. The control thread never waits for a queue.
 *
 *   stopped --gw_queue_start--> started --gw_queue_stop--> stopping --(all drained)--> stopped
 */
#define GW_QUEUE_SIZE_MAX 32768 /* VIRTIO 1.3, 2.7 */

/* What the transport does with a queue's events; all on the queue's thread. */
struct gw_queue_ops {
	int (*start)(void *opaque, struct gw_queue *queue);
	void (*ready)(void *opaque, struct gw_queue *queue);
	/* NULL if the device has no queue_stop: then only elements are waited for. */
	void (*stop)(void *opaque, struct gw_queue *queue);
};

int gw_queue_new(struct gw_queue **queue, struct gw_loop *loop, const struct gw_queue_ops *ops,
		 void *opaque, unsigned index);
/* Must be stopped. NULL is allowed. */
void gw_queue_free(struct gw_queue *queue);

/* Bits of gw_queue_change.what. */
enum {
	GW_QUEUE_NUM = 1 << 0,
	GW_QUEUE_ADDR = 1 << 1,
	GW_QUEUE_BASE = 1 << 2,
	GW_QUEUE_KICK = 1 << 3,
	GW_QUEUE_CALL = 1 << 4,
	GW_QUEUE_ERR = 1 << 5,
	GW_QUEUE_ENABLE = 1 << 6,
	GW_QUEUE_MEM = 1 << 7,
	GW_QUEUE_LOG = 1 << 8,
	GW_QUEUE_FEATURES = 1 << 9,
	GW_QUEUE_INFLIGHT = 1 << 10,
	/* The next start goes on where a process that died was, as the in-flight region says; the
	 * driver is notified, who may wait for what was published last. */
	GW_QUEUE_RESUME = 1 << 11,
};

struct gw_queue_change {
	unsigned what;
	unsigned num;
	uint64_t desc, avail, used; /* front-end virtual addresses; translated against the table */
	bool log_used;		    /* VHOST_VRING_F_LOG */
	uint64_t log_gpa;	    /* where the used ring is, for the log */
	uint32_t base;		    /* split: next avail; packed: the 32-bit combined form */
	int kick, call, err; /* taken over, also on failure; -1: none (kick: poll the ring) */
	bool enable;
	struct gw_mem *mem;	      /* a reference is taken */
	struct gw_dirty *log;	      /* may be NULL; a reference is taken */
	bool log_on;		      /* VHOST_F_LOG_ALL */
	uint64_t features;	      /* negotiated virtio features */
	struct gw_inflight *inflight; /* may be NULL; a reference is taken */
};

/*
 * Apply a change. Returns 0: it is in force. -EINPROGRESS: the queue is running, @done(@opaque,
 * result) will be called on the control thread when it is in force; one such change at a time a
 * queue. Else refused: nothing changed. NUM, BASE, INFLIGHT and packed/split are refused with
 * -EBUSY while started. ENABLE is in force at once in any case, and alone never in progress. A
 * table in which the ring of a running queue is not found is in force, and the ring waits for the
 * next.
 */
typedef void gw_queue_done(void *opaque, int result);
int gw_queue_change(struct gw_queue *queue, const struct gw_queue_change *change,
		    gw_queue_done *done, void *opaque);

/* While stopped: could it start with what is set? */
int gw_queue_check(struct gw_queue *queue);
/* Start the thread; the ring is looked at at once. Needs num, addr, mem. */
int gw_queue_start(struct gw_queue *queue);
/* Stop popping and wait for what is in flight; @done(@opaque, 0) on the control thread when the
 * thread has ended. Returns -EINPROGRESS, or 0 if it was not started. Disable before if wanted:
 * GW_QUEUE_ENABLE false stops popping at once and waits for nothing. */
int gw_queue_stop(struct gw_queue *queue, gw_queue_done *done, void *opaque);

bool gw_queue_is_started(const struct gw_queue *queue);
bool gw_queue_is_enabled(const struct gw_queue *queue);
bool gw_queue_is_broken(const struct gw_queue *queue);
/* Position to go on from, while stopped: what GET_VRING_BASE answers. */
uint32_t gw_queue_base(const struct gw_queue *queue);
/* Elements popped and neither pushed nor parked. Any thread; a snapshot. */
unsigned gw_queue_in_flight(const struct gw_queue *queue);
unsigned gw_queue_parked_count(const struct gw_queue *queue);
/* One kick without an eventfd (VRING_KICK in-band). */
void gw_queue_kick(struct gw_queue *queue);

/* The ring breaks, as after a malformed chain: nothing more is popped, err is signalled. */
void gw_queue_give_up(struct gw_queue *queue);

/*
 * Parked elements, while stopped, for the state stream. A chain is kept as the addresses that were
 * checked at pop time, since a packed ring's descriptors may be overwritten meanwhile.
 */
struct gw_parked_seg {
	uint64_t gpa;
	uint32_t len;
	uint32_t writable; /* 0 or 1 */
};
struct gw_parked {
	uint16_t id;	/* split: head; packed: buffer id */
	uint16_t descs; /* descriptors it took on the ring (packed) */
	unsigned count;
	const struct gw_parked_seg *segs;
};
int gw_queue_parked_get(const struct gw_queue *queue, unsigned i, struct gw_parked *parked);
/* Adds one, copied; handed out first at the next start. -EINVAL if it cannot be right. */
int gw_queue_parked_add(struct gw_queue *queue, const struct gw_parked *parked);
void gw_queue_parked_clear(struct gw_queue *queue);
/* While stopped: nothing is parked or in flight any more, in the in-flight region either. */
void gw_queue_reset(struct gw_queue *queue);

#endif
