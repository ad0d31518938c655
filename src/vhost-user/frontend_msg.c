/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_msg.c - messages of the front-end: send, receive, and never wait for ever. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

/* The longest reply there is: GET_SHMEM_CONFIG's. */
#define REPLY_MAX sizeof(struct gw_vu_shmem_config)

int64_t gw_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int gw_left_ms(int64_t deadline)
{
	int64_t left = deadline - gw_now_ms();

	return left > 0 ? (int)left : 0;
}

static const char *const request_names[GW_VU_REQUESTS] = {
	[GW_VU_GET_FEATURES] = "GET_FEATURES",
	[GW_VU_SET_FEATURES] = "SET_FEATURES",
	[GW_VU_SET_OWNER] = "SET_OWNER",
	[GW_VU_SET_MEM_TABLE] = "SET_MEM_TABLE",
	[GW_VU_SET_LOG_BASE] = "SET_LOG_BASE",
	[GW_VU_SET_VRING_NUM] = "SET_VRING_NUM",
	[GW_VU_SET_VRING_ADDR] = "SET_VRING_ADDR",
	[GW_VU_SET_VRING_BASE] = "SET_VRING_BASE",
	[GW_VU_GET_VRING_BASE] = "GET_VRING_BASE",
	[GW_VU_SET_VRING_KICK] = "SET_VRING_KICK",
	[GW_VU_SET_VRING_CALL] = "SET_VRING_CALL",
	[GW_VU_SET_VRING_ERR] = "SET_VRING_ERR",
	[GW_VU_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
	[GW_VU_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
	[GW_VU_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
	[GW_VU_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	[GW_VU_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
	[GW_VU_GET_CONFIG] = "GET_CONFIG",
	[GW_VU_SET_CONFIG] = "SET_CONFIG",
	[GW_VU_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
	[GW_VU_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	[GW_VU_RESET_DEVICE] = "RESET_DEVICE",
	[GW_VU_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
	[GW_VU_ADD_MEM_REG] = "ADD_MEM_REG",
	[GW_VU_REM_MEM_REG] = "REM_MEM_REG",
	[GW_VU_SET_DEVICE_STATE_FD] = "SET_DEVICE_STATE_FD",
	[GW_VU_CHECK_DEVICE_STATE] = "CHECK_DEVICE_STATE",
};

static const char *const own_names[GW_VU_EXPERIMENTAL_END - GW_VU_EXPERIMENTAL] = {
	[GW_VU_SUSPEND - GW_VU_EXPERIMENTAL] = "SUSPEND",
	[GW_VU_RESUME - GW_VU_EXPERIMENTAL] = "RESUME",
	[GW_VU_GET_DEVICE_STATE_PENDING - GW_VU_EXPERIMENTAL] = "GET_DEVICE_STATE_PENDING",
	[GW_VU_CANCEL_DEVICE_STATE - GW_VU_EXPERIMENTAL] = "CANCEL_DEVICE_STATE",
};

const char *gw_frontend_request_name(uint32_t request)
{
	if (request > GW_VU_EXPERIMENTAL && request < GW_VU_EXPERIMENTAL_END)
		return own_names[request - GW_VU_EXPERIMENTAL];
	return request < GW_VU_REQUESTS && request_names[request] ? request_names[request]
								  : "message";
}

bool gw_frontend_has(const struct gw_frontend *frontend, uint64_t protocol_feature)
{
	return frontend->protocol & protocol_feature;
}

/* 0: the socket is ready for @events (or broken, which the next call on it will tell). */
static int wait_for(const struct gw_frontend *frontend, short events, int64_t deadline)
{
	struct pollfd poller = {.fd = frontend->socket, .events = events};

	for (;;) {
		int left = gw_left_ms(deadline);
		int ready = poll(&poller, 1, left);

		if (ready > 0)
			return 0;
		if (!ready)
			return gw_fail(ETIMEDOUT, "back-end: nothing for %u ms",
				       frontend->timeout_ms);
		if (errno != EINTR)
			return gw_fail(errno, "back-end: %s", strerror(errno));
	}
}

static int closed(int err)
{
	if (!err || err == EPIPE || err == ECONNRESET)
		return gw_fail(ECONNRESET, "back-end: it closed the connection");
	return gw_fail(err, "back-end: %s", strerror(err));
}

static int send_all(struct gw_frontend *frontend, struct msghdr *msg)
{
	int64_t deadline = gw_now_ms() + frontend->timeout_ms;

	while (msg->msg_iovlen) {
		ssize_t sent = sendmsg(frontend->socket, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		int err = sent < 0 ? errno : 0;

		if (err == EAGAIN)
			err = -wait_for(frontend, POLLOUT, deadline);
		else if (err && err != EINTR)
			return closed(err);
		if (err && err != EINTR)
			return -err;
		if (sent < 0)
			continue;
		msg->msg_control = NULL; /* descriptors went with the first byte */
		msg->msg_controllen = 0;
		while (msg->msg_iovlen && (size_t)sent >= msg->msg_iov->iov_len) {
			sent -= (ssize_t)msg->msg_iov->iov_len;
			msg->msg_iov++;
			msg->msg_iovlen--;
		}
		if (msg->msg_iovlen) {
			msg->msg_iov->iov_base = (char *)msg->msg_iov->iov_base + sent;
			msg->msg_iov->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

/* Tests send more descriptors than the protocol allows; the kernel's limit is 253. */
#define SEND_FDS_MAX 16

int gw_frontend_send_raw(struct gw_frontend *frontend, uint32_t request, uint32_t flags,
			 const void *payload, uint32_t len, const int *fds, unsigned fd_count)
{
	struct gw_vu_header header = {.request = request, .flags = flags, .size = len};
	struct iovec iov[2] = {
		{.iov_base = &header, .iov_len = sizeof(header)},
		{.iov_base = (void *)payload, .iov_len = len},
	};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SEND_FDS_MAX * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = len ? 2 : 1};

	if (fd_count > SEND_FDS_MAX)
		return gw_fail(EINVAL, "front-end: %u descriptors in one message, at most %d",
			       fd_count, SEND_FDS_MAX);
	if (fd_count) {
		struct cmsghdr *cmsg = &control.align;

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, fd_count * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
	}
	return send_all(frontend, &msg);
}

/* Keeps the first descriptor that ever comes in *@fd, closes all others. */
static void collect_fds(struct msghdr *msg, int *fd)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int got;

			memcpy(&got, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(got));
			if (*fd < 0)
				*fd = got;
			else
				close(got);
		}
	}
}

static int recv_all(struct gw_frontend *frontend, void *buf, size_t len, int64_t deadline, int *fd)
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
		ssize_t got = recvmsg(frontend->socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		int err = got < 0 ? errno : 0;

		if (got > 0) {
			collect_fds(&msg, fd);
			done += (size_t)got;
			continue;
		}
		if (err == EAGAIN)
			err = -wait_for(frontend, POLLIN, deadline);
		else if (err != EINTR)
			return closed(err);
		if (err && err != EINTR)
			return -err;
	}
	return 0;
}

int gw_frontend_recv_raw(struct gw_frontend *frontend, uint32_t *request, uint32_t *flags,
			 void *payload, uint32_t size, int *fd)
{
	int64_t deadline = gw_now_ms() + frontend->timeout_ms;
	struct gw_vu_header header;
	char rest[REPLY_MAX];
	uint32_t kept;
	int err;

	*fd = -1;
	err = recv_all(frontend, &header, sizeof(header), deadline, fd);
	if (!err && header.size > REPLY_MAX)
		err = gw_fail(EPROTO, "back-end: a reply of %u bytes, at most %zu", header.size,
			      REPLY_MAX);
	if (!err) {
		kept = GW_MIN(header.size, size);
		err = recv_all(frontend, payload, kept, deadline, fd);
		if (!err)
			err = recv_all(frontend, rest, header.size - kept, deadline, fd);
	}
	if (err) {
		gw_close(fd);
		return err;
	}
	*request = header.request;
	*flags = header.flags;
	return (int)header.size;
}

/* As strict as QEMU: number, flags and length must be exactly those of the reply expected. */
static int receive(struct gw_frontend *frontend, const struct gw_vu_out *out, void *reply,
		   uint32_t len, int *fd)
{
	const char *name = gw_frontend_request_name(out->request);
	uint32_t request = out->request;
	uint32_t got_request = 0, got_flags = 0;
	GW_AUTO_FD int got_fd = -1;
	int got = gw_frontend_recv_raw(frontend, &got_request, &got_flags, reply, len, &got_fd);

	if (got < 0) {
		frontend->out_of_step = true;
		return gw_fail_in(got, "reply to %s", name);
	}
	if (got_request == request && got_flags == GW_VU_REPLY_FLAGS && !got && !out->any_length)
		return gw_fail(EIO, "%s: the back-end refused it", name);
	if (got_request != request || got_flags != GW_VU_REPLY_FLAGS ||
	    ((uint32_t)got != len && !out->any_length)) {
		frontend->out_of_step = true;
		return gw_fail(EPROTO,
			       "reply to %s: request %u, flags 0x%x, %d bytes; not %u, 0x%x, %u",
			       name, got_request, got_flags, got, request, GW_VU_REPLY_FLAGS, len);
	}
	if (fd)
		*fd = gw_take_fd(&got_fd);
	return 0;
}

static int send_out(struct gw_frontend *frontend, uint32_t flags, const struct gw_vu_out *out)
{
	int err;

	if (frontend->out_of_step)
		return gw_fail(EPIPE, "%s: the connection failed before",
			       gw_frontend_request_name(out->request));
	err = gw_frontend_send_raw(frontend, out->request, GW_VU_VERSION | flags, out->payload,
				   out->len, out->fds, out->fd_count);
	if (err) {
		frontend->out_of_step = true;
		return gw_fail_in(err, "%s", gw_frontend_request_name(out->request));
	}
	return 0;
}

int gw_frontend_ask(struct gw_frontend *frontend, const struct gw_vu_out *out, void *reply,
		    uint32_t len, int *fd)
{
	int err = send_out(frontend, 0, out);

	return err ? err : receive(frontend, out, reply, len, fd);
}

int gw_frontend_tell(struct gw_frontend *frontend, enum gw_vu_wait wait,
		     const struct gw_vu_out *out)
{
	bool ack = wait == GW_VU_ACKED && gw_frontend_has(frontend, GW_VU_PF(REPLY_ACK));
	uint64_t value = 0;
	int err = send_out(frontend, ack ? GW_VU_NEED_REPLY : 0, out);

	if (err || wait == GW_VU_NO_WAIT)
		return err;
	/* Messages are handled in order, so any answer later on says that this one was. */
	if (!ack)
		return gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &value);
	err = receive(frontend, out, &value, sizeof(value), NULL);
	if (!err && value)
		err = gw_fail(EIO, "%s: the back-end refused it (%llu)",
			      gw_frontend_request_name(out->request), (unsigned long long)value);
	return err;
}

int gw_frontend_get_u64(struct gw_frontend *frontend, uint32_t request, uint64_t *value)
{
	return gw_frontend_ask(frontend, &(struct gw_vu_out){.request = request}, value,
			       sizeof(*value), NULL);
}

int gw_frontend_set_u64(struct gw_frontend *frontend, uint32_t request, enum gw_vu_wait wait,
			uint64_t value)
{
	return gw_frontend_tell(
		frontend, wait,
		&(struct gw_vu_out){.request = request, .payload = &value, .len = sizeof(value)});
}
