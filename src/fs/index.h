/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/index.h - who came out of a stream gets into the hashes when the guest runs already. */
#ifndef GW_FS_INDEX_H
#define GW_FS_INDEX_H

#include "base/scratch.h"
#include "fs/table.h"

/*
 * What a load has checked, and no two of whom are one file, need not be in the hashes by name and
 * by identity before somebody looks for one there. The resolver puts them in when the device runs;
 * whoever needs a hash before that is done helps, and waits for it (fs_index_wait(), in names.c and
 * identity.c). Who has a file open needs none.
 *
 * All that could fail has been done when fs_index_new() returns.
 */
struct fs_index;

/* For @count inodes and their names; what it needs is taken from @memory. NULL: there is none. */
struct fs_index *fs_index_new(struct fs_inodes *inodes, size_t count, struct gw_scratch *memory);
/* One that was not handed over. */
void fs_index_free(struct fs_index *index);
/* Takes that @memory over, in which @slots are, too; and belongs to its table from here on. */
void fs_index_hand_over(struct fs_index *index, const uint32_t *slots, struct gw_scratch *memory);
/* All of it is done, what follows from it too. Nothing, if there was no such load. */
void fs_index_settle(struct fs_inodes *inodes);

#endif
