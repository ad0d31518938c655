/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_open.c - OPEN, CREATE, TMPFILE, RELEASE, FLUSH. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/acl.h"
#include "fs/attr.h"
#include "fs/creds.h"
#include "fs/handle.h"
#include "fs/label.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/redo.h"
#include "fs/privs.h"
#include "fs/waits.h"

/*
 * What of the guest's open flags the host's open gets. Not O_APPEND: WRITE appends by itself
 * (op_data.c), and a write at a place of its own, such as one out of the guest's page cache, must
 * stay one.
 */
#define FLAGS_KEPT  (O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC)
#define FD_NAME_MAX 16
/* What a handle stores: no open of the same file again should do these. */
#define FLAGS_ONCE (O_CREAT | O_EXCL | O_TRUNC | O_TMPFILE)

/*
 * With these a file is opened, stored with its handle, and opened again where the guest moves to.
 * O_DIRECT only if asked for: the guest's buffers need not be aligned as the host wants them.
 * O_NOATIME likewise: it is for the file's owner, who in the guest may be someone else than here.
 */
static int host_flags(const struct fs *fs, uint32_t flags)
{
	int kept = (int)flags & FLAGS_KEPT;

	if (fs->policy.direct_io)
		kept |= (int)flags & O_DIRECT;
	if (fs->host->preserve_noatime)
		kept |= (int)flags & O_NOATIME;
	/* The guest's page cache reads what it writes only a part of. */
	if (fs_has(fs, FUSE_WRITEBACK_CACHE) && (kept & O_ACCMODE) == O_WRONLY)
		kept = (kept & ~O_ACCMODE) | O_RDWR;
	return kept;
}

