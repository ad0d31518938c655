/* SPDX-License-Identifier: BSD-3-Clause */
/* base/fdpass.h - bytes and descriptors over a Unix socket. */
#ifndef GW_BASE_FDPASS_H
#define GW_BASE_FDPASS_H

#include <sys/types.h>

/* Descriptors with one message; the kernel's own limit is 253 (SCM_MAX_FD). */
#define GW_FDPASS_MAX 64

/*
 * As sendmsg() and recvmsg(), with @flags; -1 and errno. SIGPIPE is never raised. What is received
 * is close-on-exec; descriptors beyond @room are closed. *@count says how many came, also when they
 * came with an end of file.
 */
ssize_t gw_fdpass_send(int socket, const void *bytes, size_t len, const int *fds, unsigned count,
		       int flags);
ssize_t gw_fdpass_recv(int socket, void *bytes, size_t len, int *fds, unsigned room,
		       unsigned *count, int flags);

#endif
