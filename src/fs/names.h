/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names.h - the inside of the names' table, for the files that make it up. */
#ifndef GW_FS_NAMES_H
#define GW_FS_NAMES_H

#include <string.h>
#include <xxhash.h>

#include "fs/table.h"

/* A name that is looked for. */
struct fs_wanted_name {
	struct fs_inodes *inodes;
	uint32_t parent;
	const char *name;
	size_t len;
	uint64_t hash;
	struct fs_names_shard *shard;
};

static inline uint64_t fs_name_hash(uint32_t parent, const char *name, size_t len)
{
	return XXH3_64bits_withSeed(name, len, parent);
}

static inline struct fs_wanted_name fs_want_name(struct fs_inodes *inodes, uint32_t parent,
						 const char *name, size_t len)
{
	uint64_t hash = fs_name_hash(parent, name, len);

	return (struct fs_wanted_name){.inodes = inodes,
				       .parent = parent,
				       .name = name,
				       .len = len,
				       .hash = hash,
				       .shard = &inodes->names[hash >> 58]}; /* 64 shards */
}

static inline bool fs_name_is_wanted(const struct fs_wanted_name *w, const struct fs_name *record)
{
	return record->parent == w->parent && record->len == w->len &&
	       !memcmp(record->bytes, w->name, w->len);
}

/* A record for it, which is nowhere yet; 0: no memory. */
uint32_t fs_name_new(const struct fs_wanted_name *w);

/* The hash. The shard's lock is held; for changes names_lock too. */
/* Where the chain refers to it, or ends. */
uint32_t *fs_name_place(const struct fs_wanted_name *w);
void fs_name_insert(const struct fs_wanted_name *w, uint32_t ref);
/* So many times the buckets; where there is no memory for it, chains just get longer. */
bool fs_names_grow(struct fs_inodes *inodes, struct fs_names_shard *shard, uint32_t times);

/* The list of one inode's names, of which it becomes the first. names_lock is held. */
void fs_name_attach(struct fs_inodes *inodes, struct fs_inode *inode, uint32_t ref);
void fs_name_detach(struct fs_inodes *inodes, struct fs_inode *inode, uint32_t ref);

#endif
