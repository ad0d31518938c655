/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/root.c - what is opened once, at start: the share and /proc/self/fd. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/fs.h"
#include "fs/inode.h"
#include "fs/root.h"
#include "godwit/error.h"

/* For sockets, rings, guest memory, threads, and what a request opens for a moment. */
#define FD_RESERVE 200
/* More would only make tables bigger; the kernel's default for fs.nr_open. */
#define FD_LIMIT_MAX (1u << 20)
#define FD_LIMIT_MIN 16u
/* Descriptors that there is room for from the start: 8 bytes of kernel memory each. */
#define FD_TABLE 16384u

/* @given, or what is at @path. */
static int take(int given, const char *path)
{
	if (given)
		return fcntl(given, F_DUPFD_CLOEXEC, 0);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/*
 * The kernel makes a process's table of descriptors bigger by half a dozen steps on the way to what
 * a guest has open, and where there are threads each step waits for all processors (RCU): tens of
 * milliseconds in which a load stands still, and the guest with it. So that is done before.
 */
static void make_room(const struct fs *fs, int fd)
{
	unsigned wanted = GW_MIN(fs_root_fd_limit(fs), FD_TABLE);
	GW_AUTO_FD int high = fcntl(fd, F_DUPFD_CLOEXEC, (int)wanted);

	if (high < 0)
		gw_debug("descriptors: room for %u is not made yet: %s", wanted, strerror(errno));
}

int fs_root_open(struct fs *fs)
{
	const struct fs_host *host = fs->host;
	GW_AUTO_FD int root = take(host->root_fd, host->shared_dir);
	GW_AUTO_FD int proc = -1;

	if (root < 0)
		return gw_fail(errno, "shared directory %s cannot be opened: %s", host->shared_dir,
			       strerror(errno));
	proc = take(host->proc_fd, "/proc/self/fd");
	if (proc < 0)
		return gw_fail(errno, "/proc/self/fd cannot be opened: %s", strerror(errno));
	make_room(fs, root);
	fs->root_fd = gw_take_fd(&root);
	fs->proc_fd = gw_take_fd(&proc);
	fs->may_chown = fs_may_chown();
	return 0;
}

void fs_root_close(struct fs *fs)
{
	gw_close(&fs->root_fd);
	gw_close(&fs->proc_fd);
}

static rlim_t process_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1024; /* the kernel's default */
	return limit.rlim_cur;
}

unsigned fs_root_fd_limit(const struct fs *fs)
{
	rlim_t limit = process_limit();

	if (fs->host->fd_limit)
		return GW_MAX(fs->host->fd_limit, FD_LIMIT_MIN);
	limit = limit > FD_RESERVE ? limit - FD_RESERVE : 0;
	limit = GW_MIN(limit, (rlim_t)FD_LIMIT_MAX);
	return (unsigned)GW_MAX(limit, (rlim_t)FD_LIMIT_MIN);
}
