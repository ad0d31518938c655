/* SPDX-License-Identifier: BSD-3-Clause */
/* state/walk.c - a stream from end to end: what its own layouts say is in it. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/walk.h"

struct walk {
	const struct gw_state_visitor *visitor;
	void *opaque;
	struct gw_description *seen[GW_WIRE_LAYOUTS_MAX];
	unsigned count;
};

static const struct gw_description *find(const struct walk *walk, uint16_t type)
{
	for (unsigned i = 0; i < walk->count; i++) {
		if (walk->seen[i]->layout.type == type)
			return walk->seen[i];
	}
	return NULL;
}

static int on_layout(struct walk *walk, const struct gw_record *record)
{
	GW_AUTO_FREE struct gw_description *d = malloc(sizeof(*d));
	int err;

	if (!d)
		return gw_fail(ENOMEM, "no memory for a layout");
	err = gw_description_decode(record->payload, d);
	if (err)
		return gw_fail_in(err, "layout record");
	if (find(walk, d->layout.type) || walk->count == GW_WIRE_LAYOUTS_MAX)
		return gw_fail(EBADMSG, "record type 0x%x is described twice, or too many are",
			       d->layout.type);
	if (walk->visitor->layout)
		walk->visitor->layout(walk->opaque, d);
	walk->seen[walk->count++] = gw_take_ptr(d);
	return 0;
}

static int on_object(struct walk *walk, const struct gw_layout *layout, struct gw_cursor *in,
		     uint64_t *previous)
{
	struct gw_value values[GW_WIRE_FIELDS_MAX] = {0};
	enum gw_wire_op op;
	int err = gw_op_decode(in, &op);

	for (unsigned i = 0; !err && layout->fields[i].name; i++) {
		const struct gw_field *field = &layout->fields[i];

		if (op == GW_WIRE_DELETE && !field->key)
			continue;
		err = gw_field_decode(in, field, &previous[i], &values[i]);
	}
	if (err)
		return gw_fail_in(err, "%s", layout->name);
	if (walk->visitor->object)
		walk->visitor->object(walk->opaque, layout, op == GW_WIRE_DELETE, values);
	return 0;
}

static int on_objects(struct walk *walk, const struct gw_record *record)
{
	const struct gw_description *d = find(walk, record->type);
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	struct gw_cursor in = record->payload;
	int err = 0;

	if (!d)
		return gw_fail(EBADMSG, "record type 0x%x was not described", record->type);
	while (in.at < in.end && !err)
		err = on_object(walk, &d->layout, &in, previous);
	return err;
}

static int on_record(struct walk *walk, const struct gw_state_reader *reader,
		     const struct gw_record *record)
{
	if (record->type >= GW_WIRE_OBJECTS)
		return on_objects(walk, record);
	if (record->type == GW_WIRE_LAYOUT)
		return on_layout(walk, record);
	if (walk->visitor->other)
		walk->visitor->other(walk->opaque, record, gw_reader_phase(reader));
	return 0;
}

static int walk_records(struct walk *walk, struct gw_state_reader *reader)
{
	struct gw_record record;
	int err;

	if (walk->visitor->header)
		walk->visitor->header(walk->opaque, gw_state_reader_header(reader));
	while (!(err = gw_reader_next(reader, &record))) {
		err = on_record(walk, reader, &record);
		if (err)
			return gw_fail_in(err, "record at byte %" PRIu64, record.at);
	}
	if (err != -ENODATA)
		return err;
	if (walk->visitor->end)
		walk->visitor->end(walk->opaque, reader);
	return 0;
}

int gw_state_walk(const struct gw_state_channel *channel, const struct gw_state_visitor *visitor,
		  void *opaque)
{
	struct walk walk = {.visitor = visitor, .opaque = opaque};
	struct gw_state_reader *reader = NULL;
	int err = gw_state_reader_new(&reader, channel);

	if (!err)
		err = walk_records(&walk, reader);
	gw_state_reader_free(reader);
	for (unsigned i = 0; i < walk.count; i++)
		free(walk.seen[i]);
	return err;
}
