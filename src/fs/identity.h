/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/identity.h - the inside of the identities' table, for the files that make it up. */
#ifndef GW_FS_IDENTITY_H
#define GW_FS_IDENTITY_H

#include "fs/table.h"

static inline uint64_t fs_identity_hash(unsigned mount, uint64_t ino)
{
	return fs_mix(ino ^ (uint64_t)mount << 48);
}

static inline struct fs_identities_shard *fs_identity_shard(struct fs_inodes *inodes, uint64_t hash)
{
	return &inodes->identities[hash >> 58]; /* 64 shards: the top six bits */
}

/* The least that tells two apart as a rule, and whether it is a directory. */
#define FS_PRINT_DIRECTORY (1u << 31)
static inline uint32_t fs_print(const struct fs_inode *inode)
{
	uint32_t print = (uint32_t)(fs_identity_hash(inode->mount, inode->ino) >> 20);

	return (print & ~FS_PRINT_DIRECTORY) |
	       (inode->type == S_IFDIR >> 12 ? FS_PRINT_DIRECTORY : 0);
}

/* Under the shard's lock, or in a table that nobody else sees. */
void fs_identity_insert(struct fs_inodes *inodes, struct fs_identities_shard *shard, uint64_t hash,
			struct fs_inode *inode);
/* So many times the buckets; where there is no memory for it, chains just get longer. */
bool fs_identities_grow(struct fs_inodes *inodes, struct fs_identities_shard *shard,
			uint32_t times);

#endif
