/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/chain.c - any bytes as a guest's memory with a ring in it: chains stay inside it, add
 * up, and end. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "godwit/queue.h"
#include "harness.h"
#include "virtio/ring.h"

/* Two regions that are neighbours for the guest, and a third behind a hole. */
#define REGION 0x4000
#define HOLE   0x4000
#define NUM    8

/* Areas of the ring; all the rest is for descriptors to point to. */
#define DESC  0x0
#define AVAIL 0x80
#define USED  0x100

enum { PACKED = 1, EVENT_IDX = 2, NO_INDIRECT = 4 };

static struct gw_mem *mem;
static char *ram;

static void add(uint64_t gpa, uint64_t offset, int fd)
{
	struct gw_mem_region region = {.gpa = gpa, .uaddr = gpa, .size = REGION, .offset = offset};
	struct gw_mem *more;

	if (gw_mem_add(&more, mem, &region, fd))
		abort();
	gw_mem_unref(mem);
	mem = more;
}

static void make_memory(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, 3 * REGION))
		abort();
	ram = mmap(NULL, 3 * REGION, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ram == MAP_FAILED)
		abort();
	/* In the file the second comes last: mapped, they are not neighbours. */
	add(0, 0, fd);
	add(REGION, 2 * REGION, fd);
	add(2 * REGION + HOLE, REGION, fd);
	close(fd);
	gw_log_set_level(GW_LOG_OFF);
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Every byte is looked at, so that a sanitizer or a fault tells of a wrong one. */
static void check(const struct gw_chain *chain)
{
	uint64_t sums[2] = {0, 0};
	unsigned char seen = 0;

	must(chain->count <= GW_ELEM_SEGS_MAX && chain->out_count <= chain->count);
	for (unsigned i = 0; i < chain->count; i++) {
		const struct iovec *iov = &chain->iov[i];
		uint64_t gpa = gw_mem_gpa_of(mem, iov->iov_base), span;

		must(iov->iov_len && gpa != UINT64_MAX);
		must(gw_mem_span(mem, gpa, iov->iov_len, &span) && span == iov->iov_len);
		for (size_t at = 0; at < iov->iov_len; at += 64)
			seen ^= ((unsigned char *)iov->iov_base)[at];
		sums[i >= chain->out_count] += iov->iov_len;
	}
	must(sums[0] == chain->out_len && sums[1] == chain->in_len);
	__asm__ volatile("" ::"r"(seen));
}

static void serve(struct gw_ring *ring, struct gw_chain *chain)
{
	/* A guest may offer for ever; nobody says it must stop. */
	for (unsigned n = 0; n < 4 * NUM; n++) {
		if (ring->ops->pop(ring, chain) <= 0)
			break;
		check(chain);
		must(chain->descs && chain->descs <= NUM);
		ring->ops->fill(ring, chain->id, chain->descs, (uint32_t)chain->in_len);
		if (n % 3)
			continue;
		ring->ops->publish(ring);
		ring->ops->wants_call(ring);
		ring->ops->quiet(ring);
		ring->ops->listen(ring);
	}
}

/* A byte of flags, then memory from its beginning. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gw_chain chain = {0};
	struct gw_ring ring = {.num = NUM};

	if (!mem)
		make_memory();
	if (!size)
		return 0;
	memset(ram, 0, 3 * REGION);
	memcpy(ram, data + 1, GW_MIN(size - 1, (size_t)3 * REGION));
	ring.ops = data[0] & PACKED ? &gw_ring_packed : &gw_ring_split;
	ring.event_idx = data[0] & EVENT_IDX;
	ring.indirect = !(data[0] & NO_INDIRECT);
	ring.mem = mem;
	ring.desc = gw_mem_at_gpa(mem, DESC, 1);
	ring.driver = gw_mem_at_gpa(mem, AVAIL, 1);
	ring.device = gw_mem_at_gpa(mem, USED, 1);
	must(!ring.ops->set_base(&ring, data[0] & PACKED ? 0x80008000 : 0));
	serve(&ring, &chain);
	gw_chain_free(&chain);
	return 0;
}
