/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks.h - the guest's file locks, on the host. */
#ifndef GW_FS_LOCKS_H
#define GW_FS_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/ranges.h"

/*
 * A POSIX lock belongs to an owner, which may have the file open several times, and goes with the
 * owner's first close. A lock of an open file description belongs to that; so each owner has a
 * description of its own for each inode that it has locks on, as long as it has any. Locks of
 * flock(2) belong to open files in the guest as on the host: they are on the handle's descriptor.
 *
 * Only one side of a migration can hold a lock. They are written to the stream, released when all
 * but its end is with the destination, taken again there by the load, or here when the device goes
 * on. Who lost one in between must not go on as if nothing had happened: the owner, and the open
 * file that it locked through, answer EIO from then on, until they are closed.
 */
struct fs;
struct fs_handle;
struct fs_inode;
struct fs_loading;
struct fs_locks;
struct fs_request;
struct fuse_file_lock;
struct gw_state_writer;

int fs_locks_new(struct fs_locks **locks);
void fs_locks_free(struct fs_locks *locks); /* NULL is allowed */
void fs_locks_clear(struct fs_locks *locks);
/* All of the guest's, which has ended. */
void fs_locks_end(struct fs *fs);

/* F_OFD_GETLK and F_OFD_SETLK for the owner, which asks through the open file @handle. -ENOLCK if
 * no more descriptors, or ranges, may be had. */
int fs_lock_get(struct fs *fs, struct fs_inode *inode, uint64_t owner, struct fs_range *range);
int fs_lock_set(struct fs *fs, struct fs_inode *inode, uint64_t owner, uint64_t handle,
		const struct fs_range *range);
/* All that the owner has on the inode. */
void fs_lock_drop(struct fs *fs, const struct fs_inode *inode, uint64_t owner);
/* All that was locked last through the open file, at its end: locks of open file descriptions,
 * which nobody gives back by name. */
void fs_lock_drop_through(struct fs *fs, const struct fs_inode *inode, uint64_t handle);
/* As a type of fcntl(2); F_UNLCK. Never waits: -EAGAIN, and then what was held is gone, too, since
 * flock(2) gives it up before it asks for another kind. */
int fs_flock_set(struct fs_handle *handle, int type);

/* What the guest's kernel means by its range. -EINVAL. */
int fs_lock_parse(const struct fuse_file_lock *lk, struct fs_range *range);
/* Would the request, of a lock of an owner, wait for somebody who waits for that owner? */
bool fs_lock_closes_circle(const struct fs_request *req);

/* For who shows them: whose range it is, or the whole file's for flock(2). */
struct fs_lock_info {
	struct fs_inode *inode; /* borrowed */
	bool flock;
	uint64_t owner; /* or handle */
	struct fs_range range;
};
typedef int fs_lock_fn(void *opaque, const struct fs_lock_info *info);
/* Until @fn returns something else than 0, which is returned. Any thread; @fn calls nothing of
 * this file. */
int fs_locks_each(struct fs *fs, fs_lock_fn *fn, void *opaque);

/*
 * locks_move.c: migration.
 */
/* Transfer thread. Into the stream, and then, as the last thing of a save, released. */
int fs_locks_save(struct fs *fs, struct gw_state_writer *writer);
/* For a format that cannot say them: -EBUSY with a sentence if the guest has any. */
int fs_locks_check_none(struct fs *fs);
int fs_locks_release(struct fs *fs, struct gw_state_writer *writer);
/* Released at once. */
void fs_locks_let_go(struct fs *fs);
/* Control thread: what was released is taken again. What somebody else has by now is lost. */
void fs_locks_retake(struct fs *fs);
/* Loading: as their records come; and taken, once all else is there. */
int fs_lock_put(void *opaque, const void *object);
int fs_flock_put(void *opaque, const void *object);
int fs_locks_adopt(struct fs_loading *loading);

#endif
