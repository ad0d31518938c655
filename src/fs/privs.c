/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.c - what a change takes away from a file, where the host's kernel cannot know. */
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/privs.h"
#include "fs/request.h"
#include "fs/xattrmap.h"

/* Nearly always there is nothing to take, and where it may not be taken it gives nothing: the
 * outcome does not matter. */

/* Without the right to execute for the group, the set-group-id bit once meant mandatory locks. */
static void drop_set_id(int fd)
{
	mode_t bits = S_ISUID;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (st.st_mode & S_IXGRP)
		bits |= S_ISGID;
	if (st.st_mode & bits)
		fchmod(fd, st.st_mode & 07777 & ~bits);
}

void fs_privs_drop(const struct fs *fs, int fd, bool killed)
{
	const char *name = fs_xattrmap_capability(fs->xattrmap);

	if (name)
		fremovexattr(fd, name);
	if (killed && fs_has(fs, FUSE_HANDLE_KILLPRIV_V2))
		drop_set_id(fd);
}

void fs_privs_drop_path(const struct fs *fs, int path_fd)
{
	const char *name = fs_xattrmap_capability(fs->xattrmap);
	char path[sizeof("/proc/self/fd/") + 12];

	if (!name)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	removexattr(path, name);
}
