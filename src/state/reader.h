/* SPDX-License-Identifier: BSD-3-Clause */
/* state/reader.h - records out of a channel, each checked: what loading and showing stand on. */
#ifndef GW_STATE_READER_H
#define GW_STATE_READER_H

#include "state/describe.h"
#include "state/stream.h"

/* A record whose checksum, length, flags and padding are good, and whose framing role is played:
 * MACs verified, phases in order, the end compared. */
struct gw_record {
	uint16_t type;
	bool optional;
	uint64_t at;		  /* where it begins in the stream */
	struct gw_cursor payload; /* valid until the next record is read */
};

/* 0: there is one. -ENODATA: there was the end, and the end of file. Else refused. */
int gw_reader_next(struct gw_state_reader *reader, struct gw_record *record);
/* Does another record of @type follow that has been read, whole, from the channel already? Then
 * gw_reader_next() leaves the payload before it where it is. */
bool gw_reader_is_next(const struct gw_state_reader *reader, uint16_t type);
/* GW_WIRE_PHASE's payload, already checked. */
enum gw_phase gw_reader_phase(const struct gw_state_reader *reader);

#endif
