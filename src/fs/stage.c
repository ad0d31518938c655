/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage.c - a state's objects, checked one by one into tables of their own. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attic.h"
#include "fs/dir.h"
#include "fs/dispatch.h"
#include "fs/locks.h"
#include "fs/locks_kept.h"
#include "fs/stage.h"
#include "godwit/error.h"

/* No honest guest comes near these. */
#define LOOKUPS_MAX  (UINT64_C(1) << 62)
#define NEWBORNS_MAX (1u << 20) /* each takes a descriptor anyway */

static int put_session(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;

	loading->session = *(const struct gw_fs_session_v1 *)object;
	loading->has_session = true;
	return 0;
}

static int put_mount(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_mount_v1 *record = object;

	if (!record->index || record->index >= FS_MOUNTS_MAX)
		return gw_fail(EINVAL, "load: mount %u, allowed are 1 to %u", record->index,
			       FS_MOUNTS_MAX - 1);
	fs_mount_expect(loading->inodes, record->index);
	loading->has_mounts = true;
	return 0;
}

/*
 * Inodes. A staged one holds a reference on its own slot until all are adopted.
 */

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
	if (record->lookups > LOOKUPS_MAX)
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

static bool grow(uint32_t **array, size_t room)
{
	uint32_t *grown = realloc(*array, room * sizeof(**array));

	if (grown)
		*array = grown;
	return grown;
}

