/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/listener.h - where front-ends come in. */
#ifndef GW_VHOST_USER_LISTENER_H
#define GW_VHOST_USER_LISTENER_H

#include "godwit/loop.h"

/* Accepts and hands on, knows nothing of what follows. Control thread only. */
struct gw_door;

/* A connection: takes @fd over. */
typedef void gw_door_fn(void *opaque, int fd);

int gw_door_open(struct gw_door **door, struct gw_loop *loop, const char *path, gw_door_fn *fn,
		 void *opaque);
/* @fd is a listening socket; taken over, also on failure. */
int gw_door_adopt(struct gw_door **door, struct gw_loop *loop, int fd, gw_door_fn *fn,
		  void *opaque);
/* Removes the socket's name if it was made here. NULL is allowed. */
void gw_door_free(struct gw_door *door);

#endif
