/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_common.c - the system calls that every daemon needs, with which both lists begin;
 * docs/security.md has them among the others, and a test compares. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "daemon/seccomp_words.h"

/* Architectures younger than these have only their successors. */
#ifdef SYS_poll
#define NAME_POLL "poll"
#else
#define NAME_POLL "ppoll"
#endif
#ifdef SYS_epoll_wait
#define NAME_EPOLL_WAIT "epoll_wait"
#else
#define NAME_EPOLL_WAIT "epoll_pwait"
#endif
/* A thread of this process and nothing new beside it. */
#define CLONE_NEW                                                                      \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)
#define THREAD (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)

const struct gw_seccomp_rule gw_seccomp_common_rules[] = {
	/* Descriptors that are there. Nothing is opened by a path from the root (AT_FDCWD is
	 * negative): libraries that try (malloc reads a setting) are told that it may not be. */
	{"openat", EACH, 0, NEGATIVE, NEGATIVE, EACCES},
	{"close", ALL},
	{"fcntl", ALL, 1, WHOLE, F_DUPFD_CLOEXEC},
	{"fcntl", ALL, 1, WHOLE, F_GETFL},
	{"fcntl", ALL, 1, WHOLE, F_SETFL},
	{"fcntl", CTRL, 1, WHOLE, F_GETFD},
	{"fcntl", CTRL, 1, WHOLE, F_SETFD},
	{"fcntl", CTRL, 1, WHOLE, F_ADD_SEALS},
	{"fcntl", MOVE, 1, WHOLE, F_SETPIPE_SZ},
	{"fcntl", MOVE, 1, WHOLE, F_GET_SEALS},
	{"read", EACH},
	{"write", EACH},
	{"pread64", MOVE},
	{"pwrite64", MOVE},
	{"preadv2", ALL},
	{"writev", MOVE},
	{"lseek", ALL},
	{"newfstatat", MOVE},
	{"fstat", MOVE},
	{"fstatfs", ALL},
	{"geteuid", MOVE},

	/* Memory: never to be executed. */
	{"mmap", EACH, 2, PROT_EXEC, 0},
	{"mprotect", EACH, 2, PROT_EXEC, 0},
	{"munmap", EACH},
	{"mremap", EACH},
	{"madvise", EACH},
	{"getrusage", MOVE, 0, WHOLE, RUSAGE_THREAD},
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
	{"rt_sigaction", MOVE, 0, WHOLE, SIGBUS},
	{"rt_sigreturn", EACH},
	{"sigaltstack", CTRL},
	{"getpid", CTRL | GW_KIND_SYSLOG},
	{"gettid", CTRL},
	{"tgkill", CTRL, 2, WHOLE, SIGABRT},
	{"tgkill", CTRL, 2, WHOLE, SIGBUS},
	{"exit", EACH},
	{"exit_group", CTRL},
	{"prlimit64", MOVE, 0, WHOLE, 0},

	/* Sockets that are there, and a pair of Unix ones. */
	{"accept4", MOVE},
	{"recvmsg", MOVE},
	{"sendmsg", MOVE},
	{"shutdown", CTRL},
	{"getsockopt", MOVE},
	{"socketpair", CTRL, 0, WHOLE, AF_UNIX},
	{"pipe2", MOVE},

	/* Without a sandbox the sockets' names are removed in the end. */
	{"unlink", CTRL},
	{NULL},
};
