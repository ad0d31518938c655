/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver_ring.h - what the split and the packed driver share; private to driver*.c. */
#ifndef GW_VIRTIO_DRIVER_RING_H
#define GW_VIRTIO_DRIVER_RING_H

#include <linux/virtio_ring.h>

#include "virtio/driver.h"

/*
 * Publish, then look whether the other side wants to be told; ask to be told, then look whether
 * there is something already (VIRTIO 1.3, 2.7.13.4 and 2.8.21): what either side writes and then
 * reads is sequentially consistent, field by field. Fences would do too, but ThreadSanitizer does
 * not know them.
 */

/* One segment of a chain, checked. */
struct gw_driver_seg {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

/* What is outstanding under one id: split rings use the head descriptor, packed ones a buffer id.
 */
struct gw_driver_slot {
	void *token;
	uint16_t descs; /* entries of the ring that it took, 0: not outstanding */
	uint16_t next;	/* split: of the free list; packed: the next free id */
};

struct gw_driver {
	struct gw_driver_config config;
	const struct gw_driver_ops *ops;
	struct gw_driver_slot *slots; /* num of them */
	uint16_t free_head;
	unsigned free_descs;
	unsigned outstanding;
	unsigned added; /* ring positions since wants_kick() was last asked */
	bool broken;
	/* Split: both free-running 16-bit counters. Packed: positions below num, and wrap bits. */
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
	struct gw_driver_seg *segs; /* of the chain that is being added, num of them */
};

struct gw_driver_ops {
	size_t (*ring_bytes)(unsigned num);
	void (*areas)(unsigned num, uint64_t *desc, uint64_t *avail, uint64_t *used);
	uint32_t (*base)(const struct gw_driver *driver);
	/* @table is the gpa of an indirect table that holds the chain, or 0. There is room. */
	void (*put)(struct gw_driver *driver, unsigned segs, uint64_t table, void *token);
	bool (*wants_kick)(struct gw_driver *driver);
	/* The next used element, by id, or false. */
	bool (*take)(struct gw_driver *driver, uint32_t *id, uint32_t *len);
	/* The slot of the element just taken is free again. */
	void (*release)(struct gw_driver *driver, uint16_t id);
	bool (*arm)(struct gw_driver *driver);
	/* One descriptor of an indirect table. */
	void (*table_entry)(void *table, unsigned i, unsigned count,
			    const struct gw_driver_seg *seg);
};

extern const struct gw_driver_ops gw_driver_split, gw_driver_packed;

/* Was @event among the last @added of positions that end before @next? Counters modulo 2^16. */
static inline bool gw_driver_event_passed(uint16_t event, uint16_t next, uint16_t added)
{
	return (uint16_t)(next - event - 1) < added;
}

static inline void *gw_driver_at(const struct gw_driver *driver, uint64_t offset)
{
	return (char *)driver->config.ring + offset;
}

#endif
