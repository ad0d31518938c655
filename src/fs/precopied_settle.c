/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied_settle.c - what a state says beyond what came ahead of it, staged as a later round
 * is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/precopied_internal.h"
#include "fs/stage.h"
#include "godwit/error.h"
#include "state/checksum.h"

/* A name that is here and did not come; its bytes follow, since they go with it. */
struct gone_name {
	struct gone_name *next;
	struct gw_fs_name_v1 record;
	char bytes[];
};

struct settling {
	struct fs_precopied *precopied;
	struct fs_loading *loading;
	struct gone_name *gone, **gone_last;
};

/* -- names that came ----------------------------------------------------------------------- */

static uint64_t hash_of(uint64_t parent, const void *bytes, size_t len)
{
	return fs_mix(parent ^ XXH3_64bits(bytes, len));
}

static bool is_called(const struct gw_fs_name_v1 *a, uint64_t parent, const void *bytes, size_t len)
{
	return a->parent == parent && a->name.len == len && !memcmp(a->name.data, bytes, len);
}

static int hash_names(struct fs_came *came)
{
	size_t size = 64;

	while (size < came->name_count * 2)
		size *= 2;
	came->buckets = calloc(size, sizeof(*came->buckets));
	if (!came->buckets)
		return fs_precopied_no_memory();
	came->mask = size - 1;
	for (size_t i = 0; i < came->name_count; i++) {
		const struct gw_fs_name_v1 *record = &came->names[i].record;
		uint64_t hash = hash_of(record->parent, record->name.data, record->name.len);
		uint32_t *bucket = &came->buckets[hash & came->mask];

		came->names[i].next = *bucket;
		*bucket = (uint32_t)i + 1;
	}
	return 0;
}

/* What was said of it last; NULL: nothing. */
static struct fs_came_name *find_name(const struct fs_came *came, uint64_t parent,
				      const void *bytes, size_t len)
{
	uint32_t i = came->buckets[hash_of(parent, bytes, len) & came->mask];

	while (i && !is_called(&came->names[i - 1].record, parent, bytes, len))
		i = came->names[i - 1].next;
	return i ? &came->names[i - 1] : NULL;
}

/* -- names that are here ------------------------------------------------------------------- */

static int note_gone(struct settling *settling, uint64_t parent, uint64_t inode,
		     const struct fs_name *name)
{
	struct gone_name *gone = malloc(sizeof(*gone) + name->len);

	if (!gone)
		return fs_precopied_no_memory();
	memcpy(gone->bytes, name->bytes, name->len);
	gone->next = NULL;
	gone->record = (struct gw_fs_name_v1){
		.parent = parent, .name = {.data = gone->bytes, .len = name->len}, .inode = inode};
	*settling->gone_last = gone;
	settling->gone_last = &gone->next;
	return 0;
}

static int judge_name(void *opaque, const struct fs_name *name)
{
	struct settling *settling = opaque;
	const struct fs_slots *slots = &settling->loading->inodes->slots;
	uint64_t parent = fs_slot_id(fs_slot_at(slots, name->parent));
	uint64_t inode = fs_slot_id(fs_slot_at(slots, name->inode));
	struct fs_came_name *came =
		find_name(&settling->precopied->came, parent, name->bytes, name->len);

	if (!came || !came->put || came->record.inode != inode)
		return note_gone(settling, parent, inode, name);
	came->is_there = true;
	return 0;
}

/* Who is in the slot. */
static struct fs_inode *inode_at(const struct settling *settling, uint32_t slot)
{
	struct fs_inode *inode = fs_slot_at(&settling->loading->inodes->slots, slot);

	return inode && inode->slot.id ? fs_staged_inode(settling->loading, inode->slot.id) : NULL;
}

static int judge_names(struct settling *settling, uint32_t unit)
{
	int err = 0;

	for (uint32_t i = 0; i < FS_UNIT && !err; i++) {
		struct fs_inode *inode = inode_at(settling, unit * FS_UNIT + i);

		if (inode)
			err = fs_names_walk(settling->loading->inodes, inode, judge_name, settling);
	}
	return err;
}

/* Those of units whose names are what they were are not looked at. */
static int judge_all_names(struct settling *settling)
{
	const struct fs_slots *slots = &settling->loading->inodes->slots;
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(slots, &unit); unit++) {
		if (!settling->precopied->names_same[unit])
			err = judge_names(settling, unit);
	}
	return err;
}

static int remove_names(struct settling *settling)
{
	int err = 0;

	for (const struct gone_name *gone = settling->gone; gone && !err; gone = gone->next)
		err = fs_stage_remove_name(settling->loading, &gone->record);
	return err;
}

static int put_names(struct settling *settling)
{
	const struct fs_came *came = &settling->precopied->came;
	int err = 0;

	for (size_t i = 0; i < came->name_count && !err; i++) {
		const struct fs_came_name *name = &came->names[i];

		if (!name->put)
			err = fs_stage_remove_name(settling->loading, &name->record);
		else if (!name->is_there)
			err = fs_stage_put_name(settling->loading, &name->record);
	}
	return err;
}

/* -- inodes -------------------------------------------------------------------------------- */

