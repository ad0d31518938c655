/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handles.h - the handle table's inside, for its migration. */
#ifndef GW_FS_HANDLES_H
#define GW_FS_HANDLES_H

#include <assert.h>
#include <stddef.h>

#include "fs/fs.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/slots.h"

struct fs_open {
	struct fs_slot slot;
	struct fs_handle handle;
	struct fs_fd path_fd; /* keeps the inode's descriptor in the cache */
	_Atomic bool released;
};
static_assert(sizeof(struct fs_open) <= 112, "it fits a chunk's slot");

struct fs_handles {
	struct fs *fs;
	struct gw_journal *journal; /* as in the inode table */
	struct fs_slots slots;
	/* After a load there are some whose inode's descriptor is not held yet. */
	_Atomic bool unheld;
};

static inline struct fs_open *fs_open_of(struct fs_handle *handle)
{
	return (struct fs_open *)((char *)handle - offsetof(struct fs_open, handle));
}

/* What was staged under its id (inode, flags, dir are set; adopt.c) becomes a handle with @fd. -1:
 * the file could not be opened, and what needs it gets -EBADF. */
void fs_handle_adopt(struct fs_open *open, int fd);
/* The inode's descriptor for those from *@at on, @count of them at most; false at the end, after
 * which all have it that can. One thread at a time. */
bool fs_handles_hold(struct fs_handles *handles, uint32_t *at, unsigned count);
/* O_PATH of @inode, if it is open and its descriptor not held yet; else -ENOENT. */
int fs_handles_path(struct fs_handles *handles, struct fs_inode *inode);

#endif
