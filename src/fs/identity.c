/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/identity.c - what is on the host -> inode, and the guest's look-up counts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/identity.h"
#include "fs/open.h"
#include "fs/journal.h"
#include "fs/redo.h"

#define FIRST_BUCKETS 16u

/* Unsure: what was found must be open to tell. Untold: what the stream says is not enough to tell;
 * the record has to be looked for where it says it is. */
enum same { SAME_NO, SAME_YES, SAME_UNSURE, SAME_UNTOLD };

static struct fs_identities_shard *shard_of_inode(struct fs_inodes *inodes,
						  const struct fs_inode *inode)
{
	return fs_identity_shard(inodes, fs_identity_hash(inode->mount, inode->ino));
}

int fs_identities_init(struct fs_inodes *inodes)
{
	pthread_mutex_init(&inodes->copied.lock, NULL);
	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_identities_shard *shard = &inodes->identities[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->buckets = calloc(FIRST_BUCKETS, sizeof(*shard->buckets));
		if (!shard->buckets)
			return -ENOMEM;
		shard->mask = FIRST_BUCKETS - 1;
	}
	return 0;
}

void fs_identities_fini(struct fs_inodes *inodes)
{
	for (size_t i = 0; i < FS_SHARDS; i++)
		free(inodes->identities[i].buckets);
}

