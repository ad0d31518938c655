/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/waits.c - requests that wait for what somebody else has: tried again until it is theirs. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/pool.h"
#include "fs/waits.h"
#include "godwit/error.h"

#define FIRST_MS 1
#define LAST_MS	 100

struct fs_waits {
	pthread_mutex_t lock;
	/* In the order in which they came. All but @count under the lock, and what is in a request
	 * (struct fs_wait) as well. */
	struct fs_request *first;
	_Atomic unsigned count;
	bool stopped[FS_QUEUES_MAX];
};

int fs_waits_new(struct fs_waits **waits)
{
	*waits = calloc(1, sizeof(**waits));
	if (!*waits)
		return gw_fail(ENOMEM, "waits: no memory");
	pthread_mutex_init(&(*waits)->lock, NULL);
	return 0;
}

void fs_waits_free(struct fs_waits *waits)
{
	if (!waits)
		return;
	pthread_mutex_destroy(&waits->lock);
	free(waits);
}

/*
 * The list.
 */

static void link_last(struct fs_waits *waits, struct fs_request *req)
{
	struct fs_request **at = &waits->first;

	while (*at)
		at = &(*at)->wait.next;
	*at = req;
	req->wait.next = NULL;
	waits->count++;
}

static void unlink_one(struct fs_waits *waits, struct fs_request *req)
{
	struct fs_request **at = &waits->first;

	while (*at != req)
		at = &(*at)->wait.next;
	*at = req->wait.next;
	waits->count--;
}

static unsigned count_on(const struct fs_waits *waits, const struct gw_queue *queue)
{
	unsigned count = 0;

	for (const struct fs_request *req = waits->first; req; req = req->wait.next)
		count += req->elem->queue == queue;
	return count;
}

/*
 * One attempt. The request is in the list and busy, so that nobody else ends it; who would have
 * says so in it.
 */

/* Under the lock: what becomes of one that is still to be waited for. */
enum fate { FATE_WAIT, FATE_PARK, FATE_END };
static enum fate settle(struct fs_request *req, uint64_t *due)
{
	struct fs_waits *waits = req->fs->waits;
	struct fs_wait *wait = &req->wait;

	wait->busy = false;
	*due = 0;
	if (!wait->ended && !waits->stopped[gw_queue_index(req->elem->queue)]) {
		if (!wait->woken)
			*due = fs_pool_now() + wait->delay_ms;
		wait->woken = false;
		wait->delay_ms = GW_MIN(wait->delay_ms * 2, (unsigned)LAST_MS);
		wait->due = *due;
		return FATE_WAIT;
	}
	unlink_one(waits, req);
	return wait->ended ? FATE_END : FATE_PARK;
}

/* It is over: @result, unless that is a failure and it was to end otherwise. */
static int end_one(struct fs_request *req, int result)
{
	GW_LOCK_SCOPE(&req->fs->waits->lock);

	unlink_one(req->fs->waits, req);
	return result < 0 && req->wait.ended ? req->wait.ended : result;
}

static int wait_on(struct fs_request *req)
{
	struct fs *fs = req->fs;
	enum fate fate;
	uint64_t due;

	{
		GW_LOCK_SCOPE(&fs->waits->lock);
		fate = settle(req, &due);
	}
	/* Nothing of a request that waits is touched from here on: it may be answered by now. */
	if (fate == FATE_WAIT)
		fs_pool_at(fs->pool, due);
	else if (fate == FATE_PARK)
		fs_park(req);
	return fate == FATE_END ? req->wait.ended : FS_ASYNC;
}

static int attempt(struct fs_request *req)
{
	int result = req->wait.attempt(req);

	return result == -EAGAIN ? wait_on(req) : end_one(req, result);
}

static int attempt_once(struct fs_request *req)
{
	int result = req->wait.attempt(req);

	return result == -EAGAIN ? -ENOLCK : result;
}

int fs_wait(struct fs_request *req, fs_op_fn *fn)
{
	struct fs_waits *waits = req->fs->waits;
	unsigned max = GW_MAX(gw_queue_size(req->elem->queue) / 4, 1u);
	bool may_wait;

	req->wait = (struct fs_wait){.attempt = fn, .busy = true, .delay_ms = FIRST_MS};
	{
		GW_LOCK_SCOPE(&waits->lock);
		may_wait = count_on(waits, req->elem->queue) < max;
		if (may_wait)
			link_last(waits, req);
	}
	return fs_to_pool(req, may_wait ? attempt : attempt_once);
}

