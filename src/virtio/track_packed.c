/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/track_packed.c - in-flight tracking of packed rings. */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "godwit/error.h"
#include "virtio/track_internal.h"

/*
 * Entries of requests that are done form a free list; its end is the number of entries. The region
 * holds each head and position twice: old_* is what was valid before the batch that is just being
 * published. Between batches both are the same.
 */

/*
 * Both used positions and their wrap counters change in one store. The specification's order, an
 * index and then its wrap counter, has a gap when a batch crosses the end of the ring: who dies
 * there leaves two equal indices of different laps, and they look as if nothing had been published.
 */
static void store_positions(struct gw_track *track, uint16_t old_used, bool old_wrap)
{
	struct gw_track_packed at = {.used_idx = track->used,
				     .old_used_idx = old_used,
				     .used_wrap_counter = track->used_wrap,
				     .old_used_wrap_counter = old_wrap};

	GW_TRACK_STORE(track->packed->positions, at.positions);
	track->old_used = old_used;
	track->old_used_wrap = old_wrap;
}

static void settle_positions(struct gw_track *track)
{
	GW_TRACK_STORE(track->packed->free_head, track->free_head);
	GW_TRACK_STORE(track->packed->old_free_head, track->free_head);
	store_positions(track, track->used, track->used_wrap);
}

static void packed_count(struct gw_track *track, unsigned num)
{
	for (unsigned i = 0; i < num; i++)
		gw_track_counted(track, GW_TRACK_LOAD(track->packed->desc[i].counter));
}

static void packed_init(struct gw_track *track, const struct gw_track_ring *ring)
{
	struct gw_track_packed *part = track->packed;

	packed_count(track, ring->num);
	GW_TRACK_STORE(part->features, 0);
	GW_TRACK_STORE(part->desc_num, (uint16_t)ring->num);
	for (unsigned i = 0; i < ring->num; i++) {
		track->next[i] = (uint16_t)(i + 1);
		GW_TRACK_STORE(part->desc[i].next, track->next[i]);
		GW_TRACK_STORE(part->desc[i].inflight, 0);
	}
	track->free_head = 0;
	track->used = ring->used;
	track->used_wrap = ring->used_wrap;
	settle_positions(track);
	GW_TRACK_STORE(part->version, GW_TRACK_VERSION); /* valid from here on */
}

/* Both positions of the last batch, as the region has them. */
struct positions {
	uint16_t free_head, used, old_free_head, old_used;
	bool wrap, old_wrap;
};

static int load_positions(struct gw_track *track, struct positions *at)
{
	struct gw_track_packed *part = track->packed;

	at->free_head = GW_TRACK_LOAD(part->free_head);
	at->used = GW_TRACK_LOAD(part->used_idx);
	at->wrap = GW_TRACK_LOAD(part->used_wrap_counter);
	at->old_free_head = GW_TRACK_LOAD(part->old_free_head);
	at->old_used = GW_TRACK_LOAD(part->old_used_idx);
	at->old_wrap = GW_TRACK_LOAD(part->old_used_wrap_counter);
	if (at->used >= track->num || at->old_used >= track->num || at->free_head > track->num ||
	    at->old_free_head > track->num)
		return gw_fail(EINVAL, "in-flight region: positions beyond a ring of %u",
			       track->num);
	return 0;
}

/* The batch's first descriptor is the last thing to be stored: if it still looks as the driver
 * made it available, the batch was not published. */
static bool was_published(const struct gw_track_ring *ring, const struct positions *at)
{
	uint16_t flags =
		le16toh(__atomic_load_n(&ring->desc[at->old_used].flags, __ATOMIC_ACQUIRE));
	bool avail = flags >> VRING_PACKED_DESC_F_AVAIL & 1;
	bool used = flags >> VRING_PACKED_DESC_F_USED & 1;

	if (at->used == at->old_used && at->wrap == at->old_wrap)
		return false;
	return !(avail == at->old_wrap && used != at->old_wrap);
}

static int broken_links(void)
{
	return gw_fail(EINVAL, "in-flight region: its lists are broken");
}

/* Marks what it walks over in @seen; each entry belongs to one list. */
static int walk_free(struct gw_track *track, uint8_t *seen)
{
	struct gw_track_packed *part = track->packed;
	uint16_t at = track->free_head;

	while (at < track->num) {
		if (seen[at])
			return broken_links();
		seen[at] = 1;
		GW_TRACK_STORE(part->desc[at].inflight, 0);
		track->next[at] = GW_TRACK_LOAD(part->desc[at].next);
		at = track->next[at];
	}
	return 0;
}

