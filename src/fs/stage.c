/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage.c - a state's objects, checked one by one into tables of their own. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/locks.h"
#include "fs/locks_kept.h"
#include "fs/stage.h"
#include "fs/sync.h"
#include "godwit/error.h"

int fs_stage_put_session(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;

	loading->session = *(const struct gw_fs_session_v1 *)object;
	loading->has_session = true;
	return 0;
}

int fs_stage_put_mount(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_mount_v1 *record = object;

	if (!record->index || record->index >= FS_MOUNTS_MAX)
		return gw_fail(EINVAL, "load: mount %u, allowed are 1 to %u", record->index,
			       FS_MOUNTS_MAX - 1);
	fs_mount_expect(loading->inodes, record->index);
	loading->has_mounts = true;
	if (fs_sync_type_is_incoherent(record->f_type))
		loading->old_looks = true;
	return 0;
}

static int put_foreign_id(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_foreign_id_v1 *record = object;

	return record->handle ? fs_stage_foreign_handle(loading, record->id)
			      : fs_stage_foreign_inode(loading, record->id);
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
	{&gw_fs_session_v1, fs_stage_put_session, NULL},
	{&gw_fs_mount_v1, fs_stage_put_mount, NULL},
	{&gw_fs_inode_v1, fs_stage_put_inode, fs_stage_remove_inode, fs_stage_inodes},
	{&gw_fs_name_v1, fs_stage_put_name, fs_stage_remove_name, fs_stage_names},
	{&gw_fs_orphan_v1, fs_stage_put_orphan, fs_stage_remove_orphan},
	{&gw_fs_content_v1, fs_stage_put_content, NULL},
	{&gw_fs_xattr_v1, fs_stage_put_xattr, NULL},
	{&gw_fs_handle_v1, fs_stage_put_handle, fs_stage_remove_handle},
	{&gw_fs_dir_v1, fs_stage_put_entry, NULL},
	{&gw_fs_lost_v1, fs_stage_put_lost, NULL},
	{&gw_fs_lock_v1, fs_lock_put, NULL},
	{&gw_fs_flock_v1, fs_flock_put, NULL},
	{&gw_fs_locking_v1, fs_locking_put, NULL},
	{&gw_fs_flocking_v1, fs_flocking_put, NULL},
	{&gw_fs_handover_v1, fs_handover_put, NULL},
	{&gw_fs_unsent_v1, fs_stage_put_unsent, NULL},
	{.layout = NULL},
};

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

int fs_loading_new(struct fs_loading *loading, struct fs *fs)
{
	int err;

	*loading = (struct fs_loading){.fs = fs, .missed_lock = PTHREAD_MUTEX_INITIALIZER};
	err = fs_inodes_new(&loading->inodes, fs);
	if (!err)
		err = fs_handles_new(&loading->handles, fs);
	if (!err)
		err = fs_locks_new(&loading->locks);
	return err;
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
	fs_stage_free_handles(loading->handles);
	fs_handles_free(loading->handles);
	drop_unhashed(loading);
	for (size_t i = 0; loading->inodes && i < loading->staged_count; i++)
		unstage_failed(fs_staged_at(loading, i));
	gw_scratch_free(&loading->staged_memory);
	gw_scratch_free(&loading->scratch);
	free(loading->missed);
	fs_index_free(loading->index);
	free(loading->reopened);
	pthread_mutex_destroy(&loading->missed_lock);
	fs_inodes_free(loading->inodes);
}
