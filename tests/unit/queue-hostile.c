/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/queue-hostile.c - a ring that lies is broken: told, silent, and nothing else suffers.
 */
#include <errno.h>
#include <unistd.h>

#include "rig.h"

static struct gw_elem *kept[8];
static _Atomic unsigned kept_count;

static void keep(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue))) {
		kept[kept_count % 8] = elem;
		kept_count++;
	}
}

static const struct gw_queue_ops ops = {.ready = keep};

static void set_up(struct rig *rig, bool packed)
{
	*rig = (struct rig){.num = 8, .packed = packed, .base = packed ? 0x80008000 : 0};
	kept_count = 0;
	rig_memory(rig);
	rig_queue(rig, &ops, NULL);
	rig_start(rig);
}

static void wait_kept(unsigned count)
{
	for (int i = 0; i < 5000 && kept_count < count; i++)
		usleep(1000);
	assert_int_equal(kept_count, count);
}

static const struct rig_seg good = {RIG_GPA + RIG_DATA, 8, true};
static const struct rig_seg bad = {0x1000, 8, true};

/* What is in flight ends, a stop works, a new start begins anew. */
static void expect_broken(struct rig *rig)
{
	uint16_t id;
	uint32_t len;

	assert_true(rig_wait(rig->err, 5000));
	assert_true(gw_queue_is_broken(rig->queue));
	for (unsigned i = 0; i < kept_count; i++)
		gw_elem_push(kept[i], 8);
	rig_kick(rig);
	rig_turn(rig, 20);
	assert_false(rig_get_now(rig, &id, &len));
	assert_false(rig_wait(rig->err, 0)); /* once */
	rig_stop(rig);
	rig_free(rig);
}

static void test_bad_chain(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct rig rig;

		set_up(&rig, packed);
		rig_add(&rig, &good, 1);
		wait_kept(1);
		rig_add(&rig, &bad, 1);
		rig_add(&rig, &good, 1);
		expect_broken(&rig);
		assert_int_equal(kept_count, 1);
	}
}

static void test_impossible_index(void **state)
{
	struct vring_avail *avail;
	struct rig rig;

	(void)state;
	set_up(&rig, false);
	avail = rig_at(&rig, RIG_GPA + RIG_AVAIL);
	__atomic_store_n(&avail->idx, 9, __ATOMIC_SEQ_CST);
	rig_kick(&rig);
	expect_broken(&rig);
}

static void test_id_offered_twice(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct rig rig;

		set_up(&rig, packed);
		rig_add(&rig, &good, 1);
		wait_kept(1);
		rig.next = 0;
		rig_add(&rig, &good, 1);
		expect_broken(&rig);
	}
}

static void test_id_beyond_ring(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, true);
	rig.next = 8;
	rig_add(&rig, &good, 1);
	expect_broken(&rig);
}

/* A device that says it wrote more than there was room for. */
static void test_written_is_cut(void **state)
{
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false);
	rig_add(&rig, &good, 1);
	wait_kept(1);
	gw_elem_push(kept[0], SIZE_MAX);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(len, 8);
	rig_free(&rig);
}

/* The front-end takes the memory away: the process lives, the ring is broken. */
static void test_file_shrinks(void **state)
{
	(void)state;
	for (int packed = 0; packed < 2; packed++) {
		struct rig rig;

		set_up(&rig, packed);
		rig_add(&rig, &good, 1);
		wait_kept(1);
		assert_int_equal(ftruncate(rig.fd, 4096), 0);
		gw_elem_copy_to(kept[0], 0, "12345678", 8);
		rig_kick(&rig);
		gw_elem_push(kept[0], 8);
		assert_true(rig_wait(rig.err, 5000));
		assert_true(gw_queue_is_broken(rig.queue));
		rig_stop(&rig);
		rig_free(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_chain),	 cmocka_unit_test(test_impossible_index),
		cmocka_unit_test(test_id_offered_twice), cmocka_unit_test(test_id_beyond_ring),
		cmocka_unit_test(test_written_is_cut),	 cmocka_unit_test(test_file_shrinks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
