/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handle.h - open files and directories of the guest. */
#ifndef GW_FS_HANDLE_H
#define GW_FS_HANDLE_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A handle id is slot and generation, like a node id: stale ids are caught. A handle holds its
 * inode and one descriptor. Pins as for inodes: a descriptor is closed when the last pin of a
 * released handle is gone, never under a request.
 */
struct fs;
struct fs_handles;
struct fs_inode;
struct fs_dir; /* where a directory stream is (dir.h) */

struct fs_handle {
	int fd;
	struct fs_inode *inode;
	/* The open flags that the daemon really used, for migration (peers.md D3 to D5). */
	uint32_t flags;
	/* Reads of the page cache tried without waiting: false once the file said EOPNOTSUPP. */
	_Atomic bool nowait_read, nowait_write;
	/* Written since the last sync (what SAVE must sync on incoherent file systems). */
	_Atomic bool dirty;
	_Atomic uint8_t flock; /* LOCK_SH or LOCK_EX of flock(2) is on fd, or 0 */
	_Atomic bool lost;     /* a lock was, on the way to another host and back (locks.h) */
	_Atomic uint32_t kept; /* under which fd outlives the process for its lock, or 0 */
	struct fs_dir *dir;    /* directories only */
			       /* the table's own members follow in handle.c's container */
};

int fs_handles_new(struct fs_handles **handles, struct fs *fs);
void fs_handles_free(struct fs_handles *handles);
void fs_handles_clear(struct fs_handles *handles);

/* Takes @fd and @dir over (also on failure); pins @inode for itself. *@id is what the guest gets as
 * fh. -ENFILE: the guest has as many files open as may be. */
int fs_handle_add(struct fs_handles *handles, struct fs_inode *inode, int fd, uint32_t flags,
		  struct fs_dir *dir, uint64_t *id);
/* Pin; NULL: no such handle (answer -EBADF). */
struct fs_handle *fs_handle_get(struct fs_handles *handles, uint64_t id);
void fs_handle_put(struct fs_handle *handle);
/* RELEASE: the guest is done with it. -EBADF if unknown. */
int fs_handle_release(struct fs_handles *handles, uint64_t id);
uint64_t fs_handles_count(const struct fs_handles *handles);

/* Can content be had through it? */
static inline int fs_handle_check(const struct fs_handle *handle)
{
	if (!handle || handle->dir)
		return -EBADF;
	return handle->lost ? -EIO : 0;
}

static inline void fs_handle_put_ptr(struct fs_handle **handle)
{
	if (*handle)
		fs_handle_put(*handle);
}
#define FS_AUTO_HANDLE __attribute__((cleanup(fs_handle_put_ptr)))

#endif
