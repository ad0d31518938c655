/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/label.c - security labels that come with what is made (FUSE_SECURITY_CTX). */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/label.h"
#include "fs/open.h"
#include "fs/request.h"
#include "fs/xattrmap.h"
#include "godwit/error.h"

#define SELINUX	 "security.selinux"
#define FSCREATE "/proc/thread-self/attr/fscreate"

/* On the wire: this, the name with its NUL, the value; padded to 8. */
struct secctx {
	uint32_t size; /* of the value */
	uint32_t padding;
};

int fs_label_parse(struct fs_request *req, unsigned count, const char *data, size_t len)
{
	struct secctx header;
	const char *name = data + sizeof(header), *nul;

	if (!count)
		return 0;
	if (len < sizeof(header))
		return fs_complain(req, EINVAL, "a security context of %zu bytes", len);
	memcpy(&header, data, sizeof(header));
	len -= sizeof(header);
	nul = memchr(name, 0, len);
	if (!nul || nul == name || nul - name > FS_XATTR_NAME_MAX)
		return fs_complain(req, EINVAL, "a security context without a name");
	if (header.size > len - (size_t)(nul + 1 - name))
		return fs_complain(req, EINVAL, "a security context of %u bytes, %zu are there",
				   header.size, len - (size_t)(nul + 1 - name));
	req->label.name = name;
	req->label.value = nul + 1;
	req->label.len = header.size;
	return 0;
}

/* An empty write takes it back. */
static int write_fscreate(const char *value, size_t len)
{
	GW_AUTO_FD int fd = open(FSCREATE, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, value, len) < 0 ? -errno : 0;
}

/* On the host under the same name, so that its kernel knows what it is. */
static bool is_selinux(const struct fs_request *req)
{
	char host[FS_XATTR_NAME_MAX + 1];

	/* Inside a sandbox these paths lead into the share, to files of the guest. */
	if (req->fs->host->proc_fd)
		return false;
	return !strcmp(req->label.name, SELINUX) && access("/sys/fs/selinux/enforce", F_OK) == 0 &&
	       !fs_xattrmap_to_host(req->fs->xattrmap, SELINUX, host) && !strcmp(host, SELINUX);
}

int fs_label_enter(struct fs_label_scope *scope, const struct fs_request *req)
{
	int ret;

	if (!req->label.name || !is_selinux(req))
		return 0;
	ret = write_fscreate(req->label.value, req->label.len);
	scope->entered = ret == 0;
	/* Out of reach behind a sandbox: then it is put on afterwards. */
	return ret == -ENOENT || ret == -EACCES ? 0 : ret;
}

void fs_label_leave(struct fs_label_scope *scope)
{
	int saved = errno;

	if (scope->entered && write_fscreate("", 0) < 0)
		gw_error("a thread cannot take its label for new files back");
	scope->entered = false;
	errno = saved;
}

bool fs_label_due(const struct fs_label_scope *scope, const struct fs_request *req)
{
	return req->label.name && !scope->entered;
}

int fs_label_set(const struct fs_request *req, int fd)
{
	char path[FS_FD_NAME_MAX], host[FS_XATTR_NAME_MAX + 1];
	int ret = fs_xattrmap_to_host(req->fs->xattrmap, req->label.name, host);

	if (ret == 0)
		ret = fs_proc_enter(req->fs->proc_fd);
	if (ret < 0)
		return ret;
	snprintf(path, sizeof(path), "%d", fd);
	return setxattr(path, host, req->label.value, req->label.len, 0) < 0 ? -errno : 0;
}
