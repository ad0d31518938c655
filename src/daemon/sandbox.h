/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sandbox.h - how a daemon shuts itself in with what it shares, before it meets a peer. */
#ifndef GW_DAEMON_SANDBOX_H
#define GW_DAEMON_SANDBOX_H

#include <stdbool.h>

#include "daemon/seccomp.h"
#include "daemon/sockets.h"
#include "daemon/users.h"

/* In the order of the options' words. */
enum gw_sandbox_mode { GW_SANDBOX_NAMESPACE, GW_SANDBOX_CHROOT, GW_SANDBOX_NONE };
extern const char *const gw_sandbox_words[];

/* What the operator asked for. docs/security.md says what each promises. */
struct gw_sandbox {
	int mode;	   /* enum gw_sandbox_mode */
	int seccomp;	   /* enum gw_seccomp_mode */
	const char *share; /* the directory that becomes the root */
	bool readonly;
	bool no_handles;			 /* no file is ever opened by its handle */
	const char *modcaps, *uid_map, *gid_map; /* as on the command line, or NULL */
};

/* What is held afterwards, when nothing can be opened by a path any more. */
struct gw_inside {
	int root_fd; /* O_PATH of the share */
	int proc_fd; /* O_PATH of /proc/self/fd */
};

/* Is the command line right? -EINVAL with a sentence. */
int gw_sandbox_check(const struct gw_sandbox *sandbox);

/* Whose files it can make inside (users.h). Before gw_sandbox_enter(). -EINVAL, -EIO. */
int gw_sandbox_users(const struct gw_sandbox *sandbox, char word[GW_USERS_MAX]);

/* Will it have this capability inside, CAP_..., if it has it now? A command line that is wrong
 * leaves none. */
bool gw_sandbox_keeps(const struct gw_sandbox *sandbox, unsigned capability);

/*
 * Once, by the only thread, after everything with a path was opened. In the modes that shut in, the
 * process that was started stays outside and never returns from here (keeper.h); the one that
 * returns has its own file system, capabilities and system calls and may now make threads, which
 * get the system calls of their kind, and with @syslog those of syslog(3).
 */
int gw_sandbox_enter(const struct gw_sandbox *sandbox, bool syslog, struct gw_sockets *sockets,
		     struct gw_inside *inside);

/* For who stays in the host's network, with a port of it, and has no directory to be shut in with:
 * capabilities and system calls that takes. As above otherwise. */
int gw_sandbox_with_port(enum gw_seccomp_mode mode, bool syslog);

#endif
