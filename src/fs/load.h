/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/load.h - a state on its way in: staged in tables of its own, then proven, then swapped in. */
#ifndef GW_FS_LOAD_H
#define GW_FS_LOAD_H

#include "fs/handles.h"
#include "fs/orphan.h"
#include "fs/records.h"
#include "fs/table.h"

/* How much of the cache is looked for before the guest goes on. */
enum fs_resolve {
	FS_RESOLVE_ALL,	 /* every inode: what is missing is known before CHECK is answered */
	FS_RESOLVE_OPEN, /* what is open; the rest when it is first used */
};

struct fs_loading {
	struct fs *fs;
	enum fs_resolve resolve;
	struct fs_inodes *inodes;
	struct fs_handles *handles;
	struct fs_locks *locks;
	struct gw_fs_session_v1 session;
	bool has_session;
	struct gw_fs_inode_v1 root; /* its evidence */
	bool has_root;
	struct fs_newborn *newborns;
	size_t newborn_count, newborn_room;
	uint64_t content_bytes;
	uint64_t lost; /* inodes and handles that the guest will get errors for */
};

/* stage.c: objects as they come. */
extern const struct gw_state_handler fs_load_handlers[];
/* One object as if it had come in a stream of ours. */
int fs_stage(struct fs_loading *loading, const struct gw_layout *layout, const void *object);
/* What came so far under this id, or NULL. */
struct fs_inode *fs_staged_inode(struct fs_loading *loading, uint64_t id);
void fs_loading_free(struct fs_loading *loading);
void fs_unstage(struct fs_inode *inode);

/* adopt.c: everything is there: is it whole, and is it what this share holds? */
int fs_adopt_all(struct fs_loading *loading);
/* Something that the guest knows is not there: the operator's choice. @err, or 0 to go on. */
int fs_miss(struct fs_loading *loading, struct fs_inode *inode, int err, const char *what);

/* load_virtiofsd.c: what virtiofsd says, found in this share and staged. */
int fs_stage_virtiofsd(struct fs_loading *loading, const struct gw_bytes *bytes);

#endif
