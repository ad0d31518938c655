/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/track_layout.h - the in-flight region's layout (vhost-user, "Inflight I/O tracking"). */
#ifndef GW_VIRTIO_TRACK_LAYOUT_H
#define GW_VIRTIO_TRACK_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* 0 is a region that nobody has written to. */
#define GW_TRACK_VERSION 1

struct gw_track_split_desc {
	uint8_t inflight;
	uint8_t padding[5];
	uint16_t next;	  /* in the list of the last batch */
	uint64_t counter; /* the order of popping */
};

struct gw_track_split {
	uint64_t features; /* 0 */
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;
	uint16_t used_idx;
	struct gw_track_split_desc desc[];
};

struct gw_track_packed_desc {
	uint8_t inflight;
	uint8_t padding;
	uint16_t next; /* in the free list, or in the chain */
	uint16_t last; /* the chain's last entry */
	uint16_t num;  /* the chain's length */
	uint64_t counter;
	uint16_t id;
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

struct gw_track_packed {
	uint64_t features; /* 0 */
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head, old_free_head;
	union {
		struct {
			uint16_t used_idx, old_used_idx;
			uint8_t used_wrap_counter, old_used_wrap_counter;
		};
		uint64_t positions; /* these four, for one store; and padding */
	};
	uint8_t padding[5];
	struct gw_track_packed_desc desc[];
};

_Static_assert(sizeof(struct gw_track_split_desc) == 16, "DescStateSplit");
_Static_assert(offsetof(struct gw_track_split_desc, next) == 6, "DescStateSplit.next");
_Static_assert(offsetof(struct gw_track_split_desc, counter) == 8, "DescStateSplit.counter");
_Static_assert(sizeof(struct gw_track_split) == 16, "QueueRegionSplit");
_Static_assert(offsetof(struct gw_track_split, used_idx) == 14, "QueueRegionSplit.used_idx");
_Static_assert(offsetof(struct gw_track_split, desc) == 16, "QueueRegionSplit.desc");
_Static_assert(sizeof(struct gw_track_packed_desc) == 32, "DescStatePacked");
_Static_assert(offsetof(struct gw_track_packed_desc, counter) == 8, "DescStatePacked.counter");
_Static_assert(offsetof(struct gw_track_packed_desc, addr) == 24, "DescStatePacked.addr");
_Static_assert(sizeof(struct gw_track_packed) == 32, "QueueRegionPacked");
_Static_assert(offsetof(struct gw_track_packed, positions) == 16, "QueueRegionPacked");
_Static_assert(offsetof(struct gw_track_packed, used_wrap_counter) == 20, "QueueRegionPacked");
_Static_assert(offsetof(struct gw_track_packed, desc) == 32, "QueueRegionPacked.desc");

#endif
