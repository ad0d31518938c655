/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_elem.c - elements out to the device and back to the driver. */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

bool gw_queue_may_pop(struct gw_queue *queue)
{
	return atomic_load_explicit(&queue->enabled, memory_order_relaxed) && !queue->adrift &&
	       !atomic_load_explicit(&queue->stopping, memory_order_relaxed) &&
	       !atomic_load_explicit(&queue->broken, memory_order_relaxed);
}

void gw_queue_use_drop(struct gw_mem_use *use)
{
	if (!use)
		return;
	gw_mem_unref(use->mem);
	free(use);
}

/* The free list grows to what the device ever had at a time, at most the size of the ring. */
static struct gw_elem_own *elem_get(struct gw_queue *queue)
{
	struct gw_elem_own *elem = queue->free;

	if (elem) {
		queue->free = elem->next;
		return elem;
	}
	elem = calloc(1, sizeof(*elem));
	if (!elem)
		gw_queue_break(queue, "no memory for an element");
	return elem;
}

static void elem_put(struct gw_queue *queue, struct gw_elem_own *elem)
{
	elem->next = queue->free;
	queue->free = elem;
}

void gw_queue_free_elems(struct gw_queue *queue)
{
	while (queue->free) {
		struct gw_elem_own *elem = queue->free;

		queue->free = elem->next;
		gw_chain_free(&elem->chain);
		free(elem);
	}
}

/* Only this thread writes the counter; others take snapshots. */
static void count_in_flight(struct gw_queue *queue, int by)
{
	unsigned now = atomic_load_explicit(&queue->in_flight, memory_order_relaxed);

	atomic_store_explicit(&queue->in_flight, now + (unsigned)by, memory_order_relaxed);
}

/* An id comes back before it is used again, and all chains together fit on the ring. */
static int claim(struct gw_queue *queue, const struct gw_chain *chain)
{
	if (chain->id >= queue->num || queue->busy[chain->id])
		return gw_fail(EPROTO, "chain %u is in flight already, or not of a ring of %u",
			       chain->id, queue->num);
	if (queue->descs_out + chain->descs > queue->num)
		return gw_fail(EPROTO, "more descriptors in flight than the ring of %u has",
			       queue->num);
	queue->busy[chain->id] = 1;
	queue->descs_out += chain->descs;
	return 0;
}

/* An element handed out again: its id was claimed and recorded before. */
static int pop_again(struct gw_queue *queue, struct gw_elem_own *elem)
{
	struct gw_parked *parked = &queue->parked.items[queue->parked.next];
	int err = gw_park_read(parked, queue->use->mem, &elem->chain);

	if (err)
		return err;
	elem->entry = queue->entries ? queue->entries[parked->id] : GW_TRACK_NONE;
	elem->pub.serial = queue->serials ? queue->serials[parked->id] : 0;
	queue->parked.next++;
	atomic_fetch_sub(&queue->parked_count, 1);
	elem->pub.flags = GW_ELEM_AGAIN;
	return 1;
}

static int pop_new(struct gw_queue *queue, struct gw_elem_own *elem)
{
	struct gw_ring *ring = &queue->ring;
	int n = ring->ops->pop(ring, &elem->chain);
	int err;

	if (n <= 0)
		return n;
	err = claim(queue, &elem->chain);
	if (err)
		return err;
	elem->pub.serial = 0;
	if (queue->track)
		elem->entry =
			gw_track_pop(queue->track, elem->chain.id, ring->copies, elem->chain.descs);
	if (queue->track)
		elem->pub.serial = gw_track_serial(queue->track, elem->entry);
	elem->pub.flags = 0;
	return 1;
}

/* The device's view of a chain. */
static struct gw_elem *present(struct gw_queue *queue, struct gw_elem_own *elem)
{
	const struct gw_chain *chain = &elem->chain;

	elem->use = queue->use;
	elem->use->elems++;
	count_in_flight(queue, 1);
	queue->popped++;
	elem->pub.queue = queue;
	elem->pub.out = chain->iov;
	elem->pub.out_count = chain->out_count;
	elem->pub.out_len = chain->out_len;
	elem->pub.in = chain->iov ? chain->iov + chain->out_count : NULL;
	elem->pub.in_count = chain->count - chain->out_count;
	elem->pub.in_len = chain->in_len;
	elem->pub.device_data = NULL;
	return &elem->pub;
}

struct gw_elem *gw_queue_pop(struct gw_queue *queue)
{
	struct gw_elem_own *elem;
	int n;

	if (!gw_queue_may_pop(queue))
		return NULL;
	elem = elem_get(queue);
	if (!elem)
		return NULL;
	n = queue->parked.next < queue->parked.end ? pop_again(queue, elem) : pop_new(queue, elem);
	/* Looked at afterwards: what was just read may be of a page that is not the guest's. */
	if (gw_mem_is_broken(queue->use->mem))
		n = gw_fail(EPROTO, "a file of guest memory became shorter");
	if (n == 1)
		return present(queue, elem);
	if (n < 0)
		gw_queue_break(queue, gw_last_error());
	queue->saw_empty = true;
	elem_put(queue, elem);
	return NULL;
}

