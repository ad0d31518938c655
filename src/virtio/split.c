/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/split.c - the device side of a split ring (VIRTIO 1.3, 2.7). */
#include <errno.h>
#include <stddef.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "virtio/queue.h"
#include "virtio/ring.h"

_Static_assert(sizeof(struct vring_desc) == 16, "VIRTIO 1.3, 2.7.5");
_Static_assert(sizeof(struct vring_used_elem) == 8, "VIRTIO 1.3, 2.7.8");
_Static_assert(offsetof(struct vring_avail, ring) == 4, "VIRTIO 1.3, 2.7.6");
_Static_assert(offsetof(struct vring_used, ring) == 4, "VIRTIO 1.3, 2.7.8");

static uint16_t *avail_flags(const struct gw_ring *ring)
{
	return (uint16_t *)(void *)ring->driver;
}

static uint16_t *avail_idx(const struct gw_ring *ring)
{
	return avail_flags(ring) + 1;
}

static uint16_t *avail_slot(const struct gw_ring *ring, uint16_t count)
{
	return avail_flags(ring) + 2 + (count & (ring->num - 1));
}

static uint16_t *used_event(const struct gw_ring *ring)
{
	return avail_flags(ring) + 2 + ring->num;
}

static struct vring_used *used_ring(const struct gw_ring *ring)
{
	return (struct vring_used *)(void *)ring->device;
}

static uint16_t *avail_event(const struct gw_ring *ring)
{
	return (uint16_t *)(void *)&used_ring(ring)->ring[ring->num];
}

static void log_used(struct gw_ring *ring, const void *at, size_t len)
{
	gw_ring_log(ring, ring->device_log, (uint64_t)((const uint8_t *)at - ring->device), len);
}

/* Each with its trailing event index, negotiated or not (2.7.6, 2.7.8). */
static void split_sizes(unsigned num, uint64_t *desc, uint64_t *driver, uint64_t *device)
{
	*desc = 16ULL * num;
	*driver = 6 + 2ULL * num;
	*device = 6 + 8ULL * num;
}

static bool split_num_ok(unsigned num)
{
	return gw_is_power_of_two(num) && num <= GW_QUEUE_SIZE_MAX;
}

/* The used index is nowhere but in the ring (vhost-user, "Ring states"). */
static int split_set_base(struct gw_ring *ring, uint32_t base)
{
	if (base > UINT16_MAX)
		return gw_fail(EINVAL, "split ring: base 0x%x is above 0xffff", base);
	ring->avail = ring->avail_seen = (uint16_t)base;
	ring->used = ring->old_used = gw_ring_load(&used_ring(ring)->idx);
	return 0;
}

static uint32_t split_base(const struct gw_ring *ring)
{
	return ring->avail;
}

static bool split_more(struct gw_ring *ring)
{
	if (ring->avail_seen == ring->avail)
		ring->avail_seen = gw_ring_load(avail_idx(ring));
	return ring->avail_seen != ring->avail;
}

/* Descriptors to walk: the ring's table, or an indirect one, which need not lie in one region. */
struct table {
	const uint8_t *desc; /* NULL: entry by entry through @gpa */
	uint64_t gpa;
	unsigned count;
	bool indirect;
};

static int fetch(struct gw_ring *ring, const struct table *table, unsigned at,
		 struct gw_chain *chain, struct vring_desc *desc)
{
	const uint8_t *from;

	if (at >= table->count)
		return gw_fail(EPROTO, "chain %u: descriptor %u is beyond a table of %u", chain->id,
			       at, table->count);
	from = table->desc ? table->desc + 16 * (size_t)at
			   : gw_mem_at_gpa(ring->mem, table->gpa + 16 * (uint64_t)at, 16);
	if (!from)
		return gw_fail(EPROTO, "chain %u: its indirect table is not in guest memory",
			       chain->id);
	gw_ring_copy(desc, from, sizeof(*desc));
	desc->addr = le64toh(desc->addr);
	desc->len = le32toh(desc->len);
	desc->flags = le16toh(desc->flags);
	desc->next = le16toh(desc->next);
	return 0;
}

