/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied_whole.c - a state that can not have become of what came ahead: staged as if that had
 * not been. */
#include "fs/precopied_internal.h"
#include "fs/stage.h"

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

	for (size_t i = 0; i < came->inode_count; i++) {
		if (is_of_another(&precopied->loading, &came->inodes[i].record))
			return true;
	}
	return false;
}

static int put_object(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		      const union fs_precopied_object *object, bool put)
{
	(void)put; /* of a piece all are */
	return kind == FS_PRECOPIED_INODES ? fs_stage_put_inode(&precopied->loading, object)
					   : fs_stage_put_name(&precopied->loading, object);
}

static int put_piece(struct fs_precopied *precopied, enum fs_precopied_kind kind, uint32_t unit)
{
	const struct fs_precopied_piece *piece = &precopied->pieces[kind][unit];
	const struct gw_bytes payload = {.data = piece->bytes, .len = piece->len};

	return fs_precopied_each(precopied, kind, &payload, put_object);
}

static int stage_inodes(struct fs_precopied *precopied)
{
	const struct fs_came *came = &precopied->came;
	int err = 0;

	for (uint32_t unit = 0; unit < precopied->units_end && !err; unit++) {
		if (precopied->inodes_stay[unit] == UINT64_MAX)
			err = put_piece(precopied, FS_PRECOPIED_INODES, unit);
	}
	for (size_t i = 0; i < came->inode_count && !err; i++) {
		int (*fn)(void *, const void *) =
			came->inodes[i].put ? fs_stage_put_inode : fs_stage_remove_inode;

		err = fn(&precopied->loading, &came->inodes[i].record);
	}
	return err;
}

static int stage_names(struct fs_precopied *precopied)
{
	const struct fs_came *came = &precopied->came;
	int err = 0;

	for (uint32_t unit = 0; unit < precopied->units_end && !err; unit++) {
		if (precopied->names_same[unit])
			err = put_piece(precopied, FS_PRECOPIED_NAMES, unit);
	}
	for (size_t i = 0; i < came->name_count && !err; i++) {
		int (*fn)(void *, const void *) =
			came->names[i].put ? fs_stage_put_name : fs_stage_remove_name;

		err = fn(&precopied->loading, &came->names[i].record);
	}
	return err;
}

/* Tables of its own, in which is what the state has said before its inodes. */
static int begin(struct fs_loading *loading, struct fs_precopied *precopied)
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
	loading->precopied = precopied;
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
	int err = begin(&precopied->loading, precopied);

	if (!err)
		err = stage_inodes(precopied);
	return err ? err : stage_names(precopied);
}
