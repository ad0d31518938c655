/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/identity_fill.c - who came out of a stream becomes known by what it is on the host. */
#include <errno.h>

#include "base/checked.h"
#include "fs/identity.h"

static bool is_same(const struct fs_inode *a, const struct fs_inode *b)
{
	return a->ino == b->ino && a->mount == b->mount && a->type == b->type &&
	       a->btime == b->btime;
}

static bool is_taken(struct fs_inodes *inodes, const struct fs_identities_shard *shard,
		     uint64_t hash, const struct fs_inode *inode)
{
	const struct fs_inode *at;

	for (uint32_t i = shard->buckets[hash & shard->mask]; i; i = at->slot.link) {
		at = fs_slot_at(&inodes->slots, i);
		if (is_same(at, inode))
			return true;
	}
	return false;
}

/* Under the shard's lock. What is lost and could not be told from another file stays outside. */
static int adopt(struct fs_inodes *inodes, struct fs_identities_shard *shard, uint64_t hash,
		 struct fs_inode *inode)
{
	bool lost = fs_inode_has(inode, FS_INODE_LOST);
	bool nowhere = fs_inode_has(inode, FS_INODE_COPIED);
	bool taken = !nowhere && is_taken(inodes, shard, hash, inode);

	if (taken && !lost)
		return -EEXIST;
	if (lost)
		atomic_fetch_add(&inodes->lazy.stale, 1);
	else if (fs_inode_has(inode, FS_INODE_UNRESOLVED))
		atomic_fetch_add(&inodes->lazy.unresolved, 1);
	if (!taken && !nowhere && (!lost || inode->btime || fs_fhandle_is_known(inode)))
		fs_identity_insert(inodes, shard, hash, inode);
	return 0;
}

void fs_identity_adopt(struct fs_inodes *inodes, struct fs_inode *inode)
{
	uint64_t hash = fs_identity_hash(inode->mount, inode->ino);

	adopt(inodes, fs_identity_shard(inodes, hash), hash, inode);
}

int fs_identity_adopt_ahead(struct fs_inodes *inodes, struct fs_inode *inode)
{
	uint64_t hash = fs_identity_hash(inode->mount, inode->ino);
	int err = adopt(inodes, fs_identity_shard(inodes, hash), hash, inode);

	if (!err)
		fs_inode_unmark(inode, FS_INODE_STAGED);
	return err;
}

/* What is not in the processor's cache yet is on its way while others are dealt with: first the
 * bucket, then whom it leads to. */
#define AHEAD 16u

static uint32_t *bucket_of(struct fs_inodes *inodes, uint32_t slot)
{
	const struct fs_inode *inode = fs_slot_at(&inodes->slots, slot);
	uint64_t hash = fs_identity_hash(inode->mount, inode->ino);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);

	return &shard->buckets[hash & shard->mask];
}

static void look_ahead(struct fs_inodes *inodes, const uint32_t *slots, size_t left)
{
	if (left > 2 * AHEAD)
		__builtin_prefetch(bucket_of(inodes, slots[2 * AHEAD]));
	if (left > AHEAD)
		__builtin_prefetch(fs_slot_at(&inodes->slots, *bucket_of(inodes, slots[AHEAD])));
}

static void reserve(struct fs_inodes *inodes, size_t count)
{
	size_t wanted = count / FS_SHARDS / FS_CHAIN_LOAD;

	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_identities_shard *shard = &inodes->identities[i];
		uint32_t times = 1;

		while ((uint64_t)(shard->mask + 1) * times < wanted)
			times *= 2;
		if (times > 1)
			fs_identities_grow(inodes, shard, times);
	}
}

int fs_identities_adopt(struct fs_inodes *inodes, const uint32_t *slots, size_t count,
			struct fs_inode **twin)
{
	reserve(inodes, count);
	for (size_t i = 0; i < count; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, slots[i]);
		uint64_t hash = fs_identity_hash(inode->mount, inode->ino);

		look_ahead(inodes, slots + i, count - i);
		if (!fs_inode_has(inode, FS_INODE_STAGED))
			continue;
		*twin = inode;
		/* In a copy that was done when it was found. */
		if (!fs_inode_has(inode, FS_INODE_INDEXED) &&
		    adopt(inodes, fs_identity_shard(inodes, hash), hash, inode))
			return -EEXIST;
		fs_inode_unmark(inode, FS_INODE_STAGED);
		if (!inode->lookups)
			fs_inode_put(inode);
	}
	return 0;
}

/*
 * All at once, of whom no two are one file: each goes to the head of its chain without a look at
 * who is there.
 */
#define AT_ONCE 128u

/* True: the guest has no look-ups of it. */
static bool put_in(struct fs_inodes *inodes, uint32_t slot, uint64_t hash)
{
	struct fs_inode *inode = fs_slot_at(&inodes->slots, slot);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	uint32_t *bucket = &shard->buckets[hash & shard->mask];
	uint16_t before = atomic_load_explicit(&inode->flags, memory_order_relaxed), flags;
	bool unwanted = !inode->lookups;

	inode->slot.link = *bucket;
	*bucket = slot;
	shard->count++;
	/* Who has it open may mark it meanwhile. */
	do
		flags = (uint16_t)((before & ~(unsigned)FS_INODE_STAGED) | FS_INODE_INDEXED |
				   (unwanted ? FS_INODE_UNWANTED : 0));
	while (!atomic_compare_exchange_weak(&inode->flags, &before, flags));
	return unwanted;
}

static bool put_some(struct fs_inodes *inodes, const uint32_t *slots, size_t count)
{
	uint64_t hashes[AT_ONCE];
	bool unwanted = false;

	for (size_t i = 0; i < count; i++) {
		const struct fs_inode *inode = fs_slot_at(&inodes->slots, slots[i]);
		const struct fs_identities_shard *shard;

		hashes[i] = fs_identity_hash(inode->mount, inode->ino);
		shard = fs_identity_shard(inodes, hashes[i]);
		__builtin_prefetch(&shard->buckets[hashes[i] & shard->mask], 1);
	}
	for (size_t i = 0; i < count; i++)
		unwanted |= put_in(inodes, slots[i], hashes[i]);
	return unwanted;
}

bool fs_identities_put(struct fs_inodes *inodes, const uint32_t *slots, size_t count)
{
	bool unwanted = false;

	reserve(inodes, count);
	for (size_t i = 0; i < count; i += AT_ONCE)
		unwanted |= put_some(inodes, slots + i, GW_MIN(count - i, (size_t)AT_ONCE));
	return unwanted;
}

/* A slot that is another one's by now has no such mark. */
void fs_identities_release(struct fs_inodes *inodes, const uint32_t *slots, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, slots[i]);

		if (fs_inode_has(inode, FS_INODE_UNWANTED) &&
		    fs_inode_unmark(inode, FS_INODE_UNWANTED))
			fs_inode_put(inode);
	}
}
