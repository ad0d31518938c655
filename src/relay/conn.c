/* SPDX-License-Identifier: BSD-3-Clause */
/* relay/conn.c - connections, and what goes through them. */
#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "relay/internal.h"

#define BACKLOG	  16
#define PIECE_MAX 16384 /* of one DATA to the guest */

/* -- the port ------------------------------------------------------------------------------ */

int relay_bind(struct relay *relay)
{
	const struct relay_host *host = relay->host;
	GW_AUTO_FD int fd =
		socket(host->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return gw_fail(errno, "relay: socket: %s", strerror(errno));
	/* Connections of before that are in TIME_WAIT; a port that is bound is refused. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&host->address, host->address_len) < 0)
		return gw_fail(errno, "relay: the port cannot be bound: %s", strerror(errno));
	relay->listener = gw_take_fd(&fd);
	return 0;
}

int relay_listen(struct relay *relay)
{
	if (listen(relay->listener, BACKLOG) < 0)
		return gw_fail(errno, "relay: listen: %s", strerror(errno));
	return 0;
}

/* -- connections --------------------------------------------------------------------------- */

void relay_conn_free(struct relay_conn *conn)
{
	if (!conn->id)
		return;
	gw_close(&conn->fd);
	free(conn->unsent);
	*conn = (struct relay_conn){.fd = -1};
}

struct relay_conn *relay_conn_new(struct relay *relay, uint32_t id, int fd)
{
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		struct relay_conn *conn = &relay->conns[i];
		char *unsent;

		if (conn->id)
			continue;
		unsent = malloc(RELAY_WINDOW);
		if (unsent)
			*conn = (struct relay_conn){.id = id, .fd = fd, .unsent = unsent};
		return unsent ? conn : NULL;
	}
	return NULL;
}

struct relay_conn *relay_conn_find(struct relay *relay, uint32_t id)
{
	for (unsigned i = 0; id && i < RELAY_CONNS_MAX; i++) {
		if (relay->conns[i].id == id)
			return &relay->conns[i];
	}
	return NULL;
}

static void accept_all(struct relay *relay)
{
	int fd;

	while ((fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		if (relay_conn_new(relay, ++relay->last_id, fd))
			continue;
		gw_warn("relay: more than %d connections", RELAY_CONNS_MAX);
		close(fd);
	}
}

/* -- from the guest ------------------------------------------------------------------------ */

/* More than its window: it is of no use to either any more. */
static void append(struct relay_conn *conn, const struct gw_elem *elem, uint32_t len)
{
	if (len > RELAY_WINDOW - conn->taken ||
	    gw_elem_copy_from(elem, sizeof(struct relay_header), conn->unsent + conn->unsent_len,
			      len) != len) {
		gw_warn("relay: connection %u: %u bytes of the guest's are not there, or beyond "
			"its window",
			conn->id, len);
		gw_close(&conn->fd);
		return;
	}
	conn->unsent_len += len;
	conn->taken += len;
}

static void from_guest(struct relay *relay, const struct gw_elem *elem)
{
	struct relay_header header;
	struct relay_conn *conn;

	if (gw_elem_copy_from(elem, 0, &header, sizeof(header)) != sizeof(header))
		return;
	conn = relay_conn_find(relay, le32toh(header.conn));
	if (!conn || conn->closing)
		return; /* its end and the guest's word have crossed */
	switch (le32toh(header.op)) {
	case RELAY_DATA:
		append(conn, elem, le32toh(header.len));
		break;
	case RELAY_CLOSE:
		conn->closing = true;
		break;
	default:
		gw_warn("relay: connection %u: operation %u", conn->id, le32toh(header.op));
	}
}

static void flush(struct relay_conn *conn)
{
	ssize_t n;

	if (conn->fd >= 0 && conn->unsent_len) {
		n = send(conn->fd, conn->unsent, conn->unsent_len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			gw_close(&conn->fd);
		if (n > 0) {
			conn->unsent_len -= (uint32_t)n;
			conn->credit += (uint32_t)n;
			memmove(conn->unsent, conn->unsent + n, conn->unsent_len);
		}
	}
	if (conn->closing && (conn->fd < 0 || !conn->unsent_len))
		relay_conn_free(conn);
}

/* -- to the guest -------------------------------------------------------------------------- */

/* False: it has no room for that now. */
static bool tell(struct relay *relay, uint32_t conn, enum relay_op op, const void *data,
		 uint32_t len)
{
	const struct relay_header header = {
		.conn = htole32(conn), .op = htole32(op), .len = htole32(len)};
	struct gw_elem *elem = relay_take(&relay->to_guest);
	size_t done;

	if (!elem)
		return false;
	done = gw_elem_copy_to(elem, 0, &header, sizeof(header));
	if (data)
		done += gw_elem_copy_to(elem, sizeof(header), data, len);
	gw_elem_push(elem, done);
	return true;
}

static uint32_t room_of(const struct relay *relay)
{
	size_t room = relay->to_guest.first ? relay->to_guest.first->in_len : 0;

	return room > sizeof(struct relay_header)
		       ? (uint32_t)GW_MIN(room - sizeof(struct relay_header), (size_t)PIECE_MAX)
		       : 0;
}

/* False: nothing more for now. */
static bool deliver(struct relay *relay, struct relay_conn *conn)
{
	char piece[PIECE_MAX];
	uint32_t room = room_of(relay);
	ssize_t n;

	if (!room || conn->fd < 0)
		return false;
	n = recv(conn->fd, piece, room, MSG_DONTWAIT);
	if (n > 0)
		return tell(relay, conn->id, RELAY_DATA, piece, (uint32_t)n);
	if (!n || errno != EAGAIN)
		gw_close(&conn->fd);
	return false;
}

static void tell_all(struct relay *relay, struct relay_conn *conn)
{
	if (!conn->told)
		conn->told = tell(relay, conn->id, RELAY_OPEN, NULL, 0);
	if (!conn->told)
		return;
	if (conn->credit && tell(relay, conn->id, RELAY_CREDIT, NULL, conn->credit)) {
		conn->taken -= conn->credit;
		conn->credit = 0;
	}
	while (deliver(relay, conn))
		;
	if (conn->fd < 0 && tell(relay, conn->id, RELAY_CLOSE, NULL, 0))
		relay_conn_free(conn);
}

void relay_work(struct relay *relay)
{
	struct gw_elem *elem;

	while ((elem = relay_take(&relay->from_guest))) {
		from_guest(relay, elem);
		gw_elem_push(elem, 0);
	}
	accept_all(relay);
	for (unsigned i = 0; i < RELAY_CONNS_MAX; i++) {
		if (relay->conns[i].id)
			flush(&relay->conns[i]);
		if (relay->conns[i].id)
			tell_all(relay, &relay->conns[i]);
	}
}

short relay_conn_events(const struct relay *relay, const struct relay_conn *conn)
{
	return (short)((relay->to_guest.first ? POLLIN : 0) | (conn->unsent_len ? POLLOUT : 0));
}
