/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sandbox_modes.h - the modes of the sandbox, one function each. */
#ifndef GW_DAEMON_SANDBOX_MODES_H
#define GW_DAEMON_SANDBOX_MODES_H

#include "daemon/idmap.h"
#include "daemon/sandbox.h"

/* On the way in. */
struct gw_confinement {
	const struct gw_sandbox *sandbox;
	struct gw_sockets *sockets;
	struct gw_idmap map[2];
	const struct gw_idmap *uids, *gids; /* NULL: not given */
	/* Set by the mode. */
	uint64_t caps; /* to be kept in the end */
	int lifeline;  /* -1: nobody stays outside */
	int proc_fd;
};

int gw_sandbox_namespace(struct gw_confinement *confinement);
int gw_sandbox_chroot(struct gw_confinement *confinement);
int gw_sandbox_none(struct gw_confinement *confinement);

#endif
