/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage_handle.c - handles of a state, staged. */
#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/precopied.h"
#include "fs/stage.h"
#include "godwit/error.h"

/* Their table is the place where they are staged, too; not published, with no descriptor. */

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

int fs_stage_put_handle(void *opaque, const void *object)
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
	open->handle.fd = fs_precopied_opened(loading, record, inode);
	open->handle.flags = record->flags;
	open->handle.inode = fs_inode_pin(inode);
	if (!record->directory)
		return 0;
	err = fs_dir_new(&open->handle.dir, fs_dir_limit(loading->fs));
	if (!err)
		open->handle.dir->untracked = record->blind;
	return err;
}

int fs_stage_remove_handle(void *opaque, const void *object)
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

int fs_stage_put_entry(void *opaque, const void *object)
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

int fs_stage_foreign_handle(struct fs_loading *loading, uint64_t id)
{
	struct fs_slots *slots = &loading->handles->slots;

	if (fs_slot_adopted(slots, id) || fs_slot_adopt_foreign(slots, id))
		return 0;
	return no_handle(id);
}

/* Handles that were never published, which their table does not know how to end. */
void fs_stage_free_handles(struct fs_handles *handles)
{
	struct fs_open *open;
	uint32_t at = 0;

	while (handles && (open = fs_slots_next(&handles->slots, &at))) {
		if (open->slot.id && !(uint32_t)atomic_load(&open->slot.life))
			empty_handle(open);
	}
}