/* Refused as 2.7.5.3 says: not negotiated, nested, with a successor, not of whole entries. */
static int indirect_table(struct gw_ring *ring, const struct vring_desc *desc,
			  struct gw_chain *chain, struct table *table)
{
	if (!ring->indirect || table->indirect || (desc->flags & VRING_DESC_F_NEXT))
		return gw_fail(EPROTO, "chain %u: an indirect descriptor that may not be here",
			       chain->id);
	if (!desc->len || desc->len % 16 || desc->len / 16 > GW_QUEUE_SIZE_MAX)
		return gw_fail(EPROTO, "chain %u: an indirect table of %u bytes", chain->id,
			       desc->len);
	*table = (struct table){.desc = gw_mem_at_gpa(ring->mem, desc->addr, desc->len),
				.gpa = desc->addr,
				.count = desc->len / 16,
				.indirect = true};
	return 0;
}

/* The descriptors from @at on; an indirect one ends the walk and leaves its table in @table. */
static int walk(struct gw_ring *ring, struct table *table, unsigned at, struct gw_chain *chain)
{
	/* A chain visits an entry once at most, so a longer one is a loop. */
	for (unsigned steps = 0; steps < table->count; steps++) {
		struct vring_desc desc;
		int err = fetch(ring, table, at, chain, &desc);

		if (err)
			return err;
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return indirect_table(ring, &desc, chain, table);
		err = gw_chain_add(chain, ring->mem, desc.addr, desc.len,
				   desc.flags & VRING_DESC_F_WRITE);
		if (err)
			return err;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		at = desc.next;
	}
	return gw_fail(EPROTO, "chain %u: longer than its table of %u", chain->id, table->count);
}

int gw_split_read(struct gw_ring *ring, uint16_t head, struct gw_chain *chain)
{
	struct table table = {.desc = ring->desc, .count = ring->num};
	int err;

	gw_chain_reset(chain);
	chain->id = head;
	err = walk(ring, &table, head, chain);
	if (!err && table.indirect)
		err = walk(ring, &table, 0, chain);
	return err;
}

static int split_pop(struct gw_ring *ring, struct gw_chain *chain)
{
	uint16_t head;
	int err;

	if (!split_more(ring))
		return 0;
	if ((uint16_t)(ring->avail_seen - ring->avail) > ring->num)
		return gw_fail(EPROTO, "available index %u, but %u were taken of a ring of %u",
			       ring->avail_seen, ring->avail, ring->num);
	head = gw_ring_load_relaxed(avail_slot(ring, ring->avail));
	err = gw_split_read(ring, head, chain);
	if (err)
		return err;
	ring->avail++;
	return 1;
}

static void split_fill(struct gw_ring *ring, uint16_t id, uint16_t descs, uint32_t written)
{
	struct vring_used_elem elem = {.id = htole32(id), .len = htole32(written)};
	void *to = &used_ring(ring)->ring[ring->used & (ring->num - 1)];

	(void)descs;
	memcpy(to, &elem, sizeof(elem));
	log_used(ring, to, sizeof(elem));
	ring->used++;
	ring->unpublished++;
}

static void split_publish(struct gw_ring *ring)
{
	ring->old_used = (uint16_t)(ring->used - ring->unpublished);
	ring->unpublished = 0;
	gw_ring_store(&used_ring(ring)->idx, ring->used);
	log_used(ring, &used_ring(ring)->idx, sizeof(uint16_t));
}

static bool split_wants_call(struct gw_ring *ring)
{
	if (!ring->event_idx)
		return !(gw_ring_load(avail_flags(ring)) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(gw_ring_load(used_event(ring)), ring->used, ring->old_used);
}

static void set_flags(struct gw_ring *ring, uint16_t flags)
{
	gw_ring_store(&used_ring(ring)->flags, flags);
	log_used(ring, &used_ring(ring)->flags, sizeof(uint16_t));
}

/* With event indices an avail_event left behind is silence enough. */
static void split_quiet(struct gw_ring *ring)
{
	if (!ring->event_idx)
		set_flags(ring, VRING_USED_F_NO_NOTIFY);
}

static bool split_listen(struct gw_ring *ring)
{
	if (ring->event_idx) {
		gw_ring_store(avail_event(ring), ring->avail);
		log_used(ring, avail_event(ring), sizeof(uint16_t));
	} else {
		set_flags(ring, 0);
	}
	ring->avail_seen = gw_ring_load(avail_idx(ring));
	return ring->avail_seen != ring->avail;
}

const struct gw_ring_ops gw_ring_split = {
	.name = "split",
	.sizes = split_sizes,
	.num_ok = split_num_ok,
	.set_base = split_set_base,
	.base = split_base,
	.more = split_more,
	.pop = split_pop,
	.fill = split_fill,
	.publish = split_publish,
	.wants_call = split_wants_call,
	.quiet = split_quiet,
	.listen = split_listen,
};
