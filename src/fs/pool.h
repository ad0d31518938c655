/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/pool.h - threads for what would block a queue, and the store of request objects. */
#ifndef GW_FS_POOL_H
#define GW_FS_POOL_H

#include "fs/request.h"

/*
 * As many threads as were asked for, no more; what they cannot take yet waits in order. The line is
 * as long as the rings are: each waiting request holds an element. Request objects are recycled, so
 * that a device in its stride allocates nothing.
 */
struct fs_pool;

#define FS_POOL_THREADS_DEFAULT 8
#define FS_POOL_THREADS_MAX	256

int fs_pool_new(struct fs_pool **pool, struct fs *fs, unsigned threads);
/* Nothing is waiting or running any more (all queues are stopped). NULL is allowed. */
void fs_pool_free(struct fs_pool *pool);

/* A request with this number that waits for a thread, and of which nothing was done, ends with
 * -EINTR. What runs already goes on. */
void fs_pool_interrupt(struct fs_pool *pool, uint64_t unique);

/* Calls @fn for each request that waits for a thread, under the pool's lock. */
void fs_pool_waiting(struct fs_pool *pool, void (*fn)(void *opaque, const struct fs_request *req),
		     void *opaque);
/* Milliseconds of a clock that never goes back. */
uint64_t fs_pool_now(void);
/* A thread of the pool will call fs_waits_tick() at @due, or before. */
void fs_pool_at(struct fs_pool *pool, uint64_t due);
void fs_waits_tick(struct fs *fs); /* waits.c */

/* Threads that can really run side by side; 1 where there is no pool. */
unsigned fs_pool_processors(const struct fs_pool *pool);
/*
 * Call @fn on up to @wanted threads of the pool's, as soon as they have nothing else to do, once on
 * each. From fs_pool_end() on nobody comes any more, and all who came have left.
 */
struct fs_pool_work {
	void (*fn)(void *opaque);
	void *opaque;
	unsigned wanted;
	/* pool.c's own. */
	unsigned running;
	struct fs_pool_work *next;
};
void fs_pool_begin(struct fs_pool *pool, struct fs_pool_work *work);
void fs_pool_end(struct fs_pool *pool, struct fs_pool_work *work);
/* Call @fn on this thread and, as far as they have nothing else to do, on @helpers of the pool's,
 * side by side; returns when all calls have. @pool may be NULL. */
void fs_pool_share(struct fs_pool *pool, unsigned helpers, void (*fn)(void *opaque), void *opaque);

/* A request object, or NULL. */
struct fs_request *fs_pool_take(struct fs_pool *pool);
void fs_pool_give(struct fs_pool *pool, struct fs_request *req);

#endif
