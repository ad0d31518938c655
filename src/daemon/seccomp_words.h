/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_words.h - what tables of system calls are written in. */
#ifndef GW_DAEMON_SECCOMP_WORDS_H
#define GW_DAEMON_SECCOMP_WORDS_H

#include <linux/seccomp.h>
#include <sched.h>
#include <sys/syscall.h>

#include "daemon/seccomp.h"

#define ALL  (GW_KIND_CONTROL | GW_KIND_WORKER | GW_KIND_TRANSFER)
#define MOVE (GW_KIND_CONTROL | GW_KIND_TRANSFER)
#define CTRL GW_KIND_CONTROL

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

#define WHOLE	 UINT32_MAX
#define NEGATIVE UINT32_C(0x80000000)
/* A thread of this process and nothing new beside it. */
#define CLONE_NEW                                                                      \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)
#define THREAD (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)

#endif
