/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_setup.c - what a queue is made of: applying changes, setting up for a run. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <linux/virtio_config.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

static bool has(const struct gw_queue *queue, unsigned bit)
{
	return queue->features >> bit & 1;
}

/* Both areas that a device writes to, and alignment, VIRTIO 1.3, 2.7 and 2.8. */
int gw_queue_map(const struct gw_queue *queue, struct gw_ring *ring, const struct gw_mem *mem,
		 const struct gw_queue_addr *addr)
{
	uint64_t sizes[3];
	uintptr_t bad;

	ring->ops->sizes(ring->num, &sizes[0], &sizes[1], &sizes[2]);
	ring->desc = gw_mem_at_uaddr(mem, addr->desc, sizes[0]);
	ring->driver = gw_mem_at_uaddr(mem, addr->avail, sizes[1]);
	ring->device = gw_mem_at_uaddr(mem, addr->used, sizes[2]);
	if (!ring->desc || !ring->driver || !ring->device)
		return gw_fail(EINVAL,
			       "queue %u: ring addresses 0x%llx 0x%llx 0x%llx are not in "
			       "the memory table",
			       queue->index, (unsigned long long)addr->desc,
			       (unsigned long long)addr->avail, (unsigned long long)addr->used);
	bad = ((uintptr_t)ring->desc & 15) | ((uintptr_t)ring->driver & 1) |
	      ((uintptr_t)ring->device & 3);
	if (bad)
		return gw_fail(EINVAL, "queue %u: ring addresses are not aligned", queue->index);
	ring->mem = mem;
	ring->desc_log = gw_mem_gpa_of(mem, ring->desc);
	ring->device_log = addr->log_gpa;
	return 0;
}

void gw_queue_set_ring_log(struct gw_queue *queue)
{
	queue->ring.log = queue->log;
	queue->ring.log_on = queue->log_on && queue->addr.log_used;
}

static struct gw_queue_addr change_addr(const struct gw_queue *queue,
					const struct gw_queue_change *change)
{
	if (!(change->what & GW_QUEUE_ADDR))
		return queue->addr;
	return (struct gw_queue_addr){.desc = change->desc,
				      .avail = change->avail,
				      .used = change->used,
				      .log_used = change->log_used,
				      .log_gpa = change->log_gpa};
}

static void take_features(struct gw_queue *queue, uint64_t features)
{
	queue->features = features;
	queue->ring.event_idx = has(queue, VIRTIO_RING_F_EVENT_IDX);
	queue->ring.indirect = has(queue, VIRTIO_RING_F_INDIRECT_DESC);
	queue->listening = false;
}

static void take_fds(struct gw_queue *queue, const struct gw_queue_change *change, bool running)
{
	if (change->what & GW_QUEUE_KICK) {
		gw_queue_drop_kick(queue);
		queue->kick = change->kick;
		if (running)
			gw_queue_watch_kick(queue);
	}
	if (change->what & GW_QUEUE_CALL) {
		gw_bell_set(&queue->call, change->call);
		if (running && queue->call_owed)
			queue->call_owed = !gw_bell_ring(&queue->call);
	}
	if (change->what & GW_QUEUE_ERR)
		gw_bell_set(&queue->err, change->err);
}

static void take_refs(struct gw_queue *queue, const struct gw_queue_change *change,
		      struct gw_mem_use *use)
{
	if (change->what & GW_QUEUE_MEM) {
		struct gw_mem_use *old = queue->use;

		*use = (struct gw_mem_use){.mem = change->mem};
		queue->use = use;
		if (old && !old->elems)
			gw_queue_use_drop(old);
	}
	if (change->what & GW_QUEUE_LOG) {
		gw_dirty_unref(queue->log);
		queue->log = change->log;
		queue->log_on = change->log_on;
	}
	if (change->what & GW_QUEUE_INFLIGHT) {
		gw_inflight_unref(queue->inflight);
		queue->inflight = change->inflight;
	}
}

