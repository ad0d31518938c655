/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/park.c - elements that stay open across a stop, here and at a destination. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "rig.h"

/* A device that parks what it is given, or answers it; it notes what it saw. */
static struct {
	_Atomic bool park;
	_Atomic unsigned seen, again;
	char words[8][4];
} dev;

static void ready(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue))) {
		if (elem->flags & GW_ELEM_AGAIN)
			dev.again++;
		gw_elem_copy_from(elem, 0, dev.words[dev.seen % 8], 4);
		dev.seen++;
		if (dev.park)
			gw_park(elem);
		else
			gw_elem_push(elem, 2);
	}
}

static const struct gw_queue_ops ops = {.ready = ready};

static void set_up(struct rig *rig, bool packed, uint32_t base)
{
	memset(&dev, 0, sizeof(dev));
	*rig = (struct rig){.num = 8, .packed = packed, .base = base};
	rig_memory(rig);
	rig_queue(rig, &ops, NULL);
}

static void wait_seen(unsigned count)
{
	for (int i = 0; i < 5000 && dev.seen < count; i++)
		usleep(1000);
	assert_int_equal(dev.seen, count);
}

static uint16_t ask(struct rig *rig, unsigned slot, const char *word)
{
	struct rig_seg segs[] = {{RIG_GPA + RIG_DATA + 4096 * slot, 4, false},
				 {RIG_GPA + RIG_DATA + 4096 * slot + 64, 4, true}};

	memcpy(rig_at(rig, segs[0].gpa), word, 4);
	return rig_add(rig, segs, 2);
}

static void park_and_restart(bool packed, uint32_t base, uint32_t base_parked)
{
	struct gw_parked parked;
	struct rig rig;
	uint16_t first, id;
	uint32_t len;

	set_up(&rig, packed, base);
	dev.park = true;
	rig_start(&rig);
	first = ask(&rig, 0, "one.");
	ask(&rig, 1, "two.");
	wait_seen(2);
	rig_stop(&rig);
	assert_int_equal(gw_queue_parked_count(rig.queue), 2);
	assert_int_equal(gw_queue_base(rig.queue), base_parked); /* they count as consumed */
	assert_int_equal(gw_queue_parked_get(rig.queue, 0, &parked), 0);
	assert_int_equal(parked.id, first);
	assert_int_equal(parked.descs, packed ? 2 : 1);
	assert_int_equal(parked.count, 2);
	assert_int_equal(parked.segs[0].gpa, RIG_GPA + RIG_DATA);
	assert_int_equal(parked.segs[0].len, 4);
	assert_int_equal(parked.segs[0].writable, 0);
	assert_int_equal(parked.segs[1].writable, 1);
	assert_int_equal(gw_queue_parked_get(rig.queue, 2, &parked), -ENOENT);

	dev.park = false;
	rig_start(&rig);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, first);
	wait_seen(4);
	assert_int_equal(dev.again, 2);
	assert_memory_equal(dev.words[2], "one.", 4);
	assert_memory_equal(dev.words[3], "two.", 4);
	ask(&rig, 2, "new.");
	wait_seen(5);
	assert_int_equal(dev.again, 2);
	rig_stop(&rig);
	assert_int_equal(gw_queue_parked_count(rig.queue), 0);
	rig_free(&rig);
}

static void test_split(void **state)
{
	(void)state;
	park_and_restart(false, 0, 2);
}

static void test_packed(void **state)
{
	(void)state;
	park_and_restart(true, 0x80008000, 0x80008004);
}

/* What was not handed out again before the next stop stays parked, before what is parked newly. */
static void test_stays_parked_while_disabled(void **state)
{
	struct gw_queue_change off = {.what = GW_QUEUE_ENABLE};
	struct rig rig;

	(void)state;
	set_up(&rig, false, 0);
	dev.park = true;
	rig_start(&rig);
	ask(&rig, 0, "one.");
	wait_seen(1);
	rig_stop(&rig);
	assert_int_equal(rig_change(&rig, &off), 0);
	rig_start(&rig);
	rig_stop(&rig);
	assert_int_equal(gw_queue_parked_count(rig.queue), 1);
	assert_int_equal(gw_queue_base(rig.queue), 1);
	gw_queue_parked_clear(rig.queue);
	assert_int_equal(gw_queue_parked_count(rig.queue), 0);
	rig_free(&rig);
}

