/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_park.c - elements that stay open across a stop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

/* A segment's length has 32 bits; merged ones may need two. Regions lie apart in any case. */
static unsigned count_segs(const struct gw_chain *chain)
{
	unsigned count = 0;

	for (unsigned i = 0; i < chain->count; i++)
		count += chain->iov[i].iov_len > UINT32_MAX ? 2 : 1;
	return count;
}

static void make_segs(const struct gw_chain *chain, const struct gw_mem *mem,
		      struct gw_parked_seg *segs)
{
	for (unsigned i = 0; i < chain->count; i++) {
		uint64_t gpa = gw_mem_gpa_of(mem, chain->iov[i].iov_base);
		size_t left = chain->iov[i].iov_len;

		while (left) {
			uint32_t len = (uint32_t)GW_MIN(left, (size_t)INT32_MAX + 1);

			*segs++ = (struct gw_parked_seg){
				.gpa = gpa, .len = len, .writable = i >= chain->out_count};
			gpa += len;
			left -= len;
		}
	}
}

/* Takes the segments over. */
static int append(struct gw_queue *queue, const struct gw_parked *parked)
{
	struct gw_park_list *list = &queue->parked;

	if (list->count == list->cap) {
		unsigned cap = list->cap ? list->cap * 2 : 8;
		struct gw_parked *items = realloc(list->items, cap * sizeof(*items));

		if (!items)
			return gw_fail(ENOMEM, "parked element %u: no memory", parked->id);
		list->items = items;
		list->cap = cap;
	}
	list->items[list->count++] = *parked;
	atomic_fetch_add(&queue->parked_count, 1);
	return 0;
}

static int append_copy(struct gw_queue *queue, struct gw_parked parked, struct gw_parked_seg *segs)
{
	int err;

	parked.segs = segs;
	err = append(queue, &parked);
	if (err)
		free(segs);
	return err;
}

int gw_park_chain(struct gw_queue *queue, const struct gw_chain *chain, const struct gw_mem *mem)
{
	struct gw_parked parked = {
		.id = chain->id, .descs = chain->descs, .count = count_segs(chain)};
	struct gw_parked_seg *segs = calloc(parked.count + 1, sizeof(*segs));

	if (!segs)
		return gw_fail(ENOMEM, "parked element %u: no memory", chain->id);
	make_segs(chain, mem, segs);
	return append_copy(queue, parked, segs);
}

int gw_park_copy(struct gw_queue *queue, const struct gw_elem_own *elem)
{
	return gw_park_chain(queue, &elem->chain, elem->use->mem);
}

int gw_park_read(const struct gw_parked *parked, const struct gw_mem *mem, struct gw_chain *chain)
{
	gw_chain_reset(chain);
	chain->id = parked->id;
	chain->descs = parked->descs;
	for (unsigned i = 0; i < parked->count; i++) {
		const struct gw_parked_seg *seg = &parked->segs[i];
		int err = gw_chain_add(chain, mem, seg->gpa, seg->len, seg->writable);

		if (err)
			return err;
	}
	return 0;
}

static void drop_first(struct gw_park_list *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free((void *)list->items[i].segs);
	memmove(list->items, list->items + n, (list->count - n) * sizeof(list->items[0]));
	list->count -= n;
	list->next = list->end = 0;
}

void gw_park_forget_handed_out(struct gw_queue *queue)
{
	if (queue->parked.next)
		drop_first(&queue->parked, queue->parked.next);
}

void gw_queue_parked_clear(struct gw_queue *queue)
{
	if (queue->parked.count)
		drop_first(&queue->parked, queue->parked.count);
	atomic_store(&queue->parked_count, 0);
}

void gw_queue_reset(struct gw_queue *queue)
{
	gw_queue_parked_clear(queue);
	if (queue->inflight)
		gw_inflight_forget(queue->inflight, queue->index);
}

int gw_queue_parked_get(const struct gw_queue *queue, unsigned i, struct gw_parked *parked)
{
	if (i >= queue->parked.count)
		return gw_fail(ENOENT, "queue %u: no parked element %u", queue->index, i);
	*parked = queue->parked.items[i];
	return 0;
}

/* What can be known before size and memory are set; the rest is checked at start and hand-out. */
static int check(const struct gw_queue *queue, const struct gw_parked *parked)
{
	if (queue->started)
		return gw_fail(EBUSY, "queue %u: it is started", queue->index);
	if (parked->id >= GW_QUEUE_SIZE_MAX || (queue->num && parked->id >= queue->num))
		return gw_fail(EINVAL, "parked element: no ring has an id of %u", parked->id);
	if (!parked->descs || parked->descs > GW_QUEUE_SIZE_MAX ||
	    parked->count > 2 * GW_ELEM_SEGS_MAX)
		return gw_fail(EINVAL, "parked element %u: %u descriptors, %u segments", parked->id,
			       parked->descs, parked->count);
	for (unsigned i = 0; i < parked->count; i++) {
		if (parked->segs[i].writable > 1 ||
		    (i && parked->segs[i].writable < parked->segs[i - 1].writable))
			return gw_fail(EINVAL, "parked element %u: readable after writable",
				       parked->id);
	}
	for (unsigned i = 0; i < queue->parked.count; i++) {
		if (queue->parked.items[i].id == parked->id)
			return gw_fail(EINVAL, "parked element %u is there twice", parked->id);
	}
	return 0;
}

int gw_queue_parked_add(struct gw_queue *queue, const struct gw_parked *parked)
{
	struct gw_parked_seg *segs;
	int err = check(queue, parked);

	if (err)
		return err;
	segs = calloc(parked->count + 1, sizeof(*segs));
	if (!segs)
		return gw_fail(ENOMEM, "parked element %u: no memory", parked->id);
	if (parked->count)
		memcpy(segs, parked->segs, parked->count * sizeof(*segs));
	return append_copy(queue, *parked, segs);
}
