/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/orphan.h - what has no name any more travels as attributes and content. */
#ifndef GW_FS_ORPHAN_H
#define GW_FS_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/records.h"
#include "fs/unnamed.h"

/*
 * At the source: one on its way out.
 */
struct fs_orphan {
	struct fs *fs;
	struct gw_state_writer *writer;
	struct fs_inode *inode;
	struct statx stx;
	int fd; /* a real one of a file or directory, else O_PATH */
	char target[FS_RECORD_TARGET_MAX + 1];
};

/* Those that go; of what went ahead (NULL: nothing) only what it lacks. */
struct fs_ahead;
int fs_orphans_save(struct fs *fs, const struct fs_unnamed_list *unnamed, struct fs_ahead *ahead,
		    struct gw_state_writer *writer);

/* @orphan has all but stx: looks at it, and makes the record, whose target is in @orphan. */
int fs_orphan_look(struct fs_orphan *orphan, struct gw_fs_orphan_v1 *record);
/* @fn for each piece of it that is no hole, FS_RECORD_DATA_MAX bytes at most and never across a
 * multiple of that. */
typedef int fs_piece_fn(void *opaque, uint64_t offset, const char *data, size_t len);
int fs_orphan_read(const struct fs_orphan *orphan, fs_piece_fn *fn, void *opaque);
/* @fn for each of its extended attributes. */
typedef int fs_xattr_fn(void *opaque, const struct gw_fs_xattr_v1 *record);
int fs_orphan_xattrs(const struct fs_orphan *orphan, fs_xattr_fn *fn, void *opaque);
int fs_orphan_put_xattr(void *writer, const struct gw_fs_xattr_v1 *record);

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
/* It comes again, from a source whose guest went on: as it is now. */
int fs_newborn_again(struct fs_newborn *newborn, const struct gw_fs_orphan_v1 *record);
int fs_newborn_write(struct fs_newborn *newborn, const struct gw_fs_content_v1 *content);
int fs_newborn_xattr(struct fs_newborn *newborn, struct fs *fs, const struct gw_fs_xattr_v1 *xattr);
/* Owner, mode, times, which what came before would have changed. */
int fs_newborn_finish(struct fs_newborn *newborn, struct fs *fs);

#endif
