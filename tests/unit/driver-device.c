/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/driver-device.c - a device of few lines: takes chains off either ring, gives them back. */
#include <assert.h>
#include <stdlib.h>

#include "driver-device.h"

static uint64_t gpa_of(const void *opaque, const void *ptr, size_t len)
{
	const struct device *device = opaque;
	uint64_t at = (uint64_t)((const char *)ptr - device->mem);

	return at < MEM_BYTES && len <= MEM_BYTES - at ? MEM_GPA + at : UINT64_MAX;
}

void device_setup(struct device *device, bool packed, bool event_idx, bool indirect)
{
	struct gw_driver_config config = {
		.num = NUM,
		.packed = packed,
		.event_idx = event_idx,
		.indirect = indirect,
		.ring_gpa = MEM_GPA,
		.gpa_of = gpa_of,
		.opaque = device,
	};

	*device = (struct device){.packed = packed, .avail_wrap = true, .used_wrap = true};
	device->mem = aligned_alloc(4096, MEM_BYTES);
	device->buffers = device->mem + gw_driver_bytes(NUM, packed, indirect);
	config.ring = device->mem;
	assert(!gw_driver_new(&device->driver, &config));
	gw_driver_areas(device->driver, &device->desc, &device->avail, &device->used);
}

void device_teardown(struct device *device)
{
	gw_driver_free(device->driver);
	free(device->mem);
}

static unsigned split_table(struct seg *segs, const struct vring_desc *table, uint16_t at)
{
	unsigned count = 0;

	do {
		segs[count++] = (struct seg){table[at].addr, table[at].len,
					     !!(table[at].flags & VRING_DESC_F_WRITE)};
	} while (table[at].flags & VRING_DESC_F_NEXT && (at = table[at].next, true));
	return count;
}

static unsigned split_pop(struct device *device, struct seg *segs, uint16_t *id, uint16_t *descs)
{
	const struct vring_desc *ring = (void *)(device->mem + device->desc);
	const struct vring_avail *avail = (void *)(device->mem + device->avail);

	if (avail->idx == device->next_avail)
		return 0;
	*id = avail->ring[device->next_avail++ % NUM];
	*descs = 0;
	if (!(ring[*id].flags & VRING_DESC_F_INDIRECT))
		return split_table(segs, ring, *id);
	return split_table(segs, (void *)(device->mem + (ring[*id].addr - MEM_GPA)), 0);
}

static void step(uint16_t *at, bool *wrap, unsigned by)
{
	*at = (uint16_t)(*at + by);
	if (*at >= NUM) {
		*at = (uint16_t)(*at - NUM);
		*wrap = !*wrap;
	}
}

static struct seg packed_seg(const struct vring_packed_desc *desc)
{
	return (struct seg){desc->addr, desc->len, !!(desc->flags & VRING_DESC_F_WRITE)};
}

static bool is_available(const struct device *device)
{
	uint16_t flags = ((struct vring_packed_desc *)device->mem)[device->next_avail].flags;
	bool avail = flags & 1 << VRING_PACKED_DESC_F_AVAIL;
	bool used = flags & 1 << VRING_PACKED_DESC_F_USED;

	return avail == device->avail_wrap && used != device->avail_wrap;
}

static unsigned packed_pop(struct device *device, struct seg *segs, uint16_t *id, uint16_t *descs)
{
	const struct vring_packed_desc *ring = (void *)device->mem, *table;
	unsigned count = 0;
	uint16_t flags;

	if (!is_available(device))
		return 0;
	if (ring[device->next_avail].flags & VRING_DESC_F_INDIRECT) {
		table = (void *)(device->mem + (ring[device->next_avail].addr - MEM_GPA));
		for (; count < ring[device->next_avail].len / sizeof(*table); count++)
			segs[count] = packed_seg(&table[count]);
		*id = ring[device->next_avail].id;
		*descs = 1;
		step(&device->next_avail, &device->avail_wrap, 1);
		return count;
	}
	do {
		flags = ring[device->next_avail].flags;
		segs[count++] = packed_seg(&ring[device->next_avail]);
		*id = ring[device->next_avail].id;
		step(&device->next_avail, &device->avail_wrap, 1);
	} while (flags & VRING_DESC_F_NEXT);
	*descs = (uint16_t)count;
	return count;
}

unsigned device_pop(struct device *device, struct seg *segs, uint16_t *id, uint16_t *descs)
{
	return device->packed ? packed_pop(device, segs, id, descs)
			      : split_pop(device, segs, id, descs);
}

void device_push(struct device *device, uint16_t id, uint16_t descs, uint32_t len)
{
	struct vring_used *used = (void *)(device->mem + device->used);
	struct vring_packed_desc *ring = (void *)device->mem;

	if (!device->packed) {
		used->ring[used->idx % NUM] = (struct vring_used_elem){.id = id, .len = len};
		used->idx++;
		return;
	}
	ring[device->next_used].id = id;
	ring[device->next_used].len = len;
	ring[device->next_used].flags =
		device->used_wrap ? 1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED
				  : 0;
	step(&device->next_used, &device->used_wrap, descs);
}

void device_ask_kick(struct device *device, bool ask)
{
	struct vring_used *used = (void *)(device->mem + device->used);
	struct vring_packed_desc_event *event = (void *)used;

	if (!device->packed) {
		used->flags = ask ? 0 : VRING_USED_F_NO_NOTIFY;
		used->ring[NUM].id = (uint16_t)(device->next_avail - (ask ? 0 : 1));
		return;
	}
	event->off_wrap = (uint16_t)(device->next_avail |
				     (device->avail_wrap ? 1 << VRING_PACKED_EVENT_F_WRAP_CTR : 0));
	event->flags = ask ? VRING_PACKED_EVENT_FLAG_DESC : VRING_PACKED_EVENT_FLAG_DISABLE;
}
