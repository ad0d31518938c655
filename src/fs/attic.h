/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attic.h - directories for files that the guest has removed and still has open. */
#ifndef GW_FS_ATTIC_H
#define GW_FS_ATTIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * An attic is a directory of such a name, mode 0700, at the top of a mount. It belongs to all
 * processes that have joined it: each has a shared lock on the file "lock" in it. Where nobody has
 * one, whoever comes across it sweeps it away, with all that is in it. As long as that file is
 * called "saved" instead, a state that was saved needs what is in the attic, and nobody who merely
 * comes across it touches it; who loads the state joins, and calls it "lock" again once it runs.
 *
 * @fd, @parent: descriptors of directories, O_PATH will do; 0 or a negative errno, without a
 * sentence.
 */
#define FS_ATTIC_PREFIX	  ".godwit-hidden-"
#define FS_ATTIC_NAME_LEN (sizeof(FS_ATTIC_PREFIX) - 1 + 16)
#define FS_ATTIC_NAME_MAX (FS_ATTIC_NAME_LEN + 1)

/* Is it the name of an attic, anybody's? No guest gets to see one, or to use the name. */
bool fs_attic_is_name(const char *name, size_t len);

/* A new one in @parent, joined; its name, and *@lock, which is held until it is closed. */
int fs_attic_make(int parent, char name[FS_ATTIC_NAME_MAX], int *lock);
int fs_attic_join(int fd, int *lock);
/* Is @lock the file of such a lock there? */
bool fs_attic_is_lock(int fd, int lock);
/* -ENOENT: it was that already, or is no attic. */
int fs_attic_mark(int fd, bool saved);
/* Does it hold anything? True as well if that cannot be told. */
bool fs_attic_is_used(int fd);

/* Away with @name, if nobody has joined it. */
void fs_attic_sweep(int parent, const char *name);
/* With all of those in @parent; reads its entries up to a limit. */
void fs_attics_sweep(int parent);

/*
 * With some mount options another host does not see a lock: there nobody may go by them
 * (fs_host.locks_are_local). Is the share, or something inside of it, mounted like that? The second
 * goes by a list of mounts as /proc/self/mounts is; @share is an absolute path without links.
 */
bool fs_attic_locks_are_local(const char *share);
bool fs_attic_locks_stay(const char *share, FILE *mounts);

#endif
