/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/queue.c - a queue's life: start, serve, change while running, disable, drain, stop. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"

static const struct rig_seg echo_segs[] = {{RIG_GPA + RIG_DATA, 8, false},
					   {RIG_GPA + RIG_DATA + 0x1000, 8, true}};

/* A device that answers with what it was given. */
static void echo_one(struct gw_elem *elem)
{
	char buf[16];
	size_t len = gw_elem_copy_from(elem, 0, buf, sizeof(buf));

	gw_elem_push(elem, gw_elem_copy_to(elem, 0, buf, len));
}

static void echo(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue)))
		echo_one(elem);
}

static const struct gw_queue_ops echo_ops = {.ready = echo};

/* A device that keeps what it is given until the test pushes it, from the test's thread. */
static _Atomic(struct gw_elem *) kept;
static _Atomic int stops;

static void keep(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem = gw_queue_pop(queue);

	(void)opaque;
	if (elem)
		kept = elem;
}

static void count_stop(void *opaque, struct gw_queue *queue)
{
	(void)opaque;
	(void)queue;
	stops++;
}

static const struct gw_queue_ops keep_ops = {.ready = keep};
static const struct gw_queue_ops slow_ops = {.ready = keep, .stop = count_stop};

static struct gw_elem *wait_kept(void)
{
	for (int i = 0; i < 5000 && !kept; i++)
		usleep(1000);
	assert_non_null(kept);
	return kept;
}

static void set_up(struct rig *rig, bool packed, const struct gw_queue_ops *ops)
{
	*rig = (struct rig){.num = 8, .packed = packed, .base = packed ? 0x80008000 : 0};
	kept = NULL;
	stops = 0;
	rig_memory(rig);
	rig_queue(rig, ops, NULL);
}

static void expect_echo(struct rig *rig, const char *word)
{
	uint16_t id, got;
	uint32_t len;

	memcpy(rig_at(rig, echo_segs[0].gpa), word, 8);
	memset(rig_at(rig, echo_segs[1].gpa), 0, 8);
	id = rig_add(rig, echo_segs, 2);
	assert_true(rig_get(rig, &got, &len));
	assert_int_equal(got, id);
	assert_int_equal(len, 8);
	assert_memory_equal(rig_at(rig, echo_segs[1].gpa), word, 8);
}

static void test_echo(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	rig_start(&rig);
	for (int i = 0; i < 20; i++)
		expect_echo(&rig, i % 2 ? "godwit-a" : "godwit-b");
	assert_true(rig_wait(rig.call, 1000));
	rig_stop(&rig);
	assert_int_equal(gw_queue_base(rig.queue), 20);
	rig_free(&rig);
}

/* After a migration the guest does not kick again for what it made available before. */
static void test_looks_at_start_without_kick(void **state)
{
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false, &echo_ops);
	rig_add_quietly(&rig, echo_segs, 2);
	rig_start(&rig);
	assert_true(rig_get(&rig, &id, &len));
	rig_free(&rig);
}

static void test_kick_before_enable_is_not_lost(void **state)
{
	struct gw_queue_change off = {.what = GW_QUEUE_ENABLE, .enable = false};
	struct gw_queue_change on = {.what = GW_QUEUE_ENABLE, .enable = true};
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(rig_change(&rig, &off), 0);
	assert_true(gw_queue_stopping(rig.queue));
	rig_start(&rig);
	rig_add(&rig, echo_segs, 2);
	usleep(30000);
	assert_false(rig_get_now(&rig, &id, &len));
	assert_int_equal(rig_change(&rig, &on), 0);
	assert_false(gw_queue_stopping(rig.queue));
	assert_true(rig_get(&rig, &id, &len));
	rig_free(&rig);
}

static void test_no_kick_descriptor_means_polling(void **state)
{
	struct gw_queue_change none = {.what = GW_QUEUE_KICK, .kick = -1};
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(rig_change(&rig, &none), 0);
	rig_start(&rig);
	usleep(10000);
	rig_add_quietly(&rig, echo_segs, 2);
	assert_true(rig_get(&rig, &id, &len));
	rig_free(&rig);
}

/* A blocking pipe whose writer goes away is neither waited for nor spun on. */
static void test_hung_up_kick_is_dropped(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_KICK};
	struct rig rig;
	uint16_t id;
	uint32_t len;
	int fds[2];

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(pipe(fds), 0);
	change.kick = fds[0];
	assert_int_equal(rig_change(&rig, &change), 0);
	rig_start(&rig);
	assert_int_equal(write(fds[1], "x", 1), 1);
	usleep(20000);
	close(fds[1]);
	usleep(20000);
	rig_add_quietly(&rig, echo_segs, 2);
	gw_queue_kick(rig.queue);
	assert_true(rig_get(&rig, &id, &len));
	rig_free(&rig);
}

