/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp.h - the system calls that each kind of thread may make. */
#ifndef GW_DAEMON_SECCOMP_H
#define GW_DAEMON_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"

/* What happens at any other; in the order of the option's words. */
enum gw_seccomp_mode { GW_SECCOMP_KILL, GW_SECCOMP_TRAP, GW_SECCOMP_LOG, GW_SECCOMP_NONE };
extern const char *const gw_seccomp_words[];

/* One bit a kind. A queue and the pool do the same work. */
#define GW_KIND(kind)	 (1u << (kind))
#define GW_KIND_CONTROL	 GW_KIND(GW_THREAD_CONTROL)
#define GW_KIND_WORKER	 (GW_KIND(GW_THREAD_QUEUE) | GW_KIND(GW_THREAD_POOL))
#define GW_KIND_TRANSFER GW_KIND(GW_THREAD_TRANSFER)
#define GW_KIND_WATCH	 GW_KIND(GW_THREAD_WATCH)
/* Not a kind: for all threads, if the log goes to syslog. */
#define GW_KIND_SYSLOG GW_KIND(GW_THREAD_KINDS)

/* A system call, and for whom. Several rows for one: each allows its own arguments. */
struct gw_seccomp_rule {
	const char *call;
	unsigned kinds;
	/* With a mask: only if (argument & mask) == value. */
	unsigned argument;
	uint32_t mask, value;
	int error; /* not 0: answered with this instead of made */
};
/* Ended by a NULL call. Every daemon; beside it who shares a directory, or who holds a port. */
extern const struct gw_seccomp_rule gw_seccomp_common_rules[];
extern const struct gw_seccomp_rule gw_seccomp_rules[];
extern const struct gw_seccomp_rule gw_seccomp_port_rules[];

/*
 * A filter never allows what the maker of its thread was not allowed: so the control thread's list
 * has all that is in the others. The filters are made once, here, with all that takes: of what is
 * common, and of @rules.
 */
int gw_seccomp_prepare(enum gw_seccomp_mode mode, const struct gw_seccomp_rule *rules, bool syslog);
/* The calling thread, the only one, becomes the control thread; those that it makes get theirs by
 * gw_thread_set_hook(). Needs no_new_privs. */
int gw_seccomp_enter(void);

#endif
