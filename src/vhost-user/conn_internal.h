/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/conn_internal.h - a connection's own state: for conn.c and conn_durable.c. */
#ifndef GW_VHOST_USER_CONN_INTERNAL_H
#define GW_VHOST_USER_CONN_INTERNAL_H

#include "vhost-user/conn.h"

/* The longest reply is GET_SHMEM_CONFIG's. */
#define REPLY_MAX (sizeof(struct gw_vu_header) + sizeof(struct gw_vu_shmem_config))

struct gw_conn {
	struct gw_loop *loop;
	struct gw_source *source;
	int fd;
	const struct gw_conn_events *events;
	void *opaque;

	struct gw_message in;
	size_t have; /* bytes of `in`, header and payload counted together */
	bool busy;   /* a message is being dealt with */
	bool reading;

	uint8_t out[REPLY_MAX];
	size_t out_len, out_sent;
	int out_fd;

	struct gw_conn_durable durable; /* commit NULL: it ends with the process */
	size_t peeked;			/* bytes of the message that are still in the socket */
	bool held;			/* nothing is read yet */
	bool answering;			/* the answer is made, and may not go out yet */
	bool in_pipe;			/* it is there, and leaves it into the socket */

	bool closed;
	struct gw_post post;
};

/* conn.c. What the loop is to wait for, as things are now. */
void gw_conn_update_events(struct gw_conn *conn);
/* As much of the answer as the socket takes; all of it has gone out. */
void gw_conn_write_out(struct gw_conn *conn);
void gw_conn_all_sent(struct gw_conn *conn);

/* conn_durable.c. The message is dealt with, and its answer, if one is due, is in conn->out. */
void gw_conn_settle(struct gw_conn *conn);
/* And that has gone out, too. */
void gw_conn_all_done(struct gw_conn *conn);

#endif
