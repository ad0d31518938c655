/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/pool.c - threads for what would block a queue, and the store of request objects. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "fs/counters.h"
#include "fs/dispatch.h"
#include "fs/pool.h"
#include "godwit/error.h"
#include "state/journal.h"

/* More idle objects than this are given back to the system. */
#define IDLE_MAX 256

struct fs_pool {
	struct fs *fs;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t helped;
	/* Under the lock. */
	struct fs_request *first, **last;
	struct fs_pool_work *shared; /* a list */
	struct fs_request *idle;
	unsigned idle_count;
	bool end;
	uint64_t due;  /* of a tick, 0: none */
	bool is_timed; /* one of the threads that wait does so until then */

	unsigned processors;
	atomic_uint numbered; /* threads that have a number */
	unsigned threads;
	pthread_t thread[];
};

static void request_free(struct fs_request *req)
{
	free(req->spill);
	free(req);
}

/* pool->lock is held. */
static struct fs_pool_work *wanting(const struct fs_pool *pool)
{
	struct fs_pool_work *work = pool->shared;

	while (work && !work->wanted)
		work = work->next;
	return work;
}

/* Who looks at the clock for all, and does something else now, hands that on. */
static void hand_on(struct fs_pool *pool)
{
	if (pool->due && !pool->is_timed)
		pthread_cond_signal(&pool->wake);
}

/* pool->lock is held, but not over the work itself. */
static void help(struct fs_pool *pool, struct fs_pool_work *work)
{
	work->wanted--;
	work->running++;
	hand_on(pool);
	pthread_mutex_unlock(&pool->lock);
	work->fn(work->opaque);
	pthread_mutex_lock(&pool->lock);
	if (!--work->running)
		pthread_cond_broadcast(&pool->helped);
}

uint64_t fs_pool_now(void)
{
	return gw_clock_ns() / GW_NS_PER_MS;
}

/* One thread looks at the clock for all. Who takes work instead hands that on. */
static void wait_for_work(struct fs_pool *pool)
{
	struct timespec until = {.tv_sec = (time_t)(pool->due / 1000),
				 .tv_nsec = (long)(pool->due % 1000) * 1000000};
	struct fs_pool_work *work = wanting(pool);

	if (work) {
		help(pool, work);
		return;
	}
	if (!pool->due || pool->is_timed) {
		pthread_cond_wait(&pool->wake, &pool->lock);
		return;
	}
	pool->is_timed = true;
	pthread_cond_timedwait(&pool->wake, &pool->lock, &until);
	pool->is_timed = false;
}

/* A tick is due before all else: it is short, and the line may be long. */
static bool take_tick(struct fs_pool *pool)
{
	if (!pool->due || pool->end || fs_pool_now() < pool->due)
		return false;
	pool->due = 0;
	return true;
}

static struct fs_request *take_first(struct fs_pool *pool)
{
	struct fs_request *req = pool->first;

	if (!req)
		return NULL;
	pool->first = req->next;
	if (!pool->first)
		pool->last = &pool->first;
	hand_on(pool);
	return req;
}

/* NULL and false: the end. */
static struct fs_request *next_work(struct fs_pool *pool, bool *tick)
{
	struct fs_request *req = NULL;

	GW_LOCK_SCOPE(&pool->lock);
	while (!(*tick = take_tick(pool)) && !(req = take_first(pool)) && !pool->end)
		wait_for_work(pool);
	return req;
}

static void *pool_main(void *opaque)
{
	struct fs_pool *pool = opaque;
	struct fs_request *req;
	bool tick;

	fs_counters_of_pool(pool->fs->counters, atomic_fetch_add(&pool->numbered, 1));
	while ((req = next_work(pool, &tick)) || tick) {
		int result;

		if (tick) {
			fs_waits_tick(pool->fs);
			continue;
		}
		fs_counters_working(req);
		gw_journal_for(gw_queue_index(req->elem->queue), req->elem->serial);
		result = req->work(req);
		if (result != FS_ASYNC)
			fs_finish(req, result);
		gw_journal_for(0, 0);
		fs_counters_working(NULL);
	}
	return NULL;
}

/* 0, which is in the past, but not "none". All are woken: one that looks at the clock already would
 * wake too late. */
void fs_pool_at(struct fs_pool *pool, uint64_t due)
{
	GW_LOCK_SCOPE(&pool->lock);

	due = GW_MAX(due, UINT64_C(1));
	if (pool->due && pool->due <= due)
		return;
	pool->due = due;
	pthread_cond_broadcast(&pool->wake);
}

static int start_threads(struct fs_pool *pool, unsigned count)
{
	while (pool->threads < count) {
		char name[32];
		int ret;

		snprintf(name, sizeof(name), "fs-pool-%u", pool->threads);
		ret = gw_thread_start(&pool->thread[pool->threads], GW_THREAD_POOL, name, pool_main,
				      pool);
		if (ret < 0)
			return ret;
		pool->threads++;
	}
	return 0;
}

static void make_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static unsigned processors(void)
{
	cpu_set_t set;

	/* More of them than a set has room for, or not allowed: then two are there, as a guess. */
	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : (unsigned)CPU_COUNT(&set);
}

unsigned fs_pool_processors(const struct fs_pool *pool)
{
	return pool ? pool->processors : 1;
}