static int walk_chain(struct gw_track *track, uint16_t head, uint8_t *seen)
{
	struct gw_track_packed *part = track->packed;
	uint16_t count = GW_TRACK_LOAD(part->desc[head].num);
	uint16_t at = head;

	if (!count || count > track->num)
		return broken_links();
	for (uint16_t i = 0; i < count; i++) {
		if (at >= track->num || seen[at])
			return broken_links();
		seen[at] = 1;
		track->last[head] = at;
		track->next[at] = GW_TRACK_LOAD(part->desc[at].next);
		at = track->next[at];
	}
	gw_track_found(track, head, count, GW_TRACK_LOAD(part->desc[head].counter));
	return 0;
}

/* A chain's later entries may carry an old inflight mark, so those marked free are cleared first
 * and chains are walked from the entries that no chain holds. */
static int walk_all(struct gw_track *track)
{
	uint8_t *seen = calloc(track->num, 1);
	int err;

	if (!seen)
		return gw_fail(ENOMEM, "in-flight region: no memory");
	err = walk_free(track, seen);
	for (unsigned i = 0; !err && i < track->num; i++) {
		if (!seen[i] && GW_TRACK_LOAD(track->packed->desc[i].inflight))
			err = walk_chain(track, (uint16_t)i, seen);
	}
	free(seen);
	return err;
}

static int packed_recover(struct gw_track *track, const struct gw_track_ring *ring)
{
	struct positions at;
	int err = load_positions(track, &at);
	bool published;

	if (err)
		return err;
	published = was_published(ring, &at);
	track->free_head = published ? at.free_head : at.old_free_head;
	track->used = published ? at.used : at.old_used;
	track->used_wrap = published ? at.wrap : at.old_wrap;
	settle_positions(track);
	packed_count(track, ring->num);
	return walk_all(track);
}

void gw_track_descs(const struct gw_track *track, unsigned i, struct vring_packed_desc *descs)
{
	struct gw_track_entry found = track->found[i];
	uint16_t at = found.entry;

	for (uint16_t n = 0; n < found.descs; n++) {
		const struct gw_track_packed_desc *desc = &track->packed->desc[at];

		descs[n] = (struct vring_packed_desc){.addr = GW_TRACK_LOAD(desc->addr),
						      .len = GW_TRACK_LOAD(desc->len),
						      .id = GW_TRACK_LOAD(desc->id),
						      .flags = GW_TRACK_LOAD(desc->flags)};
		at = track->next[at];
	}
}

/* Is there room? The queue never has more descriptors out than the ring has entries, but what
 * was recorded before it was loaded from elsewhere may fill the list in another way. */
static bool has_room(const struct gw_track *track, unsigned count)
{
	uint16_t at = track->free_head;

	while (count && at < track->num) {
		at = track->next[at];
		count--;
	}
	return !count;
}

/* The head's mark is stored before the head leaves the free list: until then, it is free. */
static uint16_t packed_pop(struct gw_track *track, uint16_t id,
			   const struct vring_packed_desc *descs, unsigned count)
{
	struct gw_track_packed *part = track->packed;
	uint16_t head = track->free_head, at = head;

	(void)id;
	if (!count || !has_room(track, count))
		return GW_TRACK_NONE;
	GW_TRACK_STORE(part->desc[head].num, (uint16_t)count);
	GW_TRACK_STORE(part->desc[head].counter, track->counter++);
	GW_TRACK_STORE(part->desc[head].inflight, 1);
	for (unsigned i = 0; i < count; i++) {
		struct gw_track_packed_desc *desc = &part->desc[at];

		GW_TRACK_STORE(desc->addr, descs[i].addr);
		GW_TRACK_STORE(desc->len, descs[i].len);
		GW_TRACK_STORE(desc->flags, descs[i].flags);
		GW_TRACK_STORE(desc->id, descs[i].id);
		track->last[head] = at;
		at = track->next[at];
	}
	GW_TRACK_STORE(part->desc[head].last, track->last[head]);
	track->free_head = at;
	GW_TRACK_STORE(part->free_head, at);
	GW_TRACK_STORE(part->old_free_head, at);
	return head;
}

static void packed_publishing(struct gw_track *track)
{
	for (unsigned i = 0; i < track->batched; i++) {
		uint16_t head = track->batch[i], last = track->last[head];

		track->next[last] = track->free_head;
		GW_TRACK_STORE(track->packed->desc[last].next, track->free_head);
		track->free_head = head;
	}
	GW_TRACK_STORE(track->packed->free_head, track->free_head);
	store_positions(track, track->old_used, track->old_used_wrap);
}

static void packed_published(struct gw_track *track)
{
	for (unsigned i = 0; i < track->batched; i++)
		GW_TRACK_STORE(track->packed->desc[track->batch[i]].inflight, 0);
	GW_TRACK_STORE(track->packed->old_free_head, track->free_head);
	store_positions(track, track->used, track->used_wrap);
}

const struct gw_track_ops gw_track_ops_packed = {
	.init = packed_init,
	.recover = packed_recover,
	.pop = packed_pop,
	.publishing = packed_publishing,
	.published = packed_published,
};
