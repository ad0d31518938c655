/* SPDX-License-Identifier: BSD-3-Clause */
/* state/codec.c - varints and field tables: the one description that both directions walk. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "state/codec.h"

/* What there is to know of a field type; the size of its C member, 0 where the table's max tells.
 */
static const struct field_type {
	size_t size;
	uint64_t limit; /* the largest number */
} field_types[] = {
	[GW_FIELD_U8] = {sizeof(uint8_t), UINT8_MAX},
	[GW_FIELD_U16] = {sizeof(uint16_t), UINT16_MAX},
	[GW_FIELD_U32] = {sizeof(uint32_t), UINT32_MAX},
	[GW_FIELD_U64] = {sizeof(uint64_t), UINT64_MAX},
	[GW_FIELD_I64] = {sizeof(int64_t), UINT64_MAX},
	[GW_FIELD_DELTA] = {sizeof(uint64_t), UINT64_MAX},
	[GW_FIELD_BOOL] = {sizeof(bool), 1},
	[GW_FIELD_FIXED] = {0, 0},
	[GW_FIELD_BYTES] = {sizeof(struct gw_bytes), 0},
};
static_assert(GW_ARRAY_LEN(field_types) == GW_FIELD_BYTES + 1, "a row for each field type");
static_assert(sizeof(bool) == 1, "a bool is loaded and stored as a byte");

static uint64_t zigzag(int64_t n)
{
	return ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t n)
{
	return (int64_t)((n >> 1) ^ (n & 1 ? UINT64_MAX : 0));
}

void gw_put_varint(struct gw_sink *sink, uint64_t number)
{
	while (number >= 0x80) {
		sink->buf[sink->len++] = (uint8_t)(number | 0x80);
		number >>= 7;
	}
	sink->buf[sink->len++] = (uint8_t)number;
}

int gw_get_varint(struct gw_cursor *in, uint64_t *number)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < GW_WIRE_VARINT_MAX; i++) {
		uint8_t byte;

		if (in->at == in->end)
			return gw_fail(EBADMSG, "number is cut");
		byte = *in->at++;
		if (i == GW_WIRE_VARINT_MAX - 1 && byte > 1)
			return gw_fail(EBADMSG, "number is above 64 bits");
		n |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if (i && !byte)
			return gw_fail(EBADMSG, "number is longer than it needs to be");
		*number = n;
		return 0;
	}
	return gw_fail(EBADMSG, "number is above 64 bits");
}

int gw_get_bytes(struct gw_cursor *in, size_t len, const uint8_t **bytes)
{
	if (len > (size_t)(in->end - in->at))
		return gw_fail(EBADMSG, "%zu bytes expected, %zu are left", len,
			       (size_t)(in->end - in->at));
	*bytes = in->at;
	in->at += len;
	return 0;
}

/* -- layouts ------------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

bool gw_name_is_good(const char *name, size_t len)
{
	if (!len || len >= GW_WIRE_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_name_byte(name[i]))
			return false;
	}
	return true;
}

unsigned gw_layout_field_count(const struct gw_layout *layout)
{
	unsigned n = 0;

	while (layout->fields[n].name)
		n++;
	return n;
}

bool gw_layout_in_force(const struct gw_layout *layout, unsigned number)
{
	return number >= layout->since && (!layout->until || number <= layout->until);
}

static size_t member_size(const struct gw_field *field)
{
	return field->type == GW_FIELD_FIXED ? field->max : field_types[field->type].size;
}

static bool field_is_good(const struct gw_layout *layout, const struct gw_field *field)
{
	if (!gw_name_is_good(field->name, strlen(field->name)) || field->type < GW_FIELD_U8 ||
	    field->type > GW_FIELD_BYTES)
		return false;
	if ((field->type == GW_FIELD_FIXED || field->type == GW_FIELD_BYTES) &&
	    (!field->max || field->max > GW_OBJECT_MAX))
		return false;
	return gw_range_within(field->offset, member_size(field), layout->size);
}

int gw_layout_validate(const struct gw_layout *layout)
{
	unsigned n = 0;

	if (!layout->name || !gw_name_is_good(layout->name, strlen(layout->name)) ||
	    layout->type < GW_WIRE_OBJECTS || layout->size > GW_WIRE_STRUCT_MAX)
		return gw_fail(EINVAL, "layout %s (record type 0x%x): bad name, type or size",
			       layout->name ? layout->name : "?", layout->type);
	for (const struct gw_field *f = layout->fields; f->name; f++) {
		if (++n > GW_WIRE_FIELDS_MAX || !field_is_good(layout, f))
			return gw_fail(EINVAL, "layout %s: field %s is badly described",
				       layout->name, f->name);
	}
	return n ? 0 : gw_fail(EINVAL, "layout %s has no fields", layout->name);
}

/* -- writing ------------------------------------------------------------------------------- */

