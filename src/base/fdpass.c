/* SPDX-License-Identifier: BSD-3-Clause */
/* base/fdpass.c - bytes and descriptors over a Unix socket. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"

union control {
	char bytes[CMSG_SPACE(GW_FDPASS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t gw_fdpass_send(int socket, const void *bytes, size_t len, const int *fds, unsigned count,
		       int flags)
{
	union control control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (count > GW_FDPASS_MAX) {
		errno = E2BIG;
		return -1;
	}
	if (count) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
	}
	return sendmsg(socket, &msg, flags | MSG_NOSIGNAL);
}

static void take(struct msghdr *msg, int *fds, unsigned room, unsigned *count)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*count < room)
				fds[(*count)++] = fd;
			else
				close(fd);
		}
	}
}

ssize_t gw_fdpass_recv(int socket, void *bytes, size_t len, int *fds, unsigned room,
		       unsigned *count, int flags)
{
	union control control;
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(socket, &msg, flags | MSG_CMSG_CLOEXEC);

	*count = 0;
	if (n >= 0)
		take(&msg, fds, room, count);
	return n;
}
