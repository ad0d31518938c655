/* SPDX-License-Identifier: BSD-3-Clause */
/* state/batch.c - records made in memory, ahead of the stream that will carry them. */
#include <errno.h>
#include <stdlib.h>

#include "godwit/error.h"
#include "state/checksum.h"
#include "state/record.h"

#define FIRST_ROOM (16 * 1024)
/* What a record needs besides its objects. */
#define FRAME_LEN (sizeof(struct gw_wire_record) + GW_WIRE_ALIGN + GW_WIRE_SUM_LEN)

struct gw_state_batch {
	const struct gw_layout *layout;
	struct gw_sink sink;
	size_t room;
	bool open; /* a record is */
	size_t open_at;
	uint64_t previous[GW_WIRE_FIELDS_MAX];
};

int gw_state_batch_new(struct gw_state_batch **batch)
{
	*batch = calloc(1, sizeof(**batch));
	return *batch ? 0 : gw_fail(ENOMEM, "state batch: no memory");
}

void gw_state_batch_free(struct gw_state_batch *batch)
{
	if (!batch)
		return;
	free(batch->sink.buf);
	free(batch);
}

int gw_state_batch_begin(struct gw_state_batch *batch, const struct gw_layout *layout)
{
	batch->sink.len = 0;
	batch->open = false;
	if (batch->layout == layout)
		return 0;
	batch->layout = layout;
	return gw_layout_validate(layout);
}

static int make_room(struct gw_state_batch *batch, size_t more)
{
	size_t room = batch->room ? batch->room : FIRST_ROOM;
	uint8_t *buf;

	if (batch->sink.len + more <= batch->room)
		return 0;
	while (room < batch->sink.len + more)
		room *= 2;
	buf = realloc(batch->sink.buf, room);
	if (!buf)
		return gw_fail(ENOMEM, "state batch: no memory for %zu bytes", room);
	batch->sink.buf = buf;
	batch->room = room;
	return 0;
}

static void open_record(struct gw_state_batch *batch)
{
	batch->open = true;
	batch->open_at = batch->sink.len;
	batch->sink.len += sizeof(struct gw_wire_record);
	memset(batch->previous, 0, sizeof(batch->previous));
}

static size_t payload_len(const struct gw_state_batch *batch)
{
	return batch->sink.len - batch->open_at - sizeof(struct gw_wire_record);
}

static void close_record(struct gw_state_batch *batch)
{
	struct gw_sink *sink = &batch->sink;
	uint64_t sum;

	batch->open = false;
	gw_record_frame(sink, batch->open_at, batch->layout->type, gw_record_flags(batch->layout),
			payload_len(batch));
	sum = htole64(XXH3_64bits(sink->buf + batch->open_at, sink->len - batch->open_at));
	memcpy(sink->buf + sink->len, &sum, sizeof(sum));
	sink->len += sizeof(sum);
}

static int put(struct gw_state_batch *batch, const void *object)
{
	int err =
		gw_object_encode(&batch->sink, batch->layout, object, GW_WIRE_PUT, batch->previous);

	if (!err && batch->sink.cut_count)
		err = gw_fail(E2BIG, "%s: values of %d bytes and more cannot be made ahead",
			      batch->layout->name, GW_CUT_MIN);
	batch->sink.cut_count = 0;
	batch->sink.cut_len = 0;
	return err;
}

/* Half an object would be worse than none. */
static int give_up(struct gw_state_batch *batch, int err)
{
	batch->sink.len = 0;
	batch->open = false;
	return err;
}

int gw_state_batch_put(struct gw_state_batch *batch, const void *object)
{
	size_t bound;
	int err = gw_object_bound(batch->layout, object, &bound);

	if (!err)
		err = make_room(batch, bound + FRAME_LEN);
	if (!err && !batch->open)
		open_record(batch);
	if (!err)
		err = put(batch, object);
	if (err)
		return give_up(batch, err);
	if (payload_len(batch) >= GW_WIRE_RECORD_TARGET)
		close_record(batch);
	return 0;
}

struct gw_bytes gw_state_batch_end(struct gw_state_batch *batch)
{
	if (batch->open)
		close_record(batch);
	return (struct gw_bytes){.data = batch->sink.buf, .len = batch->sink.len};
}

static int each_in(const uint8_t *at, const struct gw_layout *layout, void *object,
		   int (*fn)(void *opaque, const void *object), void *opaque)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	struct gw_wire_record wire;
	struct gw_cursor in;
	enum gw_wire_op op;
	int err = 0;

	memcpy(&wire, at, sizeof(wire));
	in = (struct gw_cursor){at + sizeof(wire), at + sizeof(wire) + le32toh(wire.length)};
	while (!err && in.at < in.end) {
		err = gw_op_decode(&in, &op);
		if (!err)
			err = gw_object_decode(&in, layout, object, op, previous);
		if (!err)
			err = fn(opaque, object);
	}
	return err;
}

/* They never left our memory: nothing is checked again. */
int gw_state_records_each(const struct gw_bytes *records, const struct gw_layout *layout,
			  void *object, int (*fn)(void *opaque, const void *object), void *opaque)
{
	const uint8_t *at = records->data, *end = at + records->len;
	int err = 0;

	for (; at < end && !err; at += gw_record_len(at))
		err = each_in(at, layout, object, fn, opaque);
	return err;
}
