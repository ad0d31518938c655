/* SPDX-License-Identifier: BSD-3-Clause */
/* state/describe.h - layouts as they travel: a stream says itself what its records look like. */
#ifndef GW_STATE_DESCRIBE_H
#define GW_STATE_DESCRIBE_H

#include "state/codec.h"

/* A layout that came out of a stream: @layout has no offsets, but can be decoded field by field. */
struct gw_description {
	struct gw_layout layout;
	struct gw_field fields[GW_WIRE_FIELDS_MAX + 1];
	char name[GW_WIRE_NAME_MAX];
	char field_names[GW_WIRE_FIELDS_MAX][GW_WIRE_NAME_MAX];
};

/* More than gw_description_encode() writes. */
#define GW_DESCRIPTION_MAX ((GW_WIRE_FIELDS_MAX + 1) * (GW_WIRE_NAME_MAX + 5 * GW_WIRE_VARINT_MAX))

void gw_description_encode(struct gw_sink *sink, const struct gw_layout *layout);
/* The whole of @in is one description; it is copied. */
int gw_description_decode(struct gw_cursor in, struct gw_description *description);
/* Does the stream mean by this name what we mean by it? */
int gw_description_match(const struct gw_description *theirs, const struct gw_layout *ours);

#endif
