/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/track.h - the before and after hooks of each request, kept in the in-flight region. */
#ifndef GW_VIRTIO_TRACK_H
#define GW_VIRTIO_TRACK_H

#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>

#include "virtio/inflight.h"

/* Used elements published together at most; bounds what a crash leaves undecided, too. */
#define GW_BATCH_MAX 16

/* An entry that is none: of a request that could not be recorded. */
#define GW_TRACK_NONE UINT16_MAX

/*
 * One queue's part of a region. The region is shared with the front-end, so it is believed once, at
 * gw_track_open(), after checks; from there on it is only written, from private copies.
 */
struct gw_track;

/* The ring at the time of opening: what tells whether the last batch was published. */
struct gw_track_ring {
	unsigned num;
	bool packed;
	uint16_t used; /* split: the index in the used ring; packed: where a fresh region begins */
	bool used_wrap;
	const struct vring_packed_desc *desc; /* packed: the descriptor ring */
};

/* Decides what a crash between any two stores left open, or initialises a fresh part. -EINVAL for
 * contents that cannot be. */
int gw_track_open(struct gw_track **track, struct gw_inflight *inflight, unsigned queue,
		  const struct gw_track_ring *ring);
void gw_track_close(struct gw_track *track); /* NULL is allowed */

/* Was there an earlier life? Then, packed: the used position at which the ring goes on. */
bool gw_track_is_old(const struct gw_track *track, uint16_t *used, bool *used_wrap);

/* What was in flight when the region was opened, in the order in which it was popped. */
struct gw_track_entry {
	uint64_t counter;
	uint16_t entry; /* split: the head; packed: index into the region */
	uint16_t descs; /* packed: descriptors on the ring */
};
unsigned gw_track_count(const struct gw_track *track);
struct gw_track_entry gw_track_entry_at(const struct gw_track *track, unsigned i);
/* Packed: the descriptors of entry @i, as they were on the ring; room for its descs. */
void gw_track_descs(const struct gw_track *track, unsigned i, struct vring_packed_desc *descs);

/* Before a request is handed to the device: record it. Split: @id is the head; packed: @descs are
 * its descriptors, @count of them. Returns the entry. */
uint16_t gw_track_pop(struct gw_track *track, uint16_t id, const struct vring_packed_desc *descs,
		      unsigned count);
/* Of the entry that was recorded last: no other's on this region, ever, and not 0. */
uint64_t gw_track_serial(const struct gw_track *track, uint16_t entry);
/* After it: it joins the batch that is to be published, of at most GW_BATCH_MAX. */
void gw_track_push(struct gw_track *track, uint16_t entry);
/* Before and after the store that publishes the batch; @used is the position after it. */
void gw_track_publishing(struct gw_track *track, uint16_t used, bool used_wrap);
void gw_track_published(struct gw_track *track);

#endif
