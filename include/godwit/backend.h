/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/backend.h - the back-end side of vhost-user: serve a device on a socket. */
#ifndef GODWIT_BACKEND_H
#define GODWIT_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/device.h"
#include "godwit/experimental.h"
#include "godwit/loop.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A back-end listens, and serves each connection with an instance of one device. Four objects:
 * listener, connection, device instance, session. The session is what migrates; with `reconnect`
 * it outlives its connection and the next one takes it over.
 */
struct gw_backend;
struct gw_fdstore;

struct gw_backend_config {
	size_t size; /* sizeof(struct gw_backend_config) */
	const struct gw_device_ops *ops;
	const struct gw_params *params; /* copied; NULL: everything unset, first model */
	const void *host;		/* handed to ops->create; lives as long as the back-end */
	bool reconnect; /* wait for the next front-end instead of ending at the last disconnect */
	unsigned max_connections; /* 0: one */
	/* JSON control socket (docs/control.md): a path, or NULL for none. Copied. */
	const char *control_path;
	const char *program; /* for the greeting and the stream's header: "godwit-fs" */
	const char *version;
	const char *state_key; /* 32 bytes for the stream's MAC, or NULL. Copied. */
	/* Of exclusive devices: what a save is, and what becomes of a frozen one that nobody tells
	 * of its outcome within that time (0: 60 s). */
	enum gw_on_save on_save;
	enum gw_on_lost_outcome on_lost_outcome;
	unsigned frozen_timeout_ms;
	/* Instead of control_path: the listening socket itself, for a process that can no longer
	 * make one. Taken over; 0 for none. */
	int control_fd;
	/* How its devices migrate; the control socket can change it for each. With NONE nothing is
	 * offered to front-ends that a migration needs, so that they refuse one at once. */
	enum gw_migration migration;
	enum gw_after_migration after_migration;
	/* For daemons of godwit's own (docs/recovery.md): where descriptors are kept for the
	 * process that follows when this one dies. Borrowed; NULL: nothing is. */
	struct gw_fdstore *fdstore;
	/* enum gw_experimental: protocol features of our own that may be offered. */
	unsigned experimental;
};

/* @loop is borrowed and must outlive the back-end. Control thread, like all below. */
int gw_backend_new(struct gw_backend **backend, struct gw_loop *loop,
		   const struct gw_backend_config *config);

/*
 * Listen on a Unix socket at @path (a stale socket there is replaced, anything else refused), or on
 * an inherited descriptor: a listening one, or one that is already connected. Takes @fd over.
 */
int gw_backend_listen(struct gw_backend *backend, const char *path);
int gw_backend_adopt_fd(struct gw_backend *backend, int fd);

/*
 * The back-end calls gw_loop_quit(loop, 0) when it is done: by default at the last disconnect when
 * nothing is frozen, claimed or pending.
 */

/* Ends connections (draining is not waited for longer than a second) and frees all. NULL is
 * allowed. */
void gw_backend_free(struct gw_backend *backend);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
