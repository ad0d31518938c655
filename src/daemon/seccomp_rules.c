/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_rules.c - which thread may make which system call; docs/security.md has the same
 * list, and a test compares. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <linux/kcmp.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/checked.h"
#include "daemon/seccomp_words.h"

/* The thread of --watch reads events, writes to the log, and sleeps. */
#define EACH (ALL | GW_KIND_WATCH)

const struct gw_seccomp_rule gw_seccomp_rules[] = {
	/* Descriptors. AT_FDCWD is negative: nothing is opened by a path from the root. Libraries
	 * that try (malloc reads a setting) are told that it may not be. */
	{"openat", ALL, 0, NEGATIVE, 0},
	{"openat", EACH, 0, NEGATIVE, NEGATIVE, EACCES},
	{"openat2", ALL, 0, NEGATIVE, 0},
	{"close", ALL},
	{"fcntl", ALL, 1, WHOLE, F_DUPFD_CLOEXEC},
	{"fcntl", ALL, 1, WHOLE, F_GETFL},
	{"fcntl", GW_KIND_WORKER | CTRL, 1, WHOLE, F_OFD_GETLK},
	{"fcntl", ALL, 1, WHOLE, F_OFD_SETLK},
	{"flock", ALL},
	{"fcntl", ALL, 1, WHOLE, F_SETFL},
	{"fcntl", CTRL, 1, WHOLE, F_GETFD},
	{"fcntl", CTRL, 1, WHOLE, F_SETFD},
	{"fcntl", CTRL, 1, WHOLE, F_ADD_SEALS},
	{"fcntl", MOVE, 1, WHOLE, F_SETPIPE_SZ},
	{"fcntl", MOVE, 1, WHOLE, F_GET_SEALS},
	{"open_by_handle_at", ALL},
	{"name_to_handle_at", ALL},

	/* Content. */
	{"read", EACH},
	{"write", EACH},
	{"pread64", MOVE},
	{"pwrite64", MOVE},
	{"preadv2", ALL},
	{"pwritev2", ALL},
	{"writev", MOVE},
	{"lseek", ALL},
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
	{"newfstatat", MOVE},
	{"fstat", MOVE},
	{"statx", ALL},
	{"fstatfs", ALL},
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
	{"geteuid", MOVE},
	{"getegid", CTRL},
	{"capget", CTRL},

	/* Memory: never to be executed. */
	{"mmap", EACH, 2, PROT_EXEC, 0},
	{"mprotect", EACH, 2, PROT_EXEC, 0},
	{"munmap", EACH},
	{"mremap", EACH},
	{"madvise", EACH},
	{"brk", EACH},

	/* Waiting. */
	{"futex", EACH},
	{NAME_POLL, EACH},
	{"sched_getaffinity", CTRL},
	{"sched_yield", EACH},
	{"setpriority", MOVE, 0, WHOLE, PRIO_PROCESS},
	{"clock_gettime", EACH},
	{"restart_syscall", CTRL},
	{"epoll_create1", CTRL},
	{"epoll_ctl", GW_KIND_WORKER | CTRL},
	{NAME_EPOLL_WAIT, GW_KIND_WORKER | CTRL},
	{"eventfd2", MOVE},
	{"timerfd_create", CTRL},
	{"timerfd_settime", CTRL},
	{"signalfd4", CTRL},
	{"getrandom", ALL},

	/* Threads and signals: abort() of a worker ends in the filter, which is as good. The raw
	 * clone3 takes its flags from memory, where no filter sees them; the C library then takes
	 * clone. */
	{"clone3", CTRL, 0, 0, 0, ENOSYS},
	{"clone", CTRL, 0, CLONE_NEW | THREAD, THREAD},
	{"set_robust_list", CTRL},
	{"rseq", CTRL},
	{"prctl", CTRL, 0, WHOLE, PR_SET_NAME},
	{"seccomp", CTRL, 0, WHOLE, SECCOMP_SET_MODE_FILTER},
	{"rt_sigprocmask", EACH},
	{"rt_sigaction", CTRL},
	{"rt_sigreturn", EACH},
	{"sigaltstack", CTRL},
	{"getpid", CTRL},
	{"gettid", CTRL},
	{"tgkill", CTRL, 2, WHOLE, SIGABRT},
	{"tgkill", CTRL, 2, WHOLE, SIGBUS},
	{"exit", EACH},
	{"exit_group", CTRL},
	{"prlimit64", MOVE, 0, WHOLE, 0},

	/* Sockets that are there: none can be made but a pair of Unix ones. */
	{"accept4", MOVE},
	{"recvmsg", MOVE},
	{"sendmsg", MOVE},
	{"recvfrom", CTRL},
	{"sendto", CTRL | GW_KIND_SYSLOG},
	/* syslog(3) would connect again after an error. */
	{"socket", EACH, 0, 0, 0, EACCES},
	{"shutdown", CTRL},
	{"getsockopt", MOVE},
	{"socketpair", CTRL, 0, WHOLE, AF_UNIX},
	{"pipe2", MOVE},
	{"memfd_create", CTRL},

	/* --recover: how far a message was dealt with, and who else is alive. */
	{"setsockopt", CTRL, 2, WHOLE, SO_PEEK_OFF},
	{"splice", CTRL},
	{"kcmp", CTRL, 2, WHOLE, KCMP_FILE},
	{"fcntl", CTRL, 1, WHOLE, F_SETLKW},

	/* Without a sandbox the sockets' names are removed in the end. */
	{"unlink", CTRL},
	{NULL},
};
