/* SPDX-License-Identifier: BSD-3-Clause */
/* state/record.h - the frame of one record, for who writes them now and who makes them ahead. */
#ifndef GW_STATE_RECORD_H
#define GW_STATE_RECORD_H

#include <endian.h>
#include <string.h>

#include "base/checked.h"
#include "state/codec.h"

static inline unsigned gw_record_flags(const struct gw_layout *layout)
{
	return layout->optional ? GW_WIRE_OPTIONAL : 0;
}

/* Header and padding of the record that began at @at and has @len bytes of payload. */
static inline void gw_record_frame(struct gw_sink *sink, size_t at, unsigned type, unsigned flags,
				   size_t len)
{
	size_t pad = gw_round_up(len, GW_WIRE_ALIGN) - len;
	const struct gw_wire_record record = {.type = htole16((uint16_t)type),
					      .flags = htole16((uint16_t)flags),
					      .length = htole32((uint32_t)len)};

	memcpy(sink->buf + at, &record, sizeof(record));
	memset(sink->buf + sink->len, 0, pad);
	sink->len += pad;
}

/* Of a whole record of our own, with its checksum. */
static inline size_t gw_record_len(const uint8_t *at)
{
	struct gw_wire_record record;

	memcpy(&record, at, sizeof(record));
	return sizeof(record) + gw_round_up(le32toh(record.length), GW_WIRE_ALIGN) +
	       GW_WIRE_SUM_LEN;
}

#endif
