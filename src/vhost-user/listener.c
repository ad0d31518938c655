/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/listener.c - where front-ends come in. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/cleanup.h"
#include "base/socket.h"
#include "godwit/error.h"
#include "vhost-user/listener.h"

/* Without a descriptor for it a connection can not be taken, and stays ready to be. */
#define PAUSE_MS 100

struct gw_door {
	struct gw_source *source;
	struct gw_source *pause;     /* made in time: it needs a descriptor, too */
	struct gw_listener listener; /* its path is empty if the socket was inherited */
	gw_door_fn *fn;
	void *opaque;
};

static void look_again(void *opaque)
{
	struct gw_door *door = opaque;

	if (gw_source_set_events(door->source, EPOLLIN))
		gw_error("vhost-user: no connection is taken any more: %s", gw_last_error());
}

static void pause_door(struct gw_door *door)
{
	if (!gw_timer_restart(door->pause, PAUSE_MS))
		gw_source_set_events(door->source, 0);
}

static void on_ready(void *opaque, int fd, uint32_t events)
{
	struct gw_door *door = opaque;
	int accepted;
	int err = gw_socket_accept(fd, &accepted);

	if (!err) {
		door->fn(door->opaque, accepted);
	} else if (err != -EAGAIN) {
		gw_warn("vhost-user: accepting a connection: %s", gw_last_error());
		pause_door(door);
	}
}

static int watch(struct gw_door **out, struct gw_loop *loop, struct gw_listener *listener,
		 gw_door_fn *fn, void *opaque)
{
	struct gw_door *door = calloc(1, sizeof(*door));
	int err;

	if (!door)
		return gw_fail(ENOMEM, "listening socket: no memory");
	door->listener = *listener;
	door->fn = fn;
	door->opaque = opaque;
	err = gw_loop_add_fd(loop, listener->fd, EPOLLIN, on_ready, door, &door->source);
	if (!err)
		err = gw_loop_add_timer(loop, PAUSE_MS, look_again, door, &door->pause);
	if (err) {
		gw_source_remove(door->source);
		free(door);
		return err;
	}
	*out = door;
	return 0;
}

int gw_door_open(struct gw_door **door, struct gw_loop *loop, const char *path, gw_door_fn *fn,
		 void *opaque)
{
	struct gw_listener listener;
	int err = gw_listener_open(&listener, path);

	if (err)
		return err;
	err = watch(door, loop, &listener, fn, opaque);
	if (err)
		gw_listener_close(&listener);
	return err;
}

int gw_door_adopt(struct gw_door **door, struct gw_loop *loop, int fd, gw_door_fn *fn, void *opaque)
{
	struct gw_listener listener = {.fd = fd};
	int err = watch(door, loop, &listener, fn, opaque);

	if (err)
		gw_close(&listener.fd);
	return err;
}

void gw_door_free(struct gw_door *door)
{
	if (!door)
		return;
	gw_source_remove(door->source);
	gw_source_remove(door->pause);
	if (door->listener.path[0])
		gw_listener_close(&door->listener);
	else
		gw_close(&door->listener.fd);
	free(door);
}
