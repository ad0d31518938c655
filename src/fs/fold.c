/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold.c - a checkpoint and what the journal says after it come down to one state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "fs/fold_internal.h"
#include "godwit/error.h"

static void take_kept(struct fs_fold *fold, const struct gw_outliving *outliving)
{
	struct stat st;
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		struct fs_fold_item *item = fs_fold_live_inode(fold, id);

		if (!item)
			continue;
		/* It may have been kept and have its name still. */
		if (fstat(fd, &st) < 0 || st.st_nlink) {
			outliving->let_go(outliving->opaque, id);
			continue;
		}
		item->kept = true;
		item->fd = fd;
	}
}

static void link_names(struct fs_fold *fold)
{
	for (struct fs_fold_item *item = fold->names.first; item; item = item->next) {
		struct fs_fold_item *parent = fs_fold_live_inode(fold, item->name.parent);
		struct fs_fold_item *inode = fs_fold_live_inode(fold, item->name.inode);

		item->gone |= !parent || !inode || parent->inode.type != DT_DIR ||
			      parent == inode || inode->inode.id == FS_ROOT_ID || inode->kept;
		if (item->gone)
			continue;
		inode->named = true;
		parent->held = true;
	}
}

static void link_handles(struct fs_fold *fold)
{
	for (struct fs_fold_item *item = fold->handles.first; item; item = item->next) {
		struct fs_fold_item *inode = fs_fold_live_inode(fold, item->handle.inode);

		item->gone |=
			!inode || inode->inode.type != (item->handle.directory ? DT_DIR : DT_REG);
		if (!item->gone)
			inode->held = true;
	}
}

/* True: one that is gone has a name still, which may be all that holds another one. */
static bool drop_unheld(struct fs_fold *fold)
{
	bool again = false;

	for (struct fs_fold_item *item = fold->inodes.first; item; item = item->next) {
		bool unheld = !item->gone && item->inode.id != FS_ROOT_ID && !item->inode.lookups &&
			      !item->held;

		again |= unheld && item->named;
		item->gone |= unheld;
		item->named = item->held = false;
	}
	return again;
}

/* Who dies in a rename leaves both names; of a directory the later one is right. */
static void drop_old_names(struct fs_fold *fold)
{
	for (struct fs_fold_item *item = fold->names.first; item; item = item->next) {
		struct fs_fold_item *inode = fs_fold_live_inode(fold, item->name.inode);

		if (inode && !item->gone)
			inode->order = GW_MAX(inode->order, item->order);
	}
	for (struct fs_fold_item *item = fold->names.first; item; item = item->next) {
		const struct fs_fold_item *inode = fs_fold_live_inode(fold, item->name.inode);

		item->gone |= inode && inode->inode.type == DT_DIR && item->order < inode->order;
	}
}

static void link_all(struct fs_fold *fold)
{
	drop_old_names(fold);
	do {
		link_handles(fold);
		link_names(fold);
	} while (drop_unheld(fold));
	link_names(fold);
	for (struct fs_fold_item *item = fold->inodes.first; item; item = item->next) {
		if (!item->gone && item->inode.mount < FS_MOUNTS_MAX)
			fold->mounts[item->inode.mount] = true;
	}
}

static bool is_wanted(struct fs_fold *fold, uint32_t kept)
{
	for (const struct fs_fold_item *item = fold->handles.first; item; item = item->next)
		if (item->flocking.kept == kept && fs_fold_is_flocked(item))
			return true;
	return fs_fold_locks_has(fold->locks, kept, fs_fold_is_alive, fold);
}

/* Who died between taking a lock and saying so left one that is nobody's: its request comes again.
 */
static void forsake_locks(struct fs_fold *fold, const struct gw_outliving *outliving,
			  bool any_wanted)
{
	struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		if (!fs_kept_is_lock(id) ||
		    (any_wanted && is_wanted(fold, fs_kept_lock_number(id))))
			continue;
		fcntl(fd, F_OFD_SETLK, &none);
		flock(fd, LOCK_UN);
		outliving->let_go(outliving->opaque, id);
	}
}

static int fold_all(struct fs_fold *fold, struct gw_state_reader *reader,
		    const struct gw_outliving *outliving, struct gw_state_writer *writer)
{
	int err = fs_fold_read(fold, reader, outliving);

	if (err)
		return err;
	/* A guest that has not begun finds a device that has not, either. */
	if (!fold->has_session || !fold->session.initialised) {
		forsake_locks(fold, outliving, false);
		return -ENODATA;
	}
	gw_journal_number(outliving->journal, GW_JOURNAL_RECOVERIES, 1);
	take_kept(fold, outliving);
	link_all(fold);
	forsake_locks(fold, outliving, true);
	return fs_fold_write(fold, writer);
}

int fs_fold(void *dev, struct gw_state_reader *reader, const struct gw_outliving *outliving,
	    struct gw_state_writer *writer)
{
	struct fs *fs = dev;
	struct fs_fold fold = {.fs = fs};
	int err = fs_fold_map_init(&fold.inodes);

	fs->outliving = *outliving;
	fs->recovering = true;

	if (!err)
		err = fs_fold_map_init(&fold.names);
	if (!err)
		err = fs_fold_map_init(&fold.handles);
	if (!err)
		err = fs_fold_locks_new(&fold.locks);
	if (!err)
		err = fold_all(&fold, reader, outliving, writer);
	fs_fold_map_free(&fold.inodes);
	fs_fold_map_free(&fold.names);
	fs_fold_map_free(&fold.handles);
	fs_fold_locks_free(fold.locks);
	return err;
}
