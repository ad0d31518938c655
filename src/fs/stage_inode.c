/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage_inode.c - inodes of a state, staged one by one. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/precopied.h"
#include "fs/stage.h"
#include "godwit/error.h"

/* A staged one holds a reference on its own slot until all are adopted. */

struct fs_inode *fs_staged_inode(struct fs_loading *loading, uint64_t id)
{
	struct fs_inode *inode = fs_slot_adopted(&loading->inodes->slots, id);

	return inode && (id == FS_ROOT_ID || loading->phased ||
			 fs_inode_has(inode, FS_INODE_STAGED))
		       ? inode
		       : NULL;
}

#define TYPE(type) (1u << (type))
#define TYPES                                                                         \
	(TYPE(DT_REG) | TYPE(DT_DIR) | TYPE(DT_LNK) | TYPE(DT_FIFO) | TYPE(DT_SOCK) | \
	 TYPE(DT_CHR) | TYPE(DT_BLK))

int fs_stage_check_inode(const struct fs_loading *loading, const struct gw_fs_inode_v1 *record)
{
	if (record->type > DT_SOCK || !(TYPES & TYPE(record->type)))
		return gw_fail(EINVAL, "load: inode %llu has type %u",
			       (unsigned long long)record->id, record->type);
	if (record->mount >= FS_MOUNTS_MAX || !loading->inodes->mounts[record->mount].used)
		return gw_fail(EINVAL, "load: inode %llu is on mount %u, which is not there",
			       (unsigned long long)record->id, record->mount);
	if (record->lookups > FS_LOOKUPS_MAX)
		return gw_fail(EINVAL, "load: inode %llu was looked up %llu times",
			       (unsigned long long)record->id, (unsigned long long)record->lookups);
	return 0;
}

/* The guest goes on to see the number that it knows, which in a copy is nobody's here. */
static int number_inode(struct fs_loading *loading, struct fs_inode *inode,
			const struct gw_fs_inode_v1 *record)
{
	struct fs_inodes *inodes = loading->inodes;
	uint64_t number = record->number;
	int err = 0;

	fs_number_drop(inodes, inode);
	if (loading->is_copy)
		err = fs_number_reserve(inodes, inode,
					number ? number : fs_number_of(record->mount, record->ino));
	else if (number)
		err = fs_number_keep(inodes, inode, number);
	return err ? gw_fail(ENOMEM, "load: no memory for inode numbers") : 0;
}

int fs_stage_root(struct fs_loading *loading, const struct gw_fs_inode_v1 *record)
{
	if (record->type != DT_DIR || record->mount)
		return gw_fail(EINVAL, "load: the root has type %u and is on mount %u",
			       record->type, record->mount);
	loading->root = *record;
	loading->root.handle = (struct gw_bytes){0};
	loading->has_root = true;
	return number_inode(loading, loading->inodes->root, record);
}

static bool grow(struct gw_scratch *scratch, uint32_t **array, size_t before, size_t room)
{
	uint32_t *grown =
		gw_scratch_grow(scratch, *array, before * sizeof(**array), room * sizeof(**array));

	if (grown)
		*array = grown;
	return grown;
}

int fs_stage_reserve(struct fs_loading *loading, size_t count)
{
	size_t room = GW_MAX(count, (size_t)1024), before = loading->staged_room;

	if (count <= loading->staged_room)
		return 0;
	room = GW_MAX(before * 2, room);
	if (!grow(&loading->staged_memory, &loading->staged, before, room) ||
	    !grow(&loading->scratch, &loading->prints, before, room))
		return gw_fail(ENOMEM, "load: no memory for inodes");
	loading->staged_room = room;
	return 0;
}

static int note_staged(struct fs_loading *loading, const struct fs_inode *inode)
{
	int err = fs_stage_reserve(loading, loading->staged_count + 1);

	loading->unprinted = true;
	if (!err)
		loading->staged[loading->staged_count++] = fs_slot_index(&inode->slot);
	return err;
}

int fs_restage(struct fs_loading *loading, struct fs_inode *inode)
{
	if (inode == loading->inodes->root || fs_inode_has(inode, FS_INODE_STAGED))
		return 0;
	if (note_staged(loading, inode))
		return -ENOMEM;
	fs_identity_remove(loading->inodes, inode);
	inode->slot.link = 0;
	/* The reference of its look-ups becomes that of staging. */
	if (!inode->lookups)
		fs_slot_pin(&inode->slot);
	atomic_fetch_and(&inode->flags, (uint16_t)~FS_INODE_LOST);
	atomic_fetch_or(&inode->flags, FS_INODE_STAGED | FS_INODE_UNRESOLVED);
	return 0;
}

/* @inode is a slot just adopted under @id, or NULL with errno. */
static struct fs_inode *new_inode(struct fs_loading *loading, struct fs_inode *inode, uint64_t id)
{
	if (inode && fs_inodes_overfull(fs_table_of(inode))) {
		fs_inodes_refuse(fs_table_of(inode));
		fs_slot_free(&inode->slot);
		return NULL;
	}
	if (!inode) {
		gw_fail(errno, "load: inode id %#llx: %s", (unsigned long long)id,
			errno == EEXIST ? "its slot is taken by another one" : strerror(errno));
		return NULL;
	}
	if (note_staged(loading, inode)) {
		fs_slot_free(&inode->slot);
		return NULL;
	}
	atomic_store_explicit(&inode->flags, FS_INODE_STAGED | FS_INODE_UNRESOLVED,
			      memory_order_relaxed);
	fs_slot_publish(&inode->slot);
	return inode;
}

