/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/split.c - the device side of a split ring: chains, wrap-around, events, hostility. */
#include <errno.h>

#include "base/checked.h"
#include "rig.h"
#include "virtio/ring.h"

#define NUM 4

static struct rig rig;
static struct gw_ring ring;
static struct gw_chain chain;
static struct vring_desc *desc;
static struct vring_avail *avail;
static struct vring_used *used;

static int set_up(void **state)
{
	(void)state;
	rig = (struct rig){.num = NUM};
	rig_memory(&rig);
	ring = (struct gw_ring){.ops = &gw_ring_split,
				.mem = rig.mem,
				.num = NUM,
				.event_idx = true,
				.indirect = true,
				.desc = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_DESC, 1),
				.driver = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_AVAIL, 1),
				.device = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_USED, 1)};
	chain = (struct gw_chain){0};
	desc = (void *)ring.desc;
	avail = (void *)ring.driver;
	used = (void *)ring.device;
	return ring.ops->set_base(&ring, 0);
}

static int tear_down(void **state)
{
	(void)state;
	gw_chain_free(&chain);
	rig_free(&rig);
	return 0;
}

static int pop(void)
{
	return ring.ops->pop(&ring, &chain);
}

static void offer(uint16_t head)
{
	avail->ring[avail->idx % NUM] = head;
	avail->idx++;
}

static void put(struct vring_desc *at, uint64_t gpa, uint32_t len, unsigned flags, unsigned next)
{
	*at = (struct vring_desc){
		.addr = gpa, .len = len, .flags = (uint16_t)flags, .next = (uint16_t)next};
}

static void test_chain(void **state)
{
	(void)state;
	put(&desc[2], RIG_GPA + RIG_DATA, 10, VRING_DESC_F_NEXT, 0);
	put(&desc[0], RIG_GPA + RIG_DATA + 100, 20, VRING_DESC_F_NEXT, 3);
	put(&desc[3], RIG_GPA + RIG_DATA + 200, 30, VRING_DESC_F_WRITE, 99);
	assert_int_equal(pop(), 0);
	offer(2);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.id, 2);
	assert_int_equal(chain.count, 3);
	assert_int_equal(chain.out_count, 2);
	assert_int_equal(chain.out_len, 30);
	assert_int_equal(chain.in_len, 30);
	assert_int_equal(pop(), 0);
}

/* The index has 16 bits, the ring 4 entries: both wrap, and the position stays exact. */
static void test_wrap_around(void **state)
{
	(void)state;
	avail->idx = used->idx = 65530;
	assert_int_equal(ring.ops->set_base(&ring, 65530), 0);
	put(&desc[1], RIG_GPA + RIG_DATA, 8, VRING_DESC_F_WRITE, 0);
	for (uint16_t n = 1; n <= 12; n++) {
		offer(1);
		assert_int_equal(pop(), 1);
		ring.ops->fill(&ring, 1, 1, n);
		assert_int_equal(used->idx, (uint16_t)(65530 + n - 1)); /* not published yet */
		ring.ops->publish(&ring);
		assert_int_equal(used->idx, (uint16_t)(65530 + n));
		assert_int_equal(used->ring[(65530 + n - 1) % NUM].id, 1);
		assert_int_equal(used->ring[(65530 + n - 1) % NUM].len, n);
	}
	assert_int_equal(ring.ops->base(&ring), 6);
	assert_int_equal(ring.ops->set_base(&ring, 65536), -EINVAL);
}

static void test_neighbours_are_merged(void **state)
{
	(void)state;
	put(&desc[0], RIG_GPA + RIG_DATA, 16, VRING_DESC_F_NEXT, 1);
	put(&desc[1], RIG_GPA + RIG_DATA + 16, 16, VRING_DESC_F_NEXT, 2);
	put(&desc[2], RIG_GPA + RIG_DATA + 32, 16, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 3);
	put(&desc[3], RIG_GPA + RIG_DATA + 48, 16, VRING_DESC_F_WRITE, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.count, 2);
	assert_int_equal(chain.out_count, 1);
	assert_int_equal(chain.iov[0].iov_len, 32);
	assert_int_equal(chain.iov[1].iov_len, 32);
}

static void test_spans_regions(void **state)
{
	(void)state;
	put(&desc[0], RIG_GPA + RIG_HALF - 100, 300, 0, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.count, 2);
	assert_int_equal(chain.iov[0].iov_len, 100);
	assert_int_equal(chain.iov[1].iov_len, 200);
	assert_ptr_equal(chain.iov[1].iov_base, gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_HALF, 200));
}

static void test_zero_length_adds_nothing(void **state)
{
	(void)state;
	put(&desc[0], 0, 0, VRING_DESC_F_NEXT, 1);
	put(&desc[1], RIG_GPA + RIG_DATA, 5, 0, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.count, 1);
	assert_int_equal(chain.out_len, 5);
}

static void test_indirect(void **state)
{
	/* The table itself lies across both regions. */
	uint64_t at = RIG_GPA + RIG_HALF - 16;
	struct vring_desc *one = rig_at(&rig, at), *two = rig_at(&rig, at + 16);

	(void)state;
	put(one, RIG_GPA + RIG_DATA, 7, VRING_DESC_F_NEXT, 1);
	put(two, RIG_GPA + RIG_DATA + 64, 9, VRING_DESC_F_WRITE, 0);
	put(&desc[0], RIG_GPA + RIG_DATA + 128, 1, VRING_DESC_F_NEXT, 3);
	put(&desc[3], at, 32, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.id, 0);
	assert_int_equal(chain.out_len, 8);
	assert_int_equal(chain.in_len, 9);
}

