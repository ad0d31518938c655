/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_relief.c - a queue whose thread is stuck in the device gets another thread. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

/*
 * Whose the queue is, is said by its duty: a number that grows, and whose lowest bit says that the
 * thread is away, in a call of the device that may block (gw_queue_leave()). The control thread
 * looks from time to time; a duty that is away and has not changed since the last look is taken
 * over by counting on, which can succeed for one of both only. A thread that comes back to another
 * number was relieved: it is the queue's no longer, and waits until it is needed again.
 */
#define AWAY 1

/* A thread is away for so long, or up to twice, before it is relieved. */
#define LOOK_MS 25

static _Thread_local uint64_t left_with;

void gw_queue_leave(struct gw_queue *queue)
{
	struct gw_relief *relief = &queue->relief;

	left_with = atomic_load_explicit(&relief->duty, memory_order_relaxed) | AWAY;
	atomic_store_explicit(&relief->duty, left_with, memory_order_release);
	if (!atomic_load_explicit(&relief->watched, memory_order_relaxed)) {
		atomic_store_explicit(&relief->watched, true, memory_order_relaxed);
		gw_loop_post_embedded(queue->loop, &relief->watch_post);
	}
}

bool gw_queue_enter(struct gw_queue *queue)
{
	uint64_t expected = left_with;

	if (atomic_compare_exchange_strong_explicit(&queue->relief.duty, &expected, left_with + 1,
						    memory_order_acquire, memory_order_relaxed))
		return true;
	gw_queue_current = NULL;
	return false;
}

bool gw_queue_await_turn(struct gw_queue *queue, bool relieved)
{
	struct gw_relief *relief = &queue->relief;

	GW_LOCK_SCOPE(&relief->lock);
	relief->spare += relieved;
	while (!relief->turn && !relief->end)
		pthread_cond_wait(&relief->wake, &relief->lock);
	if (!relief->turn)
		return false;
	relief->turn = false;
	gw_queue_current = queue;
	return true;
}

static void *relief_main(void *opaque)
{
	if (gw_queue_await_turn(opaque, false))
		gw_queue_serve(opaque);
	return NULL;
}

/* Only this thread makes spare ones and uses them up. */
static bool have_spare(struct gw_queue *queue)
{
	struct gw_relief *relief = &queue->relief;
	char name[16];
	bool have;

	pthread_mutex_lock(&relief->lock);
	have = relief->spare;
	pthread_mutex_unlock(&relief->lock);
	if (have || relief->count == GW_RELIEF_MAX)
		return have;
	snprintf(name, sizeof(name), "queue-%u", queue->index % 10000);
	if (gw_thread_start(&relief->threads[relief->count], GW_THREAD_QUEUE, name, relief_main,
			    queue))
		return false;
	relief->count++;
	pthread_mutex_lock(&relief->lock);
	relief->spare++;
	pthread_mutex_unlock(&relief->lock);
	return true;
}

static void relieve(struct gw_queue *queue, uint64_t duty)
{
	struct gw_relief *relief = &queue->relief;

	if (!have_spare(queue)) {
		if (!relief->told)
			gw_warn("queue %u: %u requests take long, and there is no further thread: "
				"others wait",
				queue->index, relief->count + 1);
		relief->told = true;
		return;
	}
	if (!atomic_compare_exchange_strong_explicit(&relief->duty, &duty, duty + 1,
						     memory_order_acq_rel, memory_order_relaxed))
		return;
	gw_debug("queue %u: a request takes long, another thread goes on", queue->index);
	GW_LOCK_SCOPE(&relief->lock);
	relief->spare--;
	relief->turn = true;
	pthread_cond_signal(&relief->wake);
}

static void look(void *opaque)
{
	struct gw_queue *queue = opaque;
	struct gw_relief *relief = &queue->relief;
	uint64_t duty = atomic_load_explicit(&relief->duty, memory_order_relaxed);
	bool same = duty == relief->seen;

	relief->seen = duty;
	if (same && !(duty & AWAY)) {
		/* Idle: who leaves next says so. Who left just before this was to be seen is found
		 * by one more look. */
		if (!atomic_exchange_explicit(&relief->watched, false, memory_order_relaxed))
			return;
	} else {
		atomic_store_explicit(&relief->watched, true, memory_order_relaxed);
		if (same)
			relieve(queue, duty);
	}
	/* Without a timer nobody is relieved, as if there were no threads. */
	gw_timer_restart(relief->timer, LOOK_MS);
}

static void begin_watch(void *opaque)
{
	struct gw_queue *queue = opaque;
	struct gw_relief *relief = &queue->relief;

	if (relief->timer)
		gw_timer_restart(relief->timer, LOOK_MS);
	else
		gw_loop_add_timer(queue->loop, LOOK_MS, look, queue, &relief->timer);
}

void gw_relief_init(struct gw_queue *queue)
{
	struct gw_relief *relief = &queue->relief;

	relief->watch_post = (struct gw_post){.fn = begin_watch, .opaque = queue};
	pthread_mutex_init(&relief->lock, NULL);
	pthread_cond_init(&relief->wake, NULL);
}

void gw_relief_end(struct gw_queue *queue)
{
	struct gw_relief *relief = &queue->relief;

	pthread_mutex_lock(&relief->lock);
	relief->end = true;
	pthread_cond_broadcast(&relief->wake);
	pthread_mutex_unlock(&relief->lock);
	pthread_join(queue->thread, NULL);
	while (relief->count)
		pthread_join(relief->threads[--relief->count], NULL);
	gw_source_remove(relief->timer);
	relief->timer = NULL;
	relief->spare = 0;
	relief->end = relief->turn = relief->told = false;
	atomic_store(&relief->watched, false);
}

void gw_relief_fini(struct gw_queue *queue)
{
	pthread_cond_destroy(&queue->relief.wake);
	pthread_mutex_destroy(&queue->relief.lock);
}
