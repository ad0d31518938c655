/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/limits.c - how many inodes a guest may have cached, and what memory they may take. */
#include <errno.h>

#include "fs/table.h"
#include "godwit/error.h"

/* Its share of the hashes: a bucket of 4 bytes in each, which are at most one an entry. */
#define HASHES (2 * sizeof(uint32_t))

static uint64_t count(const struct fs_inodes *inodes)
{
	return atomic_load_explicit(&inodes->slots.alive, memory_order_relaxed);
}

uint64_t fs_inodes_bytes(const struct fs_inodes *inodes)
{
	return count(inodes) * (sizeof(struct fs_inode) + HASHES) +
	       atomic_load_explicit(&inodes->name_slab.used, memory_order_relaxed) +
	       atomic_load_explicit(&inodes->fhandle_slab.used, memory_order_relaxed) +
	       atomic_load_explicit(&inodes->numbers.slab.used, memory_order_relaxed);
}

/* The root is not the guest's doing. */
static bool are_too_many(const struct fs_inodes *inodes, uint64_t more)
{
	unsigned limit = inodes->fs->host->inode_limit;

	return limit && count(inodes) + more > (uint64_t)limit + 1;
}

static bool are_too_big(const struct fs_inodes *inodes)
{
	uint64_t limit = (uint64_t)inodes->fs->host->inode_memory << 20;

	return limit && fs_inodes_bytes(inodes) > limit;
}

bool fs_inodes_full(const struct fs_inodes *inodes)
{
	return are_too_many(inodes, 1) || are_too_big(inodes);
}

bool fs_inodes_overfull(const struct fs_inodes *inodes)
{
	return are_too_many(inodes, 0) || are_too_big(inodes);
}

/* As much as one can take, with a long name. */
#define INODE_BYTES_MAX 512u

bool fs_inodes_have_room(const struct fs_inodes *inodes, size_t more)
{
	uint64_t limit = (uint64_t)inodes->fs->host->inode_memory << 20;

	return !are_too_many(inodes, more) &&
	       (!limit || fs_inodes_bytes(inodes) + more * INODE_BYTES_MAX <= limit);
}

int fs_inodes_refuse(const struct fs_inodes *inodes)
{
	const struct fs_host *host = inodes->fs->host;

	if (are_too_many(inodes, 0))
		return gw_fail(ENOMEM, "load: more inodes than --inode-limit allows: %u",
			       host->inode_limit);
	return gw_fail(ENOMEM, "load: inodes need more memory than --inode-memory allows: %u MiB",
		       host->inode_memory);
}
