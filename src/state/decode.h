/* SPDX-License-Identifier: BSD-3-Clause */
/* state/decode.h - objects as nearly all are, decoded at the speed of code made for their layout.
 */
#ifndef GW_STATE_DECODE_H
#define GW_STATE_DECODE_H

#include <endian.h>
#include <string.h>

#include "state/codec.h"

/*
 * The same description as codec.c walks. Where it is a constant in the same file, the compiler
 * makes straight code of it, and nothing is left of the table. There are no sentences here:
 * whatever is not plainly good is left to codec.c, which judges alone.
 */
#define GW_DECODE_INLINE static inline __attribute__((always_inline))

/* Up to eight bytes at once, the seven bits of each moved together. */
GW_DECODE_INLINE bool gw_plain_long_varint(struct gw_cursor *in, uint64_t *number)
{
	uint64_t word, ends;
	unsigned len;

	if (in->end - in->at < (ptrdiff_t)sizeof(word))
		return !gw_get_varint(in, number);
	memcpy(&word, in->at, sizeof(word));
	word = le64toh(word);
	ends = ~word & UINT64_C(0x8080808080808080);
	if (!ends)
		return !gw_get_varint(in, number);
	len = (unsigned)__builtin_ctzll(ends) / 8 + 1;
	word &= UINT64_MAX >> (64 - 8 * len);
	if (!(word >> (8 * len - 8))) /* longer than it needs to be */
		return false;
	word &= UINT64_C(0x7f7f7f7f7f7f7f7f);
	word = (word & UINT64_C(0x007f007f007f007f)) | (word & UINT64_C(0x7f007f007f007f00)) >> 1;
	word = (word & UINT64_C(0x00003fff00003fff)) | (word & UINT64_C(0x3fff00003fff0000)) >> 2;
	word = (word & UINT64_C(0x000000000fffffff)) | (word & UINT64_C(0x0fffffff00000000)) >> 4;
	in->at += len;
	*number = word;
	return true;
}

GW_DECODE_INLINE bool gw_plain_varint(struct gw_cursor *in, uint64_t *number)
{
	if (in->at == in->end)
		return false;
	if (*in->at >= 0x80)
		return gw_plain_long_varint(in, number);
	*number = *in->at++;
	return true;
}

GW_DECODE_INLINE bool gw_plain_bytes(struct gw_cursor *in, const struct gw_field *field, char *at)
{
	struct gw_bytes bytes = {.len = field->max};

	if (field->type == GW_FIELD_BYTES) {
		uint64_t len = 0;

		if (!gw_plain_varint(in, &len) || len > field->max)
			return false;
		bytes.len = (size_t)len;
	}
	if (bytes.len > (size_t)(in->end - in->at))
		return false;
	bytes.data = in->at;
	in->at += bytes.len;
	if (field->type == GW_FIELD_BYTES)
		memcpy(at, &bytes, sizeof(bytes));
	else
		memcpy(at, bytes.data, bytes.len);
	return true;
}

GW_DECODE_INLINE uint64_t gw_plain_signed(uint64_t number)
{
	return (number >> 1) ^ (0 - (number & 1));
}

#define GW_PLAIN_STORE(type_, limit_)                                                        \
	do {                                                                                 \
		type_ value_ = (type_)number;                                                \
		if (number >                                                                 \
		    (field->max && field->max < (limit_) ? (uint64_t)field->max : (limit_))) \
			return false;                                                        \
		memcpy(at, &value_, sizeof(value_));                                         \
	} while (0)

GW_DECODE_INLINE bool gw_plain_number(struct gw_cursor *in, const struct gw_field *field,
				      uint64_t *previous, char *at)
{
	uint64_t number = 0;

	if (!gw_plain_varint(in, &number))
		return false;
	switch (field->type) {
	case GW_FIELD_DELTA:
		number = *previous + gw_plain_signed(number);
		GW_PLAIN_STORE(uint64_t, UINT64_MAX);
		break;
	case GW_FIELD_I64:
		number = gw_plain_signed(number);
		memcpy(at, &number, sizeof(number));
		break;
	case GW_FIELD_U8:
		GW_PLAIN_STORE(uint8_t, UINT8_MAX);
		break;
	case GW_FIELD_BOOL:
		GW_PLAIN_STORE(uint8_t, 1);
		break;
	case GW_FIELD_U16:
		GW_PLAIN_STORE(uint16_t, UINT16_MAX);
		break;
	case GW_FIELD_U32:
		GW_PLAIN_STORE(uint32_t, UINT32_MAX);
		break;
	default:
		GW_PLAIN_STORE(uint64_t, UINT64_MAX);
	}
	*previous = number;
	return true;
}

GW_DECODE_INLINE bool gw_plain_field(struct gw_cursor *in, const struct gw_field *field,
				     void *object, uint64_t *previous)
{
	char *at = (char *)object + field->offset;

	return field->type == GW_FIELD_BYTES || field->type == GW_FIELD_FIXED
		       ? gw_plain_bytes(in, field, at)
		       : gw_plain_number(in, field, previous, at);
}

/* No loop: whether one is unrolled early enough is the compiler's choice. */
#define GW_PLAIN_FIELD(i_)                                                           \
	if ((i_) < count && !gw_plain_field(in, &fields[i_], object, &previous[i_])) \
	return false
#define GW_PLAIN_FIELDS_MAX 10

/* The next object, which must be one that was put, of at most so many fields; all small enough
 * together (GW_OBJECT_MAX) that their own bounds do. */
GW_DECODE_INLINE bool gw_plain_decode(struct gw_cursor *in, const struct gw_field *fields,
				      unsigned count, void *object, uint64_t *previous)
{
	if (in->at == in->end || *in->at++ != GW_WIRE_PUT)
		return false;
	GW_PLAIN_FIELD(0);
	GW_PLAIN_FIELD(1);
	GW_PLAIN_FIELD(2);
	GW_PLAIN_FIELD(3);
	GW_PLAIN_FIELD(4);
	GW_PLAIN_FIELD(5);
	GW_PLAIN_FIELD(6);
	GW_PLAIN_FIELD(7);
	GW_PLAIN_FIELD(8);
	GW_PLAIN_FIELD(9);
	return true;
}

#endif
