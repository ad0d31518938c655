/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attr.h - attributes as the guest gets them, and for how long it may believe them. */
#ifndef GW_FS_ATTR_H
#define GW_FS_ATTR_H

#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/fuse_wire.h"
#include "fs/inode.h"

/* What a cache policy (fs.h) means on the wire. */
struct fs_cache_policy {
	uint64_t valid;	     /* seconds, of names and attributes */
	uint32_t file_flags; /* FOPEN_* for files */
	uint32_t dir_flags;  /* and for directories */
};
/* What is told of @inode now: while others change it (watch.h) it is told to nobody for long. */
const struct fs_cache_policy *fs_cache_policy(const struct fs *fs, struct fs_inode *inode);

void fs_attr_fill(const struct fs *fs, struct fuse_attr *attr, const struct statx *stx);
void fs_statx_fill(const struct fs *fs, struct fuse_statx *out, const struct statx *stx);
/* A whole entry: generation is always 0, since Linux takes a change of it for another inode. */
void fs_entry_fill(const struct fs *fs, struct fs_inode *parent, struct fuse_entry_out *entry,
		   uint64_t nodeid, const struct statx *stx);
void fs_attr_out_fill(const struct fs *fs, struct fs_inode *inode, struct fuse_attr_out *out,
		      const struct statx *stx);

#endif
