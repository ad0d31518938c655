/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/identity_fill.c - who came out of a stream becomes known by what it is on the host. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/identity.h"
#include "fs/seen.h"

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

static int adopt_one_by_one(struct fs_inodes *inodes, const uint32_t *slots, size_t count,
			    struct fs_inode **twin)
{
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
 * All at once: each goes to the head of its chain without a look at who is there, and the few that
 * may be another one's twin are looked at in the end. Whatever is not as nearly always (one is
 * lost, two are the same) undoes it, and they come one by one.
 */
#define AT_ONCE	     128u
#define SUSPECTS_MAX 8192u

struct fs_identities_filling {
	struct fs_inodes *inodes;
	const uint32_t *slots;
	size_t count;
	struct fs_seen seen;
	bool begun, odd;
	size_t suspect_count;
	uint32_t suspects[SUSPECTS_MAX];
};

static void suspect(struct fs_identities_filling *filling, uint32_t slot)
{
	if (filling->suspect_count < SUSPECTS_MAX)
		filling->suspects[filling->suspect_count++] = slot;
	else
		filling->odd = true;
}

/* Others may find it meanwhile, and mark it; so its flags wait. */
static void put_in(struct fs_identities_filling *filling, uint32_t slot, uint64_t hash)
{
	struct fs_inodes *inodes = filling->inodes;
	struct fs_inode *inode = fs_slot_at(&inodes->slots, slot);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	uint32_t *bucket = &shard->buckets[hash & shard->mask];

	inode->slot.link = *bucket;
	*bucket = slot;
	shard->count++;
	if (fs_seen_set(&filling->seen, hash))
		suspect(filling, slot);
}

static void put_some(struct fs_identities_filling *filling, const uint32_t *slots, size_t count)
{
	struct fs_inodes *inodes = filling->inodes;
	uint64_t hashes[AT_ONCE];

	for (size_t i = 0; i < count; i++) {
		const struct fs_inode *inode = fs_slot_at(&inodes->slots, slots[i]);
		const struct fs_identities_shard *shard;

		hashes[i] = fs_identity_hash(inode->mount, inode->ino);
		shard = fs_identity_shard(inodes, hashes[i]);
		__builtin_prefetch(&shard->buckets[hashes[i] & shard->mask], 1);
		__builtin_prefetch(fs_seen_word(&filling->seen, hashes[i]), 1);
	}
	for (size_t i = 0; i < count; i++)
		put_in(filling, slots[i], hashes[i]);
}

struct fs_identities_filling *fs_identities_fill_new(struct fs_inodes *inodes,
						     const uint32_t *slots, size_t count)
{
	struct fs_identities_filling *filling = calloc(1, sizeof(*filling));

	if (filling)
		*filling = (struct fs_identities_filling){
			.inodes = inodes, .slots = slots, .count = count};
	return filling;
}

void fs_identities_fill(struct fs_identities_filling *filling)
{
	const struct fs_inode *root = filling->inodes->root;

	/* In a copy some are there already, and others will not be found by what they are. */
	if (filling->inodes->copied.is_copy || fs_seen_init(&filling->seen, filling->count))
		return;
	reserve(filling->inodes, filling->count);
	filling->begun = true;
	fs_seen_set(&filling->seen, fs_identity_hash(root->mount, root->ino));
	for (size_t i = 0; i < filling->count; i += AT_ONCE) {
		size_t left = filling->count - i;

		put_some(filling, filling->slots + i, GW_MIN(left, (size_t)AT_ONCE));
	}
	fs_seen_fini(&filling->seen);
}

static bool is_twice(struct fs_inodes *inodes, uint32_t slot)
{
	const struct fs_inode *inode = fs_slot_at(&inodes->slots, slot), *other;
	uint64_t hash = fs_identity_hash(inode->mount, inode->ino);
	const struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);

	for (uint32_t at = shard->buckets[hash & shard->mask]; at; at = other->slot.link) {
		other = fs_slot_at(&inodes->slots, at);
		if (other != inode && is_same(other, inode))
			return true;
	}
	return false;
}

static bool is_good(const struct fs_identities_filling *filling)
{
	for (size_t i = 0; i < filling->suspect_count; i++) {
		if (is_twice(filling->inodes, filling->suspects[i]))
			return false;
	}
	return !filling->odd;
}

static void undo(const struct fs_identities_filling *filling)
{
	struct fs_inodes *inodes = filling->inodes;

	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_identities_shard *shard = &inodes->identities[i];

		memset(shard->buckets, 0, ((size_t)shard->mask + 1) * sizeof(*shard->buckets));
		shard->count = 0;
	}
	fs_identity_adopt(inodes, inodes->root);
}

/* The reference that staging holds is the guest's look-ups' from here on, if there are any. */
static void hand_over(const struct fs_identities_filling *filling)
{
	struct fs_inodes *inodes = filling->inodes;
	uint64_t unresolved = 0, unwanted = 0;

	for (size_t i = 0; i < filling->count; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, filling->slots[i]);
		unsigned flags = atomic_load_explicit(&inode->flags, memory_order_relaxed);

		unresolved += !!(flags & FS_INODE_UNRESOLVED);
		unwanted += !inode->lookups;
		flags = (flags | FS_INODE_INDEXED) & ~(unsigned)FS_INODE_STAGED;
		atomic_store_explicit(&inode->flags, (uint16_t)flags, memory_order_relaxed);
	}
	atomic_fetch_add(&inodes->lazy.unresolved, unresolved);
	for (size_t i = 0; unwanted && i < filling->count; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, filling->slots[i]);

		if (!inode->lookups)
			fs_inode_put(inode);
	}
}

int fs_identities_filled(struct fs_identities_filling *filling, bool any_lost,
			 struct fs_inode **twin)
{
	struct fs_inodes *inodes = filling->inodes;

	if (filling->begun && !any_lost && is_good(filling)) {
		hand_over(filling);
		return 0;
	}
	if (filling->begun)
		undo(filling);
	else
		reserve(inodes, filling->count);
	return adopt_one_by_one(inodes, filling->slots, filling->count, twin);
}
