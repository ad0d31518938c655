/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attic_kept.h - the lock of an attic outlives its process. */
#ifndef GW_FS_ATTIC_KEPT_H
#define GW_FS_ATTIC_KEPT_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/inode.h"

/*
 * With --recover whoever keeps descriptors for the next process (struct gw_outliving) keeps those
 * of the locks as well. They are locks of open file descriptions, so that an attic is somebody's
 * also while nobody lives. Without --recover nothing is kept, and all of this does nothing.
 *
 * @dir is the attic's inode.
 */
struct fs;

/* Is it what a lock is kept under, and no node id? */
bool fs_kept_is_attic(uint64_t id);

/* 0, or a negative errno with a sentence: the attic would not outlive us. */
int fs_attic_keep(struct fs *fs, const struct fs_inode *dir, int lock);
/* @lock, wherever else its description is open, is none any more. */
void fs_attic_let_go(struct fs *fs, const struct fs_inode *dir, int lock);

/* What the process before us had of the attic open as @fd: a descriptor of our own, or -ENOENT. */
int fs_attic_kept(struct fs *fs, const struct fs_inode *dir, int fd);
/* Locks that were kept and that @is_joined (by a slot's index) says nobody wants are let go. True:
 * there were some. */
bool fs_attics_forsake(struct fs *fs, bool (*is_joined)(void *opaque, uint32_t slot), void *opaque);

#endif