static uint64_t load_number(const struct gw_field *field, const void *object)
{
	const char *at = (const char *)object + field->offset;
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} value;

	memcpy(&value, at, field_types[field->type].size);
	switch (field_types[field->type].size) {
	case 1:
		return value.u8;
	case 2:
		return value.u16;
	case 4:
		return value.u32;
	default:
		return value.u64;
	}
}

static struct gw_bytes load_bytes(const struct gw_field *field, const void *object)
{
	const char *at = (const char *)object + field->offset;
	struct gw_bytes bytes = {.data = at, .len = field->max};

	if (field->type == GW_FIELD_BYTES)
		memcpy(&bytes, at, sizeof(bytes));
	return bytes;
}

int gw_object_bound(const struct gw_layout *layout, const void *object, size_t *bound)
{
	size_t n = 1;

	for (const struct gw_field *f = layout->fields; f->name; f++) {
		struct gw_bytes bytes = {0};

		if (f->type == GW_FIELD_FIXED || f->type == GW_FIELD_BYTES)
			bytes = load_bytes(f, object);
		if (bytes.len > f->max && f->type == GW_FIELD_BYTES)
			return gw_fail(E2BIG, "%s.%s: %zu bytes, at most %zu are allowed",
				       layout->name, f->name, bytes.len, f->max);
		n += GW_WIRE_VARINT_MAX + bytes.len;
	}
	if (n > GW_OBJECT_MAX)
		return gw_fail(E2BIG, "%s: an object of up to %zu bytes, at most %d are allowed",
			       layout->name, n, GW_OBJECT_MAX);
	*bound = n;
	return 0;
}

static void put_bytes(struct gw_sink *sink, struct gw_bytes bytes)
{
	if (bytes.len >= GW_CUT_MIN) {
		sink->cuts[sink->cut_count++] =
			(struct gw_cut){.at = sink->len, .data = bytes.data, .len = bytes.len};
		sink->cut_len += bytes.len;
	} else if (bytes.len) {
		memcpy(sink->buf + sink->len, bytes.data, bytes.len);
		sink->len += bytes.len;
	}
}

static int check_number(const struct gw_field *field, uint64_t number)
{
	uint64_t limit = field_types[field->type].limit;

	if (field->max && field->type != GW_FIELD_I64)
		limit = GW_MIN(limit, (uint64_t)field->max);
	if (number > limit)
		return gw_fail(ERANGE, "%s: %llu, at most %llu is allowed", field->name,
			       (unsigned long long)number, (unsigned long long)limit);
	return 0;
}

static int encode_number(struct gw_sink *sink, const struct gw_field *field, const void *object,
			 uint64_t *previous)
{
	uint64_t number = load_number(field, object);
	int err = check_number(field, number);

	if (err)
		return err;
	if (field->type == GW_FIELD_DELTA)
		gw_put_varint(sink, zigzag((int64_t)(number - *previous)));
	else if (field->type == GW_FIELD_I64)
		gw_put_varint(sink, zigzag((int64_t)number));
	else
		gw_put_varint(sink, number);
	*previous = number;
	return 0;
}

int gw_object_encode(struct gw_sink *sink, const struct gw_layout *layout, const void *object,
		     enum gw_wire_op op, uint64_t *previous)
{
	sink->buf[sink->len++] = (uint8_t)op;
	for (const struct gw_field *f = layout->fields; f->name; f++) {
		int err = 0;

		if (op == GW_WIRE_DELETE && !f->key)
			continue;
		if (f->type == GW_FIELD_BYTES || f->type == GW_FIELD_FIXED) {
			struct gw_bytes bytes = load_bytes(f, object);

			if (f->type == GW_FIELD_BYTES)
				gw_put_varint(sink, bytes.len);
			put_bytes(sink, bytes);
		} else {
			err = encode_number(sink, f, object, &previous[f - layout->fields]);
		}
		if (err)
			return gw_fail_in(err, "%s", layout->name);
	}
	return 0;
}

/* -- reading ------------------------------------------------------------------------------- */

int gw_op_decode(struct gw_cursor *in, enum gw_wire_op *op)
{
	uint8_t byte = *in->at++;

	if (byte != GW_WIRE_PUT && byte != GW_WIRE_DELETE)
		return gw_fail(EBADMSG, "an object begins with %u, 1 or 2 was expected", byte);
	*op = byte;
	return 0;
}