/* So many times the buckets; where there is no memory for it, chains just get longer. */
bool fs_identities_grow(struct fs_inodes *inodes, struct fs_identities_shard *shard, uint32_t times)
{
	uint32_t mask = (shard->mask + 1) * times - 1;
	size_t size = ((size_t)mask + 1) * sizeof(uint32_t);
	uint32_t *buckets = malloc(size);

	if (!buckets)
		return false;
	memset(buckets, 0, size); /* calloc()'s are read first, and faulted in twice for it */
	for (uint32_t i = 0; i <= shard->mask; i++) {
		uint32_t index = shard->buckets[i];

		while (index) {
			struct fs_inode *inode = fs_slot_at(&inodes->slots, index);
			uint32_t *head =
				&buckets[fs_identity_hash(inode->mount, inode->ino) & mask];
			uint32_t next = inode->slot.link;

			inode->slot.link = *head;
			*head = index;
			index = next;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->mask = mask;
	return true;
}

/*
 * What came out of a stream and was not looked for yet is who it says by evidence that tells it
 * from the next file of the same number: a birth time, or a handle that means the same here. What
 * was looked for in vain, because the host moved it, is found again in the same way.
 */
static enum same is_as_told(struct fs_inodes *inodes, struct fs_inode *inode,
			    const struct statx *stx, int fd)
{
	struct fs_fhandle handle;
	bool counts = atomic_load(&inodes->mounts[inode->mount].portable) &&
		      fs_fhandle_recall(inode, &handle);
	const struct fs_evidence expected = {
		.type = (mode_t)inode->type << 12,
		.ino = inode->ino,
		.btime = inode->btime,
		.handle = counts ? &handle : NULL,
	};

	if (counts && fd < 0)
		return SAME_UNSURE;
	if (!fs_evidence_fits(&expected, fd, stx))
		return SAME_NO;
	if (counts || (inode->btime && fs_btime(stx)))
		return SAME_YES;
	return fs_inode_has(inode, FS_INODE_LOST) ? SAME_NO : SAME_UNTOLD;
}

/*
 * As long as a descriptor is held, the number cannot have gone to another file, whatever its birth
 * time says (overlayfs changes it at copy-up). Else the birth time tells, else the handle, for
 * which what was found must be open.
 */
static enum same is_same(struct fs_inodes *inodes, struct fs_inode *inode, const struct statx *stx,
			 int fd)
{
	uint64_t btime = fs_btime(stx);
	struct fs_fhandle handle;
	struct fs_evidence expected = {
		.type = (mode_t)inode->type << 12,
		.ino = inode->ino,
		.handle = &handle,
	};

	if (fs_inode_has(inode, FS_INODE_UNRESOLVED))
		return is_as_told(inodes, inode, stx, fd);
	if (fs_fdcache_holds(inode)) {
		if (inode->btime != btime) {
			inode->btime = btime;
			fs_inode_changed(inode);
		}
		return SAME_YES;
	}
	if (btime && inode->btime)
		return btime == inode->btime ? SAME_YES : SAME_NO;
	if (!fs_fhandle_recall(inode, &handle))
		return SAME_YES;
	if (fd < 0)
		return SAME_UNSURE;
	return fs_evidence_fits(&expected, fd, stx) ? SAME_YES : SAME_NO;
}

/* Under the shard's lock: it was looked for, with success. */
static void settle(struct fs_inodes *inodes, struct fs_inode *inode)
{
	uint16_t before;

	if (!fs_inode_has(inode, FS_INODE_UNRESOLVED))
		return;
	before = atomic_fetch_and(&inode->flags, (uint16_t) ~(FS_INODE_UNRESOLVED | FS_INODE_LOST));
	if (!(before & FS_INODE_INDEXED)) {
		atomic_fetch_add(&inodes->found_early, 1);
		return;
	}
	atomic_fetch_add(&inodes->lazy.resolved, 1);
	if (!(before & FS_INODE_LOST))
		atomic_fetch_sub(&inodes->lazy.unresolved, 1);
}

/*
 * What guards an inode's look-up counts, and what becomes of it while it is unresolved: locked. In
 * a copy the number by which it is found changes once, from the source's to the one here.
 */
static pthread_mutex_t *lock_for(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	pthread_mutex_t *lock = &inodes->copied.lock;

	if (fs_inode_is_copied(inode)) {
		pthread_mutex_lock(lock);
		if (fs_inode_is_copied(inode))
			return lock;
		pthread_mutex_unlock(lock);
	}
	return gw_locked(fs_index_lock(inodes, &shard_of_inode(inodes, inode)->lock));
}

#define LOCK_INODE_SCOPE(inodes, inode) \
	GW_CLEANUP(gw_unlock_ptr) pthread_mutex_t *inode_lock = lock_for(inodes, inode)

void fs_identity_confirm(struct fs_inodes *inodes, struct fs_inode *inode)
{
	if (!fs_inode_has(inode, FS_INODE_UNRESOLVED))
		return;
	GW_LOCK_SCOPE(fs_index_lock(inodes, &shard_of_inode(inodes, inode)->lock));
	settle(inodes, inode);
}

bool fs_identity_lose(struct fs_inodes *inodes, struct fs_inode *inode)
{
	LOCK_INODE_SCOPE(inodes, inode);

	(void)inode_lock;
	/* Somebody who met it elsewhere may have been faster. */
	if (!fs_inode_has(inode, FS_INODE_UNRESOLVED) || fs_inode_has(inode, FS_INODE_LOST))
		return false;
	atomic_fetch_or(&inode->flags, FS_INODE_LOST);
	fs_inode_renamed(inode);
	atomic_fetch_sub(&inodes->lazy.unresolved, 1);
	atomic_fetch_add(&inodes->lazy.stale, 1);
	return true;
}

/* Under the shard's lock. */
static struct fs_inode *find(struct fs_inodes *inodes, struct fs_identities_shard *shard,
			     uint64_t hash, unsigned mount, const struct statx *stx, int fd,
			     struct fs_inode **untold)
{
	uint32_t index = shard->buckets[hash & shard->mask];

	for (struct fs_inode *inode; index; index = inode->slot.link) {
		inode = fs_slot_at(&inodes->slots, index);
		if (inode->ino != stx->stx_ino || inode->mount != mount ||
		    inode->type != (stx->stx_mode & S_IFMT) >> 12)
			continue;
		switch (is_same(inodes, inode, stx, fd)) {
		case SAME_YES:
			if (!fs_slot_try_pin(&inode->slot))
				break; /* dying: as if it were gone */
			settle(inodes, inode);
			return inode;
		case SAME_UNTOLD:
			if (fd >= 0 && untold && fs_slot_try_pin(&inode->slot))
				*untold = inode;
			return NULL;
		case SAME_UNSURE:
			return NULL;
		case SAME_NO:
			break;
		}
	}
	return NULL;
}

static void count_lookup(struct fs_inode *inode, uint64_t count)
{
	/* The request comes again, and did that before. */
	if (inode->lookups && fs_redo_counted(fs_table_of(inode)->fs, fs_inode_id(inode)))
		return;
	if (!inode->lookups)
		fs_slot_pin(&inode->slot);
	inode->lookups += count;
	fs_inode_changed(inode);
	fs_journal_inode(inode);
}

void fs_identity_insert(struct fs_inodes *inodes, struct fs_identities_shard *shard, uint64_t hash,
			struct fs_inode *inode)
{
	uint32_t *head;

	if (shard->count++ / FS_CHAIN_LOAD > shard->mask)
		fs_identities_grow(inodes, shard, 2);
	head = &shard->buckets[hash & shard->mask];
	inode->slot.link = *head;
	*head = fs_slot_index(&inode->slot);
	atomic_fetch_or(&inode->flags, FS_INODE_INDEXED);
}

struct fs_inode *fs_identity_find(struct fs_inodes *inodes, unsigned mount, const struct statx *stx,
				  int fd, struct fs_inode **untold)
{
	uint64_t hash = fs_identity_hash(mount, stx->stx_ino);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	GW_LOCK_SCOPE(fs_index_lock(inodes, &shard->lock));
	struct fs_inode *inode = find(inodes, shard, hash, mount, stx, fd, untold);

	if (inode)
		count_lookup(inode, 1);
	return inode;
}

struct fs_inode *fs_identity_add(struct fs_inodes *inodes, struct fs_inode *fresh,
				 const struct statx *stx, int fd)
{
	uint64_t hash = fs_identity_hash(fresh->mount, fresh->ino);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	GW_LOCK_SCOPE(fs_index_lock(inodes, &shard->lock));
	struct fs_inode *inode = find(inodes, shard, hash, fresh->mount, stx, fd, NULL);

	if (!inode) {
		inode = fresh;
		fs_identity_insert(inodes, shard, hash, inode);
		fs_slot_publish(&inode->slot);
		fs_inode_renamed(inode);
	}
	count_lookup(inode, 1);
	return inode;
}

/* Under copied.lock. The mount that it was on so far, as the stream has it, is left in *@mount. */
static struct fs_inode *take(struct fs_inodes *inodes, struct fs_inode *inode, unsigned *mount,
			     const struct statx *stx, int fd)
{
	uint64_t hash = fs_identity_hash(*mount, stx->stx_ino);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	bool staged = fs_inode_has(inode, FS_INODE_STAGED);
	unsigned before = inode->mount;
	GW_LOCK_SCOPE(fs_index_lock(inodes, &shard->lock));
	struct fs_inode *other = find(inodes, shard, hash, *mount, stx, fd, NULL);

	if (other)
		return other;
	inode->mount = (uint16_t)*mount;
	inode->ino = stx->stx_ino;
	inode->btime = fs_btime(stx);
	*mount = before;
	fs_identity_insert(inodes, shard, hash, inode);
	/* Before a load is done nobody has counted it. */
	atomic_fetch_sub(&inodes->lazy.unresolved, !staged);
	atomic_fetch_add(&inodes->lazy.resolved, !staged);
	atomic_fetch_and(&inode->flags, (uint16_t) ~(FS_INODE_UNRESOLVED | FS_INODE_COPIED));
	return NULL;
}

int fs_identity_take(struct fs_inodes *inodes, struct fs_inode *inode, const struct statx *stx,
		     int fd)
{
	FS_AUTO_INODE struct fs_inode *other = NULL;
	unsigned mount;
	int err = fs_mount_get(inodes, stx, 0, &mount);

	if (err)
		return err;
	{
		GW_LOCK_SCOPE(&inodes->copied.lock);

		if (!fs_inode_is_copied(inode))
			err = 1;
		else if (fs_inode_has(inode, FS_INODE_LOST) ||
			 (stx->stx_mode & S_IFMT) >> 12 != inode->type)
			err = -ESTALE;
		else
			other = take(inodes, inode, &mount, stx, fd);
	}
	fs_mount_put(inodes, mount);
	if (!err && !other)
		fs_inode_changed(inode);
	return other ? -EEXIST : err;
}

/* Nobody holds it any more, so nobody looks for it either. */
static void forget_unresolved(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	if (fs_inode_has(inode, FS_INODE_UNRESOLVED) && !fs_inode_has(inode, FS_INODE_LOST))
		atomic_fetch_sub(&inodes->lazy.unresolved, 1);
}

void fs_identity_remove(struct fs_inodes *inodes, struct fs_inode *inode)
{
	uint64_t hash = fs_identity_hash(inode->mount, inode->ino);
	struct fs_identities_shard *shard = fs_identity_shard(inodes, hash);
	GW_LOCK_SCOPE(fs_index_lock(inodes, &shard->lock));
	uint32_t *at = &shard->buckets[hash & shard->mask];

	if (fs_inode_has(inode, FS_INODE_COPIED) && !fs_inode_has(inode, FS_INODE_STAGED))
		forget_unresolved(inodes, inode);
	if (!fs_inode_has(inode, FS_INODE_INDEXED))
		return;
	while (*at != fs_slot_index(&inode->slot))
		at = &((struct fs_inode *)fs_slot_at(&inodes->slots, *at))->slot.link;
	*at = inode->slot.link;
	shard->count--;
	forget_unresolved(inodes, inode);
	fs_inode_unmark(inode, FS_INODE_INDEXED);
}

void fs_lookups_drop(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t count)
{
	bool last;

	{
		LOCK_INODE_SCOPE(inodes, inode);

		(void)inode_lock;
		if (fs_redo_counted(inodes->fs, fs_inode_id(inode)))
			return;
		/* What the guest never had it cannot give back. */
		count = GW_MIN(count, inode->lookups);
		inode->lookups -= count;
		last = count && !inode->lookups;
		fs_inode_changed(inode);
		fs_journal_inode(inode);
	}
	if (last)
		fs_inode_put(inode);
}

uint64_t fs_lookups_count(struct fs_inodes *inodes, struct fs_inode *inode)
{
	LOCK_INODE_SCOPE(inodes, inode);

	(void)inode_lock;
	return inode->lookups;
}
