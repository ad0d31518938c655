/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_rules.c - the system calls of who shares a directory, besides the common ones;
 * docs/security.md has the same list, and a test compares. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/socket.h>

#include "daemon/seccomp_words.h"

const struct gw_seccomp_rule gw_seccomp_rules[] = {
	/* Descriptors. AT_FDCWD is negative: nothing is opened by a path from the root. */
	{"openat", ALL, 0, NEGATIVE, 0},
	{"openat2", ALL, 0, NEGATIVE, 0},
	{"fcntl", GW_KIND_WORKER | CTRL, 1, WHOLE, F_OFD_GETLK},
	{"fcntl", ALL, 1, WHOLE, F_OFD_SETLK},
	{"flock", ALL},
	{"open_by_handle_at", ALL},
	{"name_to_handle_at", ALL},

	/* Content. */
	{"pwritev2", ALL},
	{"ftruncate", ALL},
	{"fallocate", ALL},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_GETFLAGS},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_SETFLAGS},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_FSGETXATTR},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_FSSETXATTR},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_ENABLE_VERITY},
	{"ioctl", GW_KIND_WORKER | CTRL, 1, WHOLE, FS_IOC_MEASURE_VERITY},
	{"copy_file_range", ALL},
	{"fsync", ALL},
	{"fdatasync", ALL},
	{"syncfs", ALL},
	{"sync_file_range", MOVE},

	/* Names. */
	{"getdents64", ALL},
	{"readlinkat", ALL},
	{"mkdirat", ALL},
	{"mknodat", ALL},
	{"symlinkat", ALL},
	{"linkat", ALL},
	{"unlinkat", ALL},
	{"renameat2", ALL},

	/* Attributes. The ones by path are for numbers in /proc/self/fd (fs/open.h). */
	{"statx", ALL},
	{"faccessat2", ALL},
	{"fchmodat", ALL},
	{"fchownat", ALL},
	{"utimensat", ALL},
	{"setxattr", GW_KIND_WORKER | CTRL},
	{"getxattr", GW_KIND_WORKER | CTRL},
	{"listxattr", GW_KIND_WORKER | CTRL},
	{"removexattr", GW_KIND_WORKER | CTRL},
	{"fsetxattr", MOVE},
	{"fgetxattr", MOVE},
	{"flistxattr", MOVE},
	{"fchdir", GW_KIND_WORKER | CTRL},
	{"unshare", GW_KIND_WORKER | CTRL, 0, WHOLE, CLONE_FS},
	{"umask", CTRL},

	/* On whose behalf. */
	{"setfsuid", ALL},
	{"setfsgid", ALL},
	{"setgroups", ALL},
	{"getgroups", ALL},
	{"getegid", CTRL},
	{"capget", CTRL},

	/* Sockets that are there: no other can be made. */
	{"recvfrom", CTRL},
	{"sendto", CTRL | GW_KIND_SYSLOG},
	/* syslog(3) would connect again after an error. */
	{"socket", EACH, 0, 0, 0, EACCES},
	{"memfd_create", CTRL},

	/* --recover: how far a message was dealt with, and who else is alive. */
	{"setsockopt", CTRL, 2, WHOLE, SO_PEEK_OFF},
	{"splice", CTRL},
	{"kcmp", CTRL, 2, WHOLE, KCMP_FILE},
	{"fcntl", CTRL, 1, WHOLE, F_SETLKW},
	{NULL},
};