static void test_too_many_segments(void **state)
{
	struct vring_desc *table = rig_at(&rig, RIG_GPA + RIG_DATA);
	unsigned count = GW_ELEM_SEGS_MAX;

	(void)state;
	for (unsigned i = 0; i <= count; i++)
		put(&table[i], RIG_GPA + 2 * i * 16, 16, VRING_DESC_F_NEXT, i + 1);
	table[count - 1].flags = 0;
	put(&desc[0], RIG_GPA + RIG_DATA, 16 * count, VRING_DESC_F_INDIRECT, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.count, count);
	table[count - 1].flags = VRING_DESC_F_NEXT;
	table[count].flags = 0;
	desc[0].len += 16;
	offer(0);
	assert_int_equal(pop(), -EPROTO);
}

/* Each breaks the ring, reads nothing it may not, and ends. */
static void test_hostile_chains(void **state)
{
	const uint64_t data = RIG_GPA + RIG_DATA, end = RIG_GPA + 2 * RIG_HALF;
	const unsigned next = VRING_DESC_F_NEXT, in = VRING_DESC_F_WRITE,
		       indirect = VRING_DESC_F_INDIRECT;
	const struct {
		const char *what;
		struct vring_desc first, second, inner;
	} cases[] = {
		{"loop", {data, 1, next, 1}, {data + 9, 1, next, 0}, {0}},
		{"loop on itself", {data, 1, next, 0}, {0}, {0}},
		{"next beyond the table", {data, 1, next, NUM}, {0}, {0}},
		{"not in memory", {0x1000, 1, 0, 0}, {0}, {0}},
		{"beyond memory", {end - 1, 2, 0, 0}, {0}, {0}},
		{"wraps", {UINT64_MAX, 2, 0, 0}, {0}, {0}},
		{"huge", {data, UINT32_MAX, 0, 0}, {0}, {0}},
		{"writable first", {data, 1, in | next, 1}, {data + 9, 1, 0, 0}, {0}},
		{"indirect and next", {data, 16, indirect | next, 1}, {data, 1, 0, 0}, {0}},
		{"indirect, odd length", {data, 17, indirect, 0}, {0}, {0}},
		{"indirect, empty", {data, 0, indirect, 0}, {0}, {0}},
		{"indirect, huge", {data, 0xfffffff0, indirect, 0}, {0}, {0}},
		{"indirect, nowhere", {end, 16, indirect, 0}, {0}, {0}},
		{"nested", {data, 16, indirect, 0}, {0}, {data, 16, indirect, 0}},
		{"indirect loop", {data, 16, indirect, 0}, {0}, {data, 16, next, 0}},
		{"indirect, next beyond", {data, 16, indirect, 0}, {0}, {data, 16, next, 1}},
	};

	(void)state;
	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		desc[0] = cases[i].first;
		desc[1] = cases[i].second;
		memcpy(rig_at(&rig, data), &cases[i].inner, sizeof(struct vring_desc));
		avail->idx = 0;
		assert_int_equal(ring.ops->set_base(&ring, 0), 0);
		offer(0);
		if (pop() != -EPROTO)
			fail_msg("%s was accepted", cases[i].what);
	}
	ring.indirect = false;
	desc[0] = (struct vring_desc){data, 16, (uint16_t)indirect, 0};
	put(rig_at(&rig, data), data, 1, 0, 0);
	assert_int_equal(pop(), -EPROTO);
}

static void test_hostile_indices(void **state)
{
	(void)state;
	put(&desc[0], RIG_GPA + RIG_DATA, 5, 0, 0);
	avail->idx = NUM + 1;
	assert_int_equal(pop(), -EPROTO);
	avail->idx = 65535;
	assert_int_equal(pop(), -EPROTO);
	assert_int_equal(ring.ops->set_base(&ring, 0), 0);
	avail->idx = 0;
	offer(NUM);
	assert_int_equal(pop(), -EPROTO);
}

/* "An interrupt when used_event is passed", 2.7.7; the batch counts as a whole. */
static void test_event_index(void **state)
{
	uint16_t *used_event = &avail->ring[NUM];
	uint16_t *avail_event = (uint16_t *)&used->ring[NUM];

	(void)state;
	*used_event = 2;
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->publish(&ring);
	assert_false(ring.ops->wants_call(&ring)); /* 1 used: not yet */
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->publish(&ring);
	assert_true(ring.ops->wants_call(&ring)); /* 3 used: passed 2 in the batch */
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->publish(&ring);
	assert_false(ring.ops->wants_call(&ring));

	put(&desc[0], RIG_GPA + RIG_DATA, 5, 0, 0);
	offer(0);
	assert_int_equal(pop(), 1);
	assert_int_equal(*avail_event, 0);
	assert_false(ring.ops->listen(&ring));
	assert_int_equal(*avail_event, 1);
	offer(0);
	assert_true(ring.ops->listen(&ring)); /* came before we listened: no kick is lost */
}

static void test_flags(void **state)
{
	(void)state;
	ring.event_idx = false;
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->publish(&ring);
	assert_true(ring.ops->wants_call(&ring));
	avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(ring.ops->wants_call(&ring));
	ring.ops->quiet(&ring);
	assert_int_equal(used->flags, VRING_USED_F_NO_NOTIFY);
	assert_false(ring.ops->listen(&ring));
	assert_int_equal(used->flags, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain),
		TEST(test_wrap_around),
		TEST(test_neighbours_are_merged),
		TEST(test_spans_regions),
		TEST(test_zero_length_adds_nothing),
		TEST(test_indirect),
		TEST(test_too_many_segments),
		TEST(test_hostile_chains),
		TEST(test_hostile_indices),
		TEST(test_event_index),
		TEST(test_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
