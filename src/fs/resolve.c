/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/resolve.c - finding an inode again: by handle, else by path, proven by evidence. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/open.h"
#include "fs/table.h"

/* A path longer than PATH_MAX is walked in pieces, each of which is one more call deep. Host-side
 * renames can also make recorded names run in a circle, which ends here. */
#define PIECES_MAX 8

static _Thread_local unsigned pieces;

static int open_by_handle(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_fhandle handle;
	int mount_fd = fs_mount_fd(inodes, inode->mount);
	int fd;

	/* A handle out of a stream could open anything on the file system: it is evidence, until
	 * what it describes has been found in the share (and it with that). Opening it before,
	 * where the stream is signed or the operator trusts it, is not done. */
	if (mount_fd < 0 || fs_inode_has(inode, FS_INODE_UNRESOLVED) ||
	    !fs_fhandle_recall(inode, &handle))
		return -EOPNOTSUPP;
	do {
		fd = fs_fhandle_open(mount_fd, &handle);
	} while (fs_inodes_relieve(inodes, fd));
	return fd;
}

/* A path that grows from its end. */
struct path {
	char bytes[PATH_MAX];
	size_t start;
};

static bool prepend(struct path *path, const char *name, size_t len)
{
	bool first = path->start == sizeof(path->bytes) - 1;

	if (path->start < len + 1)
		return false;
	if (!first)
		path->bytes[--path->start] = '/';
	path->start -= len;
	memcpy(path->bytes + path->start, name, len);
	return true;
}

/*
 * The nearest ancestor whose descriptor is at hand, @dir itself or above it; the names below it are
 * put before @path. Consumes the reference on @dir.
 */
static int nearest(struct fs_inodes *inodes, struct fs_inode *dir, struct path *path,
		   struct fs_fd *fd, struct fs_inode **ancestor)
{
	FS_AUTO_INODE struct fs_inode *at = dir;

	for (;;) {
		struct fs_name_copy copy;
		bool fitted;

		if (fs_inode_has(at, FS_INODE_LOST))
			return -ESTALE;
		if (fs_fdcache_try(at, fd))
			break;
		if (!fs_name_first(inodes, at, &copy))
			return -ESTALE;
		fitted = prepend(path, copy.name, copy.len);
		if (!fitted) {
			int err;

			fs_inode_put(copy.parent);
			if (pieces >= PIECES_MAX)
				return -ELOOP;
			pieces++;
			err = fs_inode_fd(at, fd);
			pieces--;
			if (err)
				return err;
			break;
		}
		fs_inode_put(at);
		at = copy.parent;
	}
	*ancestor = gw_take_ptr(at);
	return 0;
}

/* O_PATH of what has @name in @parent now, whoever that is. Consumes the reference on @parent. */
static int open_named(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		      size_t len)
{
	struct path path;
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	FS_AUTO_INODE struct fs_inode *ancestor = NULL;
	int fd;

	path.start = sizeof(path.bytes) - 1;
	path.bytes[path.start] = 0;
	prepend(&path, name, len);
	fd = nearest(inodes, parent, &path, &dir, &ancestor);
	if (fd < 0)
		return fd;
	do {
		fd = fs_open_beneath(dir.fd, path.bytes + path.start, O_PATH, 0);
	} while (fs_inodes_relieve(inodes, fd));
	fs_fd_put(&dir);
	return fd;
}

/* A handle that came out of a stream counts only where the file system promises that handles mean
 * the same everywhere, and is forgotten elsewhere. */
static bool meaningful_handle(struct fs_inodes *inodes, struct fs_inode *inode,
			      const struct statx *stx, int fd, struct fs_fhandle *handle)
{
	if (fs_inode_has(inode, FS_INODE_UNRESOLVED)) {
		if (S_ISDIR(stx->stx_mode) && fs_mount_fd(inodes, inode->mount) < 0)
			fs_mount_offer(inodes, inode->mount, fd);
		if (!inodes->mounts[inode->mount].portable)
			fs_fhandle_forget(inode);
	}
	return fs_fhandle_recall(inode, handle);
}

int fs_inode_prove(struct fs_inodes *inodes, struct fs_inode *inode, int fd)
{
	struct fs_evidence expected = {
		.type = (mode_t)inode->type << 12, .ino = inode->ino, .btime = inode->btime};
	struct fs_fhandle handle;
	struct statx stx;
	int err = fs_statx_fd(fd, &stx);

	if (err)
		return err;
	if (!fs_mount_learn(inodes, inode->mount, &stx) || !fs_evidence_fits(&expected, fd, &stx))
		return -ESTALE;
	expected.handle = &handle;
	if (meaningful_handle(inodes, inode, &stx, fd, &handle) &&
	    !fs_evidence_fits(&expected, fd, &stx))
		return -ESTALE;
	fs_inode_unmark(inode, FS_INODE_UNRESOLVED);
	return 0;
}

/* By its names, all of them: any may have become wrong behind our back. */
static int open_by_path(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_name_copy *copies;
	unsigned count;
	int result = fs_names_copy(inodes, inode, &copies, &count);

	if (result)
		return result;
	result = -ESTALE;
	for (unsigned i = 0; i < count && result < 0; i++) {
		GW_AUTO_FD int fd = open_named(inodes, fs_inode_pin(copies[i].parent),
					       copies[i].name, copies[i].len);

		if (fd >= 0 && !fs_inode_prove(inodes, inode, fd))
			result = gw_take_fd(&fd);
		else if (fd == -ENOMEM || fd == -EMFILE || fd == -ENFILE)
			result = fd;
	}
	fs_names_copy_free(copies, count);
	return result;
}

int fs_inode_find(struct fs_inodes *inodes, struct fs_inode *inode)
{
	int fd;

	if (fs_inode_has(inode, FS_INODE_LOST))
		return -ESTALE;
	fd = open_by_handle(inodes, inode);
	if (fd < 0)
		fd = open_by_path(inodes, inode);
	return fd;
}
