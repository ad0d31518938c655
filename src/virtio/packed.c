/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/packed.c - the device side of a packed ring (VIRTIO 1.3, 2.8). */
#include <errno.h>
#include <stddef.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "virtio/queue.h"
#include "virtio/ring.h"

#define AVAIL_BIT (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED_BIT  (1u << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT  (1u << VRING_PACKED_EVENT_F_WRAP_CTR)

_Static_assert(sizeof(struct vring_packed_desc) == 16, "VIRTIO 1.3, 2.8.13");
_Static_assert(sizeof(struct vring_packed_desc_event) == 4, "VIRTIO 1.3, 2.8.14");

static struct vring_packed_desc *desc_at(const struct gw_ring *ring, uint16_t at)
{
	return (struct vring_packed_desc *)(void *)ring->desc + at;
}

static struct vring_packed_desc_event *event(uint8_t *area)
{
	return (struct vring_packed_desc_event *)(void *)area;
}

/* A position goes on by @count descriptors, at most the size of the ring. */
static void advance(const struct gw_ring *ring, uint16_t *at, bool *wrap, unsigned count)
{
	unsigned next = *at + count;

	if (next >= ring->num) {
		next -= ring->num;
		*wrap = !*wrap;
	}
	*at = (uint16_t)next;
}

static void packed_sizes(unsigned num, uint64_t *desc, uint64_t *driver, uint64_t *device)
{
	*desc = 16ULL * num;
	*driver = *device = 4;
}

static bool packed_num_ok(unsigned num)
{
	return num && num <= GW_QUEUE_SIZE_MAX;
}

/* Bits 0-14 available index, 15 its wrap counter, 16-30 used index, 31 its wrap counter. */
static int packed_set_base(struct gw_ring *ring, uint32_t base)
{
	uint16_t avail = base & 0x7fff, used = (base >> 16) & 0x7fff;

	if (avail >= ring->num || used >= ring->num)
		return gw_fail(EINVAL, "packed ring: base 0x%x is not in a ring of %u", base,
			       ring->num);
	ring->avail = avail;
	ring->avail_wrap = base >> 15 & 1;
	ring->used = ring->old_used = used;
	ring->used_wrap = base >> 31;
	return 0;
}

static uint32_t packed_base(const struct gw_ring *ring)
{
	return ring->avail | (uint32_t)ring->avail_wrap << 15 | (uint32_t)ring->used << 16 |
	       (uint32_t)ring->used_wrap << 31;
}

static bool is_available(uint16_t flags, bool wrap)
{
	return !!(flags & AVAIL_BIT) == wrap && !!(flags & USED_BIT) != wrap;
}

static bool packed_more(struct gw_ring *ring)
{
	return is_available(gw_ring_load(&desc_at(ring, ring->avail)->flags), ring->avail_wrap);
}

static void fetch(struct vring_packed_desc *desc, const void *from)
{
	gw_ring_copy(desc, from, sizeof(*desc));
	desc->addr = le64toh(desc->addr);
	desc->len = le32toh(desc->len);
	desc->id = le16toh(desc->id);
	desc->flags = le16toh(desc->flags);
}

static int read_indirect_entry(struct gw_ring *ring, const struct vring_packed_desc *table,
			       unsigned i, struct gw_chain *chain)
{
	struct vring_packed_desc desc;
	const void *from = gw_mem_at_gpa(ring->mem, table->addr + 16 * (uint64_t)i, 16);

	if (!from)
		return gw_fail(EPROTO, "chain %u: its indirect table is not in guest memory",
			       chain->id);
	fetch(&desc, from);
	if (desc.flags & VRING_DESC_F_INDIRECT)
		return gw_fail(EPROTO, "chain %u: nested indirect tables", chain->id);
	return gw_chain_add(chain, ring->mem, desc.addr, desc.len, desc.flags & VRING_DESC_F_WRITE);
}

/* All entries of an indirect table are the chain's, in order (2.8.7); NEXT means nothing there. */
static int read_indirect(struct gw_ring *ring, const struct vring_packed_desc *table,
			 struct gw_chain *chain)
{
	if (!ring->indirect || (table->flags & VRING_DESC_F_NEXT))
		return gw_fail(EPROTO, "chain %u: an indirect descriptor that may not be here",
			       chain->id);
	if (!table->len || table->len % 16 || table->len / 16 > GW_QUEUE_SIZE_MAX)
		return gw_fail(EPROTO, "chain %u: an indirect table of %u bytes", chain->id,
			       table->len);
	for (unsigned i = 0; i < table->len / 16; i++) {
		int err = read_indirect_entry(ring, table, i, chain);

		if (err)
			return err;
	}
	return 0;
}

static int read_desc(struct gw_ring *ring, const struct vring_packed_desc *desc,
		     struct gw_chain *chain)
{
	if (desc->flags & VRING_DESC_F_INDIRECT)
		return read_indirect(ring, desc, chain);
	return gw_chain_add(chain, ring->mem, desc->addr, desc->len,
			    desc->flags & VRING_DESC_F_WRITE);
}

int gw_packed_read(struct gw_ring *ring, const struct vring_packed_desc *copies, unsigned count,
		   struct gw_chain *chain)
{
	gw_chain_reset(chain);
	chain->id = copies[count - 1].id;
	chain->descs = (uint16_t)count;
	for (unsigned i = 0; i < count; i++) {
		int err = read_desc(ring, &copies[i], chain);

		if (err)
			return err;
	}
	return 0;
}

