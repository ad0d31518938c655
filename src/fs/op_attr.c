/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_attr.c - GETATTR, SETATTR, STATX, ACCESS, READLINK. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attr.h"
#include "fs/creds.h"
#include "fs/handle.h"
#include "fs/ops.h"
#include "fs/privs.h"

#define FD_NAME_MAX 16

static int reply_attr(struct fs_request *req, struct fs_inode *inode)
{
	struct fuse_attr_out out;
	struct statx stx;
	int ret = fs_inode_statx(inode, &stx);

	if (ret < 0)
		return ret;
	fs_attr_out_fill(req->fs, inode, &out, &stx);
	return fs_reply(req, &out, sizeof(out));
}

/* A handle that comes along says nothing more: it belongs to the same inode. */
int fs_op_getattr(struct fs_request *req)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(req->fs->inodes, req->in.nodeid);

	return inode ? reply_attr(req, inode) : -ESTALE;
}

int fs_op_statx(struct fs_request *req)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(req->fs->inodes, req->in.nodeid);
	struct fuse_statx_out out = {0};
	struct statx stx;
	int ret;

	if (!inode)
		return -ESTALE;
	ret = fs_inode_statx(inode, &stx);
	if (ret < 0)
		return ret;
	out.attr_valid = fs_cache_policy(req->fs, inode)->valid;
	fs_statx_fill(req->fs, &out.stat, &stx);
	return fs_reply(req, &out, sizeof(out));
}

/* What SETATTR works on: the inode, and its open file if the guest named one. */
struct target {
	struct fs_at at;
	struct fs_handle *handle;
	char path[FD_NAME_MAX]; /* below proc_fd */
};

static void target_put(struct target *target)
{
	fs_handle_put_ptr(&target->handle);
	fs_at_put(&target->at);
}

static int target_get(struct fs_request *req, const struct fuse_setattr_in *in,
		      struct target *target)
{
	int ret = fs_at_get(req, req->in.nodeid, &target->at);

	if (ret < 0)
		return ret;
	snprintf(target->path, sizeof(target->path), "%d", target->at.path.fd);
	if (!(in->valid & FATTR_FH))
		return 0;
	target->handle = fs_handle_get(req->fs->handles, in->fh);
	if (!target->handle)
		return -EBADF;
	return target->handle->inode == target->at.inode ? 0 : -EBADF;
}

static int set_owner(struct fs_request *req, const struct fuse_setattr_in *in,
		     struct target *target)
{
	const struct fs *fs = req->fs;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int ret = 0;

