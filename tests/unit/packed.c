/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/packed.c - the device side of a packed ring: wrap counters, batches, events,
 * hostility. */
#include <errno.h>

#include "base/checked.h"
#include "rig.h"
#include "virtio/ring.h"

#define NUM   3 /* not a power of two: packed rings need not be */
#define AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1u << VRING_PACKED_DESC_F_USED)
#define FIRST 0x80008000 /* both indices 0, both wrap counters 1: a ring's first position */

static struct rig rig;
static struct gw_ring ring;
static struct gw_chain chain;
static struct vring_packed_desc *desc;
static struct vring_packed_desc_event *driver, *device;

static int set_up(void **state)
{
	(void)state;
	rig = (struct rig){.num = NUM, .packed = true};
	rig_memory(&rig);
	ring = (struct gw_ring){.ops = &gw_ring_packed,
				.mem = rig.mem,
				.num = NUM,
				.event_idx = true,
				.indirect = true,
				.desc = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_DESC, 1),
				.driver = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_AVAIL, 1),
				.device = gw_mem_at_gpa(rig.mem, RIG_GPA + RIG_USED, 1)};
	chain = (struct gw_chain){0};
	desc = (void *)ring.desc;
	driver = (void *)ring.driver;
	device = (void *)ring.device;
	return ring.ops->set_base(&ring, FIRST);
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

static void put(unsigned at, uint64_t gpa, uint32_t len, uint16_t id, unsigned flags)
{
	desc[at] = (struct vring_packed_desc){
		.addr = gpa, .len = len, .id = id, .flags = (uint16_t)flags};
}

static void use(uint16_t id, uint16_t descs, uint32_t written)
{
	ring.ops->fill(&ring, id, descs, written);
	ring.ops->publish(&ring);
}

/* Chains of two on a ring of three: every chain begins elsewhere, and each wrap is crossed in the
 * middle of one. The driver's side is kept by hand. */
static void test_wrap_counters(void **state)
{
	unsigned at = 0;
	bool wrap = true;

	(void)state;
	for (uint16_t n = 0; n < 30; n++) {
		unsigned head = at, head_flags = 0, used_at = at;
		bool used_wrap = wrap;

		for (unsigned i = 0; i < 2; i++) {
			unsigned flags = wrap ? AVAIL : USED;

			flags |= i ? VRING_DESC_F_WRITE : VRING_DESC_F_NEXT;
			put(at, RIG_GPA + RIG_DATA + 64 * i, 8, n % NUM, i ? flags : 0);
			if (!i) {
				head_flags = flags;
				/* Not available until the last store. */
				desc[at].flags = used_wrap ? 0 : AVAIL | USED;
			}
			at = (at + 1) % NUM;
			wrap ^= !at;
		}
		assert_int_equal(pop(), 0);
		desc[head].flags = (uint16_t)head_flags;
		assert_int_equal(pop(), 1);
		assert_int_equal(chain.id, n % NUM);
		assert_int_equal(chain.descs, 2);
		assert_int_equal(chain.out_len, 8);
		assert_int_equal(chain.in_len, 8);
		use(chain.id, chain.descs, 5);
		assert_int_equal(desc[used_at].id, n % NUM);
		assert_int_equal(desc[used_at].len, 5);
		assert_int_equal(desc[used_at].flags & (AVAIL | USED),
				 used_wrap ? AVAIL | USED : 0);
	}
	assert_int_equal(ring.ops->base(&ring), FIRST); /* 60 descriptors: 20 times around */
}

static void test_position(void **state)
{
	const uint32_t bases[] = {FIRST, 0, 0x00018002, 0x80020001};

	(void)state;
	for (unsigned i = 0; i < GW_ARRAY_LEN(bases); i++) {
		assert_int_equal(ring.ops->set_base(&ring, bases[i]), 0);
		assert_int_equal(ring.ops->base(&ring), bases[i]);
	}
	assert_int_equal(ring.ops->set_base(&ring, NUM), -EINVAL);
	assert_int_equal(ring.ops->set_base(&ring, NUM << 16), -EINVAL);
}

/* The driver sees nothing of a batch before its first element is stored. */
static void test_batch_appears_at_once(void **state)
{
	(void)state;
	put(0, RIG_GPA + RIG_DATA, 8, 0, AVAIL | VRING_DESC_F_WRITE);
	put(1, RIG_GPA + RIG_DATA, 8, 1, AVAIL | VRING_DESC_F_WRITE);
	assert_int_equal(pop(), 1);
	assert_int_equal(pop(), 1);
	ring.ops->fill(&ring, 1, 1, 8);
	ring.ops->fill(&ring, 0, 1, 8);
	assert_int_equal(desc[0].flags, AVAIL | VRING_DESC_F_WRITE);
	ring.ops->publish(&ring);
	assert_int_equal(desc[0].flags, AVAIL | USED | VRING_DESC_F_WRITE);
	assert_int_equal(desc[0].id, 1);
	assert_int_equal(desc[1].flags, AVAIL | USED | VRING_DESC_F_WRITE);
	assert_int_equal(desc[1].id, 0);
}

