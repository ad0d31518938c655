/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/track.c - in-flight tracking: what both layouts share, and split rings. */
#include <errno.h>
#include <stdlib.h>

#include "godwit/error.h"
#include "virtio/track_internal.h"

static int by_counter(const void *a, const void *b)
{
	const struct gw_track_entry *x = a, *y = b;

	return (x->counter > y->counter) - (x->counter < y->counter);
}

void gw_track_found(struct gw_track *track, uint16_t entry, uint16_t descs, uint64_t counter)
{
	track->found[track->found_count++] =
		(struct gw_track_entry){.entry = entry, .descs = descs, .counter = counter};
}

/* Counters of what is done count as well: a serial does not come again. */
void gw_track_counted(struct gw_track *track, uint64_t counter)
{
	if (counter >= track->counter)
		track->counter = counter + 1;
}

static int track_alloc(struct gw_track *track)
{
	track->found = calloc(track->num, sizeof(*track->found));
	track->next = calloc(track->num, sizeof(*track->next));
	track->last = calloc(track->num, sizeof(*track->last));
	if (!track->found || !track->next || !track->last)
		return gw_fail(ENOMEM, "in-flight region: no memory");
	return 0;
}

/* @features, @version and @desc_num are at the same place in both layouts. */
_Static_assert(offsetof(struct gw_track_split, version) ==
		       offsetof(struct gw_track_packed, version),
	       "one check for both");
_Static_assert(offsetof(struct gw_track_split, desc_num) ==
		       offsetof(struct gw_track_packed, desc_num),
	       "one check for both");

static int read_part(struct gw_track *track, const struct gw_track_ring *ring)
{
	uint16_t version = GW_TRACK_LOAD(track->split->version);
	uint16_t desc_num = GW_TRACK_LOAD(track->split->desc_num);
	int err;

	if (!version) {
		track->ops->init(track, ring);
		return 0;
	}
	if (version != GW_TRACK_VERSION || desc_num != ring->num)
		return gw_fail(EINVAL,
			       "in-flight region: version %u for a ring of %u, not %u of %u",
			       version, desc_num, GW_TRACK_VERSION, ring->num);
	track->old = true;
	err = track->ops->recover(track, ring);
	if (!err)
		qsort(track->found, track->found_count, sizeof(*track->found), by_counter);
	return err;
}

int gw_track_open(struct gw_track **out, struct gw_inflight *inflight, unsigned queue,
		  const struct gw_track_ring *ring)
{
	void *part = gw_inflight_part(inflight, queue, ring->num, ring->packed);
	struct gw_track *track;
	int err;

	if (!part)
		return -EINVAL;
	track = calloc(1, sizeof(*track));
	if (!track)
		return gw_fail(ENOMEM, "in-flight region: no memory");
	track->ops = ring->packed ? &gw_track_ops_packed : &gw_track_ops_split;
	track->inflight = gw_inflight_ref(inflight);
	track->part = part;
	track->num = ring->num;
	err = track_alloc(track);
	if (!err)
		err = read_part(track, ring);
	if (err) {
		gw_track_close(track);
		return err;
	}
	*out = track;
	return 0;
}

void gw_track_close(struct gw_track *track)
{
	if (!track)
		return;
	gw_inflight_unref(track->inflight);
	free(track->found);
	free(track->next);
	free(track->last);
	free(track);
}

bool gw_track_is_old(const struct gw_track *track, uint16_t *used, bool *used_wrap)
{
	*used = track->used;
	*used_wrap = track->used_wrap;
	return track->old;
}

unsigned gw_track_count(const struct gw_track *track)
{
	return track->found_count;
}

struct gw_track_entry gw_track_entry_at(const struct gw_track *track, unsigned i)
{
	return track->found[i];
}

uint16_t gw_track_pop(struct gw_track *track, uint16_t id, const struct vring_packed_desc *descs,
		      unsigned count)
{
	return track->ops->pop(track, id, descs, count);
}

uint64_t gw_track_serial(const struct gw_track *track, uint16_t entry)
{
	return entry == GW_TRACK_NONE ? 0 : track->counter;
}

