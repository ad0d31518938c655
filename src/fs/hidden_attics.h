/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/hidden_attics.h - the attics that this process has joined. */
#ifndef GW_FS_HIDDEN_ATTICS_H
#define GW_FS_HIDDEN_ATTICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/attic.h"
#include "fs/fs.h"
#include "fs/hidden.h"

/* One that this process has joined. */
struct attic {
	struct fs_inode *dir; /* pinned, as is the next */
	struct fs_inode *parent;
	char name[FS_ATTIC_NAME_MAX];
	int lock;
	bool own; /* made here, for new ones */
};

struct fs_hidden {
	struct fs *fs;
	pthread_mutex_t lock; /* attics, and making one; comes before the table's */
	struct attic *attics;
	size_t count, room;
	_Atomic bool ours; /* the device runs, or ran last, here */
	_Atomic uint64_t files;
};

/* --orphans=hide? NULL is allowed. */
bool fs_hidden_is_on(const struct fs_hidden *hidden);
/* Ours on the mount of @dir, pinned; it is made if need be. NULL: there can be none. */
struct fs_inode *fs_hidden_attic_for(struct fs_hidden *hidden, struct fs_inode *dir);
/* The attic @dir that a state speaks of, unless that was done. hidden->lock is held. */
int fs_hidden_join(struct fs_hidden *hidden, struct fs_inode *dir);

#endif