int fs_stage_reserve(struct fs_loading *loading, size_t count)
{
	size_t room = GW_MAX(count, (size_t)1024);

	if (count <= loading->staged_room)
		return 0;
	room = GW_MAX(loading->staged_room * 2, room);
	if (!grow(&loading->staged, room) || !grow(&loading->prints, room))
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

int fs_stage_fill_inode(struct fs_loading *loading, struct fs_inode *inode,
			const struct gw_fs_inode_v1 *record)
{
	struct fs_fhandle handle;

	fs_mount_put(loading->inodes, inode->mount);
	fs_mount_hold(loading->inodes, record->mount);
	inode->mount = (uint16_t)record->mount;
	inode->type = (uint8_t)record->type;
	inode->ino = record->ino;
	inode->btime = record->btime;
	inode->lookups = record->lookups;
	if (record->links)
		atomic_fetch_or(&inode->flags, FS_INODE_LINKS);
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

static int put_inode(void *opaque, const void *object)
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

/* At once: another one may come to its slot. Names that lead through it may still be taken back. */
static int let_go(struct fs_loading *loading, struct fs_inode *inode)
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

static int remove_inode(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_inode_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->id);

	if (!inode || record->id == FS_ROOT_ID)
		return gw_fail(EINVAL, "load: inode %llu is taken back, but was not there",
			       (unsigned long long)record->id);
	/* It stays for as long as it is a parent, an unnamed file or open. */
	if (loading->phased)
		return let_go(loading, inode);
	inode->lookups = 0;
	return 0;
}

/*
 * Names.
 */

int fs_stage_check_name(struct fs_loading *loading, const struct gw_fs_name_v1 *record,
			struct fs_inode **parent, struct fs_inode **inode)
{
	*parent = fs_staged_inode(loading, record->parent);
	*inode = fs_staged_inode(loading, record->inode);
	if (!*parent || !*inode || *inode == loading->inodes->root || *parent == *inode ||
	    (*parent)->type != DT_DIR)
		return gw_fail(EINVAL, "load: inode %llu cannot have a name in inode %llu",
			       (unsigned long long)record->inode,
			       (unsigned long long)record->parent);
	if (fs_name_check(record->name.data, record->name.len))
		return gw_fail(EINVAL, "load: a name of inode %llu is no file name",
			       (unsigned long long)record->inode);
	return 0;
}

int fs_stage_hash_names(struct fs_loading *loading)
{
	struct fs_names_hashing *hashing;

	if (loading->names_hashed)
		return 0;
	hashing = fs_names_hashing_new(loading->inodes);
	if (!hashing)
		return gw_fail(ENOMEM, "load: no memory for names");
	fs_names_hash(hashing, loading->staged, loading->staged_count);
	fs_names_hashed(hashing);
	fs_names_hashing_end(hashing);
	loading->names_hashed = true;
	return 0;
}

/* Who stages names one by one looks at what is there already. */
static int begin_one_by_one(struct fs_loading *loading)
{
	if (loading->names_one_by_one)
		return 0;
	loading->names_one_by_one = true;
	return fs_stage_hash_names(loading);
}

static int put_name(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_name_v1 *record = object;
	struct fs_inode *parent, *inode;
	int err = fs_stage_check_name(loading, record, &parent, &inode);

	if (err)
		return err;
	if (begin_one_by_one(loading))
		return -ENOMEM;
	/* Whether its way ends has to be looked at again. */
	if (loading->phased && inode->type == DT_DIR && fs_restage(loading, inode))
		return -ENOMEM;
	if (fs_attic_is_name(record->name.data, record->name.len))
		loading->has_attics = true;
	if (fs_name_feed(loading->inodes, &loading->feed, inode, parent, record->name.data,
			 record->name.len, inode->type == DT_DIR))
		return gw_fail(ENOMEM, "load: no memory for names");
	return 0;
}

static int remove_name(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_name_v1 *record = object;
	struct fs_inode *parent = fs_staged_inode(loading, record->parent);

	if (begin_one_by_one(loading))
		return -ENOMEM;
	if (!parent)
		return gw_fail(EINVAL, "load: a name in inode %llu is taken back, which is unknown",
			       (unsigned long long)record->parent);
	if (fs_names_feed_end(loading->inodes, &loading->feed))
		return gw_fail(ENOMEM, "load: no memory for names");
	fs_name_gone(loading->inodes, parent, record->name.data, record->name.len);
	return 0;
}

/*
 * What has no name.
 */

static struct fs_newborn *newborn_of(struct fs_loading *loading, uint64_t id)
{
	/* Content follows its file at once. */
	for (size_t i = loading->newborn_count; i; i--) {
		if (loading->newborns[i - 1].record.inode == id)
			return &loading->newborns[i - 1];
	}
	return NULL;
}

static struct fs_newborn *new_newborn(struct fs_loading *loading)
{
	if (loading->newborn_count == loading->newborn_room) {
		size_t room = loading->newborn_room ? loading->newborn_room * 2 : 16;
		struct fs_newborn *newborns =
			room > NEWBORNS_MAX ? NULL
					    : realloc(loading->newborns, room * sizeof(*newborns));

		if (!newborns)
			return NULL;
		loading->newborns = newborns;
		loading->newborn_room = room;
	}
	return &loading->newborns[loading->newborn_count];
}

static int check_orphan(struct fs_loading *loading, const struct gw_fs_orphan_v1 *record)
{
	const struct fs_inode *inode = fs_staged_inode(loading, record->inode);

	if (!inode || record->inode == FS_ROOT_ID ||
	    (mode_t)inode->type << 12 != (record->mode & S_IFMT) || record->mode > UINT16_MAX)
		return gw_fail(EINVAL, "load: unnamed inode %llu with mode %o",
			       (unsigned long long)record->inode, record->mode);
	if (fs_inode_has(inode, FS_INODE_NEWBORN) || fs_inode_has(inode, FS_INODE_LOST))
		return gw_fail(EINVAL, "load: unnamed inode %llu comes twice",
			       (unsigned long long)record->inode);
	if (S_ISLNK(record->mode) &&
	    (!record->target.len || memchr(record->target.data, 0, record->target.len)))
		return gw_fail(EINVAL, "load: symbolic link %llu leads nowhere",
			       (unsigned long long)record->inode);
	return 0;
}

static int put_lost(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_lost_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->inode);

	if (!inode || record->inode == FS_ROOT_ID || fs_inode_has(inode, FS_INODE_NEWBORN))
		return gw_fail(EINVAL, "load: inode %llu cannot be lost",
			       (unsigned long long)record->inode);
	if (fs_restage(loading, inode))
		return -ENOMEM;
	fs_mark_lost(loading, inode);
	return 0;
}

static int put_orphan(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_orphan_v1 *record = object;
	struct fs_newborn *newborn;
	int err = check_orphan(loading, record);

	if (err)
		return err;
	if (fs_restage(loading, fs_staged_inode(loading, record->inode)))
		return gw_fail(ENOMEM, "load: no memory for unnamed files");
	newborn = new_newborn(loading);
	if (!newborn)
		return gw_fail(ENOMEM, "load: no memory for unnamed files");
	*newborn =
		(struct fs_newborn){.record = *record,
				    .fd = fs_handed_take(loading, FS_HANDED_INODE, record->inode, 0,
							 fs_staged_inode(loading, record->inode))};
	newborn->handed = newborn->fd >= 0;
	newborn->record.target = (struct gw_bytes){0};
	if (!newborn->handed)
		err = fs_newborn_make(
			newborn, loading->fs,
			fs_birthplace(loading, fs_staged_inode(loading, record->inode)), record);
	if (newborn->fd >= 0) {
		newborn->inode = fs_inode_pin(fs_staged_inode(loading, record->inode));
		atomic_fetch_or(&newborn->inode->flags, FS_INODE_NEWBORN);
		loading->newborn_count++;
	}
	return err;
}

