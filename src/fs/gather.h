/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/gather.h - at a save: what no name leads to, and what becomes of it. */
#ifndef GW_FS_GATHER_H
#define GW_FS_GATHER_H

#include "fs/collect.h"
#include "fs/unnamed.h"

struct fs_gathered {
	struct fs_inode_list lost; /* the guest gets ESTALE for them */
	struct fs_unnamed_list unnamed;
};

/* The guest stands still, tracking is on. What is settled is not looked at again. Fails for what
 * cannot go along if the operator wants that (--migration-on-error). */
int fs_gather(struct fs *fs, struct fs_gathered *gathered);
void fs_gathered_free(struct fs_gathered *gathered);

#endif
