/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/protobuf.c - messages of Protocol Buffers, as they are on the wire. */
#include "cli/fleet/protobuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "godwit/error.h"

enum wire_type {
	WIRE_VARINT = 0,
	WIRE_FIXED64 = 1,
	WIRE_BYTES = 2,
	WIRE_FIXED32 = 5,
};

#define TYPE_BITS   3
#define VARINT_BITS 7
#define VARINT_MORE 0x80
#define VARINT_MAX  10 /* bytes of 64 bits */
#define ROOM_FIRST  256

/* -- written ------------------------------------------------------------------------------- */

static void append(struct gw_protobuf *message, const void *bytes, size_t len)
{
	size_t room = message->room ? message->room : ROOM_FIRST;

	while (room < message->len + len)
		room *= 2;
	if (room > message->room) {
		/* Not realloc(), which would leave what was there behind. */
		uint8_t *more = malloc(room);

		if (!more) {
			message->failed = true;
			return;
		}
		if (message->len)
			memcpy(more, message->bytes, message->len);
		if (message->bytes)
			explicit_bzero(message->bytes, message->len);
		free(message->bytes);
		message->bytes = more;
		message->room = room;
	}
	memcpy(message->bytes + message->len, bytes, len);
	message->len += len;
}

static void append_varint(struct gw_protobuf *message, uint64_t value)
{
	uint8_t bytes[VARINT_MAX];
	size_t len = 0;

	for (; value >= VARINT_MORE; value >>= VARINT_BITS)
		bytes[len++] = (uint8_t)(value | VARINT_MORE);
	bytes[len++] = (uint8_t)value;
	append(message, bytes, len);
}

static void append_tag(struct gw_protobuf *message, unsigned field, enum wire_type type)
{
	append_varint(message, (uint64_t)field << TYPE_BITS | type);
}

void gw_protobuf_number(struct gw_protobuf *message, unsigned field, uint64_t value)
{
	if (!value)
		return;
	append_tag(message, field, WIRE_VARINT);
	append_varint(message, value);
}

void gw_protobuf_bytes(struct gw_protobuf *message, unsigned field, const void *bytes, size_t len)
{
	if (!len)
		return;
	append_tag(message, field, WIRE_BYTES);
	append_varint(message, len);
	append(message, bytes, len);
}

void gw_protobuf_free(struct gw_protobuf *message)
{
	if (message->bytes)
		explicit_bzero(message->bytes, message->len);
	free(message->bytes);
	*message = (struct gw_protobuf){0};
}

/* -- read ---------------------------------------------------------------------------------- */

static bool take(struct gw_bytes *rest, size_t len, struct gw_bytes *taken)
{
	if (len > rest->len)
		return false;
	*taken = (struct gw_bytes){rest->at, len};
	rest->at += len;
	rest->len -= len;
	return true;
}

static bool take_varint(struct gw_bytes *rest, uint64_t *value)
{
	*value = 0;
	for (unsigned i = 0; i < VARINT_MAX && i < rest->len; i++) {
		*value |= (uint64_t)(rest->at[i] & ~VARINT_MORE) << (i * VARINT_BITS);
		if (!(rest->at[i] & VARINT_MORE)) {
			rest->at += i + 1;
			rest->len -= i + 1;
			return true;
		}
	}
	return false;
}

static bool take_value(struct gw_bytes *rest, enum wire_type type, struct gw_protobuf_field *field)
{
	struct gw_bytes fixed;
	uint64_t len;

	switch (type) {
	case WIRE_VARINT:
		return take_varint(rest, &field->value);
	case WIRE_BYTES:
		field->is_bytes = true;
		return take_varint(rest, &len) && len <= rest->len &&
		       take(rest, (size_t)len, &field->bytes);
	case WIRE_FIXED64: /* none of those that are read here are; passed over */
		return take(rest, sizeof(uint64_t), &fixed);
	case WIRE_FIXED32:
		return take(rest, sizeof(uint32_t), &fixed);
	}
	return false;
}

int gw_protobuf_next(struct gw_bytes *rest, struct gw_protobuf_field *field)
{
	uint64_t tag;

	*field = (struct gw_protobuf_field){0};
	if (!rest->len)
		return 0;
	if (take_varint(rest, &tag) && tag >> TYPE_BITS && tag >> TYPE_BITS <= UINT32_MAX) {
		field->number = (unsigned)(tag >> TYPE_BITS);
		if (take_value(rest, tag & ((1u << TYPE_BITS) - 1), field))
			return 1;
	}
	return gw_fail(EPROTO, "an answer that is no protobuf message");
}