/* All that the state does not say of its names is gone by now. */
static int remove_inode(struct settling *settling, struct fs_inode *inode)
{
	uint64_t id = fs_inode_id(inode);
	bool named = atomic_load(&inode->names);
	int err = named ? 0 : fs_stage_let_go(settling->loading, inode);

	if (named || fs_slot_adopted(&settling->loading->inodes->slots, id))
		return gw_fail(EINVAL,
			       "load: a name leads to or through inode %llu, which is not "
			       "there",
			       (unsigned long long)id);
	return err;
}

/* Who came under the id that it has, also if only for what it names. */
static void mark_inodes(struct settling *settling)
{
	const struct fs_came *came = &settling->precopied->came;

	for (size_t i = 0; i < came->inode_count; i++) {
		const struct gw_fs_inode_v1 *record = &came->inodes[i].record;
		const struct fs_inode *inode = fs_staged_inode(settling->loading, record->id);
		uint32_t slot = inode ? fs_slot_index(&inode->slot) : 0;
		uint64_t bit = UINT64_C(1) << slot % FS_UNIT;

		if (inode && came->inodes[i].put)
			settling->precopied->inodes_stay[slot / FS_UNIT] |= bit;
	}
}

static int remove_inodes_of(struct settling *settling, uint32_t unit)
{
	int err = 0;

	for (uint32_t i = 0; i < FS_UNIT && !err; i++) {
		uint32_t slot = unit * FS_UNIT + i;
		struct fs_inode *inode = fs_precopied_stays(settling->precopied, slot)
						 ? NULL
						 : inode_at(settling, slot);

		if (inode && inode != settling->loading->inodes->root)
			err = remove_inode(settling, inode);
	}
	return err;
}

static int remove_inodes(struct settling *settling)
{
	const struct fs_slots *slots = &settling->loading->inodes->slots;
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(slots, &unit); unit++) {
		if (settling->precopied->inodes_stay[unit] != UINT64_MAX)
			err = remove_inodes_of(settling, unit);
	}
	return err;
}

static bool same_handle(struct fs_inode *inode, const struct gw_fs_inode_v1 *record)
{
	struct fs_fhandle handle;

	if (!record->handle.len)
		return !fs_fhandle_is_known(inode);
	return fs_fhandle_recall(inode, &handle) && handle.type == record->handle_type &&
	       handle.len == record->handle.len &&
	       !memcmp(handle.bytes, record->handle.data, handle.len);
}

/* All but how often it was looked up, as long as it was. */
static bool is_as_it_came(struct fs_inodes *inodes, struct fs_inode *inode,
			  const struct gw_fs_inode_v1 *record)
{
	uint64_t number =
		fs_inode_has(inode, FS_INODE_NUMBERED) ? fs_number_seen(inodes, inode) : 0;

	return inode->type == record->type && inode->mount == record->mount &&
	       inode->ino == record->ino && inode->btime == record->btime &&
	       number == record->number && !inode->lookups == !record->lookups &&
	       fs_inode_has(inode, FS_INODE_LINKS) == record->links && same_handle(inode, record);
}

static int put_inode(struct settling *settling, const struct gw_fs_inode_v1 *record)
{
	struct fs_loading *loading = settling->loading;
	struct fs_inode *inode = fs_staged_inode(loading, record->id);

	if (!inode || inode == loading->inodes->root ||
	    !is_as_it_came(loading->inodes, inode, record))
		return fs_stage_put_inode(loading, record);
	if (record->lookups > FS_LOOKUPS_MAX)
		return fs_stage_check_inode(loading, record);
	inode->lookups = record->lookups;
	return 0;
}

static int put_inodes(struct settling *settling)
{
	const struct fs_came *came = &settling->precopied->came;
	int err = 0;

	for (size_t i = 0; i < came->inode_count && !err; i++) {
		if (came->inodes[i].put)
			err = put_inode(settling, &came->inodes[i].record);
		else
			err = fs_stage_remove_inode(settling->loading, &came->inodes[i].record);
	}
	return err;
}

/* One that the state has not told of has nobody left on it. */
static int check_mounts(const struct fs_inodes *inodes)
{
	for (unsigned i = 1; i < atomic_load(&inodes->mounts_end); i++) {
		if (inodes->mounts[i].used && !inodes->mounts[i].expected)
			return gw_fail(EINVAL, "load: inodes are on mount %u, which is not there",
				       i);
	}
	return 0;
}

/* -- all ----------------------------------------------------------------------------------- */

static void free_gone(struct settling *settling)
{
	while (settling->gone) {
		struct gone_name *gone = settling->gone;

		settling->gone = gone->next;
		free(gone);
	}
}

/* What is taken back comes first, names before inodes: their slots may be others' (sent.h). */
int fs_precopied_settle(struct fs_precopied *precopied)
{
	struct settling settling = {.precopied = precopied, .loading = &precopied->loading};
	int err;

	settling.gone_last = &settling.gone;
	mark_inodes(&settling);
	if (!fs_precopied_stays(precopied, (uint32_t)FS_ROOT_ID))
		settling.loading->has_root = false;
	err = hash_names(&precopied->came);
	if (!err)
		err = judge_all_names(&settling);
	if (!err)
		err = remove_names(&settling);
	if (!err)
		err = remove_inodes(&settling);
	if (!err)
		err = put_inodes(&settling);
	if (!err)
		err = put_names(&settling);
	if (!err)
		err = check_mounts(settling.loading->inodes);
	free_gone(&settling);
	return err;
}
