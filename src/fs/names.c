/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names.c - the names under which the guest found its inodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/table.h"

#define FIRST_BUCKETS 16u

/* A name that is looked for. */
struct wanted {
	uint32_t parent;
	const char *name;
	size_t len;
	uint64_t hash;
	struct fs_names_shard *shard;
};

static uint64_t hash_of(uint32_t parent, const char *name, size_t len)
{
	return XXH3_64bits_withSeed(name, len, parent);
}

static struct wanted want(struct fs_inodes *inodes, uint32_t parent, const char *name, size_t len)
{
	uint64_t hash = hash_of(parent, name, len);

	return (struct wanted){.parent = parent,
			       .name = name,
			       .len = len,
			       .hash = hash,
			       .shard = &inodes->names[hash >> 58]}; /* 64 shards */
}

static struct wanted want_in(struct fs_inodes *inodes, const struct fs_inode *parent,
			     const char *name)
{
	return want(inodes, fs_slot_index(&parent->slot), name, strlen(name));
}

int fs_names_init(struct fs_inodes *inodes)
{
	pthread_mutex_init(&inodes->names_lock, NULL);
	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_names_shard *shard = &inodes->names[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->buckets = calloc(FIRST_BUCKETS, sizeof(struct fs_name *));
		if (!shard->buckets)
			return -ENOMEM;
		shard->mask = FIRST_BUCKETS - 1;
	}
	return 0;
}

void fs_names_fini(struct fs_inodes *inodes)
{
	for (size_t i = 0; i < FS_SHARDS; i++)
		free(inodes->names[i].buckets);
}

/*
 * The hash. The shard's lock is held; for changes names_lock too.
 */

static struct fs_name **find(const struct wanted *w)
{
	struct fs_name **at = &w->shard->buckets[w->hash & w->shard->mask];

	for (; *at; at = &(*at)->hash_next) {
		const struct fs_name *record = *at;

		if (record->parent == w->parent && record->len == w->len &&
		    !memcmp(record->bytes, w->name, w->len))
			break;
	}
	return at;
}