int fs_pool_new(struct fs_pool **out, struct fs *fs, unsigned threads)
{
	unsigned count = threads ? threads : FS_POOL_THREADS_DEFAULT;
	struct fs_pool *pool;
	int ret;

	if (count > FS_POOL_THREADS_MAX)
		return gw_fail(EINVAL, "thread pool of %u threads: at most %u", count,
			       FS_POOL_THREADS_MAX);
	pool = calloc(1, sizeof(*pool) + count * sizeof(pool->thread[0]));
	if (!pool)
		return gw_fail(ENOMEM, "thread pool: no memory");
	pool->fs = fs;
	pool->processors = processors();
	pool->last = &pool->first;
	pthread_mutex_init(&pool->lock, NULL);
	make_cond(&pool->wake);
	pthread_cond_init(&pool->helped, NULL);
	ret = start_threads(pool, count);
	if (ret < 0) {
		fs_pool_free(pool);
		return ret;
	}
	*out = pool;
	return 0;
}

void fs_pool_free(struct fs_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->end = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->threads; i++)
		pthread_join(pool->thread[i], NULL);
	while (pool->idle) {
		struct fs_request *req = pool->idle;

		pool->idle = req->next;
		request_free(req);
	}
	pthread_cond_destroy(&pool->wake);
	pthread_cond_destroy(&pool->helped);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

void fs_pool_begin(struct fs_pool *pool, struct fs_pool_work *work)
{
	GW_LOCK_SCOPE(&pool->lock);

	work->next = pool->shared;
	pool->shared = work;
	/* All of them would meet at the lock. */
	for (unsigned i = 0; i < work->wanted && i < pool->threads; i++)
		pthread_cond_signal(&pool->wake);
}

void fs_pool_end(struct fs_pool *pool, struct fs_pool_work *work)
{
	struct fs_pool_work **at = &pool->shared;
	GW_LOCK_SCOPE(&pool->lock);

	work->wanted = 0;
	while (work->running)
		pthread_cond_wait(&pool->helped, &pool->lock);
	while (*at != work)
		at = &(*at)->next;
	*at = work->next;
}

void fs_pool_share(struct fs_pool *pool, unsigned helpers, void (*fn)(void *opaque), void *opaque)
{
	struct fs_pool_work work = {.fn = fn, .opaque = opaque, .wanted = helpers};
	bool helped = pool && helpers;

	if (helped)
		fs_pool_begin(pool, &work);
	fn(opaque);
	if (helped)
		fs_pool_end(pool, &work);
}

struct fs_request *fs_pool_take(struct fs_pool *pool)
{
	struct fs_request *req;

	{
		GW_LOCK_SCOPE(&pool->lock);
		req = pool->idle;
		if (req) {
			pool->idle = req->next;
			pool->idle_count--;
		}
	}
	if (!req) {
		req = malloc(sizeof(*req));
		if (!req)
			return NULL;
		req->spill = NULL;
	}
	req->fs = pool->fs;
	req->next = NULL;
	return req;
}

void fs_pool_give(struct fs_pool *pool, struct fs_request *req)
{
	if (!req)
		return;
	{
		GW_LOCK_SCOPE(&pool->lock);
		if (pool->idle_count < IDLE_MAX) {
			req->next = pool->idle;
			pool->idle = req;
			pool->idle_count++;
			return;
		}
	}
	request_free(req);
}

int fs_to_pool(struct fs_request *req, fs_op_fn *work)
{
	struct fs_pool *pool = req->fs->pool;

	req->work = work;
	req->next = NULL;
	GW_LOCK_SCOPE(&pool->lock);
	*pool->last = req;
	pool->last = &req->next;
	pthread_cond_signal(&pool->wake);
	return FS_ASYNC;
}

/* Out of the line, or NULL. */
static struct fs_request *take_waiting(struct fs_pool *pool, uint64_t unique)
{
	struct fs_request **at, *req;

	GW_LOCK_SCOPE(&pool->lock);
	for (at = &pool->first; (req = *at); at = &req->next) {
		if (req->in.unique == unique && !req->done)
			break;
	}
	if (!req)
		return NULL;
	*at = req->next;
	if (!req->next)
		pool->last = at;
	return req;
}

void fs_pool_interrupt(struct fs_pool *pool, uint64_t unique)
{
	struct fs_request *req = take_waiting(pool, unique);

	if (req)
		fs_finish(req, -EINTR);
}

void fs_park(struct fs_request *req)
{
	struct gw_elem *elem = req->elem;

	free(gw_take_ptr(req->spill));
	req->elem = NULL;
	gw_park(elem);
	fs_pool_give(req->fs->pool, req);
}

void fs_finish(struct fs_request *req, int result)
{
	struct fs_pool *pool = req->fs->pool;

	fs_counters_done(req->fs->counters, req, result);
	fs_answer(req, result);
	fs_pool_give(pool, req);
}

void fs_pool_waiting(struct fs_pool *pool, void (*fn)(void *opaque, const struct fs_request *req),
		     void *opaque)
{
	GW_LOCK_SCOPE(&pool->lock);
	for (const struct fs_request *req = pool->first; req; req = req->next)
		fn(opaque, req);
}
