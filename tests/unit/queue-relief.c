/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/queue-relief.c - a request that hangs keeps its thread and nobody else; run it under
 * ThreadSanitizer. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "rig.h"

#define NUM   64
#define HANGS UINT64_MAX /* until let_go() */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static bool held;
static _Atomic unsigned hanging, relieved;

static void hold(void)
{
	pthread_mutex_lock(&lock);
	held = true;
	pthread_mutex_unlock(&lock);
}

static void let_go(void)
{
	pthread_mutex_lock(&lock);
	held = false;
	pthread_cond_broadcast(&wake);
	pthread_mutex_unlock(&lock);
}

/* What a request says: how many milliseconds it takes. */
static void take_time(uint64_t ms)
{
	if (ms != HANGS) {
		usleep((useconds_t)ms * 1000);
		return;
	}
	hanging++;
	pthread_mutex_lock(&lock);
	while (held)
		pthread_cond_wait(&wake, &lock);
	pthread_mutex_unlock(&lock);
	hanging--;
}

static void ready(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue))) {
		uint64_t ms = 0;
		bool mine;

		gw_elem_copy_from(elem, 0, &ms, sizeof(ms));
		gw_queue_leave(queue);
		take_time(ms);
		mine = gw_queue_enter(queue);
		gw_elem_push(elem, 0);
		if (!mine) {
			relieved++;
			return;
		}
	}
}

static const struct gw_queue_ops ops = {.ready = ready};

static void ask(struct rig *rig, unsigned slot, uint64_t ms)
{
	struct rig_seg seg = {RIG_GPA + RIG_DATA + 64 * slot, sizeof(ms), false};

	memcpy(rig_at(rig, seg.gpa), &ms, sizeof(ms));
	rig_add(rig, &seg, 1);
}

/* The loop has to run for anybody to look; used elements that came by then. */
static unsigned collect(struct rig *rig, unsigned count, unsigned ms)
{
	unsigned got = 0;
	uint32_t len;
	uint16_t id;

	for (unsigned waited = 0; got < count && waited < ms; waited += 5) {
		rig_turn(rig, 5);
		while (rig_get_now(rig, &id, &len))
			got++;
	}
	return got;
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->num = NUM;
	rig_memory(rig);
	rig_queue(rig, &ops, NULL);
	rig_start(rig);
	relieved = 0;
	hold();
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

static void test_others_go_on(void **state)
{
	struct rig *rig = *state;

	/* What was answered before it, in the same batch, is not held back either. */
	ask(rig, 0, 0);
	ask(rig, 1, HANGS);
	for (unsigned i = 2; i < 10; i++)
		ask(rig, i, 0);
	assert_int_equal(collect(rig, 9, 10000), 9);
	assert_int_equal(hanging, 1);
	assert_int_equal(gw_queue_in_flight(rig->queue), 1);
	let_go();
	assert_int_equal(collect(rig, 1, 10000), 1);
	/* Its thread is there for the next one. */
	hold();
	ask(rig, 1, HANGS);
	ask(rig, 2, 0);
	assert_int_equal(collect(rig, 1, 10000), 1);
	let_go();
	assert_int_equal(collect(rig, 1, 10000), 1);
	assert_int_equal(relieved, 2);
	rig_stop(rig);
}

/* There is an end to it, which does no harm. */
static void test_more_than_there_are_threads(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < 40; i++)
		ask(rig, i, HANGS);
	ask(rig, 40, 0);
	assert_int_equal(collect(rig, 1, 3000), 0);
	assert_int_equal(hanging, 33);
	let_go();
	assert_int_equal(collect(rig, 41, 10000), 41);
	rig_stop(rig);
}

static void *let_go_later(void *opaque)
{
	(void)opaque;
	usleep(200000);
	let_go();
	return NULL;
}

static void test_a_stop_waits_for_it(void **state)
{
	struct rig *rig = *state;
	pthread_t thread;

	ask(rig, 0, HANGS);
	ask(rig, 1, 0);
	assert_int_equal(collect(rig, 1, 10000), 1);
	assert_int_equal(pthread_create(&thread, NULL, let_go_later, NULL), 0);
	rig_stop(rig);
	pthread_join(thread, NULL);
	assert_int_equal(hanging, 0);
	assert_int_equal(collect(rig, 1, 1000), 1);
	/* And it starts again, with threads of its own. */
	hold();
	rig_start(rig);
	ask(rig, 0, HANGS);
	ask(rig, 1, 0);
	assert_int_equal(collect(rig, 1, 10000), 1);
	let_go();
	assert_int_equal(collect(rig, 1, 10000), 1);
	rig_stop(rig);
}

/* Times around those at which somebody looks: each comes back once. */
static void test_any_times(void **state)
{
	struct rig *rig = *state;

	srandom(1);
	for (unsigned wave = 0; wave < 10; wave++) {
		for (unsigned i = 0; i < NUM / 2; i++)
			ask(rig, i, random() % 4 ? 0 : (uint64_t)random() % 60);
		assert_int_equal(collect(rig, NUM / 2, 20000), NUM / 2);
	}
	assert_true(relieved > 0);
	rig_stop(rig);
}

int main(void)
{
#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(test_others_go_on),
		ONE(test_more_than_there_are_threads),
		ONE(test_a_stop_waits_for_it),
		ONE(test_any_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
