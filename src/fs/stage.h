/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage.h - what stages objects one by one, for who stages many at once. */
#ifndef GW_FS_STAGE_H
#define GW_FS_STAGE_H

#include "fs/load.h"

/* No honest guest comes near so many look-ups of an inode. */
#define FS_LOOKUPS_MAX (UINT64_C(1) << 62)

/* Is it an inode that can be? Any thread. */
int fs_stage_check_inode(const struct fs_loading *loading, const struct gw_fs_inode_v1 *record);
int fs_stage_root(struct fs_loading *loading, const struct gw_fs_inode_v1 *record);
/* What it says of a staged @inode; any thread that alone has it. */
int fs_stage_fill_inode(struct fs_loading *loading, struct fs_inode *inode,
			const struct gw_fs_inode_v1 *record);
/* What was found for it in a round before is another file than it is. */
void fs_stage_let_file_go(struct fs_loading *loading, struct fs_inode *inode);
/* Room for @count in loading->staged. */
int fs_stage_reserve(struct fs_loading *loading, size_t count);

/* Can it be? Who it speaks of. Any thread. */
int fs_stage_check_name(struct fs_loading *loading, const struct gw_fs_name_v1 *record,
			struct fs_inode **parent, struct fs_inode **inode);
/* All that came so far are to be found by their names. */
int fs_stage_hash_names(struct fs_loading *loading);

/* struct gw_state_handler.put and .remove. stage.c: */
int fs_stage_put_session(void *opaque, const void *object);
int fs_stage_put_mount(void *opaque, const void *object);
/* stage_inode.c: */
int fs_stage_put_inode(void *opaque, const void *object);
int fs_stage_remove_inode(void *opaque, const void *object);
/* At once: another one may come to its slot. Names that lead through it may still be taken back. */
int fs_stage_let_go(struct fs_loading *loading, struct fs_inode *inode);
/* Of another make, whose record comes later. */
int fs_stage_foreign_inode(struct fs_loading *loading, uint64_t id);
int fs_stage_foreign_handle(struct fs_loading *loading, uint64_t id);
/* stage_name.c: */
int fs_stage_put_name(void *opaque, const void *object);
int fs_stage_remove_name(void *opaque, const void *object);
/* stage_unnamed.c: */
int fs_stage_put_lost(void *opaque, const void *object);
int fs_stage_put_orphan(void *opaque, const void *object);
int fs_stage_remove_orphan(void *opaque, const void *object);
int fs_stage_put_content(void *opaque, const void *object);
int fs_stage_put_xattr(void *opaque, const void *object);
int fs_stage_put_unsent(void *opaque, const void *object);
/* stage_handle.c: */
int fs_stage_put_handle(void *opaque, const void *object);
int fs_stage_remove_handle(void *opaque, const void *object);
int fs_stage_put_entry(void *opaque, const void *object);
void fs_stage_free_handles(struct fs_handles *handles);

/* stage_many.c: struct gw_state_handler.records. */
size_t fs_stage_inodes(void *opaque, const struct gw_bytes *payloads, size_t count);
size_t fs_stage_names(void *opaque, const struct gw_bytes *payloads, size_t count);

#endif
