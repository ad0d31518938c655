/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/open.c - the few ways in which anything of the share is opened or looked at. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/open.h"

#define OPEN_RETRIES 16

int fs_open_beneath(int dir, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	/* Where a rename or a mount ran beside it the kernel may not be sure that the walk stayed
	 * beneath, and asks to try again (openat2(2), EAGAIN). */
	for (int i = 0; i < OPEN_RETRIES && fd < 0; i++) {
		fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
		if (fd < 0 && errno != EAGAIN && errno != EINTR)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int fs_open_again(int proc_fd, int fd, int flags)
{
	char name[FS_FD_NAME_MAX];
	int again;

	snprintf(name, sizeof(name), "%d", fd);
	/* The magic link is the point of this, so O_NOFOLLOW must not be there. */
	again = openat(proc_fd, name, (flags & ~O_NOFOLLOW) | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

int fs_proc_enter(int proc_fd)
{
	static _Thread_local bool entered;

	if (entered)
		return 0;
	/* Threads share the working directory until they ask for one of their own. */
	if (unshare(CLONE_FS) < 0 || fchdir(proc_fd) < 0)
		return -errno;
	entered = true;
	return 0;
}

int fs_path_of(int proc_fd, int fd, char *path, size_t size)
{
	char name[FS_FD_NAME_MAX];
	ssize_t len;

	snprintf(name, sizeof(name), "%d", fd);
	len = readlinkat(proc_fd, name, path, size);
	if (len < 0)
		return -errno;
	if ((size_t)len >= size)
		return -ENAMETOOLONG;
	path[len] = 0;
	return 0;
}

int fs_statx_at(int dir, const char *name, struct statx *stx)
{
	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, FS_STATX_MASK, stx) < 0)
		return -errno;
	return 0;
}

int fs_statx_fresh(int dir, const char *name, struct statx *stx)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC;

	if (!*name)
		flags |= AT_EMPTY_PATH;
	return statx(dir, name, flags, FS_STATX_MASK, stx) < 0 ? -errno : 0;
}

int fs_statx_fd(int fd, struct statx *stx)
{
	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, FS_STATX_MASK, stx) < 0)
		return -errno;
	return 0;
}

uint64_t fs_btime(const struct statx *stx)
{
	if (!(stx->stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)stx->stx_btime.tv_sec * 1000000000u + stx->stx_btime.tv_nsec;
}
