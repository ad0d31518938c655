/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/waits.h - requests that wait for what somebody else has: tried again until it is theirs. */
#ifndef GW_FS_WAITS_H
#define GW_FS_WAITS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/request.h"

/*
 * No thread waits: a request that could not be had is linked here and tried again by a thread of
 * the pool, at once when something that it may wait for was given back here (fs_waits_wake()), and
 * from time to time (1 ms, then less and less often, at least every 100 ms) since nobody tells what
 * others on this host give back.
 *
 * A stop of the queue does not wait for them: they are parked, and tried anew where the guest goes
 * on. So a wait ends with success, with an error of its own, or when the guest interrupts it, and
 * never because of a migration.
 */
struct fs_waits;

int fs_waits_new(struct fs_waits **waits);
void fs_waits_free(struct fs_waits *waits); /* NULL is allowed */

/*
 * What a handler returns: @req is answered when @attempt, which runs in the pool, returns something
 * else than -EAGAIN. At most a quarter of a ring waits, so that there is room for the requests that
 * end the waiting; with more -EAGAIN becomes -ENOLCK.
 */
int fs_wait(struct fs_request *req, fs_op_fn *attempt);
/* Something of this inode was given back. Cheap where nobody waits. */
void fs_waits_wake(struct fs *fs, uint64_t nodeid);
/* All that wait, under a lock: @fn calls nothing of this file. */
void fs_waits_each(struct fs *fs, void (*fn)(void *opaque, const struct fs_request *req),
		   void *opaque);
/* The request with this number ends with -EINTR. False: it is none that waits. */
bool fs_waits_interrupt(struct fs *fs, uint64_t unique);
/* All end with @result. */
void fs_waits_end(struct fs *fs, int result);

/* struct gw_device_ops, on the queue's thread. */
int fs_waits_queue_start(struct fs *fs, struct gw_queue *queue);
void fs_waits_queue_stop(struct fs *fs, struct gw_queue *queue);

#endif
