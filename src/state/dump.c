/* SPDX-License-Identifier: BSD-3-Clause */
/* state/dump.c - a stream as text, for people; it needs no device and trusts nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/reader.h"

#define BYTES_SHOWN 64 /* of a byte string; its length is always told */

static const char *const type_names[] = {
	[GW_FIELD_U8] = "u8",	  [GW_FIELD_U16] = "u16",     [GW_FIELD_U32] = "u32",
	[GW_FIELD_U64] = "u64",	  [GW_FIELD_I64] = "i64",     [GW_FIELD_DELTA] = "delta",
	[GW_FIELD_BOOL] = "bool", [GW_FIELD_FIXED] = "fixed", [GW_FIELD_BYTES] = "bytes",
};
static_assert(GW_ARRAY_LEN(type_names) == GW_FIELD_BYTES + 1, "a name for each field type");

struct dump {
	FILE *out;
	const struct gw_layout *const *layouts;
	struct gw_description *seen[GW_WIRE_LAYOUTS_MAX];
	unsigned count;
};

static bool is_printable(uint8_t c)
{
	return c >= ' ' && c < 0x7f;
}

static void show_hex(FILE *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", data[i]);
}

static void show_quoted(FILE *out, const uint8_t *data, size_t len)
{
	fputc('"', out);
	for (size_t i = 0; i < len; i++) {
		if (is_printable(data[i]) && data[i] != '"' && data[i] != '\\')
			fputc(data[i], out);
		else
			fprintf(out, "\\x%02x", data[i]);
	}
	fputc('"', out);
}

static void show_bytes(FILE *out, struct gw_bytes bytes)
{
	size_t shown = GW_MIN(bytes.len, (size_t)BYTES_SHOWN);
	const uint8_t *data = bytes.data;
	size_t printable = 0;

	for (size_t i = 0; i < shown; i++)
		printable += is_printable(data[i]);
	if (printable == shown)
		show_quoted(out, data, shown);
	else
		show_hex(out, data, shown);
	if (shown < bytes.len)
		fprintf(out, "... (%zu bytes)", bytes.len);
}

static void show_value(FILE *out, const struct gw_field *field, const struct gw_value *value)
{
	fprintf(out, " %s=", field->name);
	if (field->type == GW_FIELD_BYTES || field->type == GW_FIELD_FIXED)
		show_bytes(out, value->bytes);
	else if (field->type == GW_FIELD_I64)
		fprintf(out, "%" PRId64, (int64_t)value->number);
	else
		fprintf(out, "%" PRIu64, value->number);
}

static void show_header(FILE *out, const struct gw_state_header *header)
{
	static const uint8_t no_ticket[GW_STATE_ID_LEN];

	fprintf(out, "implementation: %s\ntransfer: ", header->implementation);
	show_hex(out, header->id, sizeof(header->id));
	fprintf(out, "\nmode: %s\n", header->mode == GW_MODE_STATEFUL ? "stateful" : "stateless");
	if (memcmp(header->ticket, no_ticket, sizeof(no_ticket)) != 0) {
		fprintf(out, "ticket: ");
		show_hex(out, header->ticket, sizeof(header->ticket));
		fputc('\n', out);
	}
	for (const char *line = header->model; *line;) {
		size_t len = strcspn(line, "\n");

		fprintf(out, "%s%.*s\n", line == header->model ? "model: " : "  ", (int)len, line);
		line += len + (line[len] == '\n');
	}
	if (header->prerequisites[0])
		fprintf(out, "prerequisites: %s\n", header->prerequisites);
}

static const struct gw_description *find(const struct dump *dump, uint16_t type)
{
	for (unsigned i = 0; i < dump->count; i++) {
		if (dump->seen[i]->layout.type == type)
			return dump->seen[i];
	}
	return NULL;
}

/* How what this build knows of the layout compares. */
static const char *compare(const struct dump *dump, const struct gw_description *theirs)
{
	for (unsigned i = 0; dump->layouts && dump->layouts[i]; i++) {
		if (dump->layouts[i]->type == theirs->layout.type)
			return gw_description_match(theirs, dump->layouts[i]) ? ", DIFFERS HERE"
									      : "";
	}
	return dump->layouts ? ", not known here" : "";
}

