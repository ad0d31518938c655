/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names_fill.c - the names of a state on its way in, in a table that nobody else sees. */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "fs/journal.h"
#include "fs/names.h"
#include "fs/seen.h"

/*
 * Filling a table alone: no locks, and each name waits until what it has to be compared with is in
 * the processor's cache. That takes two steps, first its bucket, then who is there.
 */
/* Of a record, as names are as a rule at least. */
#define NAME_BYTES 28u

#define FEED_STEP (FS_NAMES_FED / 2)

static struct fs_wanted_name want_again(struct fs_inodes *inodes, const struct fs_fed_name *fed)
{
	const struct fs_name *record = fs_name_at(inodes, fed->ref);

	return (struct fs_wanted_name){.inodes = inodes,
				       .parent = record->parent,
				       .name = record->bytes,
				       .len = record->len,
				       .hash = fed->hash,
				       .shard = &inodes->names[fed->hash >> 58]};
}

static uint32_t *bucket_of(struct fs_inodes *inodes, const struct fs_fed_name *fed)
{
	struct fs_names_shard *shard = &inodes->names[fed->hash >> 58];

	return &shard->buckets[fed->hash & shard->mask];
}

/* It moved, or another one has its name now: as it would be later. */
static int take_over(struct fs_inodes *inodes, const struct fs_fed_name *fed,
		     struct fs_wanted_name *w)
{
	struct fs_inode *parent = fs_slot_at(&inodes->slots, w->parent);
	int err = fs_name_found(inodes, fed->inode, parent, w->name, w->len, fed->only);

	gw_slab_free(&inodes->name_slab, fed->ref);
	return err;
}

static int settle(struct fs_inodes *inodes, const struct fs_fed_name *fed)
{
	struct fs_wanted_name w = want_again(inodes, fed);
	bool named = atomic_load_explicit(&fed->inode->names, memory_order_relaxed);

	if ((fed->only && named) || *fs_name_place(&w))
		return take_over(inodes, fed, &w);
	fs_slot_pin(fs_slot_at(&inodes->slots, w.parent));
	fs_name_insert(&w, fed->ref);
	fs_name_attach(inodes, fed->inode, fed->ref);
	return 0;
}

int fs_name_feed(struct fs_inodes *inodes, struct fs_names_feed *feed, struct fs_inode *inode,
		 struct fs_inode *parent, const char *name, size_t len, bool only)
{
	struct fs_wanted_name w = fs_want_name(inodes, fs_slot_index(&parent->slot), name, len);
	struct fs_fed_name fed = {
		.ref = fs_name_new(&w), .hash = w.hash, .inode = inode, .only = only};
	unsigned at = feed->end++ % FS_NAMES_FED;
	int err = 0;

	if (!fed.ref)
		return -ENOMEM;
	if (feed->end > FS_NAMES_FED) {
		feed->begin++;
		err = settle(inodes, &feed->names[at]);
	}
	feed->names[at] = fed;
	__builtin_prefetch(bucket_of(inodes, &fed));
	if (feed->end > FEED_STEP)
		__builtin_prefetch(fs_name_at(
			inodes, *bucket_of(inodes, &feed->names[(at + FEED_STEP) % FS_NAMES_FED])));
	return err;
}

int fs_names_feed_end(struct fs_inodes *inodes, struct fs_names_feed *feed)
{
	int err = 0;

	for (; feed->begin < feed->end && !err; feed->begin++)
		err = settle(inodes, &feed->names[feed->begin % FS_NAMES_FED]);
	feed->begin = feed->end = 0;
	return err;
}

void fs_names_expect(struct fs_inodes *inodes, size_t count)
{
	gw_slab_expect(&inodes->name_slab, count * NAME_BYTES);
}

void fs_names_reserve(struct fs_inodes *inodes, size_t count)
{
	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_names_shard *shard = &inodes->names[i];
		size_t wanted = GW_MAX(count / FS_SHARDS / FS_CHAIN_LOAD, (size_t)1);
		uint32_t times = 1;

		while ((uint64_t)(shard->mask + 1) * times < wanted)
			times *= 2;
		if (times > 1)
			fs_names_grow(inodes, shard, times);
	}
}

/*
 * Filling it by many hands: a name is written down and part of its inode's list, and where the hash
 * was, there is who it will be in there, in 32 bits: the part of the table, and what tells the
 * buckets of that apart.
 */
static uint32_t packed(uint64_t hash)
{
	return (uint32_t)(hash >> 58 << 26 | (hash & ((1u << 26) - 1)));
}

static struct fs_names_shard *shard_for(struct fs_inodes *inodes, uint32_t hash)
{
	return &inodes->names[hash >> 26];
}

