/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/ring.h - the device side of a ring; split and packed behind one interface. */
#ifndef GW_VIRTIO_RING_H
#define GW_VIRTIO_RING_H

#include <endian.h>
#include <linux/virtio_ring.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "virtio/chain.h"
#include "virtio/dirty.h"
#include "virtio/memory.h"

/*
 * One thread's, no locks. All three areas are the guest's: every value is copied once, then
 * checked, then used. Used elements are filled in first and published together.
 */
struct gw_ring {
	const struct gw_ring_ops *ops;
	const struct gw_mem *mem;
	unsigned num;
	bool event_idx, indirect; /* what was negotiated */

	/* Mapped areas. Split: descriptor table, available ring, used ring (VIRTIO 1.3, 2.7);
	 * packed: descriptor ring, driver event, device event (2.8). */
	uint8_t *desc, *driver, *device;

	/* Where our own writes are logged; NULL or off: nowhere. */
	bool log_on;
	struct gw_dirty *log;
	uint64_t desc_log, device_log; /* guest-physical addresses of the areas we write to */

	uint16_t avail, used; /* split: running counts; packed: index into the ring */
	bool avail_wrap, used_wrap;
	uint16_t avail_seen; /* split: the driver's index as last read */

	uint16_t unpublished; /* used elements filled in since the last publish */
	uint16_t batch_used;  /* packed: where they begin */
	bool batch_wrap;
	uint16_t batch_flags; /* packed: of the first of them, withheld */
	uint16_t old_used;    /* used before the last publish, for event indices */

	/* Packed: where pop leaves copies of a chain's ring descriptors; NULL if not wanted. */
	struct vring_packed_desc *copies;
};

struct gw_ring_ops {
	const char *name;
	/* Bytes of the three areas. */
	void (*sizes)(unsigned num, uint64_t *desc, uint64_t *driver, uint64_t *device);
	bool (*num_ok)(unsigned num);
	/* The 32-bit position of SET_VRING_BASE and GET_VRING_BASE. */
	int (*set_base)(struct gw_ring *ring, uint32_t base);
	uint32_t (*base)(const struct gw_ring *ring);
	/* Is a chain available? A wrong index counts as one: pop refuses it. */
	bool (*more)(struct gw_ring *ring);
	/* 1: @chain is the next; 0: none; -EPROTO: the ring is broken, with a sentence. */
	int (*pop)(struct gw_ring *ring, struct gw_chain *chain);
	/* Write a used element; the driver does not see it yet. */
	void (*fill)(struct gw_ring *ring, uint16_t id, uint16_t descs, uint32_t written);
	/* Let the driver see what was filled in. */
	void (*publish)(struct gw_ring *ring);
	/* After publish: does the driver want a call for it? */
	bool (*wants_call)(struct gw_ring *ring);
	/* Ask for no kicks (a hint), ask for kicks; true: something is there already. */
	void (*quiet)(struct gw_ring *ring);
	bool (*listen)(struct gw_ring *ring);
};

extern const struct gw_ring_ops gw_ring_split, gw_ring_packed;

/* Split: read the chain at @head, in flight since before. Packed rings have no such thing: the
 * descriptors may be overwritten. */
int gw_split_read(struct gw_ring *ring, uint16_t head, struct gw_chain *chain);
/* Packed: read a chain from @count copies of its ring descriptors. */
int gw_packed_read(struct gw_ring *ring, const struct vring_packed_desc *copies, unsigned count,
		   struct gw_chain *chain);
/* Packed: of the next @count descriptors to be used none looks used, whatever a back-end that died
 * had written there. */
void gw_packed_take_back(struct gw_ring *ring, unsigned count);

/*
 * Shared memory, little-endian. Sequentially consistent pairs stand where VIRTIO asks for a full
 * barrier between "publish" and "look at the other side's wish"; ThreadSanitizer knows these, and
 * not fences.
 */
static inline uint16_t gw_ring_load(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_SEQ_CST));
}

static inline uint16_t gw_ring_load_relaxed(const void *at)
{
	return le16toh(__atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED));
}

static inline void gw_ring_store(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static inline void gw_ring_store_relaxed(void *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)at, htole16(value), __ATOMIC_RELAXED);
}

/* A copy that is not read again from its source, whatever the compiler thinks of it. */
static inline void gw_ring_copy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" ::: "memory");
}

static inline void gw_ring_log(struct gw_ring *ring, uint64_t area, uint64_t offset, uint64_t len)
{
	if (ring->log_on)
		gw_dirty_mark(ring->log, area + offset, len);
}

#endif
