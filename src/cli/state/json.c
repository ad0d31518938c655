/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/json.c - a device state as JSON, one object a line. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/state/files.h"
#include "cli/state/value.h"
#include "state/walk.h"

static void put_line(FILE *out, json_t *line)
{
	if (line)
		json_dumpf(line, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(line);
}

static json_t *hexadecimal(const uint8_t *bytes, size_t len)
{
	GW_AUTO_FREE char *text = gw_hex_of(bytes, len);

	return text ? json_string(text) : NULL;
}

/* Bytes that are text are shown as it, others as {"hex": ...}. */
static json_t *value_of(const struct gw_field *field, const struct gw_value *value)
{
	json_t *text;

	switch (field->type) {
	case GW_FIELD_BYTES:
	case GW_FIELD_FIXED:
		text = json_stringn(value->bytes.len ? value->bytes.data : "", value->bytes.len);
		return text ? text
			    : json_pack("{s:o}", "hex",
					hexadecimal(value->bytes.data, value->bytes.len));
	case GW_FIELD_BOOL:
		return json_boolean(value->number);
	default:
		/* JSON's integers have a sign; what does not fit goes as text. */
		if (field->type == GW_FIELD_I64 || value->number <= INT64_MAX)
			return json_integer((json_int_t)value->number);
		return json_sprintf("%llu", (unsigned long long)value->number);
	}
}

static void show_header(void *opaque, const struct gw_state_header *header)
{
	put_line(opaque, json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "record", "header",
				   "implementation", header->implementation, "id",
				   hexadecimal(header->id, sizeof(header->id)), "mode",
				   header->mode == GW_MODE_STATEFUL ? "stateful" : "stateless",
				   "model", header->model, "prerequisites", header->prerequisites));
}

static void show_object(void *opaque, const struct gw_layout *layout, bool deleted,
			const struct gw_value *values)
{
	json_t *fields = json_object();

	for (unsigned i = 0; layout->fields[i].name; i++)
		if (!deleted || layout->fields[i].key)
			json_object_set_new(fields, layout->fields[i].name,
					    value_of(&layout->fields[i], &values[i]));
	put_line(opaque, json_pack("{s:s, s:s, s:b, s:o}", "record", "object", "layout",
				   layout->name, "deleted", (int)deleted, "fields", fields));
}

static void show_other(void *opaque, const struct gw_record *record, enum gw_phase phase)
{
	if (record->type == GW_WIRE_PHASE)
		put_line(opaque, json_pack("{s:s, s:s}", "record", "phase", "phase",
					   phase == GW_PHASE_STOPPED ? "stopped" : "running"));
	else
		put_line(opaque,
			 json_pack("{s:s, s:i}", "record", "other", "type", (int)record->type));
}

static void show_end(void *opaque, const struct gw_state_reader *reader)
{
	put_line(opaque, json_pack("{s:s, s:I}", "record", "end", "bytes",
				   (json_int_t)gw_state_reader_bytes(reader)));
}

int gw_state_show_json(int fd, FILE *out)
{
	static const struct gw_state_visitor visitor = {
		.header = show_header,
		.object = show_object,
		.other = show_other,
		.end = show_end,
	};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};

	return gw_state_walk(&channel, &visitor, out);
}
