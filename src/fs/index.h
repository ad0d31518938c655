/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/index.h - who came out of a stream gets into the hashes when the guest runs already. */
#ifndef GW_FS_INDEX_H
#define GW_FS_INDEX_H

#include "fs/table.h"

/*
 * What a load has checked, and no two of whom are one file, need not be in the hashes by name and
 * by identity before somebody looks for one there. A thread of the pool puts them in, from the
 * moment at which the table becomes the device's; whoever needs a hash before that is done helps,
 * and waits for it (fs_index_wait(), in names.c and identity.c). Who has a file open needs none.
 *
 * All that could fail has been done when fs_index_new() returns.
 */
struct fs_index;

/* For @count inodes and their names. NULL: no memory. */
struct fs_index *fs_index_new(struct fs_inodes *inodes, size_t count);
/* One that was not begun. */
void fs_index_free(struct fs_index *index);
/* Takes @slots over, which free() ends, and belongs to its table from here on. */
void fs_index_begin(struct fs_index *index, uint32_t *slots);
/* All of it is done, what follows from it too. Nothing, if there was no such load. */
void fs_index_settle(struct fs_inodes *inodes);

#endif
