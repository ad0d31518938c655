/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/daemon.h - what makes a device a program. */
#ifndef GW_DAEMON_DAEMON_H
#define GW_DAEMON_DAEMON_H

#include "base/options.h"
#include "daemon/sandbox.h"
#include "godwit/device.h"

/* A program that serves one device; its main() fills this in and calls gw_daemon_main(). */
struct gw_daemon {
	const char *program; /* "godwit-fs" */
	const char *summary;
	const char *type; /* of QEMU's vhost-user.json: "fs" */
	const char *const
		*features; /* of that schema, beyond every daemon's; NULL, or ended by one */
	const struct gw_device_ops *ops;
	bool recovers;			 /* with --recover its state survives the process */
	const struct gw_option *options; /* its own, ended by a NULL name; may be NULL */
	void *host;			 /* their target, and what ops->create is given */
	/* Can what the command line says be? Exit code 2 if not. May be NULL. */
	int (*check)(void *host);
	/* How it shuts itself in; NULL: it stays as it was started. */
	const struct gw_sandbox *sandbox;
	/* Or, with a port of the host's in the place of a directory: enum gw_seccomp_mode. */
	const int *port_seccomp;
	void (*confined)(void *host, const struct gw_inside *inside);
	/* What is wrong on this host shows here, before a socket exists. May be NULL. */
	int (*prepare)(void *host);
	/* What it would require and provide, as its options say and without being started.
	 * @environment is all zeros. May be NULL. */
	void (*environment)(void *host, struct gw_environment *environment);
	/* Sockets of its own, before it shuts itself in. May be NULL. */
	int (*open)(void *host, struct gw_sockets *sockets);
	/* Sets the device model's parameters that the command line named. May be NULL. */
	int (*set_params)(const void *host, struct gw_params *params);
};

/*
 * From the command line to the exit code: parses, prepares, serves until the back-end is done or a
 * SIGTERM or SIGINT comes.
 */
int gw_daemon_main(const struct gw_daemon *daemon, int argc, char **argv);

#endif
