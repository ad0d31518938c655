/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.c - what a change takes away from a file, where the host's kernel cannot know. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/fs.h"
#include "fs/open.h"
#include "fs/privs.h"
#include "fs/request.h"
#include "fs/xattrmap.h"

/* Nearly always there is nothing to take, and where it may not be taken it gives nothing: the
 * outcome does not matter. */

/* @name is that of the descriptor in /proc/self/fd. Without the right to execute for the group, the
 * set-group-id bit once meant mandatory locks. */
static void drop_set_id(const struct fs *fs, int fd, const char *name)
{
	mode_t bits = S_ISUID;
	struct statx stx;

	if (fs_statx_fd(fd, &stx) || !S_ISREG(stx.stx_mode))
		return;
	if (stx.stx_mode & S_IXGRP)
		bits |= S_ISGID;
	if (stx.stx_mode & bits)
		fchmodat(fs->proc_fd, name, stx.stx_mode & 07777 & ~bits, 0);
}

void fs_privs_drop(const struct fs *fs, int fd, bool killed)
{
	const char *attribute = fs_xattrmap_capability(fs->xattrmap);
	char name[FS_FD_NAME_MAX];

	snprintf(name, sizeof(name), "%d", fd);
	if (attribute && !fs_proc_enter(fs->proc_fd))
		removexattr(name, attribute);
	if (killed)
		drop_set_id(fs, fd, name);
}

bool fs_privs_killed_by_user(const struct fs_request *req)
{
	return req->in.uid != 0;
}
