/* SPDX-License-Identifier: BSD-3-Clause */
/* state/header.h - the front of a stream, and the list of formats that can be told apart by it. */
#ifndef GW_STATE_HEADER_H
#define GW_STATE_HEADER_H

#include "state/format.h"
#include "state/stream.h"

#define GW_HEADER_MAX                                                                   \
	(GW_WIRE_FIXED_MAX + 2 * GW_STATE_NAME_MAX + GW_CANONICAL_MAX + GW_WIRE_ALIGN + \
	 GW_WIRE_SUM_LEN)

/* Returns the length, a multiple of 8, or -EINVAL. The last 8 bytes are the checksum. */
int gw_header_encode(const struct gw_state_header *header, uint8_t buf[GW_HEADER_MAX]);

/* -EBADMSG with what it looks like, unless @magic begins a stream of ours. */
int gw_header_probe(const uint8_t magic[GW_WIRE_MAGIC_LEN]);
/* How long is the header that begins so? Bounded by GW_HEADER_MAX, or -EBADMSG. */
int gw_header_length(const struct gw_wire_header *wire);
/* @buf has gw_header_length() bytes. */
int gw_header_decode(const uint8_t *buf, size_t len, struct gw_state_header *header);

/* The `state` parameter in a canonical form; 1 if it is absent, -EBADMSG if it is no number. */
int gw_header_state_number(const char *model);

#endif
