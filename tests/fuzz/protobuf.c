/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/protobuf.c - any bytes as a message of etcd's: refused, or fields that lie in it, and
 * that written again are the same fields. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/fleet/protobuf.h"
#include "harness.h"

#define DEPTH_MAX 4

static void expect(bool truth)
{
	if (!truth)
		abort();
}

static void write_field(struct gw_protobuf *again, const struct gw_protobuf_field *field)
{
	if (field->is_bytes)
		gw_protobuf_bytes(again, field->number, field->bytes.at, field->bytes.len);
	else
		gw_protobuf_number(again, field->number, field->value);
}

/* What is written of @field alone reads as it; a zero is not written. */
static void check_again(const struct gw_protobuf_field *field)
{
	struct gw_protobuf again = {0};
	struct gw_protobuf_field read;
	struct gw_bytes rest;

	write_field(&again, field);
	rest = (struct gw_bytes){again.bytes, again.len};
	if (!field->bytes.len && !field->value) {
		expect(!again.len);
	} else {
		expect(gw_protobuf_next(&rest, &read) == 1 && !rest.len);
		expect(read.number == field->number && read.is_bytes == field->is_bytes);
		expect(read.value == field->value && read.bytes.len == field->bytes.len);
		expect(!read.bytes.len || !memcmp(read.bytes.at, field->bytes.at, read.bytes.len));
	}
	gw_protobuf_free(&again);
}

static void walk(struct gw_bytes message, unsigned depth)
{
	const uint8_t *end = message.at + message.len, *before = message.at;
	struct gw_protobuf_field field;
	int more;

	while ((more = gw_protobuf_next(&message, &field)) > 0) {
		expect(message.at > before && message.at + message.len == end && field.number);
		before = message.at;
		if (field.is_bytes) {
			expect(field.bytes.at + field.bytes.len == message.at);
			if (depth < DEPTH_MAX)
				walk(field.bytes, depth + 1);
		}
		check_again(&field);
	}
	expect(!more ? !message.len : more == -EPROTO);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk((struct gw_bytes){data, size}, 0);
	return 0;
}
