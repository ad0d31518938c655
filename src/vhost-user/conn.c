/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/conn.c - one socket: bytes in, whole messages out, and replies back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/conn_internal.h"

/* So many messages in a row, then other sources of the loop have their turn. */
#define MESSAGES_AT_ONCE 16

void gw_conn_update_events(struct gw_conn *conn)
{
	uint32_t events = 0;

	if (conn->closed)
		return;
	if (conn->out_len && !conn->answering)
		events |= EPOLLOUT;
	else if (!conn->busy && !conn->held)
		events |= EPOLLIN;
	if (gw_source_set_events(conn->source, events))
		gw_conn_close(conn);
}

static void close_fds(struct gw_message *message)
{
	for (unsigned i = 0; i < message->fd_count; i++)
		gw_close(&message->fds[i]);
	message->fd_count = 0;
}

static void tell_closed(void *opaque)
{
	struct gw_conn *conn = opaque;

	conn->events->closed(conn->opaque);
}

void gw_conn_close(struct gw_conn *conn)
{
	if (conn->closed)
		return;
	conn->closed = true;
	gw_source_remove(conn->source);
	conn->source = NULL;
	gw_close(&conn->fd);
	gw_close(&conn->out_fd);
	conn->post = (struct gw_post){.fn = tell_closed, .opaque = conn};
	gw_loop_post_embedded(conn->loop, &conn->post);
}

bool gw_conn_is_closed(const struct gw_conn *conn)
{
	return conn->closed;
}

bool gw_conn_is_left(const struct gw_conn *conn)
{
	struct pollfd poller = {.fd = conn->fd, .events = POLLRDHUP};

	return conn->closed || poll(&poller, 1, 0) > 0;
}

/*
 * Descriptors come with the first byte of a message, so only that read has room for them. What does
 * not fit is closed by the kernel, which says so.
 */
static void take_fds(struct gw_conn *conn, struct msghdr *msg)
{
	struct gw_message *in = &conn->in;

	if (msg->msg_flags & MSG_CTRUNC)
		in->fds_lost = true;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (in->fd_count < GW_VU_FDS_MAX) {
				in->fds[in->fd_count++] = fd;
			} else {
				in->fds_lost = true;
				close(fd);
			}
		}
	}
}