static void test_stop_waits_for_elements(void **state)
{
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false, &keep_ops);
	rig_start(&rig);
	rig_add(&rig, echo_segs, 2);
	wait_kept();
	assert_int_equal(gw_queue_in_flight(rig.queue), 1);
	assert_int_equal(gw_queue_stop(rig.queue, NULL, NULL), -EINPROGRESS);
	assert_true(gw_queue_stopping(rig.queue));
	rig_add(&rig, echo_segs, 2); /* stays on the ring */
	usleep(20000);
	assert_false(rig_get_now(&rig, &id, &len));
	gw_elem_push(kept, 3);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(len, 3);
	while (gw_queue_is_started(rig.queue))
		rig_turn(&rig, 1);
	assert_int_equal(gw_queue_base(rig.queue), 1);
	assert_int_equal(gw_queue_in_flight(rig.queue), 0);
	rig_free(&rig);
}

static void test_stop_waits_for_the_device(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, false, &slow_ops);
	rig_start(&rig);
	assert_int_equal(gw_queue_stop(rig.queue, NULL, NULL), -EINPROGRESS);
	assert_int_equal(gw_queue_stop(rig.queue, NULL, NULL), -EALREADY);
	while (!stops)
		rig_turn(&rig, 1);
	rig_turn(&rig, 20);
	assert_true(gw_queue_is_started(rig.queue));
	assert_int_equal(stops, 1);
	gw_queue_stopped(rig.queue);
	while (gw_queue_is_started(rig.queue))
		rig_turn(&rig, 1);
	rig_free(&rig);
}

static void test_restart_goes_on(void **state)
{
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	for (int i = 0; i < 3; i++) {
		rig_start(&rig);
		expect_echo(&rig, "restart.");
		rig_stop(&rig);
		assert_int_equal(gw_queue_base(rig.queue), i + 1);
	}
	rig_free(&rig);
}

static void test_call_changed_while_running(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_CALL};
	struct rig rig;
	int call = eventfd(0, EFD_CLOEXEC);

	(void)state;
	set_up(&rig, false, &echo_ops);
	rig_start(&rig);
	expect_echo(&rig, "old call");
	assert_true(rig_wait(rig.call, 1000));
	change.call = dup(call);
	assert_int_equal(rig_change(&rig, &change), 0);
	expect_echo(&rig, "new call");
	assert_true(rig_wait(call, 1000));
	assert_false(rig_wait(rig.call, 0));
	rig_free(&rig);
	close(call);
}

/* A notification that found no descriptor goes to the next one. */
static void test_call_is_owed(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_CALL, .call = -1};
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(rig_change(&rig, &change), 0);
	rig_start(&rig);
	expect_echo(&rig, "masked..");
	change.call = dup(rig.call);
	assert_int_equal(rig_change(&rig, &change), 0);
	assert_true(rig_wait(rig.call, 1000));
	rig_free(&rig);
}

/* A peer that filled its counter does not stop the queue. */
static void test_full_call_does_not_block(void **state)
{
	uint64_t full = UINT64_MAX - 1;
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(write(rig.call, &full, sizeof(full)), sizeof(full));
	rig_start(&rig);
	expect_echo(&rig, "full....");
	expect_echo(&rig, "full too");
	rig_free(&rig);
}

static void test_stopped_only_changes(void **state)
{
	const struct gw_queue_change busy[] = {
		{.what = GW_QUEUE_NUM, .num = 16},
		{.what = GW_QUEUE_BASE, .base = 1},
		{.what = GW_QUEUE_INFLIGHT},
		{.what = GW_QUEUE_FEATURES, .features = 1ULL << VIRTIO_F_RING_PACKED},
	};
	struct gw_queue_change bad = {.what = GW_QUEUE_NUM, .num = GW_QUEUE_SIZE_MAX + 1};
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(rig_change(&rig, &bad), -EINVAL);
	rig_start(&rig);
	for (unsigned i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
		assert_int_equal(rig_change(&rig, &busy[i]), -EBUSY);
	expect_echo(&rig, "untouchd");
	rig_free(&rig);
}

static void test_addresses_are_checked(void **state)
{
	struct gw_queue_change bad = {.what = GW_QUEUE_ADDR,
				      .desc = RIG_UADDR + 2 * RIG_HALF - 64, /* beyond its end */
				      .avail = RIG_UADDR + RIG_AVAIL,
				      .used = RIG_UADDR + RIG_USED};
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	assert_int_equal(rig_change(&rig, &bad), -EINVAL);
	bad.desc = RIG_UADDR + 8; /* not aligned */
	assert_int_equal(rig_change(&rig, &bad), -EINVAL);
	rig_start(&rig);
	assert_int_equal(rig_change(&rig, &bad), -EINVAL);
	expect_echo(&rig, "old addr");
	rig_free(&rig);
}

/* An element in flight keeps the table that it points into. */
static void test_memory_changed_while_in_flight(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_MEM};
	struct gw_mem_region region;
	struct rig rig;
	uint16_t id;
	uint32_t len;

	(void)state;
	set_up(&rig, false, &keep_ops);
	rig_start(&rig);
	rig_add(&rig, echo_segs, 2);
	wait_kept();
	/* The same memory, mapped again under another front-end address: the rings move. */
	region = gw_mem_region_at(rig.mem, 0);
	assert_int_equal(gw_mem_add(&change.mem, NULL, &region, rig.fd), 0);
	assert_int_equal(rig_change(&rig, &change), 0);
	gw_mem_unref(change.mem);
	gw_mem_unref(rig.mem);
	rig.mem = NULL;
	assert_int_equal(gw_elem_copy_to(kept, 0, "still...", 8), 8);
	gw_elem_push(kept, 8);
	assert_true(rig_get(&rig, &id, &len));
	assert_memory_equal(rig_at(&rig, echo_segs[1].gpa), "still...", 8);
	kept = NULL;
	rig_add(&rig, echo_segs, 2);
	gw_elem_push(wait_kept(), 1);
	assert_true(rig_get(&rig, &id, &len));
	rig_free(&rig);
}

