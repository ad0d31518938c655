/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks.h - the guest's file locks, on the host. */
#ifndef GW_FS_LOCKS_H
#define GW_FS_LOCKS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A POSIX lock belongs to an owner, which may have the file open several times, and goes with the
 * owner's first close. A lock of an open file description belongs to that; so each owner has a
 * description of its own for each inode that it has locks on, as long as it has any. Locks of
 * flock(2) belong to open files in the guest as on the host: they are on the handle's descriptor.
 */
struct fs;
struct fs_handle;
struct fs_inode;
struct fs_locks;

int fs_locks_new(struct fs_locks **locks);
void fs_locks_free(struct fs_locks *locks); /* NULL is allowed */
void fs_locks_clear(struct fs_locks *locks);

/* F_OFD_GETLK and F_OFD_SETLK for the owner; -ENOLCK if no more descriptors may be had. */
int fs_lock_get(struct fs *fs, struct fs_inode *inode, uint64_t owner, struct flock *lock);
int fs_lock_set(struct fs *fs, struct fs_inode *inode, uint64_t owner, struct flock *lock);
/* All that the owner has on the inode. */
void fs_lock_drop(struct fs *fs, const struct fs_inode *inode, uint64_t owner);
/* As a type of fcntl(2); F_UNLCK. Never waits: -EAGAIN. */
int fs_flock_set(struct fs_handle *handle, int type);

/* An inode on which an owner holds locks, pinned, or NULL. */
struct fs_inode *fs_locks_any(struct fs_locks *locks);

#endif
