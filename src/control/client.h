/* SPDX-License-Identifier: BSD-3-Clause */
/* control/client.h - one connection to the control socket: lines in, lines out, both bounded. */
#ifndef GW_CONTROL_CLIENT_H
#define GW_CONTROL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "control/commands.h"
#include "godwit/loop.h"

/*
 * A client that is dropped is dead from then on, its descriptor closed; the memory stays until the
 * server frees it, since a command's handler may drop (by an event) the client that asked.
 *
 * While a reply waits to be read, or is owed, no further request of that client is looked at.
 */
struct gw_client {
	struct gw_commands *commands;
	struct gw_source *source;
	struct gw_later *later; /* an answer is owed */
	int fd;			/* -1: dead */
	int given;		/* the descriptor that came last and nobody took, or -1 */
	bool negotiated;
	bool hung_up; /* sends no more; ends when all is answered */
	size_t in_len;
	char *out;
	size_t out_start, out_len, out_size; /* unsent: out_len bytes at out_start */
	char in[GW_CONTROL_LINE_MAX];
};

/* Takes @fd over, also on failure. */
int gw_client_new(struct gw_client **client, struct gw_loop *loop, struct gw_commands *commands,
		  int fd);
void gw_client_free(struct gw_client *client); /* NULL is allowed */

/* Send @value and a newline; takes it over. NULL (no memory) drops the client. */
void gw_client_send(struct gw_client *client, json_t *value);
/* What was owed. */
void gw_client_settle(struct gw_client *client, json_t *reply);
static inline bool gw_client_is_dead(const struct gw_client *client)
{
	return client->fd < 0;
}

#endif
