/* SPDX-License-Identifier: BSD-3-Clause */
/* state/load.c - records into objects, objects to their handlers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "state/reader_internal.h"

struct taker {
	const struct gw_state_handler *handlers;
	void *opaque;
};

static const struct gw_state_handler *find_in(const struct gw_state_handler *handlers,
					      uint16_t type)
{
	for (unsigned i = 0; handlers && handlers[i].layout; i++) {
		if (handlers[i].layout->type == type)
			return &handlers[i];
	}
	return NULL;
}

static struct gw_reader_row *find_row(struct gw_state_reader *reader, uint16_t type)
{
	for (unsigned i = 0; i < reader->table_count; i++) {
		if (reader->table[i].type == type)
			return &reader->table[i];
	}
	return NULL;
}

static int accept(const struct gw_state_reader *reader, const struct gw_description *theirs,
		  const struct gw_layout *ours)
{
	int err = gw_description_match(theirs, ours);

	if (!err && !gw_layout_in_force(ours, reader->number))
		err = gw_fail(EBADMSG, "%s does not belong into a stream of state %u", ours->name,
			      reader->number);
	return err;
}

/* Whose is it? What nobody knows must be optional. */
static int assign(struct gw_state_reader *reader, const struct gw_description *description,
		  const struct taker *device, struct gw_reader_row *row)
{
	uint16_t type = description->layout.type;

	row->handler = find_in(reader->own, type);
	row->opaque = reader->own_opaque;
	if (!row->handler) {
		row->handler = find_in(device->handlers, type);
		row->opaque = device->opaque;
	}
	if (row->handler)
		return accept(reader, description, row->handler->layout);
	if (!description->layout.optional)
		return gw_fail(EBADMSG, "record type 0x%x (%s) is unknown here and mandatory", type,
			       description->name);
	gw_info("state stream: optional records of type 0x%x (%s) are skipped", type,
		description->name);
	return 0;
}

static int on_layout(struct gw_state_reader *reader, const struct gw_record *record,
		     const struct taker *device)
{
	GW_AUTO_FREE struct gw_description *description = malloc(sizeof(*description));
	struct gw_reader_row *row;
	int err;

	if (!description)
		return gw_fail(ENOMEM, "state reader: no memory");
	err = gw_description_decode(record->payload, description);
	if (err)
		return gw_fail_in(err, "layout record");
	if (find_row(reader, description->layout.type))
		return gw_fail(EBADMSG, "record type 0x%x is described twice",
			       description->layout.type);
	if (reader->table_count == GW_WIRE_LAYOUTS_MAX)
		return gw_fail(EBADMSG, "more than %d layouts", GW_WIRE_LAYOUTS_MAX);
	row = &reader->table[reader->table_count];
	*row = (struct gw_reader_row){.type = description->layout.type,
				      .optional = description->layout.optional};
	err = assign(reader, description, device, row);
	if (err)
		return err;
	row->name = strdup(description->name);
	reader->table_count++;
	return row->name ? 0 : gw_fail(ENOMEM, "state reader: no memory");
}

static int hand_over(const struct gw_reader_row *row, const void *object, enum gw_wire_op op)
{
	const struct gw_state_handler *handler = row->handler;
	int (*fn)(void *, const void *) = op == GW_WIRE_PUT ? handler->put : handler->remove;

	if (!fn)
		return gw_fail(EBADMSG, "%s: objects of this kind are never %s",
			       handler->layout->name, op == GW_WIRE_PUT ? "put" : "removed");
	return fn(row->opaque, object);
}

static int on_object(struct gw_cursor *in, const struct gw_reader_row *row, void *object,
		     uint64_t *previous)
{
	const uint8_t *begin = in->at;
	enum gw_wire_op op;
	int err = gw_op_decode(in, &op);

	if (!err)
		err = gw_object_decode(in, row->handler->layout, object, op, previous);
	if (!err && in->at - begin > GW_OBJECT_MAX)
		err = gw_fail(EBADMSG, "%s: an object of %zu bytes, at most %d are allowed",
			      row->name, (size_t)(in->at - begin), GW_OBJECT_MAX);
	return err ? err : hand_over(row, object, op);
}

static int on_objects(struct gw_state_reader *reader, const struct gw_record *record)
{
	const struct gw_reader_row *row = find_row(reader, record->type);
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	struct gw_cursor in = record->payload;
	int err = 0;

	if (!row)
		return gw_fail(EBADMSG, "record type 0x%x was not described", record->type);
	if (record->optional != row->optional)
		return gw_fail(EBADMSG, "%s: this record is %s, its layout is not", row->name,
			       record->optional ? "optional" : "mandatory");
	if (in.at == in.end)
		return gw_fail(EBADMSG, "%s: a record without objects", row->name);
	while (row->handler && in.at < in.end && !err)
		err = on_object(&in, row, reader->object, previous);
	return err;
}

static int on_record(struct gw_state_reader *reader, const struct gw_record *record,
		     const struct taker *device)
{
	if (record->type >= GW_WIRE_OBJECTS)
		return on_objects(reader, record);
	switch (record->type) {
	case GW_WIRE_LAYOUT:
		return on_layout(reader, record, device);
	case GW_WIRE_PHASE:
		return reader->at_phase ? reader->at_phase(reader->at_phase_opaque, reader->phase)
					: 0;
	case GW_WIRE_MAC:
	case GW_WIRE_FD:
		return 0; /* the reader has played their part */
	default:
		if (!record->optional)
			return gw_fail(EBADMSG, "record type 0x%x is unknown here and mandatory",
				       record->type);
		gw_info("state stream: an optional record of type 0x%x is skipped", record->type);
		return 0;
	}
}