static void test_indirect(void **state)
{
	struct vring_packed_desc table[2] = {
		{.addr = RIG_GPA + RIG_DATA, .len = 7, .flags = VRING_DESC_F_NEXT},
		{.addr = RIG_GPA + RIG_DATA + 64, .len = 9, .flags = VRING_DESC_F_WRITE}};
	uint64_t at = RIG_GPA + RIG_HALF - 16; /* across both regions */

	(void)state;
	memcpy(rig_at(&rig, at), &table[0], 16);
	memcpy(rig_at(&rig, at + 16), &table[1], 16);
	put(0, at, 32, 2, AVAIL | VRING_DESC_F_INDIRECT);
	assert_int_equal(pop(), 1);
	assert_int_equal(chain.id, 2);
	assert_int_equal(chain.descs, 1);
	assert_int_equal(chain.out_len, 7);
	assert_int_equal(chain.in_len, 9);
}

static void test_hostile(void **state)
{
	const uint64_t data = RIG_GPA + RIG_DATA, end = RIG_GPA + 2 * RIG_HALF;
	const struct {
		const char *what;
		struct vring_packed_desc first, inner;
	} cases[] = {
		{"not in memory", {0x1000, 1, 0, AVAIL}, {0}},
		{"beyond memory", {end - 1, 2, 0, AVAIL}, {0}},
		{"indirect and next",
		 {data, 16, 0, AVAIL | VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT},
		 {0}},
		{"indirect, odd", {data, 8, 0, AVAIL | VRING_DESC_F_INDIRECT}, {0}},
		{"indirect, empty", {data, 0, 0, AVAIL | VRING_DESC_F_INDIRECT}, {0}},
		{"indirect, huge", {data, 0xfffffff0, 0, AVAIL | VRING_DESC_F_INDIRECT}, {0}},
		{"indirect, nowhere", {end, 16, 0, AVAIL | VRING_DESC_F_INDIRECT}, {0}},
		{"nested",
		 {data, 16, 0, AVAIL | VRING_DESC_F_INDIRECT},
		 {data, 16, 0, VRING_DESC_F_INDIRECT}},
		{"longer than the ring", {data, 1, 0, AVAIL | VRING_DESC_F_NEXT}, {0}},
	};

	(void)state;
	for (unsigned i = 0; i < GW_ARRAY_LEN(cases); i++) {
		for (unsigned n = 0; n < NUM; n++)
			desc[n] = cases[i].first;
		memcpy(rig_at(&rig, data), &cases[i].inner, sizeof(struct vring_packed_desc));
		assert_int_equal(ring.ops->set_base(&ring, FIRST), 0);
		if (pop() != -EPROTO)
			fail_msg("%s was accepted", cases[i].what);
	}
}

static void wish(unsigned at, bool wrap)
{
	driver->flags = VRING_PACKED_EVENT_FLAG_DESC;
	driver->off_wrap = (uint16_t)(at | (unsigned)wrap << VRING_PACKED_EVENT_F_WRAP_CTR);
}

static void test_event_index(void **state)
{
	(void)state;
	wish(1, true);
	use(0, 1, 0);
	assert_false(ring.ops->wants_call(&ring)); /* descriptor 0 */
	use(0, 1, 0);
	assert_true(ring.ops->wants_call(&ring)); /* descriptor 1 */
	wish(0, false);
	use(0, 1, 0);
	assert_false(ring.ops->wants_call(&ring)); /* descriptor 2 */
	use(0, 2, 0);
	assert_true(ring.ops->wants_call(&ring)); /* 0 and 1, second time around */
	wish(2, false);
	ring.ops->fill(&ring, 0, 1, 0);
	ring.ops->fill(&ring, 0, 2, 0);
	ring.ops->publish(&ring);
	assert_true(ring.ops->wants_call(&ring)); /* a batch of a whole ring, over the wrap */
	wish(2, true);
	use(0, 0, 0);
	driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	assert_false(ring.ops->wants_call(&ring));
	driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	assert_true(ring.ops->wants_call(&ring));
}

static void test_listen(void **state)
{
	(void)state;
	assert_false(ring.ops->listen(&ring));
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_DESC);
	assert_int_equal(device->off_wrap, 0x8000);
	put(0, RIG_GPA + RIG_DATA, 8, 0, AVAIL);
	assert_true(ring.ops->listen(&ring)); /* came before we listened: no kick is lost */
	ring.event_idx = false;
	ring.ops->quiet(&ring);
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
	assert_true(ring.ops->listen(&ring));
	assert_int_equal(device->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wrap_counters), TEST(test_position), TEST(test_batch_appears_at_once),
		TEST(test_indirect),	  TEST(test_hostile),  TEST(test_event_index),
		TEST(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