/* As much as a source with the same limit sends, and never less than what needs no limit. */
static uint64_t content_limit(const struct fs *fs)
{
	uint64_t limit = fs_orphan_limit(fs);

	return GW_MAX(limit + limit / FS_IDLE_SHARE, (uint64_t)FS_ORPHAN_BYTES_MAX);
}

static int put_content(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_content_v1 *record = object;
	struct fs_newborn *newborn = newborn_of(loading, record->inode);

	loading->content_bytes += record->data.len;
	if (!newborn)
		return gw_fail(EINVAL, "load: content of inode %llu: no such unnamed file",
			       (unsigned long long)record->inode);
	if (loading->content_bytes > content_limit(loading->fs))
		return gw_fail(EFBIG,
			       "load: unnamed files hold more than %llu bytes, which is all that "
			       "is taken here without a higher --migration-orphan-limit",
			       (unsigned long long)content_limit(loading->fs));
	return newborn->handed ? 0 : fs_newborn_write(newborn, record);
}

static int put_xattr(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_xattr_v1 *record = object;
	struct fs_newborn *newborn = newborn_of(loading, record->inode);

	if (!newborn)
		return gw_fail(EINVAL, "load: attribute of inode %llu, which is not unnamed",
			       (unsigned long long)record->inode);
	return newborn->handed ? 0 : fs_newborn_xattr(newborn, loading->fs, record);
}

static int put_unsent(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_unsent_v1 *record = object;
	const struct fs_newborn *newborn = newborn_of(loading, record->inode);

	if (newborn && newborn->handed)
		return 0;
	return gw_fail(ENODATA,
		       "load: unnamed inode %llu: its content is not in the state, only to be "
		       "handed over, which it was not",
		       (unsigned long long)record->inode);
}

/*
 * Handles. Their table is the place where they are staged, too; not published, with no descriptor.
 */

static struct fs_open *staged_handle(struct fs_loading *loading, uint64_t id)
{
	return fs_slot_adopted(&loading->handles->slots, id);
}

static int check_handle(const struct gw_fs_handle_v1 *record, const struct fs_inode *inode)
{
	if (!inode || inode->type != (record->directory ? DT_DIR : DT_REG))
		return gw_fail(EINVAL, "load: handle %#llx cannot be one of inode %llu",
			       (unsigned long long)record->id, (unsigned long long)record->inode);
	return 0;
}

static void empty_handle(struct fs_open *open)
{
	if (!open->handle.inode) /* nothing was put there yet */
		return;
	gw_close(&open->handle.fd);
	fs_dir_free(gw_take_ptr(open->handle.dir));
	fs_inode_put_ptr(&open->handle.inode);
	open->handle.inode = NULL;
}

static int no_handle(uint64_t id)
{
	return gw_fail(errno, "load: handle id %#llx: %s", (unsigned long long)id,
		       errno == EEXIST ? "its slot is taken by another one" : strerror(errno));
}

static int put_handle(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_handle_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->inode);
	struct fs_open *open = staged_handle(loading, record->id);
	int err = check_handle(record, inode);

	if (err)
		return err;
	if (!open)
		open = fs_slot_adopt(&loading->handles->slots, record->id);
	if (!open)
		return no_handle(record->id);
	empty_handle(open);
	open->handle.fd = -1;
	open->handle.flags = record->flags;
	open->handle.inode = fs_inode_pin(inode);
	if (!record->directory)
		return 0;
	err = fs_dir_new(&open->handle.dir, fs_dir_limit(loading->fs));
	if (!err)
		open->handle.dir->untracked = record->blind;
	return err;
}

static int remove_handle(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_handle_v1 *record = object;
	struct fs_open *open = staged_handle(loading, record->id);

	if (!open || !open->handle.inode)
		return gw_fail(EINVAL, "load: handle %#llx is taken back, but was not there",
			       (unsigned long long)record->id);
	empty_handle(open);
	fs_slot_free(&open->slot);
	return 0;
}

static int put_entry(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_dir_v1 *record = object;
	struct fs_open *open = staged_handle(loading, record->handle);
	struct fs_dir *dir = open ? open->handle.dir : NULL;
	int err;

	if (!dir || dir->untracked || record->position != dir->count)
		return gw_fail(EINVAL, "load: entry %llu of directory %#llx is out of place",
			       (unsigned long long)record->position,
			       (unsigned long long)record->handle);
	err = fs_dir_adopt(dir, record->cookie, record->hash);
	if (err == -ENOSPC)
		return gw_fail(ENOSPC,
			       "load: directory %#llx has served more entries than the %u that "
			       "are remembered here (--dir-limit)",
			       (unsigned long long)record->handle, dir->limit);
	if (err)
		return gw_fail(ENOMEM, "load: no memory for entries of directories");
	return 0;
}

