/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/conn.h - one socket: bytes in, whole messages out, and replies back. */
#ifndef GW_VHOST_USER_CONN_H
#define GW_VHOST_USER_CONN_H

#include <stdbool.h>

#include "godwit/loop.h"
#include "vhost-user/messages.h"
#include "vhost-user/wire.h"

/*
 * Knows framing and descriptors, no meaning. One message at a time: after it is delivered nothing
 * more is read until gw_conn_next(). A reply that does not fit into the socket waits for room, and
 * until it is out nothing is read either: a front-end that does not read fills no memory of ours.
 * Control thread only.
 */
struct gw_message {
	struct gw_vu_header header;
	union gw_vu_payload payload; /* header.size bytes of it; the rest is zero */
	int fds[GW_VU_FDS_MAX];	     /* who handles the message takes or closes them */
	unsigned fd_count;
	bool fds_lost; /* more came than fit; the kernel closed some */
};

struct gw_conn;

struct gw_conn_events {
	/* @message belongs to the connection and stays valid until gw_conn_next(). */
	void (*message)(void *opaque, struct gw_message *message);
	/* Called once, from the loop, never out of another call: the socket is closed; the
	 * connection may be freed here. */
	void (*closed)(void *opaque);
};

/* Takes @fd over, also on failure. */
int gw_conn_new(struct gw_conn **conn, struct gw_loop *loop, int fd,
		const struct gw_conn_events *events, void *opaque);
/* Only once closed. NULL is allowed. */
void gw_conn_free(struct gw_conn *conn);

/*
 * A connection that outlives the process (recovery.h): a message is only looked at (MSG_PEEK) until
 * it has been dealt with, and stays in the socket for the next process meanwhile. When it is dealt
 * with, @commit puts the answer where that will find it; then the message is taken out, then the
 * answer goes out, then @done. Which of these steps were done the socket and the pipe know, which
 * are kept: the place where the next look begins (SO_PEEK_OFF), which moves with what is taken out,
 * and the answer's bytes in the pipe, which leave it into the socket (splice).
 */
struct gw_conn_durable {
	int pipe[2]; /* borrowed */
	void (*commit)(void *opaque, const void *reply, size_t len, bool with_fd,
		       size_t message_len);
	void (*done)(void *opaque);
	void *opaque;
};
/* From now on. @hold: nothing is read before gw_conn_take_up(). */
void gw_conn_outlive(struct gw_conn *conn, const struct gw_conn_durable *durable, bool hold);
/* What is left to be done of a message that another process dealt with, as it committed; @len: of
 * its answer. NULL: all was done. */
void gw_conn_take_up(struct gw_conn *conn, const void *reply, size_t len, bool with_fd,
		     size_t message_len);

/* The message that was delivered and is not dealt with, or NULL. */
struct gw_message *gw_conn_waiting(struct gw_conn *conn);
/* The message is dealt with: read on. */
void gw_conn_next(struct gw_conn *conn);
/* Answer @request; @fd (-1: none) is taken over. */
void gw_conn_reply(struct gw_conn *conn, uint32_t request, const void *payload, uint32_t size,
		   int fd);
/* End the connection; `closed` follows. */
void gw_conn_close(struct gw_conn *conn);
bool gw_conn_is_closed(const struct gw_conn *conn);
/* Closed, or the front-end has gone and its end was not noticed yet. */
bool gw_conn_is_left(const struct gw_conn *conn);

#endif
