/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names.c - the names under which the guest found its inodes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/journal.h"
#include "fs/names.h"

#define FIRST_BUCKETS 16u

static struct fs_wanted_name want_in(struct fs_inodes *inodes, const struct fs_inode *parent,
				     const char *name)
{
	return fs_want_name(inodes, fs_slot_index(&parent->slot), name, strlen(name));
}

int fs_names_init(struct fs_inodes *inodes)
{
	pthread_mutex_init(&inodes->names_lock, NULL);
	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_names_shard *shard = &inodes->names[i];

		pthread_mutex_init(&shard->lock, NULL);
		shard->buckets = calloc(FIRST_BUCKETS, sizeof(*shard->buckets));
		if (!shard->buckets)
			return -ENOMEM;
		shard->mask = FIRST_BUCKETS - 1;
	}
	return gw_slab_init(&inodes->name_slab);
}

void fs_names_fini(struct fs_inodes *inodes)
{
	for (size_t i = 0; i < FS_SHARDS; i++)
		free(inodes->names[i].buckets);
	gw_slab_fini(&inodes->name_slab);
}

/*
 * The hash. The shard's lock is held; for changes names_lock too.
 */

/* Where the chain refers to it, or ends. */
uint32_t *fs_name_place(const struct fs_wanted_name *w)
{
	uint32_t *at = &w->shard->buckets[w->hash & w->shard->mask];
	struct fs_name *record;

	while ((record = fs_name_at(w->inodes, *at)) && !fs_name_is_wanted(w, record))
		at = &record->hash_next;
	return at;
}

static struct fs_name *find(const struct fs_wanted_name *w)
{
	return fs_name_at(w->inodes, *fs_name_place(w));
}

/* So many times the buckets; where there is no memory for it, chains just get longer. */
bool fs_names_grow(struct fs_inodes *inodes, struct fs_names_shard *shard, uint32_t times)
{
	uint32_t mask = (shard->mask + 1) * times - 1;
	size_t size = ((size_t)mask + 1) * sizeof(uint32_t);
	uint32_t *buckets = malloc(size);

	if (!buckets)
		return false;
	memset(buckets, 0, size); /* calloc()'s are read first, and faulted in twice for it */
	for (uint32_t i = 0; i <= shard->mask; i++) {
		uint32_t ref = shard->buckets[i], next;

		for (; ref; ref = next) {
			struct fs_name *record = fs_name_at(inodes, ref);
			uint64_t hash = fs_name_hash(record->parent, record->bytes, record->len);

			next = record->hash_next;
			record->hash_next = buckets[hash & mask];
			buckets[hash & mask] = ref;
		}
	}
	free(shard->buckets);
	shard->buckets = buckets;
	shard->mask = mask;
	return true;
}

void fs_name_insert(const struct fs_wanted_name *w, uint32_t ref)
{
	uint32_t *head;

	if (w->shard->count++ / FS_CHAIN_LOAD > w->shard->mask)
		fs_names_grow(w->inodes, w->shard, 2);
	head = &w->shard->buckets[w->hash & w->shard->mask];
	fs_name_at(w->inodes, ref)->hash_next = *head;
	*head = ref;
}

/* What is there. Returns its reference. */
static uint32_t hash_remove(const struct fs_wanted_name *w)
{
	uint32_t *at = fs_name_place(w);
	uint32_t ref = *at;

	*at = fs_name_at(w->inodes, ref)->hash_next;
	w->shard->count--;
	return ref;
}

/*
 * Lists of one inode's names. names_lock is held.
 */

static struct fs_inode *inode_of(struct fs_inodes *inodes, const struct fs_name *record)
{
	return fs_slot_at(&inodes->slots, record->inode);
}

void fs_name_attach(struct fs_inodes *inodes, struct fs_inode *inode, uint32_t ref)
{
	struct fs_name *record = fs_name_at(inodes, ref);

	record->inode = fs_slot_index(&inode->slot);
	record->next = atomic_load_explicit(&inode->names, memory_order_relaxed);
	atomic_store_explicit(&inode->names, ref, memory_order_relaxed);
	fs_inode_renamed(inode);
	fs_journal_name(inodes, record, false);
}

/* Walks the other names of a file with several links, of which the latest come first. */
void fs_name_detach(struct fs_inodes *inodes, struct fs_inode *inode, uint32_t ref)
{
	uint32_t at = atomic_load_explicit(&inode->names, memory_order_relaxed);
	uint32_t next = fs_name_at(inodes, ref)->next;
	struct fs_name *before;

	fs_inode_renamed(inode);
	if (at == ref) {
		atomic_store_explicit(&inode->names, next, memory_order_relaxed);
		return;
	}
	do {
		before = fs_name_at(inodes, at);
		at = before->next;
	} while (at != ref);
	before->next = next;
}