/* While running, new addresses have to be found; a new table in which the old ones are not found
 * is in force, and the ring waits for the next. */
static int remap(struct gw_queue *queue, const struct gw_queue_change *change, bool *lost)
{
	struct gw_queue_addr addr = change_addr(queue, change);
	struct gw_mem *mem = change->what & GW_QUEUE_MEM ? change->mem : queue->use->mem;
	struct gw_ring ring = queue->ring;
	int err;

	if (!mem)
		return gw_fail(EINVAL, "queue %u: no memory table", queue->index);
	err = gw_queue_map(queue, &ring, mem, &addr);
	if (err && (change->what & GW_QUEUE_ADDR))
		return err;
	*lost = err;
	if (!err)
		queue->ring = ring;
	return 0;
}

/* Before the old table goes. */
static void set_adrift(struct gw_queue *queue, bool lost)
{
	if (lost && queue->adrift)
		return;
	gw_mem_unref(queue->adrift);
	queue->adrift = lost ? gw_mem_ref(queue->use->mem) : NULL;
	if (lost)
		gw_info("queue %u: waits for a memory table with its ring: %s", queue->index,
			gw_last_error());
}

static int check_running(struct gw_queue *queue, const struct gw_queue_change *change)
{
	if ((change->what & GW_QUEUE_FEATURES) &&
	    (change->features >> VIRTIO_F_RING_PACKED & 1) != has(queue, VIRTIO_F_RING_PACKED))
		return gw_fail(EBUSY,
			       "queue %u: the ring's format changes only while it is stopped",
			       queue->index);
	return 0;
}

/* Addresses can be looked up when all that it needs is known; else gw_queue_start() does. */
static int check_stopped(struct gw_queue *queue, const struct gw_queue_change *change)
{
	uint64_t features = change->what & GW_QUEUE_FEATURES ? change->features : queue->features;
	struct gw_mem *mem = queue->use ? queue->use->mem : NULL;
	struct gw_queue_addr addr = change_addr(queue, change);
	struct gw_ring ring = {.ops = features >> VIRTIO_F_RING_PACKED & 1 ? &gw_ring_packed
									   : &gw_ring_split,
			       .num = change->what & GW_QUEUE_NUM ? change->num : queue->num};

	if (change->what & GW_QUEUE_MEM)
		mem = change->mem;
	if (!(change->what & GW_QUEUE_ADDR) || !ring.num || !mem)
		return 0;
	return gw_queue_map(queue, &ring, mem, &addr);
}

/* All that can be refused is refused here, before anything changes. */
static int check_change(struct gw_queue *queue, const struct gw_queue_change *change, bool running,
			bool *lost)
{
	int err = running ? check_running(queue, change) : check_stopped(queue, change);

	if (err || !running || !(change->what & (GW_QUEUE_ADDR | GW_QUEUE_MEM)))
		return err;
	return remap(queue, change, lost);
}

int gw_queue_apply(struct gw_queue *queue, const struct gw_queue_change *change, bool running)
{
	struct gw_mem_use *use = calloc(1, sizeof(*use)); /* for a new table */
	bool lost = false;
	int err;

	if (!use)
		return gw_fail(ENOMEM, "queue %u: no memory", queue->index);
	err = check_change(queue, change, running, &lost);
	if (err || !(change->what & GW_QUEUE_MEM)) {
		free(use);
		use = NULL;
	}
	if (err)
		return err;
	if (change->what & GW_QUEUE_NUM)
		queue->num = change->num;
	if (change->what & GW_QUEUE_BASE)
		queue->base = change->base;
	if (change->what & GW_QUEUE_RESUME)
		queue->resume = true;
	if (change->what & GW_QUEUE_FEATURES)
		take_features(queue, change->features);
	queue->addr = change_addr(queue, change);
	queue->have_addr |= !!(change->what & GW_QUEUE_ADDR);
	if (running && change->what & (GW_QUEUE_MEM | GW_QUEUE_ADDR))
		set_adrift(queue, lost);
	take_refs(queue, change, use);
	take_fds(queue, change, running);
	gw_queue_set_ring_log(queue);
	return 0;
}