/*
 * Again. In the pool, when the time has come.
 */

/* Busy from here on. *@next: when to come back if there is none, 0: nobody waits. */
static struct fs_request *take_due(struct fs_waits *waits, uint64_t now, uint64_t *next)
{
	GW_LOCK_SCOPE(&waits->lock);

	*next = 0;
	for (struct fs_request *req = waits->first; req; req = req->wait.next) {
		if (req->wait.busy)
			continue;
		if (req->wait.due <= now) {
			req->wait.busy = true;
			return req;
		}
		if (!*next || req->wait.due < *next)
			*next = req->wait.due;
	}
	return NULL;
}

void fs_waits_tick(struct fs *fs)
{
	uint64_t now = fs_pool_now(), next;
	struct fs_request *req;

	while ((req = take_due(fs->waits, now, &next))) {
		int result = attempt(req);

		if (result != FS_ASYNC)
			fs_finish(req, result);
	}
	if (next)
		fs_pool_at(fs->pool, next);
}

void fs_waits_wake(struct fs *fs, uint64_t nodeid)
{
	bool any = false;

	if (!atomic_load(&fs->waits->count))
		return;
	{
		GW_LOCK_SCOPE(&fs->waits->lock);
		for (struct fs_request *req = fs->waits->first; req; req = req->wait.next) {
			if (req->in.nodeid != nodeid)
				continue;
			req->wait.woken = req->wait.busy;
			req->wait.due = 0;
			any = true;
		}
	}
	if (any)
		fs_pool_at(fs->pool, 0);
}

void fs_waits_each(struct fs *fs, void (*fn)(void *opaque, const struct fs_request *req),
		   void *opaque)
{
	GW_LOCK_SCOPE(&fs->waits->lock);

	for (const struct fs_request *req = fs->waits->first; req; req = req->wait.next)
		fn(opaque, req);
}

/*
 * Ends.
 */

typedef bool which_fn(const struct fs_request *req, uint64_t what);

/* Those that are @which, out of the list; busy ones are told @result (0: nothing). */
static struct fs_request *take(struct fs_waits *waits, which_fn *which, uint64_t what, int result,
			       unsigned *told)
{
	struct fs_request *taken = NULL, **last = &taken, **at = &waits->first, *req;
	GW_LOCK_SCOPE(&waits->lock);

	while ((req = *at)) {
		if (!which(req, what)) {
			at = &req->wait.next;
			continue;
		}
		++*told;
		if (req->wait.busy) {
			req->wait.ended = result;
			at = &req->wait.next;
			continue;
		}
		*at = req->wait.next;
		waits->count--;
		req->wait.next = NULL;
		*last = req;
		last = &req->wait.next;
	}
	return taken;
}

static unsigned end_those(struct fs *fs, which_fn *which, uint64_t what, int result)
{
	unsigned told = 0;
	struct fs_request *next;

	for (struct fs_request *req = take(fs->waits, which, what, result, &told); req;
	     req = next) {
		next = req->wait.next;
		fs_finish(req, result);
	}
	return told;
}

static bool has_number(const struct fs_request *req, uint64_t unique)
{
	return req->in.unique == unique;
}

static bool any_one(const struct fs_request *req, uint64_t what)
{
	(void)req;
	(void)what;
	return true;
}

static bool is_on(const struct fs_request *req, uint64_t index)
{
	return gw_queue_index(req->elem->queue) == index;
}

bool fs_waits_interrupt(struct fs *fs, uint64_t unique)
{
	return end_those(fs, has_number, unique, -EINTR);
}

void fs_waits_end(struct fs *fs, int result)
{
	end_those(fs, any_one, 0, result);
}

static void set_stopped(struct fs_waits *waits, unsigned index, bool stopped)
{
	GW_LOCK_SCOPE(&waits->lock);

	waits->stopped[index] = stopped;
}

int fs_waits_queue_start(struct fs *fs, struct gw_queue *queue)
{
	set_stopped(fs->waits, gw_queue_index(queue), false);
	return 0;
}

void fs_waits_queue_stop(struct fs *fs, struct gw_queue *queue)
{
	unsigned index = gw_queue_index(queue), told = 0;
	struct fs_request *next;

	set_stopped(fs->waits, index, true);
	for (struct fs_request *req = take(fs->waits, is_on, index, 0, &told); req; req = next) {
		next = req->wait.next;
		fs_park(req);
	}
	gw_queue_stopped(queue);
}
