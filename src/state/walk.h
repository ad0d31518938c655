/* SPDX-License-Identifier: BSD-3-Clause */
/* state/walk.h - a stream from end to end, without the device that it is of. */
#ifndef GW_STATE_WALK_H
#define GW_STATE_WALK_H

#include "state/reader.h"

/* Who looks at it. Each may be NULL; what they are given is valid until they return. */
struct gw_state_visitor {
	void (*header)(void *opaque, const struct gw_state_header *header);
	void (*layout)(void *opaque, const struct gw_description *description);
	/* @values are those of the layout's fields, in their order. Of a @deleted object (and of
	 * one that ends in an error, which is told afterwards) only the keys. */
	void (*object)(void *opaque, const struct gw_layout *layout, bool deleted,
		       const struct gw_value *values);
	/* Records that are neither: phases, MACs, descriptors, what nobody knows. */
	void (*other)(void *opaque, const struct gw_record *record, enum gw_phase phase);
	void (*end)(void *opaque, const struct gw_state_reader *reader);
};

/* Reads to the end. Refused like a load would be, but for what a device would say to it. */
int gw_state_walk(const struct gw_state_channel *channel, const struct gw_state_visitor *visitor,
		  void *opaque);

#endif