	if (in->valid & FATTR_UID)
		ret = fs_idmap_to_host(&fs->uids, in->uid, &uid);
	if (in->valid & FATTR_GID && ret == 0)
		ret = fs_idmap_to_host(&fs->gids, in->gid, &gid);
	if (ret < 0)
		return ret;
	fs_privs_drop(fs, target->at.path.fd, false);
	return fchownat(target->at.path.fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_mode(struct fs_request *req, const struct fuse_setattr_in *in, struct target *target)
{
	return fchmodat(req->fs->proc_fd, target->path, in->mode & 07777, 0) < 0 ? -errno : 0;
}

static int set_size(struct fs_request *req, const struct fuse_setattr_in *in, struct target *target)
{
	GW_AUTO_FD int own = -1;
	int fd;

	if (in->size > INT64_MAX)
		return -EFBIG;
	if (target->handle && (target->handle->flags & O_ACCMODE) != O_RDONLY) {
		fd = target->handle->fd;
	} else {
		own = fs_inode_open(target->at.inode, O_WRONLY | O_CLOEXEC);
		if (own < 0)
			return own;
		fd = own;
	}
	fs_privs_drop(req->fs, fd, in->valid & FATTR_KILL_SUIDGID);
	return ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
}

static struct timespec time_of(uint32_t valid, uint32_t given, uint32_t now, uint64_t sec,
			       uint32_t nsec)
{
	if (valid & now)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (!(valid & given))
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = nsec};
}

static int set_times(struct fs_request *req, const struct fuse_setattr_in *in,
		     struct target *target)
{
	const struct timespec times[2] = {
		time_of(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
		time_of(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
	};

	/* A guest must not reach the special values by way of nanoseconds. */
	if ((in->valid & FATTR_ATIME && in->atimensec > 999999999) ||
	    (in->valid & FATTR_MTIME && in->mtimensec > 999999999))
		return -EINVAL;
	return utimensat(req->fs->proc_fd, target->path, times, 0) < 0 ? -errno : 0;
}

/*
 * In this order: a change of owner takes set-id bits away, which a mode that comes with it may
 * want; times come last because truncation changes them. The guest's kernel has checked the
 * caller's rights (virtio-fs mounts always have default_permissions). FATTR_CTIME is not heeded:
 * the host's file system keeps that one itself.
 */
static const struct {
	uint32_t bits;
	int (*set)(struct fs_request *req, const struct fuse_setattr_in *in, struct target *target);
} setters[] = {
	{FATTR_UID | FATTR_GID, set_owner},
	{FATTR_MODE, set_mode},
	{FATTR_SIZE, set_size},
	{FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW, set_times},
};

/* chown() of nobody to nobody asks for nothing of all this, and is one: it changes ctime, and takes
 * set-id bits away. */
static uint32_t bits_wanted(const struct fuse_setattr_in *in)
{
	uint32_t all = 0;

	for (size_t i = 0; i < GW_ARRAY_LEN(setters); i++)
		all |= setters[i].bits;
	return in->valid & all ? in->valid : FATTR_UID;
}

static int setattr(struct fs_request *req)
{
	const struct fuse_setattr_in *in = req->arg;
	__attribute__((cleanup(target_put))) struct target target = {.at = FS_AT_INIT};
	uint32_t wanted = bits_wanted(in);
	int ret = target_get(req, in, &target);

	for (size_t i = 0; i < GW_ARRAY_LEN(setters) && ret == 0; i++) {
		if (wanted & setters[i].bits)
			ret = setters[i].set(req, in, &target);
	}
	return ret < 0 ? ret : reply_attr(req, target.at.inode);
}

/* Truncation may free gigabytes. */
int fs_op_setattr(struct fs_request *req)
{
	const struct fuse_setattr_in *in = req->arg;

	return in->valid & FATTR_SIZE ? fs_to_pool(req, setattr) : setattr(req);
}

/* glibc before 2.33 would look at the mode itself; the kernel knows of ACLs too (5.8). */
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

int fs_op_access(struct fs_request *req)
{
	const struct fuse_access_in *in = req->arg;
	FS_AUTO_AT struct fs_at at = FS_AT_INIT;
	FS_AUTO_CREDS struct fs_creds creds = FS_CREDS_INIT;
	int ret = fs_at_get(req, req->in.nodeid, &at);

	if (ret < 0)
		return ret;
	if (in->mask & ~(uint32_t)(R_OK | W_OK | X_OK))
		return -EINVAL;
	if (in->mask & W_OK && req->fs->host->readonly)
		return -EROFS;
	ret = fs_creds_enter(&creds, req);
	if (ret < 0)
		return ret;
	/* AT_EACCESS: by the file-system ids in force, not by the process's real ones. */
	if (syscall(SYS_faccessat2, at.path.fd, "", in->mask, AT_EACCESS | AT_EMPTY_PATH) < 0)
		return -errno;
	return 0;
}

int fs_op_readlink(struct fs_request *req)
{
	FS_AUTO_AT struct fs_at at = FS_AT_INIT;
	char where[PATH_MAX];
	ssize_t len;
	int ret = fs_at_get(req, req->in.nodeid, &at);

	if (ret < 0)
		return ret;
	len = readlinkat(at.path.fd, "", where, sizeof(where));
	if (len < 0)
		return errno == ENOENT ? -EINVAL : -errno; /* ENOENT: it is no link */
	if ((size_t)len == sizeof(where))
		return -ENAMETOOLONG;
	return fs_reply(req, where, (size_t)len);
}
