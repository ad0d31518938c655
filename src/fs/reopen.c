/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/reopen.c - what the guest has open is opened again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/load.h"
#include "fs/open.h"
#include "godwit/error.h"

/* What an open of a file that exists may be told. Truncating and creating happened at the source.
 */
#define FLAGS_ALLOWED (O_ACCMODE | O_APPEND | O_DIRECT | O_SYNC | O_DSYNC | O_NOATIME | O_DIRECTORY)

static int open_file(const struct fs_loading *loading, struct fs_inode *inode, uint32_t flags)
{
	int wanted = (int)flags & FLAGS_ALLOWED;
	int fd = -EOPNOTSUPP;

	/* The host's policy is not the source's to give. */
	if (loading->fs->host->readonly && (wanted & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	if (loading->no_devices)
		fd = fs_inode_open_named(inode, wanted);
	if (fd >= 0)
		return fd;
	fd = fs_inode_open(inode, wanted);
	if (fd == -EPERM && wanted & O_NOATIME)
		fd = fs_inode_open(inode, wanted & ~O_NOATIME);
	return fd == -EACCES ? fs_inode_open_as_owner(inode, wanted) : fd;
}

static struct fs_open *handle_at(const struct fs_loading *loading, size_t i)
{
	return fs_slot_at(&loading->handles->slots, loading->reopened[i]);
}

/* As the host's policy and the state have it, or not at all. */
static bool is_usable(const struct fs_loading *loading, int fd, uint32_t flags)
{
	int has = fcntl(fd, F_GETFL);

	return has >= 0 && !(has & O_PATH) && (has & O_ACCMODE) == ((int)flags & O_ACCMODE) &&
	       (!loading->fs->host->readonly || (has & O_ACCMODE) == O_RDONLY);
}

/* What the source had open, if it stays on this host. */
static int take_handed(struct fs_loading *loading, const struct fs_open *open)
{
	const struct fs_handle *handle = &open->handle;
	int fd = fs_handed_take(loading, FS_HANDED_HANDLE, open->slot.id, 0, handle->inode);

	if (fd >= 0 && !is_usable(loading, fd, handle->flags))
		gw_close(&fd);
	return fd;
}

/* What became of it stands where its descriptor would. */
static void reopen_one(struct fs_loading *loading, size_t i)
{
	struct fs_handle *handle = &handle_at(loading, i)->handle;
	int ahead = handle->fd;
	bool usable = ahead >= 0 && !fs_inode_has(handle->inode, FS_INODE_LOST) &&
		      !fs_inode_has(handle->inode, FS_INODE_NEWBORN);

	handle->fd = take_handed(loading, handle_at(loading, i));
	if (handle->fd < 0 && usable)
		handle->fd = gw_take_fd(&ahead);
	gw_close(&ahead);
	if (handle->fd >= 0)
		return;
	handle->fd = fs_inode_has(handle->inode, FS_INODE_LOST)
			     ? -ESTALE
			     : open_file(loading, handle->inode, handle->flags);
}

static int tell_failed(struct fs_loading *loading, struct fs_inode *inode, int err)
{
	if (fs_inode_has(inode, FS_INODE_LOST)) { /* that was told */
		loading->lost++;
		return 0;
	}
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return gw_fail(-err, "load: open files: %s", strerror(-err));
	if (!fs_is_gone(err))
		return fs_miss(loading, inode, err, "cannot be opened again");
	if (inode != loading->inodes->root)
		fs_mark_lost(loading, inode);
	return fs_miss(loading, inode, err, "is not to be found");
}

/* A place of the source's file system's, where entries were served that nobody remembers. */
static int check_place(struct fs_loading *loading, struct fs_handle *handle)
{
	if (!loading->is_copy || !handle->dir || !handle->dir->untracked)
		return 0;
	gw_close(&handle->fd);
	return fs_miss(loading, handle->inode, -ESPIPE,
		       "is being read from a place in it that only the source's file system knows");
}

static int settle_one(struct fs_loading *loading, struct fs_open *open)
{
	struct fs_handle *handle = &open->handle;
	int fd = handle->fd;
	int err = fd < 0 ? tell_failed(loading, handle->inode, fd) : check_place(loading, handle);

	fd = handle->fd;
	if (err)
		return err;
	handle->flags &= FLAGS_ALLOWED;
	fs_handle_adopt(open, fd < 0 ? -1 : fd);
	return 0;
}

int fs_reopen_list(struct fs_loading *loading)
{
	size_t room = fs_handles_count(loading->handles);
	struct fs_open *open;
	struct statvfs sfs;
	uint32_t at = 0;

	loading->no_devices = !fstatvfs(loading->fs->root_fd, &sfs) && sfs.f_flag & ST_NODEV;
	loading->reopened_count = 0;
	free(gw_take_ptr(loading->reopened));
	loading->reopened = calloc(room + 1, sizeof(*loading->reopened));
	if (!loading->reopened)
		return gw_fail(ENOMEM, "load: no memory for open files");
	while ((open = fs_slots_next(&loading->handles->slots, &at))) {
		if (!open->slot.id || fs_slot_is_vacant(&open->slot))
			continue;
		if (!open->handle.inode)
			fs_slot_free(&open->slot); /* taken back */
		else if (loading->reopened_count < room)
			loading->reopened[loading->reopened_count++] = fs_slot_index(&open->slot);
	}
	return 0;
}

struct fs_work fs_reopen_work(struct fs_loading *loading)
{
	return (struct fs_work){.fn = reopen_one, .count = loading->reopened_count};
}

/* Where it fails, those that were opened are closed with what was staged. */
int fs_reopen_settle(struct fs_loading *loading)
{
	int err = 0;

	for (size_t i = 0; i < loading->reopened_count && !err; i++)
		err = settle_one(loading, handle_at(loading, i));
	return err;
}

/* A file is itself whatever becomes of its names. */
static void open_ahead(struct fs_loading *loading, size_t i)
{
	struct fs_handle *handle = &handle_at(loading, i)->handle;

	if (handle->fd >= 0 || handle->dir)
		return;
	handle->fd = open_file(loading, handle->inode, handle->flags);
	if (handle->fd < 0)
		handle->fd = -1;
}

int fs_reopen_ahead(struct fs_loading *loading)
{
	int err = fs_reopen_list(loading);

	if (!err)
		fs_each(loading, loading->reopened_count, 0, open_ahead);
	return err;
}
