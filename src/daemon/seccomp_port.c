/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_port.c - the system calls of who holds a port of the host: no file is opened, made
 * or changed, and no socket made but those of its port. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "daemon/seccomp_words.h"

const struct gw_seccomp_rule gw_seccomp_port_rules[] = {
	/* Descriptors that are there. Libraries that try to open a path are told that it may not
	   be. */
	{"openat", ALL, 0, NEGATIVE, NEGATIVE, EACCES},
	{"close", ALL},
	{"fcntl", ALL, 1, WHOLE, F_DUPFD_CLOEXEC},
	{"fcntl", ALL, 1, WHOLE, F_GETFL},
	{"fcntl", ALL, 1, WHOLE, F_SETFL},
	{"fcntl", CTRL, 1, WHOLE, F_GETFD},
	{"fcntl", CTRL, 1, WHOLE, F_SETFD},
	{"fcntl", CTRL, 1, WHOLE, F_ADD_SEALS},
	{"fcntl", MOVE, 1, WHOLE, F_SETPIPE_SZ},
	{"fcntl", MOVE, 1, WHOLE, F_GET_SEALS},
	/* The token. */
	{"fcntl", MOVE, 1, WHOLE, F_SETLK},
	{"read", ALL},
	{"write", ALL},
	{"pread64", MOVE},
	{"pwrite64", MOVE},
	{"preadv2", ALL},
	{"writev", MOVE},
	{"lseek", ALL},
	{"ftruncate", MOVE},
	{"fallocate", MOVE},
	{"newfstatat", MOVE},
	{"fstat", MOVE},
	{"fstatfs", ALL},
	{"geteuid", MOVE},

	/* Memory: never to be executed. */
	{"mmap", ALL, 2, PROT_EXEC, 0},
	{"mprotect", ALL, 2, PROT_EXEC, 0},
	{"munmap", ALL},
	{"mremap", ALL},
	{"madvise", ALL},
	{"brk", ALL},

	/* Waiting. */
	{"futex", ALL},
	{NAME_POLL, ALL},
	{"sched_getaffinity", CTRL},
	{"sched_yield", ALL},
	{"setpriority", MOVE, 0, WHOLE, PRIO_PROCESS},
	{"clock_gettime", ALL},
	{"restart_syscall", CTRL},
	{"epoll_create1", CTRL},
	{"epoll_ctl", GW_KIND_WORKER | CTRL},
	{NAME_EPOLL_WAIT, GW_KIND_WORKER | CTRL},
	{"eventfd2", MOVE},
	{"timerfd_create", CTRL},
	{"timerfd_settime", CTRL},
	{"signalfd4", CTRL},
	{"getrandom", ALL},

	/* Threads and signals, as in seccomp_rules.c. */
	{"clone3", CTRL, 0, 0, 0, ENOSYS},
	{"clone", CTRL, 0, CLONE_NEW | THREAD, THREAD},
	{"set_robust_list", CTRL},
	{"rseq", CTRL},
	{"prctl", CTRL, 0, WHOLE, PR_SET_NAME},
	{"seccomp", CTRL, 0, WHOLE, SECCOMP_SET_MODE_FILTER},
	{"rt_sigprocmask", ALL},
	{"rt_sigaction", CTRL},
	{"rt_sigreturn", ALL},
	{"sigaltstack", CTRL},
	{"getpid", CTRL},
	{"gettid", CTRL},
	{"tgkill", CTRL, 2, WHOLE, SIGABRT},
	{"tgkill", CTRL, 2, WHOLE, SIGBUS},
	{"exit", ALL},
	{"exit_group", CTRL},
	{"prlimit64", MOVE, 0, WHOLE, 0},

	/* Sockets: those of the port, and a pair of Unix ones. syslog(3) would connect again after
	 * an error. */
	{"socket", MOVE, 0, WHOLE, AF_INET},
	{"socket", MOVE, 0, WHOLE, AF_INET6},
	{"socket", ALL, 0, WHOLE, AF_UNIX, EACCES},
	{"bind", MOVE},
	{"listen", MOVE},
	{"setsockopt", MOVE, 2, WHOLE, SO_REUSEADDR},
	{"accept4", MOVE},
	{"recvmsg", MOVE},
	{"sendmsg", MOVE},
	{"recvfrom", MOVE},
	{"sendto", MOVE | GW_KIND_SYSLOG},
	{"shutdown", CTRL},
	{"getsockopt", MOVE},
	{"socketpair", CTRL, 0, WHOLE, AF_UNIX},
	{"pipe2", MOVE},
	{"memfd_create", MOVE},

	/* The sockets' names are removed in the end. */
	{"unlink", CTRL},
	{NULL},
};