/* Inode or handle are there from here on, and are what they are once their record has come. */
static int put_foreign_id(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_foreign_id_v1 *record = object;
	struct fs_slots *slots =
		record->handle ? &loading->handles->slots : &loading->inodes->slots;

	if (!record->handle && record->id <= FS_ROOT_ID)
		return gw_fail(EINVAL, "load: %llu cannot be an inode's id",
			       (unsigned long long)record->id);
	if (fs_slot_adopted(slots, record->id))
		return 0;
	if (!record->handle)
		return new_inode(loading, fs_slot_adopt_foreign(slots, record->id), record->id)
			       ? 0
			       : -EINVAL;
	return fs_slot_adopt_foreign(slots, record->id) ? 0 : no_handle(record->id);
}

int fs_stage(struct fs_loading *loading, const struct gw_layout *layout, const void *object)
{
	const struct gw_state_handler *handler = fs_load_handlers;

	int err;

	while (handler->layout != layout)
		handler++;
	err = handler->put(loading, object);
	/* Who stages one by one looks at what is there already. */
	return err ? err : fs_names_feed_end(loading->inodes, &loading->feed);
}

const struct gw_state_handler fs_load_handlers[] = {
	{&gw_fs_foreign_id_v1, put_foreign_id, NULL},
	{&gw_fs_session_v1, put_session, NULL},
	{&gw_fs_mount_v1, put_mount, NULL},
	{&gw_fs_inode_v1, put_inode, remove_inode, fs_stage_inodes},
	{&gw_fs_name_v1, put_name, remove_name, fs_stage_names},
	{&gw_fs_orphan_v1, put_orphan, NULL},
	{&gw_fs_content_v1, put_content, NULL},
	{&gw_fs_xattr_v1, put_xattr, NULL},
	{&gw_fs_handle_v1, put_handle, remove_handle},
	{&gw_fs_dir_v1, put_entry, NULL},
	{&gw_fs_lost_v1, put_lost, NULL},
	{&gw_fs_lock_v1, fs_lock_put, NULL},
	{&gw_fs_flock_v1, fs_flock_put, NULL},
	{&gw_fs_locking_v1, fs_locking_put, NULL},
	{&gw_fs_flocking_v1, fs_flocking_put, NULL},
	{&gw_fs_handover_v1, fs_handover_put, NULL},
	{&gw_fs_unsent_v1, put_unsent, NULL},
	{.layout = NULL},
};

/* Handles that were never published, which their table does not know how to end. */
static void free_staged_handles(struct fs_handles *handles)
{
	struct fs_open *open;
	uint32_t at = 0;

	while (handles && (open = fs_slots_next(&handles->slots, &at))) {
		if (open->slot.id && !(uint32_t)atomic_load(&open->slot.life))
			empty_handle(open);
	}
}

static void unstage_failed(struct fs_inode *inode)
{
	if (!fs_inode_has(inode, FS_INODE_STAGED))
		return;
	inode->lookups = 0; /* not yet a reference */
	fs_unstage(inode);
}

/* Names that nobody could find were never there. */
static void drop_unhashed(struct fs_loading *loading)
{
	for (size_t i = 0; !loading->names_hashed && i < loading->staged_count; i++)
		fs_names_unadd(loading->inodes, fs_staged_at(loading, i));
}

void fs_loading_free(struct fs_loading *loading)
{
	for (size_t i = 0; i < loading->newborn_count; i++) {
		gw_close(&loading->newborns[i].fd);
		fs_inode_put(loading->newborns[i].inode);
	}
	free(loading->newborns);
	fs_birthplaces_free(loading);
	fs_handed_free(&loading->handed);
	fs_locks_free(loading->locks);
	free_staged_handles(loading->handles);
	fs_handles_free(loading->handles);
	drop_unhashed(loading);
	for (size_t i = 0; loading->inodes && i < loading->staged_count; i++)
		unstage_failed(fs_staged_at(loading, i));
	free(loading->staged);
	free(loading->prints);
	free(loading->missed);
	fs_index_free(loading->index);
	free(loading->reopened);
	pthread_mutex_destroy(&loading->missed_lock);
	fs_inodes_free(loading->inodes);
}
