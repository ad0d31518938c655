/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks_kept.h - the guest's locks outlive the process that took them for it. */
#ifndef GW_FS_LOCKS_KEPT_H
#define GW_FS_LOCKS_KEPT_H

#include "fs/lock_owners.h"
#include "fs/records.h"

/*
 * With --recover whoever keeps descriptors for the next process keeps those that the guest's locks
 * are on, from before the first lock on. Locks belong to open file descriptions, so that they are
 * held also while nobody lives. What the guest has is told to the journal: what is taken after it
 * is had, what is given up before it is gone. So what the journal says is held, and what it does
 * not say comes again with its request.
 *
 * Without --recover nothing is kept, and all of this does nothing.
 */
struct fs_handle;
struct fs_loading;
struct fs_open;
struct gw_outliving;
struct gw_state_writer;

/* In journal, checkpoint and what they come down to, and never in a stream: bytes of @inode become
 * @type for @owner, whose description is kept under @kept. @lost: as in gw_fs_lock_v1. */
struct gw_fs_locking_v1 {
	uint64_t inode, owner;
	uint64_t start, end;
	uint32_t type; /* F_RDLCK, F_WRLCK, F_UNLCK */
	uint64_t handle;
	bool lost;
	uint32_t kept;
};
/* What flock(2) has on @handle now. */
struct gw_fs_flocking_v1 {
	uint64_t handle;
	bool shared, exclusive, lost;
	uint32_t kept;
};
extern const struct gw_layout gw_fs_locking_v1, gw_fs_flocking_v1;

/* All locks of a guest together: a keeper has room for so many, and for what else there is. */
#define FS_LOCKS_KEPT_MAX 1024

/* A description for locks of @inode that is kept already, or none (fd -1, number 0). */
struct fs_lock_spare {
	int fd;
	uint32_t number;
};
/* For an owner that has none yet, and locks as @range says. Not under the table's lock. -ENOLCK. */
int fs_lock_spare(struct fs *fs, struct fs_inode *inode, uint64_t owner,
		  const struct fs_range *range, struct fs_lock_spare *spare);
/* What nobody took. */
void fs_lock_spare_end(struct fs *fs, struct fs_lock_spare *spare);
/* Has the process a journal, so that each owner needs a kept description? */
bool fs_locks_are_kept(const struct fs *fs);
/* @number, if not 0, is kept no more. Not under the table's lock. */
void fs_lock_let_go(struct fs *fs, uint32_t number);
/* @owner's, or @handle's, is kept from now on, if it is not. -ENOLCK. */
int fs_lock_keep_owner(struct fs *fs, struct fs_lock_owner *owner);
int fs_lock_keep_handle(struct fs *fs, struct fs_handle *handle);

/* To the journal: bytes of @owner's are as @range says from now on; what @handle has now. */
void fs_lock_tell(const struct fs_lock_owner *owner, const struct fs_range *range);
void fs_lock_tell_lost(const struct fs_lock_owner *owner);
void fs_flock_tell(const struct fs_open *open, int flock);
/* And all of it, into a checkpoint. */
int fs_locks_checkpoint(struct fs *fs, struct gw_state_writer *writer);

/* Is it what a lock's description is kept under? */
bool fs_kept_is_lock(uint64_t id);
uint32_t fs_kept_lock_number(uint64_t id);

/* Loading what a process left: put, as fs_lock_put() and fs_flock_put(). */
int fs_locking_put(void *opaque, const void *object);
int fs_flocking_put(void *opaque, const void *object);

/*
 * fold_locks.c: what was told comes down to what is held.
 */
struct fs_fold_locks;
int fs_fold_locks_new(struct fs_fold_locks **locks);
void fs_fold_locks_free(struct fs_fold_locks *locks); /* NULL is allowed */
int fs_fold_locking(struct fs_fold_locks *locks, const struct gw_fs_locking_v1 *record);
/* Those of inodes that @is_alive. */
int fs_fold_locks_write(const struct fs_fold_locks *locks, struct gw_state_writer *writer,
			bool (*is_alive)(void *opaque, uint64_t inode), void *opaque);
bool fs_fold_locks_has(const struct fs_fold_locks *locks, uint32_t kept,
		       bool (*is_alive)(void *opaque, uint64_t inode), void *opaque);

#endif
