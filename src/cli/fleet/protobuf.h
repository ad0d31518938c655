/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/protobuf.h - messages of Protocol Buffers, as they are on the wire. */
/*
 * The encoding is protobuf.dev/programming-guides/encoding: a message is fields in any order, each
 * a number, a wire type and a value. The few messages that are spoken here are written field by
 * field and read the same way, in place: no copy is made of a megabyte that is only looked at once.
 */
#ifndef GW_CLI_FLEET_PROTOBUF_H
#define GW_CLI_FLEET_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A message that is being written; begins as {0}. */
struct gw_protobuf {
	uint8_t *bytes;
	size_t len, room;
	bool failed; /* there was no memory: it is not whole */
};

/* A zero is left out, as version 3 of the language does; so are no bytes. */
void gw_protobuf_number(struct gw_protobuf *message, unsigned field, uint64_t value);
void gw_protobuf_bytes(struct gw_protobuf *message, unsigned field, const void *bytes, size_t len);
/* Wiped, for it may hold a password. */
void gw_protobuf_free(struct gw_protobuf *message);

/* Bytes of somebody else's. */
struct gw_bytes {
	const uint8_t *at;
	size_t len;
};

struct gw_protobuf_field {
	unsigned number;
	bool is_bytes;
	uint64_t value;	       /* if it is not */
	struct gw_bytes bytes; /* in the message that was read */
};

/* The next field of @rest, which becomes what is behind it. 1, 0 at the end, -EPROTO if it is no
 * message. */
int gw_protobuf_next(struct gw_bytes *rest, struct gw_protobuf_field *field);

#endif
