/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/track_internal.h - what the two layouts of the in-flight region share. */
#ifndef GW_VIRTIO_TRACK_INTERNAL_H
#define GW_VIRTIO_TRACK_INTERNAL_H

#include "virtio/track_layout.h"
#include "virtio/track.h"

struct gw_track {
	const struct gw_track_ops *ops;
	struct gw_inflight *inflight;
	union {
		struct gw_track_split *split;
		struct gw_track_packed *packed;
		void *part;
	};
	unsigned num;
	bool old; /* the region had an earlier life */
	uint64_t counter;
	uint16_t batch[GW_BATCH_MAX];
	unsigned batched;
	uint16_t used;
	bool used_wrap;

	struct gw_track_entry *found; /* in flight at opening */
	unsigned found_count;

	/* Packed: private copies of the region's last settled position, and of its links. */
	uint16_t old_used, free_head;
	bool old_used_wrap;
	uint16_t *next, *last;
};

struct gw_track_ops {
	void (*init)(struct gw_track *track, const struct gw_track_ring *ring);
	int (*recover)(struct gw_track *track, const struct gw_track_ring *ring);
	uint16_t (*pop)(struct gw_track *track, uint16_t id, const struct vring_packed_desc *descs,
			unsigned count);
	void (*publishing)(struct gw_track *track);
	void (*published)(struct gw_track *track);
};

extern const struct gw_track_ops gw_track_ops_split, gw_track_ops_packed;

/* Adds to what was found in flight. */
void gw_track_counted(struct gw_track *track, uint64_t counter);
void gw_track_found(struct gw_track *track, uint16_t entry, uint16_t descs, uint64_t counter);

/* One store after another, as a process that dies leaves them: the order is the protocol. A test
 * puts its own in place, and dies before each of them. */
#ifndef GW_TRACK_STORE
#define GW_TRACK_STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELEASE)
#endif
#define GW_TRACK_LOAD(field) __atomic_load_n(&(field), __ATOMIC_ACQUIRE)

#endif
