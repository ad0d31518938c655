/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/conn_durable.c - a connection that outlives the process: what is done of a message is
 * known to the socket and the pipe (conn.h). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "vhost-user/conn_internal.h"

/* Behind any message: where nobody looks. What is taken out of the socket moves it down. */
#define MARK (1 << 20)

static void set_mark(struct gw_conn *conn, int mark)
{
	if (setsockopt(conn->fd, SOL_SOCKET, SO_PEEK_OFF, &mark, sizeof(mark)) < 0)
		gw_warn("vhost-user: SO_PEEK_OFF: %s", strerror(errno));
}

static int get_mark(const struct gw_conn *conn)
{
	int mark = -1;
	socklen_t len = sizeof(mark);

	getsockopt(conn->fd, SOL_SOCKET, SO_PEEK_OFF, &mark, &len);
	return mark;
}

void gw_conn_all_done(struct gw_conn *conn)
{
	conn->durable.done(conn->durable.opaque);
	if (!conn->closed)
		set_mark(conn, -1);
}

/* Descriptors that come once more find no room, and are closed by the kernel. */
static void take_out(struct gw_conn *conn, size_t len)
{
	uint8_t nowhere[sizeof(struct gw_vu_header) + GW_VU_PAYLOAD_MAX];
	ssize_t n = recv(conn->fd, nowhere, GW_MIN(len, sizeof(nowhere)), MSG_DONTWAIT);

	if (n != (ssize_t)len)
		gw_warn("vhost-user: a message of %zu bytes ends after %zd", len, n);
}

static void put_in_pipe(struct gw_conn *conn)
{
	ssize_t n = write(conn->durable.pipe[1], conn->out, conn->out_len);

	if (n != (ssize_t)conn->out_len)
		gw_warn("vhost-user: an answer of %zu bytes: %zd into the pipe", conn->out_len, n);
}

/* The message is dealt with, and its answer, if one is due, is in conn->out. */
void gw_conn_settle(struct gw_conn *conn)
{
	conn->answering = false;
	conn->in_pipe = conn->out_len && conn->out_fd < 0;
	conn->durable.commit(conn->durable.opaque, conn->out, conn->out_len, conn->out_fd >= 0,
			     conn->peeked);
	if (conn->peeked)
		set_mark(conn, MARK + (int)conn->peeked);
	if (conn->in_pipe)
		put_in_pipe(conn);
	if (conn->peeked)
		take_out(conn, conn->peeked);
	conn->peeked = 0;
	if (conn->out_len)
		gw_conn_write_out(conn);
	else
		gw_conn_all_done(conn);
}

void gw_conn_outlive(struct gw_conn *conn, const struct gw_conn_durable *durable, bool hold)
{
	conn->durable = *durable;
	conn->held = hold;
	gw_conn_update_events(conn);
}

static bool pipe_holds(const struct gw_conn *conn)
{
	struct pollfd poller = {.fd = conn->durable.pipe[0], .events = POLLIN};

	return poll(&poller, 1, 0) > 0 && poller.revents & POLLIN;
}

/* How far the other process came; the answer's bytes were copied to conn->out. */
static void take_up(struct gw_conn *conn, bool with_fd, size_t message_len)
{
	int mark = get_mark(conn);
	bool taken_out = !message_len || mark == MARK;

	if (!taken_out && mark < MARK)
		set_mark(conn, MARK + (int)message_len);
	if (!taken_out && conn->out_len && !with_fd && !pipe_holds(conn))
		put_in_pipe(conn);
	if (!taken_out)
		take_out(conn, message_len);
	if (conn->out_len && with_fd)
		gw_error("vhost-user: an answer with a descriptor may be lost");
	conn->in_pipe = conn->out_len && !with_fd && pipe_holds(conn);
	if (!conn->in_pipe)
		gw_conn_all_sent(conn);
	else
		gw_conn_write_out(conn);
}

void gw_conn_take_up(struct gw_conn *conn, const void *reply, size_t len, bool with_fd,
		     size_t message_len)
{
	conn->held = false;
	if (reply) {
		conn->out_len = GW_MIN(len, sizeof(conn->out));
		memcpy(conn->out, reply, conn->out_len);
		take_up(conn, with_fd, message_len);
	} else {
		set_mark(conn, -1);
	}
	gw_conn_update_events(conn);
}
