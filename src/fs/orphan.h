/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/orphan.h - what has no name any more travels as attributes and content. */
#ifndef GW_FS_ORPHAN_H
#define GW_FS_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/records.h"
#include "fs/unnamed.h"

/* At the source: those that go. */
int fs_orphans_save(struct fs *fs, const struct fs_unnamed_list *unnamed,
		    struct gw_state_writer *writer);

/* At the destination: one that is being made anew, with no name from the start (or none for longer
 * than a moment). */
struct fs_newborn {
	struct fs_inode *inode;	       /* pinned */
	struct gw_fs_orphan_v1 record; /* target is not kept */
	int fd;			       /* for writing a file; O_PATH for all else */
	bool handed;		       /* it is the source's own, and has all it should have */
};
int fs_newborn_make(struct fs_newborn *newborn, struct fs *fs, int dir,
		    const struct gw_fs_orphan_v1 *record);
int fs_newborn_write(struct fs_newborn *newborn, const struct gw_fs_content_v1 *content);
int fs_newborn_xattr(struct fs_newborn *newborn, struct fs *fs, const struct gw_fs_xattr_v1 *xattr);
/* Owner, mode, times, which what came before would have changed. */
int fs_newborn_finish(struct fs_newborn *newborn, struct fs *fs);

#endif
