/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_internal.h - what the files of a queue share. */
#ifndef GW_VIRTIO_QUEUE_INTERNAL_H
#define GW_VIRTIO_QUEUE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "virtio/bell.h"
#include "virtio/queue.h"
#include "virtio/ring.h"
#include "virtio/track.h"

/* A table and the elements that still point into it. Queue's thread: no atomics. */
struct gw_mem_use {
	struct gw_mem *mem;
	unsigned elems;
};

struct gw_elem_own {
	struct gw_elem pub; /* first: the device's view is the same address */
	struct gw_chain chain;
	struct gw_elem_own *next; /* in the free list or the list of returned elements */
	struct gw_mem_use *use;
	size_t written;
	bool park;
	uint16_t entry; /* in the in-flight region */
};

struct gw_park_list {
	struct gw_parked *items;
	unsigned count, cap;
	unsigned next, end; /* those to hand out again in this run */
};

/* Ring addresses as the front-end gave them. */
struct gw_queue_addr {
	uint64_t desc, avail, used;
	bool log_used;
	uint64_t log_gpa;
};

/* Bits of gw_queue.requests: what the control thread wants of the queue's thread. */
enum {
	GW_REQUEST_CHANGE = 1 << 0,
	GW_REQUEST_STOP = 1 << 1,
	GW_REQUEST_BREAK = 1 << 2,
};

/* Threads that one queue can have stuck before its other requests wait, too. */
#define GW_RELIEF_MAX 32

/* Who serves the queue while its thread is stuck (queue_relief.c). */
struct gw_relief {
	_Atomic uint64_t duty;
	_Atomic bool watched; /* the control thread looks at it */

	/* The control thread's. */
	struct gw_post watch_post;
	struct gw_source *timer;
	uint64_t seen; /* duty, at the last look */
	bool told;
	unsigned count;
	pthread_t threads[GW_RELIEF_MAX]; /* besides the first */

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	unsigned spare; /* threads that wait, or are about to */
	bool turn;	/* one of them is to take over */
	bool end;
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order of ownership */
struct gw_queue {
	struct gw_loop *loop;
	struct gw_queue_ops ops;
	void *opaque;
	unsigned index;
	void *data;

	/* The control thread's, always. */
	bool started, stop_asked, change_sent;
	gw_queue_done *change_done, *stop_done;
	void *change_opaque, *stop_opaque;
	pthread_t thread;
	struct gw_post change_post, stop_post;
	struct gw_relief relief;

	/* Between the threads. */
	_Atomic unsigned requests;
	_Atomic bool enabled, stopping, broken;
	_Atomic bool device_stopped; /* gw_queue_stopped() was called */
	_Atomic unsigned in_flight, parked_count;
	_Atomic(struct gw_elem_own *) returned; /* pushed or parked by other threads */
	_Atomic unsigned callers; /* other threads inside a call that must find the queue alive */
	int wake;		  /* eventfd: look at the above */
	struct gw_queue_change change; /* from change_sent until its post */
	int change_result;
	_Atomic bool change_applied;

	/* The control thread's while stopped, the queue's thread's while started. */
	unsigned num;
	bool have_addr;
	struct gw_queue_addr addr;
	uint32_t base;
	int kick, epoll;
	bool polled; /* no kick descriptor: look at the ring from time to time */
	struct gw_bell call, err;
	bool call_owed; /* a call found no descriptor to go to */
	struct gw_mem_use *use;
	/* The table that the ring was last found in, while `use` lacks it: QEMU takes a region away
	 * and adds it again, with other bounds, under running rings. Nothing is popped meanwhile;
	 * what is in flight is still returned, through the mapping of old. */
	struct gw_mem *adrift;
	struct gw_dirty *log;
	bool log_on;
	uint64_t features;
	struct gw_inflight *inflight;
	struct gw_park_list parked;
	bool resume;

	/* While started. */
	struct gw_ring ring;
	struct gw_track *track;
	uint16_t *entries; /* by id: of those to hand out again; NULL without a region */
	uint64_t *serials; /* likewise */
	struct gw_elem_own *free;
	uint8_t *busy;	      /* by id: in flight or parked */
	unsigned descs_out;   /* descriptors of those */
	bool first_call_due;  /* the first publish of a run calls in any case */
	bool listening;	      /* kicks are asked for, at the ring's present position */
	bool stop_begun;      /* the device was told */
	unsigned long popped; /* in this run */
	bool saw_empty;	      /* the device popped until there was nothing */
};

/* The queue whose thread this is; NULL on all others. */
extern _Thread_local struct gw_queue *gw_queue_current;

/* queue_setup.c: changes, on whatever thread owns the queue's state now. */
int gw_queue_apply(struct gw_queue *queue, const struct gw_queue_change *change, bool running);
int gw_queue_map(const struct gw_queue *queue, struct gw_ring *ring, const struct gw_mem *mem,
		 const struct gw_queue_addr *addr);
void gw_queue_set_ring_log(struct gw_queue *queue);
void gw_queue_wake(struct gw_queue *queue);

/* queue_thread.c */
void *gw_queue_main(void *opaque);
void gw_queue_watch_kick(struct gw_queue *queue);
void gw_queue_drop_kick(struct gw_queue *queue);
/* The ring is unusable: log @why, signal err, pop nothing any more. Queue's thread. */
void gw_queue_break(struct gw_queue *queue, const char *why);

/* Serves until the queue is drained, by whoever's turn it is. */
void gw_queue_serve(struct gw_queue *queue);

/* queue_relief.c */
void gw_relief_init(struct gw_queue *queue);
void gw_relief_fini(struct gw_queue *queue);
/* The queue is drained: all of its threads end. */
void gw_relief_end(struct gw_queue *queue);
/* Until this thread is to serve the queue (@relieved: again); false: there is nothing to do any
 * more. */
bool gw_queue_await_turn(struct gw_queue *queue, bool relieved);

/* queue_elem.c: elements in and out, on the queue's thread. */
bool gw_queue_may_pop(struct gw_queue *queue);
void gw_queue_take_returned(struct gw_queue *queue);
void gw_queue_publish(struct gw_queue *queue);
void gw_queue_use_drop(struct gw_mem_use *use);
void gw_queue_free_elems(struct gw_queue *queue);

/* queue_park.c */
int gw_park_copy(struct gw_queue *queue, const struct gw_elem_own *elem);
int gw_park_chain(struct gw_queue *queue, const struct gw_chain *chain, const struct gw_mem *mem);
int gw_park_read(const struct gw_parked *parked, const struct gw_mem *mem, struct gw_chain *chain);
void gw_park_forget_handed_out(struct gw_queue *queue);

/* queue_recover.c: what an in-flight region says was not done becomes parked elements. */
int gw_queue_recover(struct gw_queue *queue);

/* queue_setup.c */
int gw_queue_set_up(struct gw_queue *queue);
void gw_queue_tear_down(struct gw_queue *queue);

#endif
