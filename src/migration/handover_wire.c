/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/handover_wire.c - bytes and descriptors between two processes of one host, in time. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "migration/handover.h"

union control {
	char space[CMSG_SPACE(GW_HANDED_BATCH * sizeof(int))];
	struct cmsghdr align;
};

static int wait_for(int socket, short events)
{
	struct pollfd poller = {.fd = socket, .events = events};
	int ready = poll(&poller, 1, GW_HANDOVER_MS);

	if (ready < 0)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

/* The descriptors go with the first byte. */
static void attach(struct msghdr *msg, union control *control, const int *fds, unsigned count)
{
	struct cmsghdr *cmsg;

	msg->msg_control = control->space;
	msg->msg_controllen = CMSG_SPACE(count * sizeof(int));
	cmsg = CMSG_FIRSTHDR(msg);
	*cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
				 .cmsg_type = SCM_RIGHTS,
				 .cmsg_len = CMSG_LEN(count * sizeof(int))};
	memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
}

int gw_handover_send(int socket, const void *data, size_t len, const int *fds, unsigned count)
{
	union control control = {0};
	struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fds && count)
		attach(&msg, &control, fds, count);
	while (iov.iov_len) {
		ssize_t sent = sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno == EAGAIN) {
			int err = wait_for(socket, POLLOUT);

			if (err)
				return err;
			continue;
		}
		if (sent < 0)
			return -errno;
		iov.iov_base = (char *)iov.iov_base + sent;
		iov.iov_len -= (size_t)sent;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
	}
	return 0;
}

/* What came is ours to close, wanted or not. */
static int take_fds(struct msghdr *msg, int *fds, unsigned room, unsigned *count)
{
	int err = msg->msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -EMSGSIZE : 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(fd), sizeof(fd));
			if (*count < room)
				fds[(*count)++] = fd;
			else
				err = -EMSGSIZE;
			if (err == -EMSGSIZE && *count == room)
				gw_close(&fd);
		}
	}
	return err;
}

static int recv_part(int socket, struct iovec *iov, int *fds, unsigned room, unsigned *count)
{
	union control control;
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t got = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	int err;

	if (got < 0)
		return errno == EAGAIN ? wait_for(socket, POLLIN) : -errno;
	err = take_fds(&msg, fds, room, count);
	if (err)
		return err;
	if (!got)
		return -ECONNRESET;
	iov->iov_base = (char *)iov->iov_base + got;
	iov->iov_len -= (size_t)got;
	return 0;
}

int gw_handover_recv(int socket, void *data, size_t len, int *fds, unsigned *count)
{
	struct iovec iov = {.iov_base = data, .iov_len = len};
	unsigned room = count ? *count : 0, none = 0;
	unsigned *came = count ? count : &none;
	int err = 0;

	*came = 0;
	while (!err && iov.iov_len)
		err = recv_part(socket, &iov, fds, room, came);
	for (unsigned i = 0; err && i < *came; i++)
		gw_close(&fds[i]);
	if (err)
		*came = 0;
	return err;
}
