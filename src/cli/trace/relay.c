/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/relay.c - between a front-end and a back-end: what one says the other hears. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/trace/trace.h"
#include "godwit/error.h"

/* The main socket and the back-end channel, both ways. */
enum { LINKS = 4 };

struct link {
	int from, to; /* -1: not there (yet) */
	enum tr_side side;
	enum tr_channel channel;
};

struct relay {
	struct link links[LINKS];
	int channel[2]; /* ours: the ends towards the front-end and the back-end */
	tr_told_fn *told;
	void *opaque;
};

/* On its way. */
struct passing {
	struct gw_vu_header header;
	uint8_t payload[TR_PAYLOAD_MAX];
	int fds[GW_VU_FDS_MAX];
	unsigned fd_count;
};

static void close_fds(struct passing *passing)
{
	for (unsigned i = 0; i < passing->fd_count; i++)
		close(passing->fds[i]);
	passing->fd_count = 0;
}

static void keep_fds(struct passing *passing, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (passing->fd_count < GW_VU_FDS_MAX)
				passing->fds[passing->fd_count++] = fd;
			else
				close(fd);
		}
	}
}

/* 1: @len bytes are there; 0: the end, before the first of them. */
static int receive(int fd, void *buf, size_t len, struct passing *passing)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
	} control;
	size_t done = 0;

	while (done < len) {
		struct iovec iov = {.iov_base = (char *)buf + done, .iov_len = len - done};
		struct msghdr msg = {.msg_iov = &iov,
				     .msg_iovlen = 1,
				     .msg_control = &control,
				     .msg_controllen = sizeof(control)};
		ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

		if (got > 0)
			keep_fds(passing, &msg);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return done ? gw_fail(EPIPE, "the connection ended within a message") : 0;
		if (got < 0)
			return gw_fail(errno, "receive: %s", strerror(errno));
		done += (size_t)got;
	}
	return 1;
}

static int receive_message(int fd, struct passing *passing)
{
	int there;

	passing->fd_count = 0;
	there = receive(fd, &passing->header, sizeof(passing->header), passing);
	if (there <= 0)
		return there;
	if (passing->header.size > TR_PAYLOAD_MAX)
		return gw_fail(EMSGSIZE, "request %u has %u bytes of payload, at most %d",
			       passing->header.request, passing->header.size, TR_PAYLOAD_MAX);
	there = receive(fd, passing->payload, passing->header.size, passing);
	if (!there && passing->header.size)
		return gw_fail(EPIPE, "the connection ended within a message");
	return there < 0 ? there : 1;
}

static int send_all(int fd, struct iovec *iov, const int *fds, unsigned fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	size_t left = iov[0].iov_len + iov[1].iov_len;

	if (fd_count) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
						 .cmsg_type = SCM_RIGHTS,
						 .cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	while (left) {
		ssize_t sent = sendmsg(fd, &msg, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return gw_fail(errno, "pass on: %s", strerror(errno));
		left -= (size_t)sent;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		for (unsigned i = 0; i < 2; i++) {
			size_t part = GW_MIN((size_t)sent, iov[i].iov_len);

			iov[i].iov_base = (char *)iov[i].iov_base + part;
			iov[i].iov_len -= part;
			sent -= (ssize_t)part;
		}
	}
	return 0;
}

/* The back-end gets one end of a socket of ours, and we what the front-end sent. */
static int put_between(struct relay *relay, struct passing *passing)
{
	int ends[2];

	if (passing->fd_count != 1)
		return 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return gw_fail(errno, "socketpair: %s", strerror(errno));
	gw_close(&relay->channel[0]);
	gw_close(&relay->channel[1]);
	relay->channel[0] = passing->fds[0];
	relay->channel[1] = ends[0];
	passing->fds[0] = ends[1];
	relay->links[2] = (struct link){relay->channel[1], relay->channel[0], TR_BACKEND, TR_BACK};
	relay->links[3] = (struct link){relay->channel[0], relay->channel[1], TR_FRONTEND, TR_BACK};
	return 0;
}

static int tell(const struct relay *relay, const struct link *link, const struct passing *passing)
{
	struct tr_message message = {
		.from = link->side,
		.channel = link->channel,
		.request = passing->header.request,
		.flags = passing->header.flags,
		.size = passing->header.size,
		.fds = passing->fd_count,
	};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	message.at = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	memcpy(message.payload, passing->payload,
	       GW_MIN((size_t)passing->header.size, (size_t)TR_KEPT_MAX));
	return relay->told(relay->opaque, &message);
}

/* One message; 0: the link has ended. */
static int pass(struct relay *relay, const struct link *link)
{
	struct passing passing;
	struct iovec iov[2];
	int there = receive_message(link->from, &passing), err = there < 0 ? there : 0;

	if (there > 0)
		err = tell(relay, link, &passing);
	if (there > 0 && !err && link->channel == TR_MAIN && link->side == TR_FRONTEND &&
	    passing.header.request == GW_VU_SET_BACKEND_REQ_FD)
		err = put_between(relay, &passing);
	iov[0] = (struct iovec){&passing.header, sizeof(passing.header)};
	iov[1] = (struct iovec){passing.payload, passing.header.size};
	if (there > 0 && !err)
		err = send_all(link->to, iov, passing.fds, passing.fd_count);
	/* Ours must go: who waits for the end of a channel would wait for us. */
	close_fds(&passing);
	return err ? err : there;
}

static int pass_ready(struct relay *relay, const struct pollfd *pollers)
{
	for (unsigned i = 0; i < LINKS; i++) {
		int went;

		if (!pollers[i].revents || relay->links[i].from != pollers[i].fd)
			continue;
		went = pass(relay, &relay->links[i]);
		if (went < 0 || (!went && relay->links[i].channel == TR_MAIN))
			return went;
		if (!went)
			relay->links[i].from = -1;
	}
	return 1;
}

int tr_relay(int frontend, int backend, tr_told_fn *told, void *opaque)
{
	struct relay relay = {
		.links = {{frontend, backend, TR_FRONTEND, TR_MAIN},
			  {backend, frontend, TR_BACKEND, TR_MAIN},
			  {.from = -1},
			  {.from = -1}},
		.channel = {-1, -1},
		.told = told,
		.opaque = opaque,
	};
	int on = 1;

	while (on > 0) {
		struct pollfd pollers[LINKS];

		for (unsigned i = 0; i < LINKS; i++)
			pollers[i] = (struct pollfd){.fd = relay.links[i].from, .events = POLLIN};
		on = poll(pollers, LINKS, -1);
		if (on < 0 && errno != EINTR)
			on = gw_fail(errno, "poll: %s", strerror(errno));
		else
			on = on < 0 ? 1 : pass_ready(&relay, pollers);
	}
	gw_close(&relay.channel[0]);
	gw_close(&relay.channel[1]);
	return on;
}
