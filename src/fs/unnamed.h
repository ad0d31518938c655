/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/unnamed.h - files without a name: which of them can go along by their content. */
#ifndef GW_FS_UNNAMED_H
#define GW_FS_UNNAMED_H

#include "fs/collect.h"

/* Content of the open ones in all, unless the operator says otherwise: the front-end moves it while
 * the guest stands still. */
#define FS_ORPHAN_LIMIT_DEFAULT (UINT64_C(4) << 20)
/* Files that the guest knows and has not open may take so much of that besides. */
#define FS_IDLE_SHARE	  4
#define FS_IDLE_FILES_MAX 1024

enum fs_fate {
	FS_UNNAMED_GOES,
	FS_UNNAMED_HANDED,   /* what could not go, but there is somebody to hand it to */
	FS_UNNAMED_TOO_BIG,  /* beyond the limit, with those before it */
	FS_UNNAMED_CLOSED,   /* it cannot be read */
	FS_UNNAMED_FOREIGN,  /* it is not ours, and who may not chown cannot make such a file */
	FS_UNNAMED_WORTHLESS /* not open, and beyond what such files may take */
};

struct fs_unnamed {
	struct fs_inode *inode; /* pinned */
	uint64_t bytes;		/* without the holes */
	enum fs_fate fate;
	int err; /* why it cannot be read */
};

struct fs_unnamed_list {
	struct fs_unnamed *files;
	size_t count;
	uint64_t open_bytes, idle_bytes; /* of those that go */
	unsigned idle_files;
};

uint64_t fs_orphan_limit(const struct fs *fs);
/* What each holds, and who goes: the first ones that fit. Reads nothing. */
int fs_unnamed_weigh(struct fs_unnamed_list *list, struct fs *fs,
		     const struct fs_inode_list *orphans);
/* Why it does not go, in words, where that is not its size; NULL: it may. */
const char *fs_unnamed_why(const struct fs_unnamed *file);
/* Fails, with names and sizes, if an open one does not go. */
int fs_unnamed_check(const struct fs_unnamed_list *list, struct fs *fs);
void fs_unnamed_free(struct fs_unnamed_list *list);

/* A descriptor to read it by: O_PATH for what is neither file nor directory. */
int fs_unnamed_open(struct fs *fs, struct fs_inode *inode);
/* The same, but for what its mode has to be changed for. */
int fs_unnamed_open_unseen(struct fs *fs, struct fs_inode *inode);
/* For a sentence: the kernel remembers the name that it had. */
const char *fs_unnamed_describe(struct fs *fs, struct fs_inode *inode, char text[FS_DESCRIBE_MAX]);

#endif
