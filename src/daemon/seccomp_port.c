/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/seccomp_port.c - the system calls of who holds a port of the host, besides the common
 * ones: no file is opened, made or changed, and no socket made but those of its port. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "daemon/seccomp_words.h"

const struct gw_seccomp_rule gw_seccomp_port_rules[] = {
	/* The token. */
	{"fcntl", MOVE, 1, WHOLE, F_SETLK},
	{"ftruncate", MOVE},
	{"fallocate", MOVE},

	/* Sockets: those of the port. syslog(3) would connect again after an error. */
	{"socket", MOVE, 0, WHOLE, AF_INET},
	{"socket", MOVE, 0, WHOLE, AF_INET6},
	{"socket", ALL, 0, WHOLE, AF_UNIX, EACCES},
	{"bind", MOVE},
	{"listen", MOVE},
	{"setsockopt", MOVE, 2, WHOLE, SO_REUSEADDR},
	{"recvfrom", MOVE},
	{"sendto", MOVE | GW_KIND_SYSLOG},
	{"memfd_create", MOVE},
	{NULL},
};