/* The first descriptor was seen available, and the driver makes it so last (2.8.20). */
static int packed_pop(struct gw_ring *ring, struct gw_chain *chain)
{
	uint16_t at = ring->avail;
	bool wrap = ring->avail_wrap;
	unsigned count = 0;
	struct vring_packed_desc desc;

	if (!packed_more(ring))
		return 0;
	gw_chain_reset(chain);
	chain->id = 0;
	do {
		int err;

		if (count == ring->num)
			return gw_fail(EPROTO, "a chain longer than its ring of %u", ring->num);
		fetch(&desc, desc_at(ring, at));
		if (ring->copies)
			ring->copies[count] = desc;
		err = read_desc(ring, &desc, chain);
		if (err)
			return err;
		advance(ring, &at, &wrap, 1);
		count++;
	} while (desc.flags & VRING_DESC_F_NEXT);
	chain->id = desc.id; /* the last descriptor's (2.8.6) */
	chain->descs = (uint16_t)count;
	ring->avail = at;
	ring->avail_wrap = wrap;
	return 1;
}

/* The flags of a batch's first element are withheld: while the driver does not see that one used,
 * it looks at none behind it. */
static void packed_fill(struct gw_ring *ring, uint16_t id, uint16_t descs, uint32_t written)
{
	struct vring_packed_desc *desc = desc_at(ring, ring->used);
	uint16_t flags = ring->used_wrap ? AVAIL_BIT | USED_BIT : 0;

	/* "Whether any was written": the one flag that a used descriptor has (2.8.8). */
	if (written)
		flags |= VRING_DESC_F_WRITE;
	desc->id = htole16(id);
	desc->len = htole32(written);
	if (!ring->unpublished) {
		ring->batch_used = ring->used;
		ring->batch_wrap = ring->used_wrap;
		ring->batch_flags = flags;
	} else {
		gw_ring_store_relaxed(&desc->flags, flags);
	}
	gw_ring_log(ring, ring->desc_log, 16ULL * ring->used, sizeof(*desc));
	advance(ring, &ring->used, &ring->used_wrap, descs);
	ring->unpublished++;
}

static void packed_publish(struct gw_ring *ring)
{
	ring->old_used = ring->batch_used;
	ring->unpublished = 0;
	gw_ring_store(&desc_at(ring, ring->batch_used)->flags, ring->batch_flags);
	gw_ring_log(ring, ring->desc_log, 16ULL * ring->batch_used,
		    sizeof(struct vring_packed_desc));
}

void gw_packed_take_back(struct gw_ring *ring, unsigned count)
{
	uint16_t at = ring->used;
	bool wrap = ring->used_wrap;

	for (; count; count--) {
		uint16_t flags = gw_ring_load_relaxed(&desc_at(ring, at)->flags);

		if (!!(flags & AVAIL_BIT) == wrap && !!(flags & USED_BIT) == wrap) {
			gw_ring_store_relaxed(&desc_at(ring, at)->flags,
					      (uint16_t)(flags ^ USED_BIT));
			gw_ring_log(ring, ring->desc_log, 16ULL * at,
				    sizeof(struct vring_packed_desc));
		}
		advance(ring, &at, &wrap, 1);
	}
}

/* The three positions are put on one line of 16 bits that ends at the used index: what lies on
 * the other side of the wrap is one ring size lower. */
static bool packed_wants_call(struct gw_ring *ring)
{
	struct vring_packed_desc_event *driver = event(ring->driver);
	uint16_t flags = gw_ring_load(&driver->flags) & 3;
	uint16_t wish, old = ring->old_used;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	wish = gw_ring_load(&driver->off_wrap);
	if (ring->batch_wrap != ring->used_wrap)
		old = (uint16_t)(old - ring->num);
	if (!!(wish & WRAP_BIT) != ring->used_wrap)
		wish = (uint16_t)((wish & ~WRAP_BIT) - ring->num);
	else
		wish &= (uint16_t)~WRAP_BIT;
	return vring_need_event(wish, ring->used, old);
}

static void set_event(struct gw_ring *ring, uint16_t flags)
{
	gw_ring_store(&event(ring->device)->flags, flags);
	gw_ring_log(ring, ring->device_log, 0, sizeof(struct vring_packed_desc_event));
}

static void packed_quiet(struct gw_ring *ring)
{
	if (!ring->event_idx)
		set_event(ring, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static bool packed_listen(struct gw_ring *ring)
{
	if (ring->event_idx) {
		gw_ring_store(&event(ring->device)->off_wrap,
			      (uint16_t)(ring->avail | (ring->avail_wrap ? WRAP_BIT : 0)));
		set_event(ring, VRING_PACKED_EVENT_FLAG_DESC);
	} else {
		set_event(ring, VRING_PACKED_EVENT_FLAG_ENABLE);
	}
	return packed_more(ring);
}

const struct gw_ring_ops gw_ring_packed = {
	.name = "packed",
	.sizes = packed_sizes,
	.num_ok = packed_num_ok,
	.set_base = packed_set_base,
	.base = packed_base,
	.more = packed_more,
	.pop = packed_pop,
	.fill = packed_fill,
	.publish = packed_publish,
	.wants_call = packed_wants_call,
	.quiet = packed_quiet,
	.listen = packed_listen,
};