static void unhash(struct fs_inodes *inodes, const struct fs_name *record)
{
	struct fs_wanted_name w = fs_want_name(inodes, record->parent, record->bytes, record->len);
	GW_LOCK_SCOPE(&w.shard->lock);

	hash_remove(&w);
}

struct fs_inode *fs_name_release(struct fs_inodes *inodes, uint32_t *list)
{
	const struct fs_name *record = fs_name_at(inodes, *list);
	struct fs_inode *parent;
	uint32_t next;

	if (!record)
		return NULL;
	parent = fs_slot_at(&inodes->slots, record->parent);
	next = record->next;
	gw_slab_free(&inodes->name_slab, *list);
	*list = next;
	return parent;
}

/* No lock is held: a parent may die of it. */
static void free_records(struct fs_inodes *inodes, uint32_t list)
{
	struct fs_inode *parent;

	while ((parent = fs_name_release(inodes, &list)))
		fs_inode_put(parent);
}

uint32_t fs_name_new(const struct fs_wanted_name *w)
{
	uint32_t ref =
		gw_slab_alloc(&w->inodes->name_slab, offsetof(struct fs_name, bytes) + w->len);
	struct fs_name *record = fs_name_at(w->inodes, ref);

	if (record) {
		record->parent = w->parent;
		record->len = (uint8_t)w->len;
		memcpy(record->bytes, w->name, w->len);
	}
	return ref;
}

/* names_lock is held. The record for @w now names @inode; *@fresh is used, and 0 then, where there
 * was none. The journal hears of whom it names, and not that it named another one. */
static void point(const struct fs_wanted_name *w, struct fs_inode *inode, uint32_t *fresh)
{
	GW_LOCK_SCOPE(&w->shard->lock);
	uint32_t ref = *fs_name_place(w);

	if (ref) {
		struct fs_inode *before = inode_of(w->inodes, fs_name_at(w->inodes, ref));

		if (before == inode)
			return;
		fs_name_detach(w->inodes, before, ref);
	} else {
		ref = *fresh;
		*fresh = 0;
		fs_slot_pin(fs_slot_at(&w->inodes->slots, w->parent));
		fs_name_insert(w, ref);
	}
	fs_name_attach(w->inodes, inode, ref);
}

/* names_lock is held. All names but @kept leave the hash; returned as a list. */
static uint32_t take_others(struct fs_inodes *inodes, struct fs_inode *inode,
			    const struct fs_wanted_name *kept)
{
	uint32_t ref = atomic_load_explicit(&inode->names, memory_order_relaxed);
	uint32_t others = 0, left = 0;

	while (ref) {
		struct fs_name *record = fs_name_at(inodes, ref);
		uint32_t next = record->next;

		if (kept && fs_name_is_wanted(kept, record)) {
			left = ref;
			record->next = 0;
		} else {
			unhash(inodes, record);
			fs_journal_name(inodes, record, true);
			record->next = others;
			others = ref;
		}
		ref = next;
	}
	atomic_store_explicit(&inode->names, left, memory_order_relaxed);
	if (others)
		fs_inode_renamed(inode);
	return others;
}

static bool is_known(const struct fs_wanted_name *w, uint32_t inode)
{
	GW_LOCK_SCOPE(fs_index_lock(w->inodes, &w->shard->lock));
	const struct fs_name *record = find(w);

	return record && record->inode == inode;
}

int fs_name_found(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		  const char *name, size_t len, bool only)
{
	struct fs_wanted_name w = fs_want_name(inodes, fs_slot_index(&parent->slot), name, len);
	uint32_t fresh, others = 0;

	/* What a look-up of what is known costs. */
	if (is_known(&w, fs_slot_index(&inode->slot)) || inode == parent)
		return 0;
	fresh = fs_name_new(&w);
	if (!fresh)
		return -ENOMEM;
	{
		GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));
		point(&w, inode, &fresh);
		if (only)
			others = take_others(inodes, inode, &w);
	}
	gw_slab_free(&inodes->name_slab, fresh); /* another one was faster */
	free_records(inodes, others);
	fs_fdcache_unpin(inode);
	return 0;
}

/* Part of an inode's death, which goes on with the parents that die of it. */
uint32_t fs_names_take_all(struct fs_inodes *inodes, struct fs_inode *inode)
{
	GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));

	return take_others(inodes, inode, NULL);
}

static struct fs_inode *pin_named(struct fs_inodes *inodes, const struct fs_wanted_name *w)
{
	GW_LOCK_SCOPE(fs_index_lock(inodes, &w->shard->lock));
	const struct fs_name *record = find(w);
	struct fs_inode *inode = record ? inode_of(inodes, record) : NULL;

	return inode && fs_slot_try_pin(&inode->slot) ? inode : NULL;
}

