/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/watch.h - what others change in the share is noticed, and then not believed in for long. */
#ifndef GW_FS_WATCH_H
#define GW_FS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/changed.h"
#include "fs/fs.h"
#include "fs/inode.h"

/*
 * Before the sandbox, by whom CAP_SYS_ADMIN is still with: a descriptor that tells of changes on
 * the file systems that are mounted at and below @share now, and with @names of which names in
 * which directories. Returns it, or a negative errno with a sentence.
 */
int fs_watch_open(const char *share, bool names);

/* A thread that reads @fd (borrowed), and what it knows; @notify hears of it, too, unless NULL. */
int fs_watch_new(struct fs_watch **watch, int fd, struct fs_notify *notify);
void fs_watch_free(struct fs_watch *watch);

struct fs_watch_stats {
	uint64_t changes, overflows;
};
void fs_watch_stats(const struct fs_watch *watch, struct fs_watch_stats *stats);

/* Slow part of what follows. */
bool fs_watch_asks(const struct fs *fs, struct fs_inode *inode);
/* Of @inode's file handle (changed.h). False: it cannot be told. */
bool fs_watch_key(struct fs_inode *inode, uint64_t *key);
const struct fs_changed *fs_watch_changed(const struct fs_watch *watch);

/* Has somebody else changed @inode lately? One read of an atomic while nothing changes. */
static inline bool fs_watch_doubts(const struct fs *fs, struct fs_inode *inode)
{
	return fs->watch && !fs_changed_quiet(fs_watch_changed(fs->watch)) &&
	       fs_watch_asks(fs, inode);
}

#endif
