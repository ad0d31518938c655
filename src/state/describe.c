/* SPDX-License-Identifier: BSD-3-Clause */
/* state/describe.c - layouts as they travel: a stream says itself what its records look like. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "state/describe.h"

static void put_name(struct gw_sink *sink, const char *name)
{
	size_t len = strlen(name);

	gw_put_varint(sink, len);
	memcpy(sink->buf + sink->len, name, len);
	sink->len += len;
}

void gw_description_encode(struct gw_sink *sink, const struct gw_layout *layout)
{
	gw_put_varint(sink, layout->type);
	gw_put_varint(sink, layout->optional);
	put_name(sink, layout->name);
	gw_put_varint(sink, gw_layout_field_count(layout));
	for (const struct gw_field *f = layout->fields; f->name; f++) {
		put_name(sink, f->name);
		gw_put_varint(sink, f->type);
		gw_put_varint(sink, f->key);
		gw_put_varint(sink, f->max);
	}
}

static int get_name(struct gw_cursor *in, char name[GW_WIRE_NAME_MAX])
{
	const uint8_t *bytes;
	uint64_t len;
	int err = gw_get_varint(in, &len);

	if (!err)
		err = gw_get_bytes(in, (size_t)len, &bytes);
	if (!err && !gw_name_is_good((const char *)bytes, (size_t)len))
		err = gw_fail(EBADMSG, "a name has a length or bytes that are not allowed");
	if (err)
		return err;
	memcpy(name, bytes, (size_t)len);
	name[len] = 0;
	return 0;
}

static int get_bounded(struct gw_cursor *in, const char *what, uint64_t min, uint64_t max,
		       uint64_t *number)
{
	int err = gw_get_varint(in, number);

	if (!err && (*number < min || *number > max))
		err = gw_fail(EBADMSG, "%s is %llu, %llu to %llu was expected", what,
			      (unsigned long long)*number, (unsigned long long)min,
			      (unsigned long long)max);
	return err;
}

static int get_field(struct gw_cursor *in, struct gw_field *field, char name[GW_WIRE_NAME_MAX])
{
	uint64_t type = 0, key = 0, max = 0;
	int err = get_name(in, name);

	if (!err)
		err = get_bounded(in, "field type", GW_FIELD_U8, GW_FIELD_BYTES, &type);
	if (!err)
		err = get_bounded(in, "key mark", 0, 1, &key);
	if (!err)
		err = gw_get_varint(in, &max);
	if (!err && (type == GW_FIELD_FIXED || type == GW_FIELD_BYTES) &&
	    (!max || max > GW_OBJECT_MAX))
		err = gw_fail(EBADMSG, "field %s: a maximum of %llu", name,
			      (unsigned long long)max);
	*field = (struct gw_field){
		.name = name, .type = (enum gw_field_type)type, .max = (size_t)max, .key = key};
	return err;
}

static int get_fields(struct gw_cursor *in, struct gw_description *to)
{
	uint64_t count = 0;
	int err = get_bounded(in, "number of fields", 1, GW_WIRE_FIELDS_MAX, &count);

	for (uint64_t i = 0; i < count && !err; i++)
		err = get_field(in, &to->fields[i], to->field_names[i]);
	return err;
}

int gw_description_decode(struct gw_cursor in, struct gw_description *to)
{
	uint64_t type = 0, optional = 0;
	int err = get_bounded(&in, "record type", GW_WIRE_OBJECTS, UINT16_MAX, &type);

	memset(to, 0, sizeof(*to));
	if (!err)
		err = get_bounded(&in, "optional mark", 0, 1, &optional);
	if (!err)
		err = get_name(&in, to->name);
	if (!err)
		err = get_fields(&in, to);
	if (!err && in.at != in.end)
		err = gw_fail(EBADMSG, "%zu bytes too many", (size_t)(in.end - in.at));
	to->layout = (struct gw_layout){.name = to->name,
					.type = (uint16_t)type,
					.optional = optional,
					.fields = to->fields};
	return err;
}

static bool fields_equal(const struct gw_field *theirs, const struct gw_field *ours)
{
	return strcmp(theirs->name, ours->name) == 0 && theirs->type == ours->type &&
	       theirs->key == ours->key && theirs->max == ours->max;
}

int gw_description_match(const struct gw_description *theirs, const struct gw_layout *ours)
{
	unsigned n = gw_layout_field_count(ours);

	if (strcmp(theirs->name, ours->name) != 0)
		return gw_fail(EBADMSG, "record type 0x%x is %s in the stream, %s here", ours->type,
			       theirs->name, ours->name);
	if (theirs->layout.optional != ours->optional ||
	    gw_layout_field_count(&theirs->layout) != n)
		return gw_fail(EBADMSG, "%s has %u fields here and another description there",
			       ours->name, n);
	for (unsigned i = 0; i < n; i++) {
		if (!fields_equal(&theirs->fields[i], &ours->fields[i]))
			return gw_fail(EBADMSG, "%s: field %s is %s, differently, in the stream",
				       ours->name, ours->fields[i].name, theirs->fields[i].name);
	}
	return 0;
}