static uint32_t *bucket_for(struct fs_inodes *inodes, uint32_t hash)
{
	const struct fs_names_shard *shard = shard_for(inodes, hash);

	return &shard->buckets[hash & shard->mask];
}

static uint32_t take_memory(struct fs_inodes *inodes, struct fs_names_hand *hand, size_t size)
{
	unsigned class = gw_slab_class(size);

	if (!hand->left[class])
		hand->left[class] = (uint8_t)gw_slab_alloc_many(
			&inodes->name_slab, size, hand->refs[class], FS_NAMES_AT_HAND);
	return hand->left[class] ? hand->refs[class][--hand->left[class]] : 0;
}

static bool write_down(struct fs_inodes *inodes, struct fs_names_hand *hand,
		       const struct fs_new_name *name)
{
	uint32_t parent = fs_slot_index(&name->parent->slot);
	uint32_t ref = take_memory(inodes, hand, offsetof(struct fs_name, bytes) + name->len);
	struct fs_name *record = fs_name_at(inodes, ref);

	if (!ref)
		return false;
	record->hash_next = packed(fs_name_hash(parent, name->bytes, name->len));
	record->parent = parent;
	record->inode = fs_slot_index(&name->inode->slot);
	record->len = (uint8_t)name->len;
	memcpy(record->bytes, name->bytes, name->len);
	record->next = atomic_load_explicit(&name->inode->names, memory_order_relaxed);
	atomic_store_explicit(&name->inode->names, ref, memory_order_relaxed);
	return true;
}

/* References on parents, as many at once as follow each other. */
static void hold_parents(const struct fs_new_name *names, size_t count)
{
	for (size_t i = 0, end; i < count; i = end) {
		for (end = i + 1; end < count && names[end].parent == names[i].parent; end++)
			;
		fs_slot_pin_times(&names[i].parent->slot, (uint32_t)(end - i));
	}
}

bool fs_names_add(struct fs_inodes *inodes, struct fs_names_hand *hand,
		  const struct fs_new_name *names, size_t count)
{
	size_t n = 0;

	while (n < count && write_down(inodes, hand, &names[n]))
		n++;
	hold_parents(names, n);
	return n == count;
}

static void end_records(struct fs_inodes *inodes, uint32_t list)
{
	struct fs_inode *parent;

	while ((parent = fs_name_release(inodes, &list)))
		fs_inode_put(parent);
}

void fs_names_unadd(struct fs_inodes *inodes, struct fs_inode *inode)
{
	uint32_t list = atomic_load_explicit(&inode->names, memory_order_relaxed);

	atomic_store_explicit(&inode->names, 0, memory_order_relaxed);
	end_records(inodes, list);
}

void fs_names_hand_end(struct fs_inodes *inodes, struct fs_names_hand *hand)
{
	for (unsigned class = 0; class < GW_SLAB_CLASSES; class ++) {
		while (hand->left[class])
			gw_slab_free(&inodes->name_slab, hand->refs[class][--hand->left[class]]);
	}
}

/*
 * Into the hash, by one hand: the buckets would go to and fro between processors. Each goes to the
 * head of its chain without a look at who is there, which would be a wait for memory each time; the
 * few that may be there twice are looked at in the end. All memory is there before the first.
 */
#define HASHED_AT_ONCE 128u
/* The least that a name takes. */
#define NAME_BYTES_MIN (offsetof(struct fs_name, bytes) + 1)

struct fs_names_hashing {
	struct fs_inodes *inodes;
	struct fs_seen seen;
	uint32_t *suspects; /* room for all */
	size_t suspect_count;
	uint32_t removed; /* a list */
};

struct fs_names_hashing *fs_names_hashing_new(struct fs_inodes *inodes, struct gw_scratch *memory)
{
	struct fs_names_hashing *hashing = calloc(1, sizeof(*hashing));
	size_t most = atomic_load(&inodes->name_slab.used) / NAME_BYTES_MIN + 1;

	if (!hashing)
		return NULL;
	hashing->inodes = inodes;
	hashing->suspects = gw_scratch_take(memory, most * sizeof(*hashing->suspects));
	if (hashing->suspects && !fs_seen_init(&hashing->seen, memory, most))
		return hashing;
	free(hashing);
	return NULL;
}

void fs_names_hashing_free(struct fs_names_hashing *hashing)
{
	free(hashing);
}