static void grow(struct fs_names_shard *shard)
{
	uint32_t mask = shard->mask * 2 + 1;
	struct fs_name **buckets = calloc((size_t)mask + 1, sizeof(struct fs_name *));

	if (!buckets)
		return; /* longer chains, then */
	for (uint32_t i = 0; i <= shard->mask; i++) {
		struct fs_name *record = shard->buckets[i], *next;

		for (; record; record = next) {
			uint64_t hash = hash_of(record->parent, record->bytes, record->len);

			next = record->hash_next;
			record->hash_next = buckets[hash & mask];
			buckets[hash & mask] = record;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->mask = mask;
}

static void hash_insert(const struct wanted *w, struct fs_name *record)
{
	struct fs_name **head;

	if (w->shard->count++ / FS_CHAIN_LOAD > w->shard->mask)
		grow(w->shard);
	head = &w->shard->buckets[w->hash & w->shard->mask];
	record->hash_next = *head;
	*head = record;
}

static void hash_remove(const struct wanted *w, struct fs_name *record)
{
	struct fs_name **at = find(w);

	*at = record->hash_next;
	w->shard->count--;
}

/*
 * Lists of one inode's names. names_lock is held.
 */

static struct fs_inode *inode_of(struct fs_inodes *inodes, const struct fs_name *record)
{
	return fs_slot_at(&inodes->slots, record->inode);
}

static void attach(struct fs_inode *inode, struct fs_name *record)
{
	record->inode = fs_slot_index(&inode->slot);
	record->next = atomic_load_explicit(&inode->names, memory_order_relaxed);
	atomic_store_explicit(&inode->names, record, memory_order_relaxed);
}

/* Walks the other names of a file with several links, of which the latest come first. */
static void detach(struct fs_inode *inode, struct fs_name *record)
{
	struct fs_name *before = atomic_load_explicit(&inode->names, memory_order_relaxed);

	if (before == record) {
		atomic_store_explicit(&inode->names, record->next, memory_order_relaxed);
		return;
	}
	while (before->next != record)
		before = before->next;
	before->next = record->next;
}

static void unhash(struct fs_inodes *inodes, struct fs_name *record)
{
	struct wanted w = want(inodes, record->parent, record->bytes, record->len);
	GW_LOCK_SCOPE(&w.shard->lock);

	hash_remove(&w, record);
}

/* No lock is held: a parent may die of it. */
static void free_records(struct fs_inodes *inodes, struct fs_name *records)
{
	while (records) {
		struct fs_name *next = records->next;
		struct fs_inode *parent = fs_slot_at(&inodes->slots, records->parent);

		free(records);
		fs_inode_put(parent);
		records = next;
	}
}

static struct fs_name *new_record(const struct wanted *w)
{
	struct fs_name *record = malloc(offsetof(struct fs_name, bytes) + w->len);

	if (record) {
		record->parent = w->parent;
		record->len = (uint8_t)w->len;
		memcpy(record->bytes, w->name, w->len);
	}
	return record;
}

/* names_lock is held. The record for @w now names @inode; *@fresh is used where there was none.
 * Returns what the name meant before, NULL if nothing. */
static struct fs_inode *point(struct fs_inodes *inodes, const struct wanted *w,
			      struct fs_inode *inode, struct fs_name **fresh)
{
	GW_LOCK_SCOPE(&w->shard->lock);
	struct fs_name *record = *find(w);
	struct fs_inode *before = NULL;

	if (record) {
		before = inode_of(inodes, record);
		if (before == inode)
			return before;
		detach(before, record);
	} else {
		record = gw_take_ptr(*fresh);
		fs_slot_pin(fs_slot_at(&inodes->slots, w->parent));
		hash_insert(w, record);
	}
	attach(inode, record);
	return before;
}

/* names_lock is held. All names but @kept leave the hash; returned as a list. */
static struct fs_name *take_others(struct fs_inodes *inodes, struct fs_inode *inode,
				   const struct wanted *kept)
{
	struct fs_name *record = atomic_load_explicit(&inode->names, memory_order_relaxed);
	struct fs_name *others = NULL, *left = NULL;

	while (record) {
		struct fs_name *next = record->next;

		if (kept && record->parent == kept->parent && record->len == kept->len &&
		    !memcmp(record->bytes, kept->name, kept->len)) {
			left = record;
			left->next = NULL;
		} else {
			unhash(inodes, record);
			record->next = others;
			others = record;
		}
		record = next;
	}
	atomic_store_explicit(&inode->names, left, memory_order_relaxed);
	return others;
}

static bool is_known(const struct wanted *w, uint32_t inode)
{
	GW_LOCK_SCOPE(&w->shard->lock);
	const struct fs_name *record = *find(w);

	return record && record->inode == inode;
}

int fs_name_found(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		  const char *name, size_t len, bool only)
{
	struct wanted w = want(inodes, fs_slot_index(&parent->slot), name, len);
	struct fs_name *others = NULL;
	GW_AUTO_FREE struct fs_name *fresh = NULL;

	/* What a look-up of what is known costs. */
	if (is_known(&w, fs_slot_index(&inode->slot)) || inode == parent)
		return 0;
	fresh = new_record(&w);
	if (!fresh)
		return -ENOMEM;
	{
		GW_LOCK_SCOPE(&inodes->names_lock);
		point(inodes, &w, inode, &fresh);
		if (only)
			others = take_others(inodes, inode, &w);
	}
	free_records(inodes, others);
	fs_fdcache_unpin(inode);
	return 0;
}

/* Part of an inode's death, which goes on with the parents that die of it. */
struct fs_name *fs_names_take_all(struct fs_inodes *inodes, struct fs_inode *inode)
{
	GW_LOCK_SCOPE(&inodes->names_lock);

	return take_others(inodes, inode, NULL);
}

static struct fs_inode *pin_named(struct fs_inodes *inodes, const struct wanted *w)
{
	GW_LOCK_SCOPE(&w->shard->lock);
	struct fs_name *record = *find(w);
	struct fs_inode *inode = record ? inode_of(inodes, record) : NULL;

	return inode && fs_slot_try_pin(&inode->slot) ? inode : NULL;
}

/* The name leads nowhere now. True if @inode had it and has no other. */
static bool remove_name(struct fs_inodes *inodes, const struct wanted *w, struct fs_inode *inode)
{
	struct fs_name *record;
	bool last;

	{
		GW_LOCK_SCOPE(&inodes->names_lock);
		GW_LOCK_SCOPE(&w->shard->lock);
		record = *find(w);
		if (!record || record->inode != fs_slot_index(&inode->slot))
			return false;
		hash_remove(w, record);
		detach(inode, record);
		record->next = NULL;
		last = !atomic_load_explicit(&inode->names, memory_order_relaxed);
	}
	free_records(inodes, record);
	return last;
}

void fs_name_removing(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		      struct fs_victim *victim)
{
	struct wanted w = want_in(inodes, parent, name);

	*victim = (struct fs_victim){.inodes = inodes, .parent = parent, .fd = FS_PATHFD_INIT};
	if (w.len > FS_NAME_MAX)
		return;
	memcpy(victim->name, name, w.len + 1);
	victim->inode = pin_named(inodes, &w);
	/* Where it cannot be opened any more it is lost already, and the name may go as well. */
	if (victim->inode && fs_inode_fd(victim->inode, &victim->fd) < 0)
		victim->fd = (struct fs_fd)FS_PATHFD_INIT;
}

void fs_name_removed(struct fs_victim *victim, bool gone)
{
	if (victim->inode && gone) {
		struct wanted w = want_in(victim->inodes, victim->parent, victim->name);

		if (remove_name(victim->inodes, &w, victim->inode) && victim->fd.fd >= 0)
			fs_fdcache_pin(victim->inode);
	}
	fs_fd_put(&victim->fd);
	fs_inode_put_ptr(&victim->inode);
	victim->inode = NULL;
}

void fs_name_added(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		   const char *name)
{
	size_t len = strlen(name);

	atomic_fetch_or(&inode->flags, FS_INODE_LINKS);
	if (len <= FS_NAME_MAX)
		fs_name_found(inodes, inode, parent, name, len, false);
}

void fs_name_moved(struct fs_inodes *inodes, struct fs_inode *from, const char *from_name,
		   struct fs_inode *to, const char *to_name, bool exchange)
{
	struct wanted source = want_in(inodes, from, from_name);
	struct wanted target = want_in(inodes, to, to_name);
	FS_AUTO_INODE struct fs_inode *moved = pin_named(inodes, &source);
	FS_AUTO_INODE struct fs_inode *other = exchange ? pin_named(inodes, &target) : NULL;

	if (other && other != moved)
		remove_name(inodes, &target, other);
	if (moved)
		remove_name(inodes, &source, moved);
	if (moved)
		fs_name_found(inodes, moved, to, to_name, target.len, false);
	if (other && other != moved)
		fs_name_found(inodes, other, from, from_name, source.len, false);
}

void fs_name_wrong(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		   const char *name)
{
	struct wanted w = want_in(inodes, parent, name);

	remove_name(inodes, &w, inode);
}

void fs_name_gone(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, size_t len)
{
	struct wanted w = want(inodes, fs_slot_index(&parent->slot), name, len);
	FS_AUTO_INODE struct fs_inode *inode = pin_named(inodes, &w);

	if (inode)
		remove_name(inodes, &w, inode);
}

static struct fs_name_copy *copy_all(struct fs_inodes *inodes, struct fs_name *record,
				     unsigned *count)
{
	struct fs_name_copy *copies;
	unsigned n = 0;

	for (struct fs_name *r = record; r; r = r->next)
		n++;
	copies = calloc(n ? n : 1, sizeof(*copies));
	for (*count = 0; copies && record; record = record->next) {
		struct fs_name_copy *copy = &copies[(*count)++];

		copy->parent = fs_slot_at(&inodes->slots, record->parent);
		fs_slot_pin(&copy->parent->slot);
		copy->len = record->len;
		memcpy(copy->name, record->bytes, record->len);
	}
	return copies;
}

int fs_names_copy(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy **copies,
		  unsigned *count)
{
	GW_LOCK_SCOPE(&inodes->names_lock);

	*copies =
		copy_all(inodes, atomic_load_explicit(&inode->names, memory_order_relaxed), count);
	return *copies ? 0 : -ENOMEM;
}

void fs_names_copy_free(struct fs_name_copy *copies, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fs_inode_put(copies[i].parent);
	free(copies);
}

bool fs_name_first(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy *copy)
{
	GW_LOCK_SCOPE(&inodes->names_lock);
	const struct fs_name *record = atomic_load_explicit(&inode->names, memory_order_relaxed);

	if (!record)
		return false;
	copy->parent = fs_slot_at(&inodes->slots, record->parent);
	fs_slot_pin(&copy->parent->slot);
	copy->len = record->len;
	memcpy(copy->name, record->bytes, record->len);
	copy->name[record->len] = 0;
	return true;
}
