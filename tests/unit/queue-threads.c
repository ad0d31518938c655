/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/queue-threads.c - elements pushed by a pool of threads; run it under ThreadSanitizer.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "rig.h"

#define THREADS	 4
#define REQUESTS 2000
#define NUM	 16

/* A pool: the queue's thread puts elements in, the others push them. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct gw_elem *elems[NUM];
	unsigned count;
	bool end;
	_Atomic unsigned parked;
	_Atomic bool park;
	_Atomic(struct gw_queue *) stopping;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void ready(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;
	unsigned n = 0;

	(void)opaque;
	while ((elem = gw_queue_pop(queue))) {
		if (++n % 4 == 0) {
			gw_elem_push(elem, 0); /* some without the pool */
			continue;
		}
		pthread_mutex_lock(&pool.lock);
		pool.elems[pool.count++] = elem;
		pthread_cond_signal(&pool.more);
		pthread_mutex_unlock(&pool.lock);
	}
}

/* Ends on a pool thread, which may still be in the call when the queue has ended. */
static void stop(void *opaque, struct gw_queue *queue)
{
	(void)opaque;
	pthread_mutex_lock(&pool.lock);
	pool.stopping = queue;
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

static const struct gw_queue_ops ops = {.ready = ready, .stop = stop};

static void work(struct gw_elem *elem)
{
	uint64_t word = 0;

	gw_elem_copy_from(elem, 0, &word, 8);
	word = ~word;
	if (pool.park && elem->flags == 0) {
		pool.parked++;
		gw_park(elem);
		return;
	}
	gw_elem_push(elem, gw_elem_copy_to(elem, 0, &word, 8));
}

static void *worker(void *opaque)
{
	(void)opaque;
	pthread_mutex_lock(&pool.lock);
	while (!pool.end) {
		struct gw_queue *queue = pool.stopping;

		if (pool.count) {
			struct gw_elem *elem = pool.elems[--pool.count];

			pthread_mutex_unlock(&pool.lock);
			work(elem);
			pthread_mutex_lock(&pool.lock);
		} else if (queue) {
			pool.stopping = NULL;
			gw_queue_stopped(queue);
		} else {
			pthread_cond_wait(&pool.more, &pool.lock);
		}
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

static void pool_run(pthread_t *threads)
{
	pool.end = false;
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, NULL), 0);
}

static void pool_end(pthread_t *threads)
{
	pthread_mutex_lock(&pool.lock);
	pool.end = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void ask(struct rig *rig, unsigned slot)
{
	/* One descriptor a chain: heads stay free while their neighbours are in flight. */
	struct rig_seg seg = {RIG_GPA + RIG_DATA + 64 * slot, 8, true};

	rig_add(rig, &seg, 1);
}

static void collect(struct rig *rig, unsigned *out)
{
	uint16_t id;
	uint32_t len;

	while (rig_get_now(rig, &id, &len)) {
		assert_true(id < NUM);
		(*out)--;
	}
}

/* Waves of a whole ring; a stop and a restart now and then, with changes of descriptors between. */
static void run(bool packed, bool event_idx)
{
	struct rig rig = {.num = NUM,
			  .packed = packed,
			  .base = packed ? 0x80008000 : 0,
			  .event_idx = event_idx};
	pthread_t threads[THREADS];
	unsigned out = 0;

	pool.park = false;
	pool_run(threads);
	rig_memory(&rig);
	rig_queue(&rig, &ops, NULL);
	rig_start(&rig);
	for (unsigned n = 0; n < REQUESTS / NUM; n++) {
		struct gw_queue_change call = {.what = GW_QUEUE_CALL, .call = dup(rig.call)};
		uint16_t id;
		uint32_t len;

		for (unsigned i = 0; i < NUM; i++, out++)
			ask(&rig, i);
		if (n % 8 == 3)
			assert_int_equal(rig_change(&rig, &call), 0);
		else
			close(call.call);
		if (n % 16 == 7) {
			rig_stop(&rig);
			collect(&rig, &out);
			rig_start(&rig);
		}
		while (out) {
			assert_true(rig_get(&rig, &id, &len));
			out--;
		}
	}
	rig_stop(&rig);
	assert_int_equal(gw_queue_in_flight(rig.queue), 0);
	rig_free(&rig);
	pool_end(threads);
}

static void test_split(void **state)
{
	(void)state;
	run(false, false);
	run(false, true);
}

static void test_packed(void **state)
{
	(void)state;
	run(true, false);
	run(true, true);
}

/* Parked from other threads, handed out again at the next start. */
static void test_park_from_afar(void **state)
{
	struct rig rig = {.num = NUM};
	pthread_t threads[THREADS];
	unsigned out = 8;

	(void)state;
	pool.parked = 0;
	pool.park = true;
	pool_run(threads);
	rig_memory(&rig);
	rig_queue(&rig, &ops, NULL);
	rig_start(&rig);
	for (unsigned i = 0; i < out; i++)
		ask(&rig, i);
	for (int i = 0; i < 5000 && out != pool.parked; i++) {
		usleep(1000);
		collect(&rig, &out);
	}
	rig_stop(&rig);
	assert_int_equal(out, pool.parked);
	pool.park = false;
	assert_int_equal(gw_queue_parked_count(rig.queue), pool.parked);
	rig_start(&rig);
	while (out) {
		uint16_t id;
		uint32_t len;

		assert_true(rig_get(&rig, &id, &len));
		out--;
	}
	rig_stop(&rig);
	assert_int_equal(gw_queue_parked_count(rig.queue), 0);
	rig_free(&rig);
	pool_end(threads);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_packed),
		cmocka_unit_test(test_park_from_afar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
