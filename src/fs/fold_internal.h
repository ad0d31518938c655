/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold_internal.h - what is known of a process that died, between reading it and writing it. */
#ifndef GW_FS_FOLD_INTERNAL_H
#define GW_FS_FOLD_INTERNAL_H

#include "fs/journal.h"
#include "fs/locks_kept.h"
#include "fs/redo.h"

/* An object by its key, and its latest value; in the order in which keys came. */
struct fs_fold_item {
	struct fs_fold_item *chain, *next;
	uint64_t hash;
	bool gone;
	bool named, held, kept; /* inodes: by a name; as parent or by a handle; by a descriptor */
	bool lost;
	uint64_t order; /* names: when it was told of; inodes: of its latest name */
	struct gw_fs_flocking_v1 flocking; /* handles */
	int fd;				   /* inodes: borrowed, of what has no name */
	union {
		struct gw_fs_inode_v1 inode;
		struct gw_fs_name_v1 name;
		struct gw_fs_handle_v1 handle;
	};
	char bytes[]; /* of the name, or of the inode's handle */
};

struct fs_fold_map {
	struct fs_fold_item **buckets, *first, **last;
	size_t mask, count;
};

struct fs_fold {
	struct fs *fs;
	uint64_t order; /* of names */
	struct fs_fold_map inodes, names, handles;
	struct fs_fold_locks *locks;
	bool mounts[FS_MOUNTS_MAX];
	struct gw_fs_session_v1 session;
	bool has_session;
	uint32_t inode_generation, handle_generation; /* highest that was given */
};

/* fold_read.c: the checkpoint, and what the journal says after it. */
int fs_fold_map_init(struct fs_fold_map *map);
void fs_fold_map_free(struct fs_fold_map *map);
struct fs_fold_item *fs_fold_live_inode(struct fs_fold *fold, uint64_t id);
int fs_fold_read(struct fs_fold *fold, struct gw_state_reader *reader,
		 const struct gw_outliving *outliving);

/* fold_write.c: all that is not gone, as one state. */
bool fs_fold_is_flocked(const struct fs_fold_item *item);
bool fs_fold_is_alive(void *fold, uint64_t inode);
int fs_fold_write(struct fs_fold *fold, struct gw_state_writer *writer);

#endif