/* A VMM takes a region away and adds it again with other bounds, under running rings. */
static void test_ring_waits_for_its_memory(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_MEM};
	struct rig rig;
	uint32_t len;
	uint16_t id;

	(void)state;
	set_up(&rig, false, &keep_ops);
	rig_start(&rig);
	rig_add(&rig, echo_segs, 2);
	wait_kept();
	assert_int_equal(gw_mem_new(&change.mem), 0);
	assert_int_equal(rig_change(&rig, &change), 0);
	gw_mem_unref(change.mem);
	assert_false(gw_queue_is_broken(rig.queue));
	/* What was taken before comes back; nothing new is taken. */
	gw_elem_push(kept, 8);
	kept = NULL;
	assert_true(rig_get(&rig, &id, &len));
	rig_add(&rig, echo_segs, 2);
	rig_kick(&rig);
	usleep(20000);
	assert_int_equal(gw_queue_in_flight(rig.queue), 0);
	/* With its memory back it goes on, without another kick. */
	change.mem = rig.mem;
	assert_int_equal(rig_change(&rig, &change), 0);
	gw_elem_push(wait_kept(), 1);
	assert_true(rig_get(&rig, &id, &len));
	assert_false(gw_queue_is_broken(rig.queue));
	rig_free(&rig);
}

/* It may as well never come back. */
static void test_ring_stops_without_its_memory(void **state)
{
	struct gw_queue_change change = {.what = GW_QUEUE_MEM};
	struct rig rig;

	(void)state;
	set_up(&rig, false, &echo_ops);
	rig_start(&rig);
	expect_echo(&rig, "still on");
	assert_int_equal(gw_mem_new(&change.mem), 0);
	assert_int_equal(rig_change(&rig, &change), 0);
	gw_mem_unref(change.mem);
	rig_stop(&rig);
	change.mem = rig.mem;
	assert_int_equal(rig_change(&rig, &change), 0);
	rig_start(&rig);
	expect_echo(&rig, "new life");
	rig_free(&rig);
}

static void test_needs_set_up(void **state)
{
	struct gw_queue *queue;
	struct gw_loop *loop;

	(void)state;
	assert_int_equal(gw_loop_new(&loop), 0);
	assert_int_equal(gw_queue_new(&queue, loop, &echo_ops, NULL, 3), 0);
	assert_int_equal(gw_queue_start(queue), -EINVAL);
	assert_int_equal(gw_queue_stop(queue, NULL, NULL), 0);
	gw_queue_free(queue);
	gw_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_looks_at_start_without_kick),
		cmocka_unit_test(test_kick_before_enable_is_not_lost),
		cmocka_unit_test(test_no_kick_descriptor_means_polling),
		cmocka_unit_test(test_hung_up_kick_is_dropped),
		cmocka_unit_test(test_stop_waits_for_elements),
		cmocka_unit_test(test_stop_waits_for_the_device),
		cmocka_unit_test(test_restart_goes_on),
		cmocka_unit_test(test_call_changed_while_running),
		cmocka_unit_test(test_call_is_owed),
		cmocka_unit_test(test_full_call_does_not_block),
		cmocka_unit_test(test_stopped_only_changes),
		cmocka_unit_test(test_addresses_are_checked),
		cmocka_unit_test(test_memory_changed_while_in_flight),
		cmocka_unit_test(test_ring_waits_for_its_memory),
		cmocka_unit_test(test_ring_stops_without_its_memory),
		cmocka_unit_test(test_needs_set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
