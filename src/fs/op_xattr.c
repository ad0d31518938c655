/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_xattr.c - SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR. */
#include <linux/limits.h>
#include <stdio.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "fs/ops.h"

/*
 * O_PATH descriptors take no extended attributes, so these go through the magic link. It leads to
 * the inode itself: that of a symbolic link is not followed on, and refuses what the host's kernel
 * refuses for one.
 */
struct xattr_target {
	struct fs_at at;
	char path[sizeof("/proc/self/fd/") + 12];
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

static int target_get(struct fs_request *req, struct xattr_target *target)
{
	int ret = fs_at_get(req, req->in.nodeid, &target->at);

	snprintf(target->path, sizeof(target->path), "/proc/self/fd/%d", target->at.path.fd);
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
	if (setxattr(target.path, req->name, req->blob, in->size, (int)in->flags) < 0)
		return -errno;
	return 0;
}

int fs_op_removexattr(struct fs_request *req)
{
	AUTO_TARGET struct xattr_target target = XATTR_TARGET_INIT;
	int ret = target_get(req, &target);

	if (ret < 0)
		return ret;
	return removexattr(target.path, req->name) < 0 ? -errno : 0;
}

/* GETXATTR and LISTXATTR differ in the call only. */
typedef ssize_t fetch_fn(const char *path, const char *name, void *value, size_t size);

static ssize_t fetch_value(const char *path, const char *name, void *value, size_t size)
{
	return getxattr(path, name, value, size);
}

static ssize_t fetch_names(const char *path, const char *name, void *value, size_t size)
{
	(void)name;
	return listxattr(path, value, size);
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
	char value[XATTR_SIZE_MAX]; /* lists have the same limit */
	size_t size = GW_MIN((size_t)in->size, sizeof(value));
	int ret = target_get(req, &target);
	ssize_t len;

	if (ret < 0)
		return ret;
	len = fn(target.path, req->name, size ? value : NULL, size);
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
