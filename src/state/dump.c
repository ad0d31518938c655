/* SPDX-License-Identifier: BSD-3-Clause */
/* state/dump.c - a stream as text, for people; it needs no device and trusts nothing. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/walk.h"

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

static void show_header(void *opaque, const struct gw_state_header *header)
{
	static const uint8_t no_ticket[GW_STATE_ID_LEN];
	FILE *out = ((struct dump *)opaque)->out;

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

static void show_layout(void *opaque, const struct gw_description *d)
{
	const struct dump *dump = opaque;

	fprintf(dump->out, "layout 0x%x %s%s%s:", d->layout.type, d->name,
		d->layout.optional ? ", optional" : "", compare(dump, d));
	for (const struct gw_field *f = d->fields; f->name; f++)
		fprintf(dump->out, " %s%s:%s", f->key ? "*" : "", f->name, type_names[f->type]);
	fputc('\n', dump->out);
}

static void show_object(void *opaque, const struct gw_layout *layout, bool deleted,
			const struct gw_value *values)
{
	const struct dump *dump = opaque;

	fprintf(dump->out, "%s%s", layout->name, deleted ? " deleted" : "");
	for (unsigned i = 0; layout->fields[i].name; i++)
		if (!deleted || layout->fields[i].key)
			show_value(dump->out, &layout->fields[i], &values[i]);
	fputc('\n', dump->out);
}

static void show_other(void *opaque, const struct gw_record *record, enum gw_phase phase)
{
	const struct dump *dump = opaque;

	switch (record->type) {
	case GW_WIRE_PHASE:
		fprintf(dump->out, "phase %s\n", phase == GW_PHASE_STOPPED ? "stopped" : "running");
		break;
	case GW_WIRE_MAC:
		fprintf(dump->out, "mac, not verified\n");
		break;
	case GW_WIRE_FD:
		fprintf(dump->out, "descriptor\n");
		break;
	default:
		fprintf(dump->out, "record 0x%x, %zu bytes%s\n", record->type,
			(size_t)(record->payload.end - record->payload.at),
			record->optional ? ", optional" : "");
	}
}

static void show_end(void *opaque, const struct gw_state_reader *reader)
{
	const struct dump *dump = opaque;

	fprintf(dump->out, "end, complete: %" PRIu64 " bytes\n", gw_state_reader_bytes(reader));
}

int gw_state_dump(int fd, const struct gw_layout *const *layouts, FILE *out)
{
	static const struct gw_state_visitor visitor = {
		.header = show_header,
		.layout = show_layout,
		.object = show_object,
		.other = show_other,
		.end = show_end,
	};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct dump dump = {.out = out, .layouts = layouts};

	return gw_state_walk(&channel, &visitor, &dump);
}
