/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage_many.c - inodes and names, of which there are millions, staged by many hands. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attic.h"
#include "fs/dispatch.h"
#include "fs/identity.h"
#include "fs/pool.h"
#include "fs/precopied.h"
#include "fs/stage.h"
#include "state/decode.h"

/*
 * A state that was made at once has its inodes in the order of their slots, and then their names in
 * the order of the inodes. Records of such a state have nothing to do with each other: no two speak
 * of one inode, and none of one that came before. So they are staged side by side.
 *
 * Whether a record is one of these is known where it has been read to its end, when others after it
 * may have been staged already. The first that is not, or that has anything wrong or unusual in it,
 * is the end: it and all after it are taken back, as if they had never been seen, and the others
 * get them one by one. So it alone says what is wrong with a state, and what objects that come
 * again do.
 */

/* Records that another hand is worth being asked for. */
#define BATCH	  8u
#define HANDS_MAX 16u
/* The least that an object takes: the byte that begins it, and one for each field. */
#define INODE_BYTES_MIN 11u
/* Names that are called into the processor's cache together. */
#define NAMES_AT_ONCE 64u

struct part {
	_Atomic bool taken;
	bool good;
	uint32_t first;	  /* slot of its first inode; no earlier one may have it */
	uint32_t last;	  /* that was staged, 0: none */
	size_t place;	  /* inodes: where in loading->staged */
	uint32_t count;	  /* inodes */
	uint32_t highest; /* generation */
};

struct many;
typedef bool part_fn(struct many *many, size_t i, struct fs_names_hand *hand);

struct many {
	struct fs_loading *loading;
	const struct gw_bytes *payloads;
	size_t count;
	struct part *parts; /* and one more, where the last one has to end */
	part_fn *fn;
	_Atomic unsigned hands;
	unsigned hands_max;
	struct fs_names_hand hand[];
};

static struct gw_cursor cursor_of(const struct gw_bytes *payload)
{
	const uint8_t *at = payload->data;

	return (struct gw_cursor){at, at + payload->len};
}

/* -- what a record begins with ------------------------------------------------------------- */

/* The field of the first object that is a difference to nothing. */
static bool first_number(struct gw_cursor *in, uint64_t *number)
{
	if (!gw_plain_varint(in, number))
		return false;
	*number = gw_plain_signed(*number);
	return true;
}

typedef bool first_fn(struct gw_cursor in, uint64_t *id);

static bool first_inode(struct gw_cursor in, uint64_t *id)
{
	return *in.at++ == GW_WIRE_PUT && first_number(&in, id);
}

static bool first_named(struct gw_cursor in, uint64_t *id)
{
	uint64_t len;

	if (*in.at++ != GW_WIRE_PUT || !first_number(&in, id) || !gw_plain_varint(&in, &len) ||
	    len > (uint64_t)(in.end - in.at))
		return false;
	in.at += len;
	return first_number(&in, id);
}

/* How many parts, from the first on, begin behind each other and behind @end. */
static size_t order(struct many *many, first_fn *first, uint32_t end)
{
	uint64_t id;

	for (size_t i = 0; i < many->count; i++) {
		struct part *part = &many->parts[i];

		part->first = FS_SLOTS_MAX;
		if (!first(cursor_of(&many->payloads[i]), &id) || (uint32_t)id <= end ||
		    (uint32_t)id >= FS_SLOTS_MAX)
			return i;
		part->first = end = (uint32_t)id;
	}
	many->parts[many->count].first = FS_SLOTS_MAX;
	return many->count;
}

/* -- side by side -------------------------------------------------------------------------- */

/* Whose is it first? Names of an inode are staged best by who staged the inode, since it is in the
 * cache of that processor. */
static unsigned home(const struct many *many, const struct part *part)
{
	return part->first / FS_SLOTS_CHUNK % many->hands_max;
}

static void stage_part(struct many *many, size_t i, unsigned hand)
{
	struct part *part = &many->parts[i];

	if (!atomic_exchange_explicit(&part->taken, true, memory_order_relaxed))
		part->good = many->fn(many, i, &many->hand[hand]);
}

/* First one's own, then what others have not come to. */
static void work(void *opaque)
{
	struct many *many = opaque;
	unsigned hand = atomic_fetch_add(&many->hands, 1);

	if (hand >= many->hands_max)
		return;
	for (size_t i = 0; i < many->count; i++) {
		if (home(many, &many->parts[i]) == hand)
			stage_part(many, i, hand);
	}
	for (size_t i = many->count; i; i--)
		stage_part(many, i - 1, hand);
}

/* How many, from the first on, are good. */
static size_t share(struct many *many, part_fn *fn)
{
	size_t good = 0;

	many->fn = fn;
	fs_pool_share(many->loading->fs->pool, many->hands_max - 1, work, many);
	while (good < many->count && many->parts[good].good)
		good++;
	return good;
}

/* -- inodes -------------------------------------------------------------------------------- */

static struct fs_inode *slot_at(const struct many *many, uint32_t index)
{
	return fs_slot_at(&many->loading->inodes->slots, index);
}