static void mark_written(struct gw_queue *queue, const struct gw_elem_own *elem)
{
	size_t left = elem->written;

	for (unsigned i = 0; i < elem->pub.in_count && left; i++) {
		size_t len = GW_MIN(left, elem->pub.in[i].iov_len);

		gw_dirty_mark(queue->log, gw_mem_gpa_of(elem->use->mem, elem->pub.in[i].iov_base),
			      len);
		left -= len;
	}
}

/* On a broken ring nothing is written any more; the element only ends. */
static void put_on_ring(struct gw_queue *queue, struct gw_elem_own *elem)
{
	struct gw_ring *ring = &queue->ring;

	if (queue->log_on)
		mark_written(queue, elem);
	if (atomic_load_explicit(&queue->broken, memory_order_relaxed))
		return;
	ring->ops->fill(ring, elem->chain.id, elem->chain.descs,
			(uint32_t)GW_MIN(elem->written, (size_t)UINT32_MAX));
	if (queue->track)
		gw_track_push(queue->track, elem->entry);
	queue->busy[elem->chain.id] = 0;
	queue->descs_out -= elem->chain.descs;
	if (ring->unpublished >= GW_BATCH_MAX)
		gw_queue_publish(queue);
}

static void give_back(struct gw_queue *queue, struct gw_elem_own *elem)
{
	struct gw_mem_use *use = elem->use;

	if (elem->park) {
		if (gw_park_copy(queue, elem) < 0)
			gw_queue_break(queue, gw_last_error());
	} else {
		put_on_ring(queue, elem);
	}
	if (!--use->elems && use != queue->use)
		gw_queue_use_drop(use);
	elem_put(queue, elem);
	count_in_flight(queue, -1);
}

static struct gw_elem_own *reverse(struct gw_elem_own *list)
{
	struct gw_elem_own *in_order = NULL;

	while (list) {
		struct gw_elem_own *elem = list;

		list = elem->next;
		elem->next = in_order;
		in_order = elem;
	}
	return in_order;
}

void gw_queue_take_returned(struct gw_queue *queue)
{
	struct gw_elem_own *list = NULL;

	if (atomic_load_explicit(&queue->returned, memory_order_relaxed))
		list = reverse(
			atomic_exchange_explicit(&queue->returned, NULL, memory_order_acquire));
	while (list) {
		struct gw_elem_own *elem = list;

		list = elem->next;
		give_back(queue, elem);
	}
}

void gw_queue_publish(struct gw_queue *queue)
{
	struct gw_ring *ring = &queue->ring;

	if (!ring->unpublished)
		return;
	if (gw_mem_is_broken(queue->use->mem)) {
		gw_queue_break(queue, "a file of guest memory became shorter");
		ring->unpublished = 0;
		return;
	}
	if (queue->track)
		gw_track_publishing(queue->track, ring->used, ring->used_wrap);
	ring->ops->publish(ring);
	if (queue->track)
		gw_track_published(queue->track);
	if (ring->ops->wants_call(ring) || queue->first_call_due)
		queue->call_owed = !gw_bell_ring(&queue->call);
	queue->first_call_due = false;
}

void gw_queue_flush(struct gw_queue *queue)
{
	gw_queue_take_returned(queue);
	gw_queue_publish(queue);
}

/* From any other thread: a list of which the queue's thread takes all, woken by whoever finds it
 * empty. */
static void give_back_from_afar(struct gw_queue *queue, struct gw_elem_own *elem)
{
	struct gw_elem_own *head = atomic_load_explicit(&queue->returned, memory_order_relaxed);

	atomic_fetch_add(&queue->callers, 1);
	do {
		elem->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&queue->returned, &head, elem, memory_order_release, memory_order_relaxed));
	if (!head)
		gw_queue_wake(queue);
	atomic_fetch_sub(&queue->callers, 1);
}

static void end_elem(struct gw_elem *pub)
{
	struct gw_elem_own *elem = (struct gw_elem_own *)pub;

	if (gw_queue_current == pub->queue)
		give_back(pub->queue, elem);
	else
		give_back_from_afar(pub->queue, elem);
}

void gw_elem_push(struct gw_elem *pub, size_t written)
{
	struct gw_elem_own *elem = (struct gw_elem_own *)pub;

	if (written > pub->in_len) {
		gw_warn("queue %u: the device says it wrote %zu bytes into %zu", pub->queue->index,
			written, pub->in_len);
		written = pub->in_len;
	}
	elem->written = written;
	elem->park = false;
	end_elem(pub);
}

void gw_park(struct gw_elem *pub)
{
	((struct gw_elem_own *)pub)->park = true;
	end_elem(pub);
}
