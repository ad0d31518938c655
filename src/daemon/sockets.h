/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sockets.h - the sockets that a daemon makes, and whoever may remove their names. */
#ifndef GW_DAEMON_SOCKETS_H
#define GW_DAEMON_SOCKETS_H

#include "base/fdstore.h"
#include "base/socket.h"

/* Made before the process shuts itself in: afterwards there is no path to them. A path that was not
 * asked for leaves a descriptor of -1. */
struct gw_sockets {
	struct gw_listener vhost_user, control, handover;
	bool kept; /* whoever dies leaves their names to the next */
};

#define GW_SOCKETS_INIT                                                                  \
	{                                                                                \
		.vhost_user = {.fd = -1}, .control = {.fd = -1}, .handover = {.fd = -1}, \
	}

/* @path, @control: NULL for none. On failure nothing is left behind. What a process before this one
 * has left in @store (NULL: none) is used, and what is made is put there. */
int gw_sockets_open(struct gw_sockets *sockets, const char *path, const char *control,
		    struct gw_fdstore *store);
/* Listens at @path as well, in place of a process that listens there now, which @peer is connected
 * with then (-1: there is none), if it is of this user. */
int gw_sockets_open_handover(struct gw_sockets *sockets, const char *path, int *peer);
/* Who is in @group may connect as a front-end, and the rest of the world may not. */
int gw_sockets_give(const struct gw_sockets *sockets, const char *group);
/* Who ends by itself takes back what it put into @store, and ends only when that is done: systemd
 * does not listen to a process inside of a sandbox that is gone. */
void gw_sockets_forget(struct gw_fdstore *store);
/* Removes the names, if they still are these sockets', and closes. */
void gw_sockets_remove(struct gw_sockets *sockets);

#endif