static bool stage_inode(struct many *many, struct part *part, const struct gw_fs_inode_v1 *record)
{
	struct fs_loading *loading = many->loading;
	size_t place = part->place + part->count;
	struct fs_inode *inode;

	if (fs_stage_check_inode(loading, record))
		return false;
	inode = fs_slot_adopt_reserved(&loading->inodes->slots, record->id);
	if (!inode)
		return false;
	part->last = (uint32_t)record->id;
	part->highest = GW_MAX(part->highest, (uint32_t)(record->id >> 32));
	loading->staged[place] = part->last;
	part->count++;
	atomic_store_explicit(&inode->flags, FS_INODE_STAGED | FS_INODE_UNRESOLVED,
			      memory_order_relaxed);
	if (fs_stage_fill_inode(loading, inode, record))
		return false;
	loading->prints[place] = fs_print(inode);
	return true;
}

static bool stage_inodes(struct many *many, size_t i, struct fs_names_hand *hand)
{
	struct part *part = &many->parts[i];
	struct gw_cursor in = cursor_of(&many->payloads[i]);
	uint64_t previous[FS_FIELDS_MAX] = {0};
	uint32_t last = part->first - 1;

	while (in.at < in.end) {
		struct gw_fs_inode_v1 record;
		uint32_t index;

		if (!fs_inode_decode(&in, &record, previous))
			return false;
		index = (uint32_t)record.id;
		if (index <= last || index >= many->parts[i + 1].first)
			return false;
		last = index;
		if (record.id == FS_ROOT_ID ? fs_stage_root(many->loading, &record)
					    : !stage_inode(many, part, &record))
			return false;
	}
	return true;
}

static void unstage_part(struct many *many, const struct part *part)
{
	struct fs_inodes *inodes = many->loading->inodes;

	for (uint32_t i = 0; i < part->count; i++) {
		struct fs_inode *inode = slot_at(many, many->loading->staged[part->place + i]);

		fs_mount_put(inodes, inode->mount);
		fs_fhandle_forget(inode);
		fs_number_drop(inodes, inode);
		fs_slot_unadopt(&inodes->slots, &inode->slot);
	}
}

/* Parts have left room between them. */
static void keep_part(struct fs_loading *loading, const struct part *part)
{
	size_t size = part->count * sizeof(*loading->staged), end = loading->staged_count;

	memmove(loading->staged + end, loading->staged + part->place, size);
	memmove(loading->prints + end, loading->prints + part->place, size);
	loading->staged_count += part->count;
}

static void keep_inodes(struct many *many, size_t good)
{
	struct fs_loading *loading = many->loading;
	size_t before = loading->staged_count;
	uint32_t highest = 0;

	for (size_t i = 0; i < good; i++) {
		keep_part(loading, &many->parts[i]);
		highest = GW_MAX(highest, many->parts[i].highest);
		loading->inodes_end = GW_MAX(loading->inodes_end, many->parts[i].last);
	}
	fs_slots_adopted(&loading->inodes->slots, loading->staged_count - before, highest);
}

/* Where each part's inodes go, and memory for them. Bounds, until it is known how many there are.
 */
static bool make_room(struct many *many)
{
	struct fs_loading *loading = many->loading;
	size_t most = loading->staged_count, most_new;
	uint32_t end = many->parts[many->count - 1].first + 1;

	for (size_t i = 0; i < many->count; i++) {
		many->parts[i].place = most;
		most += many->payloads[i].len / INODE_BYTES_MIN;
	}
	most_new = most - loading->staged_count;
	if (!fs_inodes_have_room(loading->inodes, most_new) || fs_stage_reserve(loading, most))
		return false;
	end = (uint32_t)GW_MIN((uint64_t)end +
				       many->payloads[many->count - 1].len / INODE_BYTES_MIN,
			       (uint64_t)FS_SLOTS_MAX);
	return !fs_slots_reserve(&loading->inodes->slots, many->parts[0].first, end, most_new);
}

static size_t stage_all_inodes(struct many *many)
{
	size_t count = many->count, good;

	if (!make_room(many))
		return 0;
	good = share(many, stage_inodes);
	for (size_t i = good; i < count; i++)
		unstage_part(many, &many->parts[i]);
	keep_inodes(many, good);
	return good;
}

/* -- names --------------------------------------------------------------------------------- */

/* What stage_name.c asks of a name, and that it is the first of a directory. */
static bool find_both(struct many *many, const struct gw_fs_name_v1 *record,
		      struct fs_new_name *name, uint32_t last)
{
	struct fs_loading *loading = many->loading;

	if (fs_stage_check_name(loading, record, &name->parent, &name->inode))
		return false;
	name->bytes = record->name.data;
	name->len = record->name.len;
	if (fs_attic_is_name(name->bytes, name->len))
		loading->has_attics = true;
	return name->inode->type != DT_DIR || (uint32_t)record->inode != last;
}

/* Their inodes are called into the cache meanwhile. 0: one is no such record. */
static size_t decode_names(const struct many *many, struct gw_cursor *in, uint64_t *previous,
			   struct gw_fs_name_v1 records[NAMES_AT_ONCE])
{
	size_t n = 0;

