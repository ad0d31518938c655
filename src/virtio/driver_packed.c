/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver_packed.c - the driver side of packed rings (VIRTIO 1.3, 2.8). */
#include <stddef.h>

#include "base/checked.h"
#include "virtio/driver_ring.h"

#define F_AVAIL (UINT16_C(1) << VRING_PACKED_DESC_F_AVAIL)
#define F_USED	(UINT16_C(1) << VRING_PACKED_DESC_F_USED)
#define F_WRAP	(UINT16_C(1) << VRING_PACKED_EVENT_F_WRAP_CTR)

typedef struct vring_packed_desc_event event_area;

/* The device's event structure has a page of its own, for the dirty log's tests. */
static void packed_areas(unsigned num, uint64_t *desc, uint64_t *avail, uint64_t *used)
{
	*desc = 0;
	*avail = num * sizeof(struct vring_packed_desc);
	*used = gw_round_up(*avail + sizeof(event_area), 4096);
}

static size_t packed_bytes(unsigned num)
{
	uint64_t desc, avail, used;

	packed_areas(num, &desc, &avail, &used);
	return used + sizeof(event_area);
}

static struct vring_packed_desc *descs(const struct gw_driver *driver)
{
	return driver->config.ring;
}

static event_area *driver_event(const struct gw_driver *driver)
{
	uint64_t desc, avail, used;

	packed_areas(driver->config.num, &desc, &avail, &used);
	return gw_driver_at(driver, avail);
}

static event_area *device_event(const struct gw_driver *driver)
{
	uint64_t desc, avail, used;

	packed_areas(driver->config.num, &desc, &avail, &used);
	return gw_driver_at(driver, used);
}

/* vhost-user's combined form: both positions at the oldest descriptor that did not come back. */
static uint32_t packed_base(const struct gw_driver *driver)
{
	uint32_t half = driver->next_used | (driver->used_wrap ? F_WRAP : 0);

	return half | half << 16;
}

static void packed_table_entry(void *table, unsigned i, unsigned count,
			       const struct gw_driver_seg *seg)
{
	(void)count; /* a packed table's length says where it ends: 2.8.8 */
	((struct vring_packed_desc *)table)[i] = (struct vring_packed_desc){
		.addr = seg->gpa,
		.len = seg->len,
		.flags = seg->writable ? VRING_DESC_F_WRITE : 0,
	};
}

static void advance(const struct gw_driver *driver, uint16_t *position, bool *wrap, unsigned by)
{
	unsigned sum = *position + by;

	if (sum >= driver->config.num) {
		sum -= driver->config.num;
		*wrap = !*wrap;
	}
	*position = (uint16_t)sum;
}

static uint16_t avail_bits(bool wrap)
{
	return wrap ? F_AVAIL : F_USED;
}

/* The flags of the first descriptor are written last: they hand over the chain (2.8.14). */
static void packed_put(struct gw_driver *driver, unsigned segs, uint64_t table, void *token)
{
	struct gw_driver_seg indirect = {
		.gpa = table, .len = (uint32_t)(segs * sizeof(struct vring_packed_desc))};
	uint16_t id = driver->free_head, first = driver->next_avail, first_flags = 0;
	unsigned count = table ? 1 : segs;

	for (unsigned i = 0; i < count; i++) {
		const struct gw_driver_seg *seg = table ? &indirect : &driver->segs[i];
		struct vring_packed_desc *desc = &descs(driver)[driver->next_avail];
		uint16_t flags = (uint16_t)(avail_bits(driver->avail_wrap) |
					    (seg->writable ? VRING_DESC_F_WRITE : 0) |
					    (i + 1 < count ? VRING_DESC_F_NEXT : 0) |
					    (table ? VRING_DESC_F_INDIRECT : 0));

		desc->addr = seg->gpa;
		desc->len = seg->len;
		desc->id = id;
		if (i)
			desc->flags = flags;
		else
			first_flags = flags;
		advance(driver, &driver->next_avail, &driver->avail_wrap, 1);
	}
	driver->free_head = driver->slots[id].next;
	driver->slots[id].token = token;
	driver->slots[id].descs = (uint16_t)count;
	driver->free_descs -= count;
	driver->added += count;
	__atomic_store_n(&descs(driver)[first].flags, first_flags, __ATOMIC_SEQ_CST);
}

/* How far the available position is ahead of @off_wrap; both wrap counters tell the lap. */
static unsigned ahead_of(const struct gw_driver *driver, uint16_t off_wrap)
{
	unsigned off = off_wrap & (F_WRAP - 1u);
	bool same_lap = !!(off_wrap & F_WRAP) == driver->avail_wrap;

	return driver->next_avail + (same_lap ? 0 : driver->config.num) - off;
}

static bool packed_wants_kick(struct gw_driver *driver)
{
	event_area *event = device_event(driver);
	uint16_t flags = __atomic_load_n(&event->flags, __ATOMIC_SEQ_CST);
	uint16_t off_wrap = __atomic_load_n(&event->off_wrap, __ATOMIC_RELAXED);

	if (flags == VRING_PACKED_EVENT_FLAG_DESC && driver->config.event_idx)
		return ahead_of(driver, off_wrap) - 1 < driver->added;
	return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
}

static bool is_used(const struct gw_driver *driver)
{
	uint16_t flags = __atomic_load_n(&descs(driver)[driver->next_used].flags, __ATOMIC_SEQ_CST);
	bool avail = flags & F_AVAIL, used = flags & F_USED;

	return avail == used && used == driver->used_wrap;
}

static bool packed_take(struct gw_driver *driver, uint32_t *id, uint32_t *len)
{
	const struct vring_packed_desc *desc = &descs(driver)[driver->next_used];

	if (!is_used(driver))
		return false;
	*id = desc->id;
	*len = desc->len;
	return true;
}

static void packed_release(struct gw_driver *driver, uint16_t id)
{
	struct gw_driver_slot *slot = &driver->slots[id];

	advance(driver, &driver->next_used, &driver->used_wrap, slot->descs);
	driver->free_descs += slot->descs;
	slot->descs = 0;
	slot->next = driver->free_head;
	driver->free_head = id;
}

static bool packed_arm(struct gw_driver *driver)
{
	event_area *event = driver_event(driver);
	uint16_t off_wrap = (uint16_t)(driver->next_used | (driver->used_wrap ? F_WRAP : 0));

	if (driver->config.event_idx) {
		__atomic_store_n(&event->off_wrap, off_wrap, __ATOMIC_RELAXED);
		__atomic_store_n(&event->flags, VRING_PACKED_EVENT_FLAG_DESC, __ATOMIC_SEQ_CST);
	}
	return is_used(driver);
}

const struct gw_driver_ops gw_driver_packed = {
	.ring_bytes = packed_bytes,
	.areas = packed_areas,
	.base = packed_base,
	.put = packed_put,
	.wants_kick = packed_wants_kick,
	.take = packed_take,
	.release = packed_release,
	.arm = packed_arm,
	.table_entry = packed_table_entry,
};