static void show_layout(const struct dump *dump, const struct gw_description *d)
{
	fprintf(dump->out, "layout 0x%x %s%s%s:", d->layout.type, d->name,
		d->layout.optional ? ", optional" : "", compare(dump, d));
	for (const struct gw_field *f = d->fields; f->name; f++)
		fprintf(dump->out, " %s%s:%s", f->key ? "*" : "", f->name, type_names[f->type]);
	fputc('\n', dump->out);
}

static int on_layout(struct dump *dump, const struct gw_record *record)
{
	GW_AUTO_FREE struct gw_description *d = malloc(sizeof(*d));
	int err;

	if (!d)
		return gw_fail(ENOMEM, "dump: no memory");
	err = gw_description_decode(record->payload, d);
	if (err)
		return gw_fail_in(err, "layout record");
	if (find(dump, d->layout.type) || dump->count == GW_WIRE_LAYOUTS_MAX)
		return gw_fail(EBADMSG, "record type 0x%x is described twice, or too many are",
			       d->layout.type);
	show_layout(dump, d);
	dump->seen[dump->count++] = gw_take_ptr(d);
	return 0;
}

static int show_object(FILE *out, const struct gw_layout *layout, struct gw_cursor *in,
		       uint64_t *previous)
{
	enum gw_wire_op op;
	int err = gw_op_decode(in, &op);

	if (err)
		return err;
	fprintf(out, "%s%s", layout->name, op == GW_WIRE_DELETE ? " deleted" : "");
	for (const struct gw_field *f = layout->fields; f->name && !err; f++) {
		struct gw_value value = {0};

		if (op == GW_WIRE_DELETE && !f->key)
			continue;
		err = gw_field_decode(in, f, &previous[f - layout->fields], &value);
		if (!err)
			show_value(out, f, &value);
	}
	fputc('\n', out);
	return err ? gw_fail_in(err, "%s", layout->name) : 0;
}

static int on_objects(struct dump *dump, const struct gw_record *record)
{
	const struct gw_description *d = find(dump, record->type);
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	struct gw_cursor in = record->payload;
	int err = 0;

	if (!d)
		return gw_fail(EBADMSG, "record type 0x%x was not described", record->type);
	while (in.at < in.end && !err)
		err = show_object(dump->out, &d->layout, &in, previous);
	return err;
}

static int on_record(struct dump *dump, const struct gw_state_reader *reader,
		     const struct gw_record *record)
{
	if (record->type >= GW_WIRE_OBJECTS)
		return on_objects(dump, record);
	switch (record->type) {
	case GW_WIRE_LAYOUT:
		return on_layout(dump, record);
	case GW_WIRE_PHASE:
		fprintf(dump->out, "phase %s\n",
			gw_reader_phase(reader) == GW_PHASE_STOPPED ? "stopped" : "running");
		return 0;
	case GW_WIRE_MAC:
		fprintf(dump->out, "mac, not verified\n");
		return 0;
	case GW_WIRE_FD:
		fprintf(dump->out, "descriptor\n");
		return 0;
	default:
		fprintf(dump->out, "record 0x%x, %zu bytes%s\n", record->type,
			(size_t)(record->payload.end - record->payload.at),
			record->optional ? ", optional" : "");
		return 0;
	}
}

static int show_stream(struct dump *dump, struct gw_state_reader *reader)
{
	struct gw_record record;
	int err;

	show_header(dump->out, gw_state_reader_header(reader));
	while (!(err = gw_reader_next(reader, &record))) {
		err = on_record(dump, reader, &record);
		if (err)
			return gw_fail_in(err, "record at byte %" PRIu64, record.at);
	}
	if (err != -ENODATA)
		return err;
	fprintf(dump->out, "end, complete: %" PRIu64 " bytes\n", gw_state_reader_bytes(reader));
	return 0;
}

int gw_state_dump(int fd, const struct gw_layout *const *layouts, FILE *out)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct dump dump = {.out = out, .layouts = layouts};
	struct gw_state_reader *reader = NULL;
	int err = gw_state_reader_new(&reader, &channel);

	if (!err)
		err = show_stream(&dump, reader);
	gw_state_reader_free(reader);
	for (unsigned i = 0; i < dump.count; i++)
		free(dump.seen[i]);
	return err;
}
