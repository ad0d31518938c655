/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_recover.c - what was in flight when a back-end died is handed out again. */
#include <errno.h>
#include <stdlib.h>
#include <linux/virtio_config.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

static int open_track(struct gw_queue *queue)
{
	const struct gw_ring *ring = &queue->ring;
	bool packed = ring->ops == &gw_ring_packed;
	struct gw_track_ring at = {.num = ring->num,
				   .packed = packed,
				   .used = ring->used,
				   .used_wrap = ring->used_wrap,
				   .desc = (const void *)ring->desc};

	return gw_track_open(&queue->track, queue->inflight, queue->index, &at);
}

static int alloc(struct gw_queue *queue)
{
	queue->entries = calloc(queue->num, sizeof(*queue->entries));
	queue->serials = calloc(queue->num, sizeof(*queue->serials));
	queue->ring.copies = calloc(queue->num, sizeof(*queue->ring.copies));
	if (!queue->entries || !queue->serials || !queue->ring.copies)
		return gw_fail(ENOMEM, "no memory");
	for (unsigned i = 0; i < queue->num; i++)
		queue->entries[i] = GW_TRACK_NONE;
	return 0;
}

static int read_found(struct gw_queue *queue, unsigned i, struct gw_chain *chain)
{
	struct gw_track_entry found = gw_track_entry_at(queue->track, i);

	if (queue->ring.ops == &gw_ring_split)
		return gw_split_read(&queue->ring, found.entry, chain);
	gw_track_descs(queue->track, i, queue->ring.copies);
	return gw_packed_read(&queue->ring, queue->ring.copies, found.descs, chain);
}

/* One that was parked in good order is in the region, too: then only its entry is news. */
static int take_found(struct gw_queue *queue, unsigned i, struct gw_chain *chain)
{
	struct gw_track_entry found = gw_track_entry_at(queue->track, i);
	int err = read_found(queue, i, chain);

	if (err)
		return err;
	if (chain->id >= queue->num || queue->entries[chain->id] != GW_TRACK_NONE)
		return gw_fail(EINVAL, "in-flight region: id %u twice, or beyond a ring of %u",
			       chain->id, queue->num);
	queue->entries[chain->id] = found.entry;
	queue->serials[chain->id] = found.counter + 1;
	if (queue->busy[chain->id])
		return 0;
	queue->busy[chain->id] = 1;
	queue->descs_out += chain->descs;
	return gw_park_chain(queue, chain, queue->use->mem);
}

static int take_all_found(struct gw_queue *queue)
{
	struct gw_chain chain = {0};
	int err = 0;

	for (unsigned i = 0; !err && i < gw_track_count(queue->track); i++)
		err = take_found(queue, i, &chain);
	gw_chain_free(&chain);
	if (!err && queue->descs_out > queue->num)
		err = gw_fail(EINVAL, "in-flight region: %u descriptors of a ring of %u",
			      queue->descs_out, queue->num);
	return err;
}

/*
 * A front-end that lost its back-end does not know how far that had come; the region does: what is
 * used, and as many more as are in flight. (What QEMU gives then as the base is the used index.)
 */
static int reposition(struct gw_queue *queue)
{
	struct gw_ring *ring = &queue->ring;
	unsigned avail;
	uint16_t used;
	bool wrap;

	if (!gw_track_is_old(queue->track, &used, &wrap))
		return 0;
	if (ring->ops == &gw_ring_split) {
		if (!gw_track_count(queue->track) && !queue->resume)
			return 0;
		return ring->ops->set_base(ring, (uint16_t)(ring->used + queue->descs_out));
	}
	avail = used + queue->descs_out;
	ring->used = ring->old_used = used;
	ring->used_wrap = wrap;
	ring->avail = (uint16_t)(avail % queue->num);
	ring->avail_wrap = avail >= queue->num ? !wrap : wrap;
	/* A batch that was not published may stand there but for its first descriptor. */
	gw_packed_take_back(ring, queue->descs_out);
	return 0;
}

/*
 * Parked elements that came another way (the state stream) are recorded now. A packed entry holds
 * ring descriptors, and these are gone: the segments stand for them where there are no more. (Where
 * there are, they came out of an indirect table. An entry of more descriptors than the ring has
 * would lead every back-end's positions astray, so there is none.)
 */
static void record(struct gw_queue *queue, const struct gw_parked *parked)
{
	struct vring_packed_desc *descs = queue->ring.copies;

	if (queue->ring.ops == &gw_ring_packed && parked->count > parked->descs) {
		gw_warn("queue %u: parked request %u is not in the in-flight region: it would be "
			"lost with this process",
			queue->index, parked->id);
		return;
	}
	for (unsigned i = 0; i < parked->descs; i++) {
		descs[i] = (struct vring_packed_desc){.id = parked->id};
		if (i >= parked->count)
			continue;
		descs[i].addr = parked->segs[i].gpa;
		descs[i].len = parked->segs[i].len;
		descs[i].flags = parked->segs[i].writable ? VRING_DESC_F_WRITE : 0;
	}
	queue->entries[parked->id] = gw_track_pop(queue->track, parked->id, descs, parked->descs);
	queue->serials[parked->id] = gw_track_serial(queue->track, queue->entries[parked->id]);
}

int gw_queue_recover(struct gw_queue *queue)
{
	int err;

	if (!queue->inflight)
		return 0;
	err = open_track(queue);
	if (!err)
		err = alloc(queue);
	if (!err)
		err = take_all_found(queue);
	if (!err)
		err = reposition(queue);
	for (unsigned i = 0; !err && i < queue->parked.count; i++) {
		if (queue->entries[queue->parked.items[i].id] == GW_TRACK_NONE)
			record(queue, &queue->parked.items[i]);
	}
	return err;
}
