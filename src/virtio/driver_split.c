/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver_split.c - the driver side of split rings (VIRTIO 1.3, 2.7). */
#include <stddef.h>

#include "base/checked.h"
#include "virtio/driver_ring.h"

static size_t avail_bytes(unsigned num)
{
	return sizeof(struct vring_avail) +
	       (num + 1) * sizeof(uint16_t); /* used_event at the end */
}

static size_t used_bytes(unsigned num)
{
	return sizeof(struct vring_used) + num * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

/* The used ring has pages of its own, so that a test sees which of them are logged as dirty. */
static void split_areas(unsigned num, uint64_t *desc, uint64_t *avail, uint64_t *used)
{
	*desc = 0;
	*avail = num * sizeof(struct vring_desc);
	*used = gw_round_up(*avail + avail_bytes(num), 4096);
}

static size_t split_bytes(unsigned num)
{
	uint64_t desc, avail, used;

	split_areas(num, &desc, &avail, &used);
	return used + used_bytes(num);
}

static struct vring_desc *descs(const struct gw_driver *driver)
{
	return driver->config.ring;
}

static struct vring_avail *avail_ring(const struct gw_driver *driver)
{
	uint64_t desc, avail, used;

	split_areas(driver->config.num, &desc, &avail, &used);
	return gw_driver_at(driver, avail);
}

static struct vring_used *used_ring(const struct gw_driver *driver)
{
	uint64_t desc, avail, used;

	split_areas(driver->config.num, &desc, &avail, &used);
	return gw_driver_at(driver, used);
}

static uint16_t used_idx(const struct gw_driver *driver)
{
	return __atomic_load_n(&used_ring(driver)->idx, __ATOMIC_SEQ_CST);
}

/* A device that died took what it took: the used index is all that memory remembers. */
static uint32_t split_base(const struct gw_driver *driver)
{
	return used_idx(driver);
}

static void split_table_entry(void *table, unsigned i, unsigned count,
			      const struct gw_driver_seg *seg)
{
	bool last = i + 1 == count;

	((struct vring_desc *)table)[i] = (struct vring_desc){
		.addr = seg->gpa,
		.len = seg->len,
		.flags = (uint16_t)((seg->writable ? VRING_DESC_F_WRITE : 0) |
				    (last ? 0 : VRING_DESC_F_NEXT)),
		.next = (uint16_t)(last ? 0 : i + 1),
	};
}

/* Takes @count descriptors off the free list, which the slots' next members keep. */
static void fill_chain(struct gw_driver *driver, unsigned count)
{
	uint16_t at = driver->free_head;

	for (unsigned i = 0; i < count; i++) {
		const struct gw_driver_seg *seg = &driver->segs[i];
		bool last = i + 1 == count;

		descs(driver)[at] = (struct vring_desc){
			.addr = seg->gpa,
			.len = seg->len,
			.flags = (uint16_t)((seg->writable ? VRING_DESC_F_WRITE : 0) |
					    (last ? 0 : VRING_DESC_F_NEXT)),
			.next = driver->slots[at].next,
		};
		at = driver->slots[at].next;
	}
	driver->free_head = at;
}

static void split_put(struct gw_driver *driver, unsigned segs, uint64_t table, void *token)
{
	struct vring_avail *avail = avail_ring(driver);
	uint16_t head = driver->free_head;
	unsigned count = table ? 1 : segs;

	if (table) {
		descs(driver)[head] = (struct vring_desc){
			.addr = table,
			.len = (uint32_t)(segs * sizeof(struct vring_desc)),
			.flags = VRING_DESC_F_INDIRECT,
		};
		driver->free_head = driver->slots[head].next;
	} else {
		fill_chain(driver, count);
	}
	driver->slots[head].token = token;
	driver->slots[head].descs = (uint16_t)count;
	driver->free_descs -= count;
	avail->ring[driver->next_avail & (driver->config.num - 1)] = head;
	driver->next_avail++;
	driver->added++;
	__atomic_store_n(&avail->idx, driver->next_avail, __ATOMIC_SEQ_CST);
}

static bool split_wants_kick(struct gw_driver *driver)
{
	struct vring_used *used = used_ring(driver);
	const uint16_t *avail_event = (const uint16_t *)&used->ring[driver->config.num];

	if (!driver->config.event_idx)
		return !(__atomic_load_n(&used->flags, __ATOMIC_SEQ_CST) & VRING_USED_F_NO_NOTIFY);
	return gw_driver_event_passed(__atomic_load_n(avail_event, __ATOMIC_SEQ_CST),
				      driver->next_avail, (uint16_t)driver->added);
}

static bool split_take(struct gw_driver *driver, uint32_t *id, uint32_t *len)
{
	const struct vring_used_elem *elem;

	if (used_idx(driver) == driver->next_used)
		return false;
	elem = &used_ring(driver)->ring[driver->next_used & (driver->config.num - 1)];
	*id = elem->id;
	*len = elem->len;
	driver->next_used++;
	return true;
}

static void split_release(struct gw_driver *driver, uint16_t id)
{
	struct gw_driver_slot *slot = &driver->slots[id];
	uint16_t last = id;

	/* The links were kept in the slots: the ring's own are guest memory. */
	for (unsigned i = 1; i < slot->descs; i++)
		last = driver->slots[last].next;
	driver->slots[last].next = driver->free_head;
	driver->free_head = id;
	driver->free_descs += slot->descs;
	slot->descs = 0;
}

/* Without event indices notifications are always on: a driver of tests has no need to save them. */
static bool split_arm(struct gw_driver *driver)
{
	struct vring_avail *avail = avail_ring(driver);

	if (driver->config.event_idx)
		__atomic_store_n(&avail->ring[driver->config.num], driver->next_used,
				 __ATOMIC_SEQ_CST);
	return used_idx(driver) != driver->next_used;
}

const struct gw_driver_ops gw_driver_split = {
	.ring_bytes = split_bytes,
	.areas = split_areas,
	.base = split_base,
	.put = split_put,
	.wants_kick = split_wants_kick,
	.take = split_take,
	.release = split_release,
	.arm = split_arm,
	.table_entry = split_table_entry,
};
