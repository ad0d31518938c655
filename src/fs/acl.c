/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/acl.c - POSIX ACLs: what changes where guest and device agreed on FUSE_POSIX_ACL. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "fs/acl.h"
#include "fs/open.h"

#define ACCESS_NAME  "system.posix_acl_access"
#define DEFAULT_NAME "system.posix_acl_default"

bool fs_acl_is_name(const char *name)
{
	return !strcmp(name, ACCESS_NAME) || !strcmp(name, DEFAULT_NAME);
}

int fs_acl_check(const struct fs *fs, const char *name)
{
	return !fs_has(fs, FUSE_POSIX_ACL) && fs_acl_is_name(name) ? -EOPNOTSUPP : 0;
}

size_t fs_acl_list(const struct fs *fs, char *names, size_t len)
{
	size_t from = 0, to = 0;

	while (from < len) {
		size_t one = strnlen(names + from, len - from) + 1;

		if (one > len - from)
			break;
		if (!fs_acl_check(fs, names + from)) {
			memmove(names + to, names + from, one);
			to += one;
		}
		from += one;
	}
	return to;
}

/* Asked for each time: the host may change it as well. */
static bool has_default(const struct fs *fs, int dir)
{
	char path[FS_FD_NAME_MAX];

	snprintf(path, sizeof(path), "%d", dir);
	return !fs_proc_enter(fs->proc_fd) && getxattr(path, DEFAULT_NAME, NULL, 0) > 0;
}

mode_t fs_acl_mode(const struct fs_request *req, int parent, uint32_t mode, uint32_t umask)
{
	if (fs_has(req->fs, FUSE_DONT_MASK) && has_default(req->fs, parent))
		return mode;
	return mode & ~(umask & 0777);
}

int fs_acl_kill_sgid(const struct fs *fs, int fd)
{
	char name[FS_FD_NAME_MAX];
	struct statx stx;
	int err = fs_statx_fd(fd, &stx);

	if (err || !(stx.stx_mode & S_ISGID))
		return err;
	snprintf(name, sizeof(name), "%d", fd);
	if (fchmodat(fs->proc_fd, name, stx.stx_mode & 07777 & ~(mode_t)S_ISGID, 0) < 0)
		return -errno;
	return 0;
}
