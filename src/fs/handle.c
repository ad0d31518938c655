/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handle.c - open files and directories of the guest. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/handle.h"
#include "fs/handles.h"
#include "fs/journal.h"
#include "fs/hidden.h"
#include "fs/open.h"
#include "fs/table.h"
#include "godwit/error.h"

static struct fs_open *open_of(struct fs_handle *handle)
{
	return GW_CONTAINER(handle, struct fs_open, handle);
}

int fs_handles_new(struct fs_handles **out, struct fs *fs)
{
	struct fs_handles *handles = calloc(1, sizeof(*handles));

	if (!handles)
		return gw_fail(ENOMEM, "handle table: no memory");
	handles->fs = fs;
	if (fs_slots_init(&handles->slots, sizeof(struct fs_open), handles)) {
		fs_slots_fini(&handles->slots);
		free(handles);
		return gw_fail(ENOMEM, "handle table: no memory");
	}
	*out = handles;
	return 0;
}

static void destroy(struct fs_open *open)
{
	struct fs_handle *handle = &open->handle;

	fs_journal_handle(fs_slots_of(&open->slot)->owner, open, true);
	if (handle->fd >= 0)
		fs_inodes_charge(fs_table_of(handle->inode), -1);
	gw_close(&handle->fd);
	fs_dir_free(gw_take_ptr(handle->dir));
	fs_hidden_closed(handle->inode);
	fs_fd_put(&open->path_fd);
	fs_inode_put(gw_take_ptr(handle->inode));
	fs_slot_free(&open->slot);
}

static void put(struct fs_open *open)
{
	if (fs_slot_unpin(&open->slot))
		destroy(open);
}

static void publish(struct fs_open *open, int fd)
{
	struct fs_handle *handle = &open->handle;

	handle->fd = fd;
	fs_hidden_opened(handle->inode);
	atomic_store(&handle->nowait_read, true);
	atomic_store(&handle->nowait_write, true);
	if (fd >= 0)
		fs_inodes_charge(fs_table_of(handle->inode), 1);
	fs_slot_publish(&open->slot);
}

/*
 * The inode's own descriptor stays for as long as the file is open: whatever becomes of its names,
 * the guest's open file has an inode. After a load that can wait: meanwhile the open file itself is
 * the way to its inode.
 */
void fs_handle_adopt(struct fs_open *open, int fd)
{
	struct fs_handles *handles = fs_slots_of(&open->slot)->owner;

	if (!fs_fdcache_try(open->handle.inode, &open->path_fd) && fd >= 0)
		atomic_store(&handles->unheld, true);
	publish(open, fd);
}

/* Of a pinned one. */
static int path_of(struct fs_open *open)
{
	struct fs_inodes *inodes = fs_table_of(open->handle.inode);
	GW_AUTO_FD int fd = fs_open_again(inodes->fs->proc_fd, open->handle.fd, O_PATH);
	int err = fd < 0 ? fd : fs_inode_prove(inodes, open->handle.inode, fd);

	return err ? err : gw_take_fd(&fd);
}

static void hold(struct fs_open *open)
{
	struct fs_inode *inode = open->handle.inode;
	int fd;

	if (open->path_fd.fd >= 0 || open->handle.fd < 0 || fs_fdcache_try(inode, &open->path_fd))
		return;
	fd = path_of(open);
	if (fd >= 0)
		fd = fs_fdcache_install(fs_table_of(inode), inode, fd);
	open->path_fd = (struct fs_fd){.fd = fd < 0 ? -1 : fd, .inode = inode};
}

bool fs_handles_hold(struct fs_handles *handles, uint32_t *at, unsigned count)
{
	struct fs_open *open = NULL;

	while (atomic_load(&handles->unheld) && count-- &&
	       (open = fs_slots_next(&handles->slots, at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		hold(open);
		put(open);
	}
	if (!open)
		atomic_store(&handles->unheld, false);
	return open;
}

int fs_handles_path(struct fs_handles *handles, struct fs_inode *inode)
{
	struct fs_open *open;
	int fd = -ENOENT;
	uint32_t at = 0;

	while (handles && atomic_load(&handles->unheld) && fd < 0 &&
	       (open = fs_slots_next(&handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		if (open->handle.inode == inode && open->handle.fd >= 0)
			fd = path_of(open);
		put(open);
	}
	return fd;
}

int fs_handle_add(struct fs_handles *handles, struct fs_inode *inode, int fd, uint32_t flags,
		  struct fs_dir *dir, uint64_t *id)
{
	bool may = fs_inodes_may_open(fs_table_of(inode));
	struct fs_open *open = may ? fs_slot_new(&handles->slots) : NULL;

	if (!open) {
		gw_close(&fd);
		fs_dir_free(dir);
		return may ? -ENOMEM : -ENFILE;
	}
	*id = open->slot.id;
	open->handle.inode = fs_inode_pin(inode);
	open->handle.flags = flags;
	open->handle.dir = dir;
	if (fs_inode_fd(inode, &open->path_fd) < 0)
		open->path_fd = (struct fs_fd)FS_PATHFD_INIT;
	publish(open, fd);
	fs_journal_handle(handles, open, false);
	if (fs_inode_has(inode, FS_INODE_PINNED))
		fs_journal_keep(inode, fd);
	return 0;
}

struct fs_handle *fs_handle_get(struct fs_handles *handles, uint64_t id)
{
	struct fs_open *open = fs_slot_get(&handles->slots, id);

	return open ? &open->handle : NULL;
}

void fs_handle_put(struct fs_handle *handle)
{
	put(open_of(handle));
}

/* The table's own reference goes once, however many RELEASEs come. */
static bool release(struct fs_open *open)
{
	if (atomic_exchange(&open->released, true))
		return false;
	put(open);
	return true;
}

int fs_handle_release(struct fs_handles *handles, uint64_t id)
{
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(handles, id);

	return handle && release(open_of(handle)) ? 0 : -EBADF;
}

void fs_handles_clear(struct fs_handles *handles)
{
	struct fs_open *open;
	uint32_t at = 0;

	while ((open = fs_slots_next(&handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		release(open);
		put(open);
	}
}

void fs_handles_free(struct fs_handles *handles)
{
	if (!handles)
		return;
	fs_handles_clear(handles);
	fs_slots_fini(&handles->slots);
	free(handles);
}

uint64_t fs_handles_count(const struct fs_handles *handles)
{
	return atomic_load_explicit(&handles->slots.alive, memory_order_relaxed);
}