/* With @flags of recvmsg(2). */
static ssize_t receive(struct gw_conn *conn, struct iovec *iov, unsigned count, bool fds, int flags)
{
	union {
		char bytes[CMSG_SPACE(GW_VU_FDS_MAX * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t n;

	if (fds) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
	}
	n = recvmsg(conn->fd, &msg, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	/* Without room for them the kernel drops descriptors that come later, and sets CTRUNC. */
	if (n > 0 && (fds || !(flags & MSG_PEEK)))
		take_fds(conn, &msg);
	return n;
}

static ssize_t read_some(struct gw_conn *conn, void *to, size_t len)
{
	struct iovec iov = {.iov_base = to, .iov_len = len};

	return receive(conn, &iov, 1, conn->have == 0, 0);
}

/* Is what the header says readable as a message at all? If not, framing is lost. */
static bool header_is_sane(const struct gw_vu_header *header)
{
	const struct gw_vu_row *row = gw_vu_row(header->request);
	const char *name = row ? row->name : "unknown request";

	if ((header->flags & GW_VU_VERSION_MASK) != GW_VU_VERSION) {
		gw_error("vhost-user: %s (%u): flags 0x%x say version %u, expected %u; closing",
			 name, header->request, header->flags, header->flags & GW_VU_VERSION_MASK,
			 GW_VU_VERSION);
		return false;
	}
	if (header->size > GW_VU_PAYLOAD_MAX) {
		gw_error("vhost-user: %s (%u): %u bytes of payload, at most %u expected; closing",
			 name, header->request, header->size, GW_VU_PAYLOAD_MAX);
		return false;
	}
	return true;
}

static void log_end(const struct gw_conn *conn, ssize_t n)
{
	if (n < 0)
		gw_warn("vhost-user: reading failed: %s; closing", strerror(errno));
	else if (conn->have)
		gw_warn("vhost-user: the front-end closed after %zu bytes of a message",
			conn->have);
	else
		gw_info("vhost-user: the front-end closed the connection");
}

/*
 * A whole message that stays where it is. PIECES: it is not whole, or something is wrong; then it
 * is read as by a connection that ends with the process. (QEMU sends each at once.) What comes only
 * after this look is left to the next one: who read it now would have taken it away.
 */
enum seen { NOTHING, WHOLE, PIECES };

static enum seen peek(struct gw_conn *conn)
{
	struct gw_message *in = &conn->in;
	size_t whole = sizeof(in->header);
	struct iovec iov[2] = {{&in->header, sizeof(in->header)}};
	ssize_t n = receive(conn, iov, 1, false, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NOTHING;
	if (n != (ssize_t)whole || !header_is_sane(&in->header))
		return PIECES;
	iov[1] = (struct iovec){in->payload.bytes, in->header.size};
	whole += in->header.size;
	if (receive(conn, iov, 2, true, MSG_PEEK) != (ssize_t)whole) {
		close_fds(in);
		in->fds_lost = false;
		return PIECES;
	}
	/* A look goes on to the next message in search of descriptors, if this one has none. */
	if (!gw_vu_brings_fds(&in->header, &in->payload)) {
		close_fds(in);
		in->fds_lost = false;
	}
	conn->have = conn->peeked = whole;
	return WHOLE;
}

/* One read; true if it moved anything. */
static bool fill_in(struct gw_conn *conn)
{
	struct gw_vu_header *header = &conn->in.header;
	bool in_header = conn->have < sizeof(*header);
	size_t at = in_header ? conn->have : conn->have - sizeof(*header);
	uint8_t *base = in_header ? (uint8_t *)header : conn->in.payload.bytes;
	size_t want = in_header ? sizeof(*header) : header->size;
	ssize_t n = read_some(conn, base + at, want - at);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		log_end(conn, n);
		gw_conn_close(conn);
		return false;
	}
	conn->have += (size_t)n;
	if (in_header && conn->have == sizeof(*header) && !header_is_sane(header))
		gw_conn_close(conn);
	return !conn->closed;
}

static bool fill(struct gw_conn *conn)
{
	enum seen seen = conn->durable.commit && !conn->have ? peek(conn) : PIECES;

	return seen == PIECES ? fill_in(conn) : seen == WHOLE;
}

static bool is_whole(const struct gw_conn *conn)
{
	return conn->have >= sizeof(conn->in.header) &&
	       conn->have == sizeof(conn->in.header) + conn->in.header.size;
}

static bool may_read(const struct gw_conn *conn)
{
	return !conn->closed && !conn->busy && !conn->held && !conn->out_len;
}

static void deliver(struct gw_conn *conn)
{
	conn->busy = true;
	conn->events->message(conn->opaque, &conn->in);
}

static void read_messages(struct gw_conn *conn)
{
	int left = MESSAGES_AT_ONCE;

	conn->reading = true;
	while (left > 0 && may_read(conn)) {
		if (!fill(conn))
			break;
		if (is_whole(conn)) {
			left--;
			deliver(conn);
		}
	}
	conn->reading = false;
}

static ssize_t send_some(struct gw_conn *conn)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = conn->out + conn->out_sent,
			    .iov_len = conn->out_len - conn->out_sent};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (conn->out_fd >= 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &conn->out_fd, sizeof(int));
	}
	return sendmsg(conn->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void gw_conn_all_sent(struct gw_conn *conn)
{
	conn->out_len = conn->out_sent = 0;
	conn->in_pipe = false;
	if (conn->durable.commit)
		gw_conn_all_done(conn);
}

static ssize_t write_some(struct gw_conn *conn)
{
	if (conn->in_pipe)
		return splice(conn->durable.pipe[0], NULL, conn->fd, NULL,
			      conn->out_len - conn->out_sent, SPLICE_F_NONBLOCK);
	return send_some(conn);
}

void gw_conn_write_out(struct gw_conn *conn)
{
	while (!conn->closed && conn->out_len) {
		ssize_t n = write_some(conn);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			gw_warn("vhost-user: a reply could not be sent: %s; closing",
				strerror(errno));
			gw_conn_close(conn);
			return;
		}
		gw_close(&conn->out_fd);
		conn->out_sent += (size_t)n;
		if (conn->out_sent == conn->out_len)
			gw_conn_all_sent(conn);
	}
}

static void on_events(void *opaque, int fd, uint32_t events)
{
	struct gw_conn *conn = opaque;

	if (events & EPOLLOUT)
		gw_conn_write_out(conn);
	if (may_read(conn) && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
		read_messages(conn);
	} else if (events & (EPOLLHUP | EPOLLERR) && !conn->closed) {
		gw_warn("vhost-user: the front-end closed before its last message was answered");
		gw_conn_close(conn);
	}
	gw_conn_update_events(conn);
}

int gw_conn_new(struct gw_conn **out, struct gw_loop *loop, int fd,
		const struct gw_conn_events *events, void *opaque)
{
	GW_AUTO_FD int owned = fd;
	struct gw_conn *conn = calloc(1, sizeof(*conn));
	int err;

	if (!conn)
		return gw_fail(ENOMEM, "connection: no memory");
	conn->loop = loop;
	conn->events = events;
	conn->opaque = opaque;
	conn->out_fd = -1;
	err = gw_loop_add_fd(loop, fd, EPOLLIN, on_events, conn, &conn->source);
	if (err) {
		free(conn);
		return err;
	}
	conn->fd = gw_take_fd(&owned);
	*out = conn;
	return 0;
}

void gw_conn_free(struct gw_conn *conn)
{
	if (!conn)
		return;
	close_fds(&conn->in);
	free(conn);
}

struct gw_message *gw_conn_waiting(struct gw_conn *conn)
{
	return conn->busy ? &conn->in : NULL;
}

void gw_conn_next(struct gw_conn *conn)
{
	if (conn->durable.commit && !conn->closed)
		gw_conn_settle(conn);
	close_fds(&conn->in);
	memset(&conn->in, 0, sizeof(conn->in));
	conn->have = 0;
	conn->busy = false;
	if (!conn->reading)
		gw_conn_update_events(conn);
}

void gw_conn_reply(struct gw_conn *conn, uint32_t request, const void *payload, uint32_t size,
		   int fd)
{
	struct gw_vu_header header = {.request = request, .flags = GW_VU_REPLY_FLAGS, .size = size};

	if (conn->closed || conn->out_len || size > REPLY_MAX - sizeof(header)) {
		gw_close(&fd);
		return;
	}
	memcpy(conn->out, &header, sizeof(header));
	if (size)
		memcpy(conn->out + sizeof(header), payload, size);
	conn->out_len = sizeof(header) + size;
	conn->out_fd = fd;
	conn->answering = conn->durable.commit;
	if (conn->answering)
		return;
	gw_conn_write_out(conn);
	if (!conn->reading)
		gw_conn_update_events(conn);
}
