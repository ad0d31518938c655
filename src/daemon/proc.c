/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/proc.c - /proc/self/fd, held before /proc is gone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "daemon/proc.h"
#include "godwit/error.h"

static bool is_proc(int fd)
{
	struct statfs st;

	return fd >= 0 && fstatfs(fd, &st) == 0 && st.f_type == PROC_SUPER_MAGIC;
}

/* A proc that is mounted nowhere; takes privilege in the PID namespace. */
static int open_own_proc(void)
{
	GW_AUTO_FD int context = fsopen("proc", FSOPEN_CLOEXEC);
	GW_AUTO_FD int mount = -1;

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	mount = fsmount(context, FSMOUNT_CLOEXEC,
			MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return mount < 0 ? -1 : openat(mount, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The directory as a mount of its own, so that ".." does not lead to the rest of /proc. */
static int cut_out(int fd)
{
	return open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
}

int gw_proc_take(int *proc_fd)
{
	GW_AUTO_FD int whole = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	GW_AUTO_FD int part = -1;

	if (!is_proc(whole)) {
		gw_close(&whole);
		whole = open_own_proc();
	}
	if (!is_proc(whole))
		return gw_fail(ENOENT, "sandbox: /proc/self/fd is needed, and there is none");
	part = cut_out(whole);
	*proc_fd = fcntl(part >= 0 ? part : whole, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return *proc_fd < 0 ? gw_fail(errno, "/proc/self/fd: %s", strerror(errno)) : 0;
}
