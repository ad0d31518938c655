/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_xattr.c - SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. */
#include <linux/limits.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "fs/acl.h"
#include "fs/open.h"
#include "fs/ops.h"
#include "fs/redo.h"
#include "fs/xattrmap.h"

/*
 * O_PATH descriptors take no extended attributes, so these go through the magic link. It leads to
 * the inode itself: that of a symbolic link is not followed on, and refuses what the host's kernel
 * refuses for one.
 */
struct xattr_target {
	struct fs_at at;
	char path[FS_FD_NAME_MAX];	  /* in the directory of fs_proc_enter() */
	char name[FS_XATTR_NAME_MAX + 1]; /* on the host */
};
#define XATTR_TARGET_INIT        \
	{                        \
		.at = FS_AT_INIT \
	}
#define AUTO_TARGET __attribute__((cleanup(target_put)))

static void target_put(struct xattr_target *target)
{
	fs_at_put(&target->at);
}

static int host_name(const struct fs_request *req, char name[FS_XATTR_NAME_MAX + 1])
{
	int ret = fs_acl_check(req->fs, req->name);

	return ret < 0 ? ret : fs_xattrmap_to_host(req->fs->xattrmap, req->name, name);
}

/* With the name on the host of the attribute that the request names, if it names one. */
static int target_get(struct fs_request *req, struct xattr_target *target)
{
	int ret = req->name ? host_name(req, target->name) : 0;

	if (ret == 0)
		ret = fs_proc_enter(req->fs->proc_fd);
	if (ret == 0)
		ret = fs_at_get(req, req->in.nodeid, &target->at);
	snprintf(target->path, sizeof(target->path), "%d", target->at.path.fd);
	return ret;
}

int fs_op_setxattr(struct fs_request *req)
{
	const struct fuse_setxattr_in *in = req->arg;
	AUTO_TARGET struct xattr_target target = XATTR_TARGET_INIT;
	int ret;

	if (in->size > req->blob_len)
		return fs_complain(req, EINVAL, "a value of %u bytes, %zu came", in->size,
				   req->blob_len);
	ret = target_get(req, &target);
	if (ret < 0)
		return ret;
	if (in->flags & XATTR_CREATE && fs_redo_attribute_made(req, target.path, target.name))
		return 0;
	if (setxattr(target.path, target.name, req->blob, in->size, (int)in->flags) < 0)
		return -errno;
	if (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID && fs_acl_is_name(req->name))
		return fs_acl_kill_sgid(req->fs, target.at.path.fd);
	return 0;
}

int fs_op_removexattr(struct fs_request *req)
{
	AUTO_TARGET struct xattr_target target = XATTR_TARGET_INIT;
	int ret = target_get(req, &target);

	if (ret < 0)
		return ret;
	if (fs_redo_attribute_gone(req, target.path, target.name))
		return 0;
	return removexattr(target.path, target.name) < 0 ? -errno : 0;
}

/* GETXATTR and LISTXATTR differ in the call only: into @value, at most @size bytes, or how many
 * there are if that is 0. @value has room for the longest value and list whatever @size is. */
typedef ssize_t fetch_fn(const struct fs *fs, const struct xattr_target *target, char *value,
			 size_t size);

static ssize_t fetch_value(const struct fs *fs, const struct xattr_target *target, char *value,
			   size_t size)
{
	(void)fs;
	return getxattr(target->path, target->name, size ? value : NULL, size);
}

static_assert(XATTR_LIST_MAX <= XATTR_SIZE_MAX, "one buffer does for both");

static ssize_t fetch_names(const struct fs *fs, const struct xattr_target *target, char *value,
			   size_t size)
{
	ssize_t len;

	len = listxattr(target->path, value, XATTR_LIST_MAX);
	if (len < 0)
		return len;
	len = (ssize_t)fs_xattrmap_list(fs->xattrmap, value, (size_t)len);
	len = (ssize_t)fs_acl_list(fs, value, (size_t)len);
	if (size && (size_t)len > size) {
		errno = ERANGE;
		return -1;
	}
	return len;
}

static int reply_length(struct fs_request *req, ssize_t len)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)len};

	return fs_reply(req, &out, sizeof(out));
}

static int fetch(struct fs_request *req, fetch_fn *fn)
{
	const struct fuse_getxattr_in *in = req->arg;
	AUTO_TARGET struct xattr_target target = XATTR_TARGET_INIT;
	char value[XATTR_SIZE_MAX];

	size_t size = GW_MIN((size_t)in->size, sizeof(value));
	int ret = target_get(req, &target);
	ssize_t len;

	if (ret == -EPERM)
		return -ENODATA; /* what is denied is not there, to who only asks */
	if (ret < 0)
		return ret;
	len = fn(req->fs, &target, value, size);
	if (len < 0)
		return -errno;
	return size ? fs_reply(req, value, (size_t)len) : reply_length(req, len);
}

int fs_op_getxattr(struct fs_request *req)
{
	return fetch(req, fetch_value);
}

int fs_op_listxattr(struct fs_request *req)
{
	return fetch(req, fetch_names);
}