void gw_track_push(struct gw_track *track, uint16_t entry)
{
	if (entry != GW_TRACK_NONE && track->batched < GW_BATCH_MAX)
		track->batch[track->batched++] = entry;
}

void gw_track_publishing(struct gw_track *track, uint16_t used, bool used_wrap)
{
	track->used = used;
	track->used_wrap = used_wrap;
	track->ops->publishing(track);
}

void gw_track_published(struct gw_track *track)
{
	track->ops->published(track);
	track->batched = 0;
}

static void split_count(struct gw_track *track, unsigned num)
{
	for (unsigned i = 0; i < num; i++)
		gw_track_counted(track, GW_TRACK_LOAD(track->split->desc[i].counter));
}

static void split_init(struct gw_track *track, const struct gw_track_ring *ring)
{
	struct gw_track_split *part = track->split;

	split_count(track, ring->num);
	GW_TRACK_STORE(part->features, 0);
	GW_TRACK_STORE(part->desc_num, (uint16_t)ring->num);
	GW_TRACK_STORE(part->last_batch_head, 0);
	GW_TRACK_STORE(part->used_idx, ring->used);
	for (unsigned i = 0; i < ring->num; i++)
		GW_TRACK_STORE(part->desc[i].inflight, 0);
	GW_TRACK_STORE(part->version, GW_TRACK_VERSION); /* valid from here on */
}

/*
 * The used index went on past what the region knows: those of the last batch were published, and
 * may not have been taken off yet. More than a ring's worth is no batch: the region belongs to an
 * earlier life of the ring (the guest was reset), and nothing in it is in flight any more.
 */
static int split_recover(struct gw_track *track, const struct gw_track_ring *ring)
{
	struct gw_track_split *part = track->split;
	uint16_t published = (uint16_t)(ring->used - GW_TRACK_LOAD(part->used_idx));
	uint16_t at = GW_TRACK_LOAD(part->last_batch_head);

	if (published > ring->num) {
		gw_warn("in-flight region: of another life of the ring, begun anew");
		split_init(track, ring);
		return 0;
	}
	for (; published; published--) {
		if (at >= ring->num)
			return gw_fail(EINVAL, "in-flight region: batch entry %u of a ring of %u",
				       at, ring->num);
		GW_TRACK_STORE(part->desc[at].inflight, 0);
		at = GW_TRACK_LOAD(part->desc[at].next);
	}
	GW_TRACK_STORE(part->used_idx, ring->used);
	split_count(track, ring->num);
	for (unsigned i = 0; i < ring->num; i++) {
		if (GW_TRACK_LOAD(part->desc[i].inflight))
			gw_track_found(track, (uint16_t)i, 1, GW_TRACK_LOAD(part->desc[i].counter));
	}
	return 0;
}

static uint16_t split_pop(struct gw_track *track, uint16_t id,
			  const struct vring_packed_desc *descs, unsigned count)
{
	struct gw_track_split_desc *desc = &track->split->desc[id];

	(void)descs;
	(void)count;
	GW_TRACK_STORE(desc->counter, track->counter++);
	GW_TRACK_STORE(desc->inflight, 1);
	return id;
}

static void split_publishing(struct gw_track *track)
{
	uint16_t head = GW_TRACK_NONE;

	for (unsigned i = 0; i < track->batched; i++) {
		GW_TRACK_STORE(track->split->desc[track->batch[i]].next, head);
		head = track->batch[i];
	}
	GW_TRACK_STORE(track->split->last_batch_head, head);
}

static void split_published(struct gw_track *track)
{
	for (unsigned i = 0; i < track->batched; i++)
		GW_TRACK_STORE(track->split->desc[track->batch[i]].inflight, 0);
	GW_TRACK_STORE(track->split->used_idx, track->used);
}

const struct gw_track_ops gw_track_ops_split = {
	.init = split_init,
	.recover = split_recover,
	.pop = split_pop,
	.publishing = split_publishing,
	.published = split_published,
};