/* The destination: the ring's memory came with the guest, the parked element with the stream. */
static void loaded(bool packed, uint32_t base, uint32_t base_after)
{
	const struct gw_parked_seg segs[] = {{RIG_GPA + RIG_DATA, 4, 0},
					     {RIG_GPA + RIG_DATA + 64, 4, 1}};
	struct gw_parked parked = {.id = 3, .descs = packed ? 2 : 1, .count = 2, .segs = segs};
	struct rig rig;
	uint16_t id;
	uint32_t len;

	set_up(&rig, packed, base);
	memcpy(rig_at(&rig, segs[0].gpa), "far.", 4);
	if (!packed)
		((struct vring_avail *)rig_at(&rig, RIG_GPA + RIG_AVAIL))->idx = 1;
	assert_int_equal(gw_queue_parked_add(rig.queue, &parked), 0);
	rig_start(&rig);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 3);
	assert_int_equal(len, 2);
	assert_int_equal(dev.again, 1);
	assert_memory_equal(dev.words[0], "far.", 4);
	rig_stop(&rig);
	assert_int_equal(gw_queue_base(rig.queue), base_after);
	rig_free(&rig);
}

static void test_loaded_split(void **state)
{
	(void)state;
	loaded(false, 1, 1);
}

static void test_loaded_packed(void **state)
{
	(void)state;
	/* Available at 2, used at 0: two descriptors are out. Then both are at 2. */
	loaded(true, 0x80008002, 0x80028002);
}

static void test_refused(void **state)
{
	const struct gw_parked_seg ok[] = {{RIG_GPA + RIG_DATA, 4, 0}};
	const struct gw_parked_seg order[] = {{RIG_GPA, 4, 1}, {RIG_GPA, 4, 0}};
	const struct gw_parked_seg flag[] = {{RIG_GPA, 4, 2}};
	const struct gw_parked bad[] = {
		{.id = 8, .descs = 1, .count = 1, .segs = ok},
		{.id = 65535, .descs = 1, .count = 1, .segs = ok},
		{.id = 1, .descs = 0, .count = 1, .segs = ok},
		{.id = 1, .descs = 65535, .count = 1, .segs = ok},
		{.id = 1, .descs = 1, .count = 1u << 30, .segs = ok},
		{.id = 1, .descs = 1, .count = 2, .segs = order},
		{.id = 1, .descs = 1, .count = 1, .segs = flag},
		{.id = 0, .descs = 1, .count = 1, .segs = ok}, /* there already */
	};
	struct gw_parked good = {.id = 0, .descs = 1, .count = 1, .segs = ok};
	struct rig rig;

	(void)state;
	set_up(&rig, false, 0);
	assert_int_equal(gw_queue_parked_add(rig.queue, &good), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(gw_queue_parked_add(rig.queue, &bad[i]), -EINVAL);
	good.id = 1;
	good.descs = 8; /* nine of a ring of eight: seen at start */
	assert_int_equal(gw_queue_parked_add(rig.queue, &good), 0);
	assert_int_equal(gw_queue_start(rig.queue), -EINVAL);
	rig_free(&rig);
}

/* Segments outside guest memory are found when they are handed out. */
static void test_not_in_memory(void **state)
{
	const struct gw_parked_seg segs[] = {{0x1000, 4, 0}};
	const struct gw_parked parked = {.id = 0, .descs = 1, .count = 1, .segs = segs};
	struct rig rig;

	(void)state;
	set_up(&rig, false, 1);
	assert_int_equal(gw_queue_parked_add(rig.queue, &parked), 0);
	rig_start(&rig);
	assert_true(rig_wait(rig.err, 5000));
	assert_true(gw_queue_is_broken(rig.queue));
	assert_int_equal(dev.seen, 0);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_stays_parked_while_disabled),
		cmocka_unit_test(test_loaded_split),
		cmocka_unit_test(test_loaded_packed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