	while (n < NAMES_AT_ONCE && in->at < in->end) {
		const struct fs_inode *inode;

		if (!fs_name_decode(in, &records[n], previous))
			return 0;
		inode = slot_at(many, (uint32_t)records[n++].inode);
		if (!inode)
			continue; /* find_all() says so */
		__builtin_prefetch(&inode->slot, 0);
		__builtin_prefetch(&inode->names, 1);
	}
	return n;
}

static bool find_all(struct many *many, size_t i, const struct gw_fs_name_v1 *records, size_t n,
		     struct fs_new_name *names)
{
	struct part *part = &many->parts[i];

	for (size_t k = 0; k < n; k++) {
		uint32_t index = (uint32_t)records[k].inode;

		if (index < GW_MAX(part->last, part->first) || index >= many->parts[i + 1].first ||
		    !find_both(many, &records[k], &names[k], part->last))
			return false;
		part->last = index;
	}
	return true;
}

static bool stage_names(struct many *many, size_t i, struct fs_names_hand *hand)
{
	struct gw_cursor in = cursor_of(&many->payloads[i]);
	uint64_t previous[FS_FIELDS_MAX] = {0};
	struct gw_fs_name_v1 records[NAMES_AT_ONCE];
	struct fs_new_name names[NAMES_AT_ONCE];

	while (in.at < in.end) {
		size_t n = decode_names(many, &in, previous, records);

		if (!n || !find_all(many, i, records, n, names) ||
		    !fs_names_add(many->loading->inodes, hand, names, n))
			return false;
	}
	return true;
}

/* Before it none of its inodes had a name. Up to the last that was good; others may be anybody's.
 */
static void unname_part(struct many *many, size_t i)
{
	const struct part *part = &many->parts[i];
	struct gw_cursor in = cursor_of(&many->payloads[i]);
	uint64_t previous[FS_FIELDS_MAX] = {0};
	struct gw_fs_name_v1 record;
	uint32_t last = part->first;

	while (in.at < in.end && fs_name_decode(&in, &record, previous)) {
		struct fs_inode *inode = fs_staged_inode(many->loading, record.inode);

		if (!inode || (uint32_t)record.inode < last || (uint32_t)record.inode > part->last)
			break;
		last = (uint32_t)record.inode;
		fs_names_unadd(many->loading->inodes, inode);
	}
}

static size_t stage_all_names(struct many *many)
{
	struct fs_loading *loading = many->loading;
	size_t count = many->count;
	size_t good = share(many, stage_names);

	for (size_t i = good; i < count; i++)
		unname_part(many, i);
	for (size_t i = 0; i < many->hands_max; i++)
		fs_names_hand_end(loading->inodes, &many->hand[i]);
	if (good)
		loading->named_end = many->parts[good - 1].last;
	return good;
}

/* ------------------------------------------------------------------------------------------ */

/* NULL: no memory, or it is a state for which this is not. */
static struct many *begin(struct fs_loading *loading, const struct gw_bytes *payloads, size_t count)
{
	unsigned processors = fs_pool_processors(loading->fs->pool);
	size_t hands = GW_MIN(processors, HANDS_MAX);
	struct many *many;

	/* Rounds put right what was said before; ids of another make are found in a table that
	 * does not know of many hands. */
	if (loading->phased || atomic_load(&loading->inodes->slots.foreign.count))
		return NULL;
	hands = GW_MIN(hands, count / BATCH + 1);
	many = calloc(1, sizeof(*many) + hands * sizeof(many->hand[0]));
	if (!many)
		return NULL;
	many->loading = loading;
	many->payloads = payloads;
	many->count = count;
	many->hands_max = (unsigned)hands;
	return many;
}

static size_t stage_many(struct fs_loading *loading, const struct gw_bytes *payloads, size_t count,
			 first_fn *first, uint32_t end, size_t (*fn)(struct many *many))
{
	GW_AUTO_FREE struct many *many = begin(loading, payloads, count);
	GW_AUTO_FREE struct part *parts = calloc(count + 1, sizeof(*parts));

	if (!many || !parts)
		return 0;
	many->parts = parts;
	many->count = order(many, first, end);
	return many->count ? fn(many) : 0;
}

size_t fs_stage_inodes(void *opaque, const struct gw_bytes *payloads, size_t count)
{
	struct fs_loading *loading = opaque;

	if (loading->precopied)
		return fs_precopied_inodes(loading, payloads, count);
	return stage_many(loading, payloads, count, first_inode, loading->inodes_end,
			  stage_all_inodes);
}

size_t fs_stage_names(void *opaque, const struct gw_bytes *payloads, size_t count)
{
	struct fs_loading *loading = opaque;

	if (loading->precopied)
		return fs_precopied_names(loading, payloads, count);
	if (loading->names_one_by_one || loading->phased)
		return 0;
	/* Inodes come before names. */
	if (!loading->named_end)
		fs_names_expect(loading->inodes, loading->staged_count);
	return stage_many(loading, payloads, count, first_named, loading->named_end,
			  stage_all_names);
}