static int take(struct gw_state_reader *reader, const struct gw_record *record, uint64_t number,
		const struct taker *device)
{
	int err = on_record(reader, record, device);

	return err ? gw_fail_in(err, "record %llu at byte %llu", (unsigned long long)number,
				(unsigned long long)record->at)
		   : 0;
}

/*
 * Many at once.
 */

static void add(struct gw_together *together, const struct gw_record *record)
{
	together->payloads[together->count] = (struct gw_bytes){
		.data = record->payload.at,
		.len = (size_t)(record->payload.end - record->payload.at),
	};
	together->records[together->count++] = *record;
}

static bool goes_together(const struct gw_reader_row *row, const struct gw_record *record)
{
	return record->optional == row->optional && record->payload.at != record->payload.end;
}

/* @first and those of its kind that are at hand. What goes wrong with the one after them is told
 * when they have been taken, as if they had come one by one. */
static int gather(struct gw_state_reader *reader, const struct gw_reader_row *row,
		  const struct gw_record *first)
{
	struct gw_together *together = reader->together;
	struct gw_record record = *first;
	int err = 0;

	together->count = 0;
	together->number = reader->records;
	add(together, first);
	while (!err && goes_together(row, &record) && together->count < GW_TOGETHER_MAX &&
	       gw_reader_is_next(reader, row->type)) {
		err = gw_reader_next(reader, &record);
		if (!err)
			add(together, &record);
	}
	return err;
}

static int take_together(struct gw_state_reader *reader, const struct gw_reader_row *row,
			 const struct gw_record *first, const struct taker *device)
{
	struct gw_together *together = reader->together;
	int later = gather(reader, row, first), err = 0;
	size_t good = together->count, taken = 0;

	if (!goes_together(row, &together->records[good - 1]))
		good--;
	if (good)
		taken = row->handler->records(row->opaque, together->payloads, good);
	for (size_t i = taken; i < together->count && !err; i++)
		err = take(reader, &together->records[i], together->number + i, device);
	if (!err)
		return later ? gw_fail(-later, "%s", reader->sentence) : 0;
	reader->error = 0; /* this came before what may be wrong with a later one */
	return err;
}

static int note_kind(struct gw_state_reader *reader, const struct gw_reader_row *row)
{
	if (!row || !row->handler || row->type < GW_RECORD_DEVICE || !reader->at_layout ||
	    row->type == reader->kind)
		return 0;
	reader->kind = row->type;
	return reader->at_layout(reader->at_layout_opaque, row->handler->layout);
}

static int take_next(struct gw_state_reader *reader, const struct taker *device)
{
	const struct gw_reader_row *row;
	struct gw_record record;
	int err = gw_reader_next(reader, &record);

	if (err)
		return err;
	row = find_row(reader, record.type);
	err = note_kind(reader, row);
	if (err)
		return err;
	if (row && row->handler && row->handler->records)
		return take_together(reader, row, &record, device);
	return take(reader, &record, reader->records, device);
}

static int validate(const struct gw_state_handler *handlers)
{
	for (unsigned i = 0; handlers && handlers[i].layout; i++) {
		int err = gw_layout_validate(handlers[i].layout);

		if (err)
			return err;
	}
	return 0;
}

static int prepare(struct gw_state_reader *reader, const struct gw_state_handler *handlers)
{
	int err = validate(handlers);

	if (!err)
		err = validate(reader->own);
	if (!err && reader->foreign)
		err = gw_fail(EBADMSG, "state stream: one of %s has no records",
			      reader->foreign->name);
	if (!err && reader->object)
		err = gw_fail(EINVAL, "state stream: it can be read once");
	if (!err) {
		reader->object = gw_scratch_take(&reader->memory, GW_WIRE_STRUCT_MAX);
		reader->together = gw_scratch_take(&reader->memory, sizeof(*reader->together));
		if (!reader->object || !reader->together)
			err = gw_fail(ENOMEM, "state reader: no memory");
	}
	return err;
}

int gw_state_read(struct gw_state_reader *reader, const struct gw_state_handler *handlers,
		  void *opaque)
{
	const struct taker device = {handlers, opaque};
	int err = prepare(reader, handlers);

	while (!err)
		err = take_next(reader, &device);
	if (err == -ENODATA && reader->complete)
		return 0;
	return gw_reader_stick(reader, err);
}

void gw_state_reader_set_own(struct gw_state_reader *reader,
			     const struct gw_state_handler *handlers, void *opaque)
{
	reader->own = handlers;
	reader->own_opaque = opaque;
}

void gw_state_at_phase(struct gw_state_reader *reader, int (*fn)(void *opaque, enum gw_phase phase),
		       void *opaque)
{
	reader->at_phase = fn;
	reader->at_phase_opaque = opaque;
}

void gw_state_at_layout(struct gw_state_reader *reader,
			int (*fn)(void *opaque, const struct gw_layout *layout), void *opaque)
{
	reader->at_layout = fn;
	reader->at_layout_opaque = opaque;
}