static bool wants_write(uint32_t flags)
{
	return (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
}

/* Takes @fd over. */
static int add_handle(struct fs_request *req, struct fs_inode *inode, int fd, uint32_t flags,
		      struct fuse_open_out *out)
{
	uint32_t kept = flags & ~(uint32_t)FLAGS_ONCE;

	*out = (struct fuse_open_out){.open_flags = fs_cache_policy(req->fs, inode)->file_flags};
	out->fh = fs_redo_opened(req, inode);
	if (out->fh) {
		close(fd);
		return 0;
	}
	return fs_handle_add(req->fs->handles, inode, fd, kept, NULL, &out->fh);
}

/* O_NOATIME is a wish: without it who may not have it would not get the file at all. */
static int open_inode(struct fs_inode *inode, int *flags)
{
	int fd = fs_inode_open(inode, *flags | O_CLOEXEC);

	if (fd == -EPERM && *flags & O_NOATIME) {
		*flags &= ~O_NOATIME;
		fd = fs_inode_open(inode, *flags | O_CLOEXEC);
	}
	return fd;
}

/* In an open that truncates: without the agreement the guest's kernel leaves it to nobody, since it
 * takes the SETATTR that would follow for done (FUSE_ATOMIC_O_TRUNC). */
static bool killed_by_truncation(const struct fs_request *req, uint32_t open_flags)
{
	if (fs_has(req->fs, FUSE_HANDLE_KILLPRIV_V2))
		return open_flags & FUSE_OPEN_KILL_SUIDGID;
	return fs_privs_killed_by_user(req);
}

static int open_existing(struct fs_request *req)
{
	const struct fuse_open_in *in = req->arg;
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(req->fs->inodes, req->in.nodeid);
	int flags = host_flags(req->fs, in->flags);
	struct fuse_open_out out;
	int fd, ret;

	if (!inode)
		return -ESTALE;
	fd = open_inode(inode, &flags);
	if (fd < 0)
		return fd;
	if (flags & O_TRUNC)
		fs_privs_drop(req->fs, fd, killed_by_truncation(req, in->open_flags));
	ret = add_handle(req, inode, fd, (uint32_t)flags, &out);
	return ret < 0 ? ret : fs_reply(req, &out, sizeof(out));
}

/* Truncation may free gigabytes. */
int fs_op_open(struct fs_request *req)
{
	const struct fuse_open_in *in = req->arg;

	if (wants_write(in->flags) && req->fs->host->readonly)
		return -EROFS;
	return in->flags & O_TRUNC ? fs_to_pool(req, open_existing) : open_existing(req);
}

/* One call as the request's user: open @name in @parent. */
static int open_new(struct fs_request *req, int parent, const char *name, int flags, mode_t mode)
{
	FS_AUTO_CREDS struct fs_creds creds = FS_CREDS_INIT;
	int ret = fs_creds_enter(&creds, req);
	int fd;

	if (ret < 0)
		return ret;
	do {
		fd = openat(parent, name, flags | O_CLOEXEC, mode);
		fd = fd < 0 ? -errno : fd;
	} while (fs_inodes_relieve(req->fs->inodes, fd));
	return fd;
}

static int give_name(struct fs_request *req, int fd, int parent, const char *name)
{
	FS_AUTO_CREDS struct fs_creds creds = FS_CREDS_INIT;
	int ret = fs_creds_enter(&creds, req);
	char number[FD_NAME_MAX];

	if (ret < 0)
		return ret;
	snprintf(number, sizeof(number), "%d", fd);
	return linkat(req->fs->proc_fd, number, parent, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* Without a name first, which it gets with its label on. O_TMPFILE wants a file to write to. */
static int make_labelled(struct fs_request *req, int parent, const char *name, int flags,
			 mode_t mode)
{
	int kept = flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW | O_ACCMODE);
	GW_AUTO_FD int fd = open_new(req, parent, ".", kept | O_TMPFILE | O_RDWR, mode);
	int ret = fd < 0 ? fd : fs_label_set(req, fd);

	if (ret == 0)
		ret = give_name(req, fd, parent, name);
	return ret < 0 ? ret : gw_take_fd(&fd);
}

/* Where the file system cannot do that, the name is there for a moment before the label. */
static int make_and_label(struct fs_request *req, int parent, const char *name, int flags,
			  mode_t mode)
{
	GW_AUTO_FD int fd = open_new(req, parent, name, flags, mode);
	int ret = fd < 0 ? fd : fs_label_set(req, fd);

	if (fd >= 0 && ret < 0 && flags & O_CREAT)
		unlinkat(parent, name, 0);
	return ret < 0 ? ret : gw_take_fd(&fd);
}

/* Make a file that was not there, as the request's user; a descriptor, or -EEXIST and the like. */
static int create_new(struct fs_request *req, int parent, const char *name, int flags)
{
	const struct fuse_create_in *in = req->arg;
	mode_t mode = fs_acl_mode(req, parent, in->mode & 07777, in->umask);
	FS_AUTO_LABEL struct fs_label_scope label = {0};
	int ret = fs_label_enter(&label, req);

	if (ret < 0)
		return ret;
	/* Asked before, so that no file is left by a failure. */
	if (!fs_inodes_may_open(req->fs->inodes))
		return -ENFILE;
	if (!fs_label_due(&label, req))
		return open_new(req, parent, name, flags, mode);
	ret = flags & O_CREAT ? make_labelled(req, parent, name, flags, mode) : -EOPNOTSUPP;
	if (ret == -EOPNOTSUPP || ret == -EISDIR)
		ret = make_and_label(req, parent, name, flags, mode);
	return ret;
}

/* Entry and open file in one answer. Takes @fd over. */
static int reply_created(struct fs_request *req, struct fs_inode *parent, uint64_t nodeid,
			 const struct statx *stx, int fd, int flags)
{
	struct fs *fs = req->fs;
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(fs->inodes, nodeid);
	int ret;

	if (!inode) {
		close(fd);
		return -ESTALE;
	}
	ret = add_handle(req, inode, fd, (uint32_t)flags, &out.open);
	if (ret < 0) {
		/* The guest hears of no entry, so it will not forget it. */
		fs_inode_forget(fs->inodes, nodeid, 1);
		return ret;
	}
	fs_entry_fill(fs, parent, &out.entry, nodeid, stx);
	return fs_reply(req, &out, sizeof(out));
}

/* As the request's user: somebody else made it, and the guest's kernel, which knew of no such file,
 * has asked for no rights on it. */
static int open_as_user(struct fs_request *req, struct fs_inode *inode, int *flags)
{
	FS_AUTO_PATHFD struct fs_fd held = FS_PATHFD_INIT;
	FS_AUTO_CREDS struct fs_creds creds = FS_CREDS_INIT;
	/* Found before, since finding it may take privilege. */
	int ret = fs_inode_fd(inode, &held);

	if (ret == 0)
		ret = fs_creds_enter(&creds, req);
	return ret < 0 ? ret : open_inode(inode, flags);
}

/* The name is taken: what is there is looked up and opened. */
static int create_existing(struct fs_request *req)
{
	const struct fuse_create_in *in = req->arg;
	struct fs *fs = req->fs;
	FS_AUTO_INODE struct fs_inode *parent = fs_inode_get(fs->inodes, req->in.nodeid);
	int flags = host_flags(fs, in->flags);
	struct statx stx;
	uint64_t nodeid;
	int fd = -ESTALE;
	int ret = parent ? fs_inode_lookup(fs->inodes, parent, req->name, &nodeid, &stx) : -ESTALE;

	if (ret < 0)
		return ret;
	{
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(fs->inodes, nodeid);

		if (inode)
			fd = open_as_user(req, inode, &flags);
		if (fd >= 0 && flags & O_TRUNC) {
			fs_privs_drop(fs, fd, killed_by_truncation(req, in->open_flags));
			fs_inode_statx(inode, &stx); /* the size is another one now */
		}
	}
	if (fd < 0) {
		fs_inode_forget(fs->inodes, nodeid, 1);
		return fd;
	}
	return reply_created(req, parent, nodeid, &stx, fd, flags);
}

/* By this request, before a process died: opened as what makes it opens it, whatever its mode. */
static int create_again(struct fs_request *req, struct fs_inode *parent, int flags)
{
	struct fs *fs = req->fs;
	struct statx stx;
	uint64_t nodeid;
	int fd = -ESTALE;
	int ret = fs_inode_lookup(fs->inodes, parent, req->name, &nodeid, &stx);

	if (ret < 0)
		return ret;
	{
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(fs->inodes, nodeid);

		if (inode)
			fd = open_inode(inode, &flags);
	}
	if (fd < 0) {
		fs_inode_forget(fs->inodes, nodeid, 1);
		return fd;
	}
	return reply_created(req, parent, nodeid, &stx, fd, flags);
}

static int create_read_only(struct fs_request *req, uint32_t flags)
{
	int ret = wants_write(flags) || flags & O_EXCL ? -EROFS : create_existing(req);

	return ret == -ENOENT ? -EROFS : ret;
}

/*
 * Exclusively first, whatever the guest asked for: only so it is certain that nothing that exists
 * (a device, a FIFO, a file of someone else) is opened as the request's user.
 */
int fs_op_create(struct fs_request *req)
{
	const struct fuse_create_in *in = req->arg;
	struct fs *fs = req->fs;
	FS_AUTO_AT struct fs_at parent = FS_AT_INIT;
	int flags = host_flags(fs, in->flags);
	struct statx stx;
	uint64_t nodeid;
	GW_AUTO_FD int fd = -1;
	int ret = fs_at_get(req, req->in.nodeid, &parent);

	if (ret < 0)
		return ret;
	if (fs->host->readonly)
		return create_read_only(req, in->flags);
	fs_name_settle(fs->inodes, parent.inode, req->name);
	if (fs_redo_made(req, parent.path.fd, req->name))
		return create_again(req, parent.inode, flags & ~(O_TRUNC | O_EXCL));
	fs_intend_new(req, parent.path.fd, req->name);
	fd = create_new(req, parent.path.fd, req->name,
			(flags & ~O_TRUNC) | O_CREAT | O_EXCL | O_NOFOLLOW);
	if (fd == -EEXIST && !(in->flags & O_EXCL))
		return in->flags & O_TRUNC ? fs_to_pool(req, create_existing)
					   : create_existing(req);
	if (fd < 0)
		return fd;
	ret = fs_inode_lookup_fd(fs->inodes, parent.inode, req->name, fd, &nodeid, &stx);
	if (ret < 0)
		return ret;
	return reply_created(req, parent.inode, nodeid, &stx, gw_take_fd(&fd), flags);
}

/* The guest's kernel sends a name with it that means nothing. */
int fs_op_tmpfile(struct fs_request *req)
{
	const struct fuse_create_in *in = req->arg;
	struct fs *fs = req->fs;
	FS_AUTO_AT struct fs_at parent = FS_AT_INIT;
	/* O_EXCL says here that the file is never to get a name. */
	int flags = host_flags(fs, in->flags) | ((int)in->flags & O_EXCL);
	struct statx stx;
	uint64_t nodeid;
	GW_AUTO_FD int fd = -1;
	int ret = fs_at_get(req, req->in.nodeid, &parent);

	if (ret < 0)
		return ret;
	fd = create_new(req, parent.path.fd, ".", flags | O_TMPFILE);
	if (fd < 0)
		return fd;
	ret = fs_inode_lookup_fd(fs->inodes, parent.inode, NULL, fd, &nodeid, &stx);
	if (ret < 0)
		return ret;
	return reply_created(req, parent.inode, nodeid, &stx, gw_take_fd(&fd), flags);
}

int fs_op_release(struct fs_request *req)
{
	const struct fuse_release_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);

	int ret;

	/* A request that still has it must not keep others from the lock. */
	if (handle && (handle->flock || handle->kept))
		fs_flock_set(handle, F_UNLCK);
	if (handle && req->fs->policy.posix_lock)
		fs_lock_drop_through(req->fs, handle->inode, in->fh);
	ret = fs_redo_released(req) ? 0 : fs_handle_release(req->fs->handles, in->fh);
	fs_waits_wake(req->fs, req->in.nodeid);
	return ret;
}

/* close() is where network file systems write back and tell of errors; a copy can be closed for
 * that as often as the guest closes its own. */
static int flush(struct fs_request *req)
{
	const struct fuse_flush_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	int fd;

	if (!handle)
		return -EBADF;
	fd = fcntl(handle->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return close(fd) < 0 ? -errno : 0;
}

int fs_op_flush(struct fs_request *req)
{
	const struct fuse_flush_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);

	if (!handle)
		return -EBADF;
	if (fs_has(req->fs, FUSE_POSIX_LOCKS)) {
		fs_lock_drop(req->fs, handle->inode, in->lock_owner);
		fs_waits_wake(req->fs, req->in.nodeid);
	}
	return handle->dirty ? fs_to_pool(req, flush) : 0;
}
