/* SPDX-License-Identifier: BSD-3-Clause */
/* state/codec.h - varints and field tables: the one description that both directions walk. */
#ifndef GW_STATE_CODEC_H
#define GW_STATE_CODEC_H

#include "state/format.h"

/* Bytes that are still to be read. */
struct gw_cursor {
	const uint8_t *at, *end;
};

/* A big value that is sent from where it lies: it belongs into the buffer at offset @at. */
struct gw_cut {
	size_t at;
	const void *data;
	size_t len;
};

/* Bytes that were written. The owner of @buf sees to it that there is room. */
struct gw_sink {
	uint8_t *buf;
	size_t len;
	struct gw_cut cuts[GW_WIRE_FIELDS_MAX];
	unsigned cut_count;
	size_t cut_len; /* bytes in all cuts */
};

/* A value shorter than this is cheaper to copy than to send from where it lies. */
#define GW_CUT_MIN (8 * 1024)

/* What came for one field. */
struct gw_value {
	uint64_t number; /* GW_FIELD_I64: the bits of an int64_t */
	struct gw_bytes bytes;
};

void gw_put_varint(struct gw_sink *sink, uint64_t number);
/* -EBADMSG if it is cut, longer than it needs to be, or above 64 bits. */
int gw_get_varint(struct gw_cursor *in, uint64_t *number);
int gw_get_bytes(struct gw_cursor *in, size_t len, const uint8_t **bytes);

/* Names of layouts and fields go into log lines and onto terminals: only [A-Za-z0-9_]. */
bool gw_name_is_good(const char *name, size_t len);
/* Is the table well made? A mistake is the programmer's: -EINVAL. */
int gw_layout_validate(const struct gw_layout *layout);
unsigned gw_layout_field_count(const struct gw_layout *layout);
/* Is it used in streams whose `state` parameter is @number? */
bool gw_layout_in_force(const struct gw_layout *layout, unsigned number);

/* More than the encoded object needs; -E2BIG if that could be above GW_OBJECT_MAX. */
int gw_object_bound(const struct gw_layout *layout, const void *object, size_t *bound);
/* @previous has a number a field, for the deltas, zero where a record begins. */
int gw_object_encode(struct gw_sink *sink, const struct gw_layout *layout, const void *object,
		     enum gw_wire_op op, uint64_t *previous);

int gw_op_decode(struct gw_cursor *in, enum gw_wire_op *op);
int gw_field_decode(struct gw_cursor *in, const struct gw_field *field, uint64_t *previous,
		    struct gw_value *value);
/* The fields that @op carries, into @object, which is zeroed first. */
int gw_object_decode(struct gw_cursor *in, const struct gw_layout *layout, void *object,
		     enum gw_wire_op op, uint64_t *previous);

#endif