static int decode_bytes(struct gw_cursor *in, const struct gw_field *field, struct gw_value *value)
{
	uint64_t len = field->max;
	const uint8_t *data = NULL;
	int err = 0;

	if (field->type == GW_FIELD_BYTES)
		err = gw_get_varint(in, &len);
	if (!err && len > field->max)
		err = gw_fail(EBADMSG, "%llu bytes, at most %zu are allowed",
			      (unsigned long long)len, field->max);
	if (!err)
		err = gw_get_bytes(in, (size_t)len, &data);
	if (!err)
		value->bytes = (struct gw_bytes){.data = data, .len = (size_t)len};
	return err;
}

/* Most numbers are small, and most fields are numbers. */
static inline int decode_number(struct gw_cursor *in, const struct gw_field *field,
				uint64_t *previous, uint64_t *number)
{
	uint64_t raw = 0;

	if (in->at < in->end && *in->at < 0x80) {
		raw = *in->at++;
	} else {
		int err = gw_get_varint(in, &raw);

		if (err)
			return gw_fail_in(err, "%s", field->name);
	}
	if (field->type == GW_FIELD_DELTA)
		raw = *previous + (uint64_t)unzigzag(raw);
	else if (field->type == GW_FIELD_I64)
		raw = (uint64_t)unzigzag(raw);
	if (check_number(field, raw))
		return -EBADMSG;
	*previous = raw;
	*number = raw;
	return 0;
}

int gw_field_decode(struct gw_cursor *in, const struct gw_field *field, uint64_t *previous,
		    struct gw_value *value)
{
	int err;

	if (field->type != GW_FIELD_BYTES && field->type != GW_FIELD_FIXED)
		return decode_number(in, field, previous, &value->number);
	err = decode_bytes(in, field, value);
	return err ? gw_fail_in(err, "%s", field->name) : 0;
}

/* The compiler makes one store of each. */
static inline void store_number(enum gw_field_type type, char *at, uint64_t number)
{
	uint8_t u8 = (uint8_t)number;
	uint16_t u16 = (uint16_t)number;
	uint32_t u32 = (uint32_t)number;

	switch (type) {
	case GW_FIELD_U8:
	case GW_FIELD_BOOL:
		memcpy(at, &u8, sizeof(u8));
		break;
	case GW_FIELD_U16:
		memcpy(at, &u16, sizeof(u16));
		break;
	case GW_FIELD_U32:
		memcpy(at, &u32, sizeof(u32));
		break;
	default:
		memcpy(at, &number, sizeof(number));
	}
}

static int decode_field(struct gw_cursor *in, const struct gw_field *field, uint64_t *previous,
			char *at)
{
	struct gw_value value;
	uint64_t number = 0;
	int err;

	if (field->type != GW_FIELD_BYTES && field->type != GW_FIELD_FIXED) {
		err = decode_number(in, field, previous, &number);
		if (!err)
			store_number(field->type, at, number);
		return err;
	}
	err = decode_bytes(in, field, &value);
	if (err)
		return gw_fail_in(err, "%s", field->name);
	if (field->type == GW_FIELD_BYTES)
		memcpy(at, &value.bytes, sizeof(value.bytes));
	else if (value.bytes.data)
		memcpy(at, value.bytes.data, value.bytes.len);
	return 0;
}

int gw_object_decode(struct gw_cursor *in, const struct gw_layout *layout, void *object,
		     enum gw_wire_op op, uint64_t *previous)
{
	memset(object, 0, layout->size);
	for (const struct gw_field *f = layout->fields; f->name; f++, previous++) {
		int err;

		if (op == GW_WIRE_DELETE && !f->key)
			continue;
		err = decode_field(in, f, previous, (char *)object + f->offset);
		if (err)
			return gw_fail_in(err, "%s", layout->name);
	}
	return 0;
}

bool gw_state_decode(struct gw_bytes *payload, const struct gw_layout *layout, void *object,
		     uint64_t *previous)
{
	const uint8_t *begin = payload->data;
	struct gw_cursor in = {begin, begin + payload->len};
	enum gw_wire_op op;

	if (in.at == in.end || gw_op_decode(&in, &op) || op != GW_WIRE_PUT ||
	    gw_object_decode(&in, layout, object, op, previous) || in.at - begin > GW_OBJECT_MAX)
		return false;
	*payload = (struct gw_bytes){.data = in.at, .len = (size_t)(in.end - in.at)};
	return true;
}