void fs_stage_let_file_go(struct fs_loading *loading, struct fs_inode *inode)
{
	fs_fdcache_drop(loading->inodes, inode);
	atomic_fetch_or(&inode->flags, FS_INODE_UNRESOLVED);
}

/* Of one that is filled for the first time nothing is known. */
static bool was_another(const struct fs_inode *inode, const struct gw_fs_inode_v1 *record)
{
	return inode->type && (inode->type != record->type || inode->mount != record->mount ||
			       inode->ino != record->ino || inode->btime != record->btime);
}

int fs_stage_fill_inode(struct fs_loading *loading, struct fs_inode *inode,
			const struct gw_fs_inode_v1 *record)
{
	struct fs_fhandle handle;

	if (was_another(inode, record))
		fs_stage_let_file_go(loading, inode);
	fs_mount_put(loading->inodes, inode->mount);
	fs_mount_hold(loading->inodes, record->mount);
	inode->mount = (uint16_t)record->mount;
	inode->type = (uint8_t)record->type;
	inode->ino = record->ino;
	inode->btime = record->btime;
	inode->lookups = record->lookups;
	if (record->links)
		atomic_fetch_or(&inode->flags, FS_INODE_LINKS);
	else if (fs_inode_has(inode, FS_INODE_LINKS))
		atomic_fetch_and(&inode->flags, (uint16_t)~FS_INODE_LINKS);
	fs_fhandle_forget(inode);
	if (loading->is_copy) {
		atomic_fetch_or(&inode->flags, FS_INODE_COPIED);
		if (record->links)
			atomic_store(&loading->inodes->copied.links, true);
		return number_inode(loading, inode, record);
	}
	if (record->handle.len && (fs_fhandle_set(&handle, (int32_t)record->handle_type,
						  record->handle.data, record->handle.len) ||
				   fs_fhandle_remember(inode, &handle)))
		return gw_fail(ENOMEM, "load: no memory for a handle");
	return number_inode(loading, inode, record);
}

int fs_stage_put_inode(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_inode_v1 *record = object;
	struct fs_inode *inode;
	int err = fs_stage_check_inode(loading, record);

	if (err)
		return err;
	if (record->id == FS_ROOT_ID)
		return fs_stage_root(loading, record);
	loading->inodes_end = GW_MAX(loading->inodes_end, (uint32_t)record->id);
	loading->unprinted = true;
	inode = fs_staged_inode(loading, record->id);
	if (!inode)
		inode = new_inode(loading, fs_slot_adopt(&loading->inodes->slots, record->id),
				  record->id);
	if (!inode)
		return -EINVAL;
	if (fs_restage(loading, inode))
		return -ENOMEM;
	/* The names that it gave and took were checked against the type. */
	if (inode->type && inode->type != record->type)
		return gw_fail(EINVAL, "load: inode %llu changes its type from %u to %u",
			       (unsigned long long)record->id, inode->type, record->type);
	return fs_stage_fill_inode(loading, inode, record);
}

void fs_unstage(struct fs_inode *inode)
{
	if (fs_inode_unmark(inode, FS_INODE_STAGED))
		fs_inode_put(inode);
}

int fs_stage_let_go(struct fs_loading *loading, struct fs_inode *inode)
{
	bool staged = fs_inode_unmark(inode, FS_INODE_STAGED), held = staged || inode->lookups;

	if (fs_names_feed_end(loading->inodes, &loading->feed))
		return gw_fail(ENOMEM, "load: no memory for names");
	if (!staged)
		fs_identity_remove(loading->inodes, inode);
	inode->lookups = 0;
	if (held)
		fs_inode_put(inode);
	return 0;
}

int fs_stage_remove_inode(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_inode_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->id);

	if (!inode || record->id == FS_ROOT_ID)
		return gw_fail(EINVAL, "load: inode %llu is taken back, but was not there",
			       (unsigned long long)record->id);
	if (fs_inode_has(inode, FS_INODE_NEWBORN))
		return gw_fail(EINVAL,
			       "load: inode %llu is taken back, but not the file that it is",
			       (unsigned long long)record->id);
	/* It stays for as long as it is a parent, an unnamed file or open. */
	if (fs_precopied_is_put_right(loading))
		return fs_stage_let_go(loading, inode);
	if (fs_restage(loading, inode))
		return -ENOMEM;
	inode->lookups = 0;
	return 0;
}

/* It is there from here on, and is what it is once its record has come. */
int fs_stage_foreign_inode(struct fs_loading *loading, uint64_t id)
{
	struct fs_slots *slots = &loading->inodes->slots;

	if (id <= FS_ROOT_ID)
		return gw_fail(EINVAL, "load: %llu cannot be an inode's id",
			       (unsigned long long)id);
	if (fs_slot_adopted(slots, id))
		return 0;
	return new_inode(loading, fs_slot_adopt_foreign(slots, id), id) ? 0 : -EINVAL;
}