/* Ids and descriptors that parked elements hold on the ring. */
static int count_parked(struct gw_queue *queue)
{
	queue->descs_out = 0;
	for (unsigned i = 0; i < queue->parked.count; i++) {
		const struct gw_parked *parked = &queue->parked.items[i];

		if (parked->id >= queue->num || queue->busy[parked->id])
			return gw_fail(EINVAL, "parked element %u is not of a ring of %u",
				       parked->id, queue->num);
		queue->busy[parked->id] = 1;
		queue->descs_out += parked->descs;
	}
	if (queue->descs_out > queue->num)
		return gw_fail(EINVAL, "parked elements hold %u descriptors of a ring of %u",
			       queue->descs_out, queue->num);
	return 0;
}

static int set_up_ring(struct gw_queue *queue)
{
	struct gw_ring *ring = &queue->ring;
	int err;

	if (!queue->num || !queue->have_addr || !queue->use || !queue->use->mem)
		return gw_fail(EINVAL, "size, addresses or memory table were not set");
	*ring = (struct gw_ring){.ops = has(queue, VIRTIO_F_RING_PACKED) ? &gw_ring_packed
									 : &gw_ring_split,
				 .num = queue->num};
	take_features(queue, queue->features);
	if (!ring->ops->num_ok(queue->num))
		return gw_fail(EINVAL, "a %s ring cannot have %u entries", ring->ops->name,
			       queue->num);
	err = gw_queue_map(queue, ring, queue->use->mem, &queue->addr);
	if (err)
		return err;
	gw_queue_set_ring_log(queue);
	return ring->ops->set_base(ring, queue->base);
}

static int set_up_waiting(struct gw_queue *queue)
{
	/* Edge-triggered: a wake-up is an event, whatever the counter says, and a descriptor that
	 * is readable for ever (a peer chose it) does not make this thread spin. */
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = queue->wake};

	queue->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (queue->epoll < 0 || epoll_ctl(queue->epoll, EPOLL_CTL_ADD, queue->wake, &event) < 0)
		return gw_fail(errno, "epoll: %s", strerror(errno));
	gw_queue_watch_kick(queue);
	return 0;
}

int gw_queue_check(struct gw_queue *queue)
{
	return set_up_ring(queue);
}

int gw_queue_set_up(struct gw_queue *queue)
{
	int err;

	err = set_up_ring(queue);
	if (err)
		return err;
	queue->busy = calloc(queue->num, 1);
	if (!queue->busy)
		err = gw_fail(ENOMEM, "no memory");
	if (!err)
		err = count_parked(queue);
	if (!err)
		err = gw_queue_recover(queue);
	if (!err)
		err = set_up_waiting(queue);
	if (err) {
		gw_queue_tear_down(queue);
		return err;
	}
	queue->parked.next = 0;
	queue->parked.end = queue->parked.count;
	queue->popped = 0;
	queue->stop_begun = queue->listening = false;
	queue->first_call_due = true;
	queue->call_owed |= queue->resume;
	queue->resume = false;
	atomic_store(&queue->requests, 0);
	atomic_store(&queue->broken, false);
	atomic_store(&queue->stopping, false);
	atomic_store(&queue->device_stopped, false);
	return 0;
}

void gw_queue_tear_down(struct gw_queue *queue)
{
	gw_mem_unref(queue->adrift);
	queue->adrift = NULL;
	gw_queue_free_elems(queue);
	gw_close(&queue->epoll);
	gw_track_close(queue->track);
	queue->track = NULL;
	free(queue->ring.copies);
	queue->ring.copies = NULL;
	free(queue->entries);
	queue->entries = NULL;
	free(queue->serials);
	queue->serials = NULL;
	free(queue->busy);
	queue->busy = NULL;
	atomic_store(&queue->stopping, false);
}
