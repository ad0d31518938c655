/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/privs.c - what a change takes away from a file, where the host's kernel cannot know. */
#include <stdio.h>
#include <sys/xattr.h>

#include "fs/fs.h"
#include "fs/privs.h"
#include "fs/xattrmap.h"

/* Nearly always there is nothing to take, and where it may not be taken it gives nothing: the
 * outcome does not matter. */

void fs_privs_drop(const struct fs *fs, int fd)
{
	const char *name = fs_xattrmap_capability(fs->xattrmap);

	if (name)
		fremovexattr(fd, name);
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
