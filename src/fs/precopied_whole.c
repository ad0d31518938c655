/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied_whole.c - a state that can not have become of what came ahead: staged as if that had
 * not been. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/precopied_internal.h"
#include "fs/stage.h"
#include "godwit/error.h"

/* To stage one object after the other takes three times as long as to stage all by many hands; of
 * so few records it does not matter. */
#define ONE_BY_ONE  3
#define FEW_RECORDS 64

/* Ids of one guest are of one file for ever, and those of a slot get higher. */
static bool is_of_another(const struct fs_loading *loading, const struct gw_fs_inode_v1 *record)
{
	const struct fs_inode *inode =
		fs_slot_at(&loading->inodes->slots, (uint32_t)record->id % FS_SLOTS_MAX);

	if (record->id == FS_ROOT_ID || !inode || !inode->slot.id)
		return false;
	if (inode->slot.id == record->id)
		return inode->type && inode->type != record->type;
	return inode->slot.id > record->id;
}

bool fs_precopied_is_anothers(const struct fs_precopied *precopied)
{
	const struct fs_came *came = &precopied->came;
	const struct fs *fs = precopied->loading.fs;

	if (fs->loaded.different > FEW_RECORDS &&
	    fs->loaded.different > fs->loaded.same / ONE_BY_ONE)
		return true;
	for (size_t i = 0; i < came->inode_count; i++) {
		if (came->inodes[i].put &&
		    is_of_another(&precopied->loading, &came->inodes[i].record))
			return true;
	}
	return false;
}

static int put_object(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		      const union fs_precopied_object *object, bool put)
{
	int (*fn)(void *, const void *);

	if (kind == FS_PRECOPIED_INODES)
		fn = put ? fs_stage_put_inode : fs_stage_remove_inode;
	else
		fn = put ? fs_stage_put_name : fs_stage_remove_name;
	return fn(&precopied->loading, object);
}

static bool is_same(const struct fs_precopied *precopied, enum fs_precopied_kind kind,
		    uint32_t unit)
{
	return kind == FS_PRECOPIED_INODES ? precopied->inodes_stay[unit] == UINT64_MAX
					   : precopied->names_same[unit];
}

/* The records that came, in the order of units, which is that of a state that was made at once. */
static size_t list(const struct fs_precopied *precopied, enum fs_precopied_kind kind,
		   struct gw_bytes *payloads)
{
	const struct fs_came *came = &precopied->came;
	size_t count = 0, next = 0;
	uint32_t at;

	for (uint32_t unit = 0; unit <= precopied->units_end; unit++) {
		bool end = unit == precopied->units_end;

		if (!end && !is_same(precopied, kind, unit))
			continue;
		for (; next < came->copy_count; next++) {
			const struct fs_came_copy *copy = &came->copies[next];

			if (copy->kind != kind)
				continue;
			if (!end &&
			    (!fs_precopied_begins_at(kind, &copy->bytes, &at) || at >= unit))
				break;
			payloads[count++] = copy->bytes;
		}
		if (!end)
			payloads[count++] =
				(struct gw_bytes){.data = precopied->pieces[kind][unit].bytes,
						  .len = precopied->pieces[kind][unit].len};
	}
	return count;
}

static int stage(struct fs_precopied *precopied, enum fs_precopied_kind kind)
{
	struct fs_loading *loading = &precopied->loading;
	size_t room = precopied->came.copy_count + precopied->units_end + 1;
	GW_AUTO_FREE struct gw_bytes *payloads = calloc(room, sizeof(*payloads));
	size_t count = payloads ? list(precopied, kind, payloads) : 0, i = 0;
	int err = payloads ? 0 : gw_fail(ENOMEM, "load: no memory for a list of records");

	if (count)
		i = kind == FS_PRECOPIED_INODES ? fs_stage_inodes(loading, payloads, count)
						: fs_stage_names(loading, payloads, count);
	for (; i < count && !err; i++)
		err = fs_precopied_each(precopied, kind, &payloads[i], put_object);
	return err;
}

/* Tables of its own, in which is what the state has said before its inodes; nothing came ahead of
 * it any more. */
static int begin(struct fs_loading *loading)
{
	struct gw_fs_session_v1 session = loading->session;
	bool has_session = loading->has_session, has_mounts = loading->has_mounts;
	bool old_looks = loading->old_looks;
	bool expected[FS_MOUNTS_MAX];
	int err;

	for (unsigned i = 0; i < FS_MOUNTS_MAX; i++)
		expected[i] = loading->inodes->mounts[i].expected;
	fs_loading_free(loading);
	err = fs_loading_new(loading, loading->fs);
	if (err)
		return err;
	loading->marked = true;
	loading->session = session;
	loading->has_session = has_session;
	loading->has_mounts = has_mounts;
	loading->old_looks = old_looks;
	for (unsigned i = 1; i < FS_MOUNTS_MAX; i++) {
		if (expected[i])
			fs_mount_expect(loading->inodes, i);
	}
	fs_slots_fill(&loading->inodes->slots);
	fs_slots_fill(&loading->handles->slots);
	return 0;
}

int fs_precopied_whole(struct fs_precopied *precopied)
{
	int err = begin(&precopied->loading);

	if (!err)
		err = stage(precopied, FS_PRECOPIED_INODES);
	return err ? err : stage(precopied, FS_PRECOPIED_NAMES);
}