struct fs_inode *fs_name_pin(struct fs_inodes *inodes, const struct fs_inode *parent,
			     const char *name)
{
	struct fs_wanted_name w = want_in(inodes, parent, name);

	return pin_named(inodes, &w);
}

/* The name leads nowhere now. True if @inode had it and has no other. */
static bool remove_name(struct fs_inodes *inodes, const struct fs_wanted_name *w,
			struct fs_inode *inode)
{
	const struct fs_name *record;
	uint32_t removed;
	bool last;

	{
		GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));
		GW_LOCK_SCOPE(&w->shard->lock);
		record = find(w);
		if (!record || record->inode != fs_slot_index(&inode->slot))
			return false;
		removed = hash_remove(w);
		fs_journal_name(inodes, record, true);
		fs_name_detach(inodes, inode, removed);
		fs_name_at(inodes, removed)->next = 0;
		last = !atomic_load_explicit(&inode->names, memory_order_relaxed);
	}
	free_records(inodes, removed);
	return last;
}

void fs_name_removing(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		      struct fs_victim *victim)
{
	struct fs_wanted_name w = want_in(inodes, parent, name);

	*victim = (struct fs_victim){.inodes = inodes, .parent = parent, .fd = FS_PATHFD_INIT};
	if (w.len > FS_NAME_MAX)
		return;
	memcpy(victim->name, name, w.len + 1);
	victim->inode = pin_named(inodes, &w);
	/* Where it cannot be opened any more it is lost already, and the name may go as well. */
	if (victim->inode && fs_inode_fd(victim->inode, &victim->fd) < 0)
		victim->fd = (struct fs_fd)FS_PATHFD_INIT;
	/* The guest's look-ups and this pin; what holds it beyond that has it open. */
	if (victim->fd.fd >= 0 && (uint32_t)atomic_load(&victim->inode->slot.life) > 2)
		fs_journal_keep(victim->inode, victim->fd.fd);
}

void fs_name_removed(struct fs_victim *victim, bool gone)
{
	if (victim->inode && gone) {
		struct fs_wanted_name w = want_in(victim->inodes, victim->parent, victim->name);

		if (remove_name(victim->inodes, &w, victim->inode) && victim->fd.fd >= 0)
			fs_fdcache_pin(victim->inode);
	}
	if (victim->inode && !fs_inode_has(victim->inode, FS_INODE_PINNED))
		fs_journal_let_go(victim->inode);
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

struct move {
	struct fs_inodes *inodes;
	struct fs_inode *from, *to; /* directories */
	const char *from_name, *to_name;
	struct fs_wanted_name source, target;
};

/* Who dies in here leaves a name too many and none too few. */
static void moved_alone(const struct move *m, struct fs_inode *moved)
{
	if (!moved)
		return;
	fs_journal_name_ahead(m->to, m->to_name, moved, false);
	remove_name(m->inodes, &m->source, moved);
	fs_name_found(m->inodes, moved, m->to, m->to_name, m->target.len, false);
}

/* Each name leads somewhere all the time. Who dies between both leaves somebody without one, whom
 * fs_redo_settle() finds again. */
static void changed_places(const struct move *m, struct fs_inode *moved, struct fs_inode *other)
{
	if (moved == other)
		return;
	if (moved)
		fs_name_found(m->inodes, moved, m->to, m->to_name, m->target.len, false);
	if (other)
		fs_name_found(m->inodes, other, m->from, m->from_name, m->source.len, false);
	if (!other)
		remove_name(m->inodes, &m->source, moved);
	if (!moved)
		remove_name(m->inodes, &m->target, other);
}

void fs_name_moved(struct fs_inodes *inodes, struct fs_inode *from, const char *from_name,
		   struct fs_inode *to, const char *to_name, bool exchange)
{
	const struct move m = {.inodes = inodes,
			       .from = from,
			       .to = to,
			       .from_name = from_name,
			       .to_name = to_name,
			       .source = want_in(inodes, from, from_name),
			       .target = want_in(inodes, to, to_name)};
	FS_AUTO_INODE struct fs_inode *moved = pin_named(inodes, &m.source);
	FS_AUTO_INODE struct fs_inode *other = exchange ? pin_named(inodes, &m.target) : NULL;

	if (exchange)
		changed_places(&m, moved, other);
	else
		moved_alone(&m, moved);
}

void fs_name_wrong(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		   const char *name)
{
	struct fs_wanted_name w = want_in(inodes, parent, name);

	remove_name(inodes, &w, inode);
}

void fs_name_gone(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, size_t len)
{
	struct fs_wanted_name w = fs_want_name(inodes, fs_slot_index(&parent->slot), name, len);
	FS_AUTO_INODE struct fs_inode *inode = pin_named(inodes, &w);

	if (inode)
		remove_name(inodes, &w, inode);
}