static void hash_in(struct fs_names_hashing *hashing, uint32_t ref)
{
	struct fs_name *record = fs_name_at(hashing->inodes, ref);
	uint32_t hash = record->hash_next;
	struct fs_names_shard *shard = shard_for(hashing->inodes, hash);
	uint32_t *bucket = &shard->buckets[hash & shard->mask];

	record->hash_next = *bucket;
	*bucket = ref;
	shard->count++;
	if (fs_seen_set(&hashing->seen, fs_mix(hash)))
		hashing->suspects[hashing->suspect_count++] = ref;
}

static void hash_some(struct fs_names_hashing *hashing, const uint32_t *refs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct fs_name *record = fs_name_at(hashing->inodes, refs[i]);

		__builtin_prefetch(bucket_for(hashing->inodes, record->hash_next), 1);
		__builtin_prefetch((void *)fs_seen_word(&hashing->seen, fs_mix(record->hash_next)),
				   1);
	}
	for (size_t i = 0; i < count; i++)
		hash_in(hashing, refs[i]);
}

/* The oldest of a file's names first would be as good; which one it is does not matter here. */
void fs_names_hash(struct fs_names_hashing *hashing, const uint32_t *slots, size_t count)
{
	struct fs_inodes *inodes = hashing->inodes;
	uint32_t refs[HASHED_AT_ONCE];
	size_t n = 0;

	fs_names_reserve(inodes, count);
	for (size_t i = 0; i < count; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, slots[i]);
		uint32_t ref = atomic_load_explicit(&inode->names, memory_order_relaxed);

		for (; ref; ref = fs_name_at(inodes, ref)->next) {
			__builtin_prefetch(fs_name_at(inodes, ref), 1);
			refs[n++] = ref;
			if (n == HASHED_AT_ONCE)
				hash_some(hashing, refs, n);
			n %= HASHED_AT_ONCE;
		}
	}
	hash_some(hashing, refs, n);
}

/* Out of everything; its memory stays until all are done. */
static void remove_record(struct fs_names_hashing *hashing, uint32_t ref)
{
	struct fs_inodes *inodes = hashing->inodes;
	struct fs_name *record = fs_name_at(inodes, ref);
	struct fs_wanted_name w = fs_want_name(inodes, record->parent, record->bytes, record->len);
	struct fs_inode *inode = fs_slot_at(&inodes->slots, record->inode);
	uint32_t *at = &w.shard->buckets[w.hash & w.shard->mask];

	while (*at != ref)
		at = &fs_name_at(inodes, *at)->hash_next;
	*at = record->hash_next;
	w.shard->count--;
	fs_journal_name(inodes, record, true);
	fs_name_detach(inodes, inode, ref);
	record->next = hashing->removed;
	record->inode = 0;
	hashing->removed = ref;
}

/* Is @ref older than @other, which says the same? Of one inode the later stands before. */
static bool is_older(struct fs_inodes *inodes, uint32_t ref, uint32_t other)
{
	const struct fs_name *record = fs_name_at(inodes, ref);
	uint32_t at = record->next;

	if (record->inode != fs_name_at(inodes, other)->inode)
		return record->inode < fs_name_at(inodes, other)->inode;
	while (at && at != other)
		at = fs_name_at(inodes, at)->next;
	return !at;
}

/* The last that was said counts, and where it was said twice of one inode, the first. */
static void leave_one(struct fs_names_hashing *hashing, uint32_t ref)
{
	struct fs_inodes *inodes = hashing->inodes;
	const struct fs_name *record = fs_name_at(inodes, ref);
	struct fs_wanted_name w = fs_want_name(inodes, record->parent, record->bytes, record->len);
	uint32_t at = w.shard->buckets[w.hash & w.shard->mask], next;

	for (; at && record->inode; at = next) {
		const struct fs_name *other = fs_name_at(inodes, at);
		bool same = other->inode == record->inode;

		next = other->hash_next;
		if (at != ref && fs_name_is_wanted(&w, other))
			remove_record(hashing, is_older(inodes, ref, at) != same ? ref : at);
	}
}

void fs_names_hashed(struct fs_names_hashing *hashing)
{
	struct fs_inodes *inodes = hashing->inodes;

	for (size_t i = 0; i < hashing->suspect_count; i++)
		leave_one(hashing, hashing->suspects[i]);
	for (size_t i = 0; i < FS_SHARDS; i++) {
		struct fs_names_shard *shard = &inodes->names[i];

		while (shard->count / FS_CHAIN_LOAD > shard->mask &&
		       fs_names_grow(inodes, shard, 2))
			;
	}
}

void fs_names_hashing_end(struct fs_names_hashing *hashing)
{
	end_records(hashing->inodes, hashing->removed);
	hashing->removed = 0;
	fs_names_hashing_free(hashing);
}
