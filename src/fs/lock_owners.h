/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/lock_owners.h - the lock table's inside, for its migration. */
#ifndef GW_FS_LOCK_OWNERS_H
#define GW_FS_LOCK_OWNERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/locks.h"

#define FS_LOCK_OWNERS_MAX 4096 /* all together, so that the way along them is short */
#define FS_LOCK_RANGES_MAX 65536

/* One owner on one inode. */
struct fs_lock_owner {
	struct fs_lock_owner *next;
	struct fs_inode *inode;
	uint64_t id;
	uint64_t handle; /* through which it locked last */
	struct fs_ranges ranges;
	bool lost;     /* somebody else has had what was its */
	int fd;	       /* -1: staged, or lost */
	uint32_t kept; /* under which it outlives the process; 0: it does not (locks_kept.h) */
};

struct fs_locks {
	pthread_mutex_t lock;
	struct fs_lock_owner *first;
	unsigned count, ranges;
	bool released; /* they are in a stream, and the other side may hold them */
};

/* All under the lock, or while nobody else has the table. */
struct fs_lock_owner *fs_lock_owner_find(struct fs_locks *locks, const struct fs_inode *inode,
					 uint64_t id);
/* Without a descriptor. -ENOLCK. */
int fs_lock_owner_add(struct fs_locks *locks, struct fs_inode *inode, uint64_t id,
		      struct fs_lock_owner **owner);
/* A description of its own, for locks. */
int fs_lock_owner_open(struct fs_lock_owner *owner);
int fs_lock_open(struct fs_inode *inode);
/* What the kernel is told; *@range is what it answers to F_OFD_GETLK. */
int fs_lock_control(int fd, int command, struct fs_range *range);
/* The table follows: @next is what @owner has now. */
void fs_lock_owner_has(struct fs_locks *locks, struct fs_lock_owner *owner, struct fs_ranges *next);

#endif
