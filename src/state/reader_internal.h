/* SPDX-License-Identifier: BSD-3-Clause */
/* state/reader_internal.h - a reader's own state: for reader.c (records) and load.c (objects). */
#ifndef GW_STATE_READER_INTERNAL_H
#define GW_STATE_READER_INTERNAL_H

#include "base/scratch.h"
#include "godwit/error.h"
#include "state/checksum.h"
#include "state/channel.h"
#include "state/mac.h"
#include "state/reader.h"

/* What a record type means in this stream, and who takes it. */
struct gw_reader_row {
	uint16_t type;
	bool optional;
	char *name;
	const struct gw_state_handler *handler; /* NULL: it is skipped */
	void *opaque;
};

/* Records of one kind, one after the other, for a handler that takes many. */
#define GW_TOGETHER_MAX 1024
struct gw_together {
	struct gw_record records[GW_TOGETHER_MAX];
	struct gw_bytes payloads[GW_TOGETHER_MAX];
	size_t count;
	uint64_t number; /* of the first */
};

struct gw_state_reader {
	struct gw_channel channel;
	struct gw_mac *mac;
	struct gw_state_header header;
	unsigned number; /* the parameter `state` */

	const struct gw_foreign_format *foreign; /* its stream: all of it is in buf */

	/* The first failure, told again at every later call. */
	int error;
	char sentence[GW_ERROR_MAX];

	/* Of a stream that lies in sealed memory (sealed.c): buf is in it, and all of it is there.
	 */
	void *map;
	size_t map_len;
	size_t ready; /* bytes from buf on whose pages were asked for */

	uint8_t *buf;	   /* else in @memory, as what follows is */
	size_t start, end; /* what was read and not consumed */
	size_t held;	   /* bytes from start on that the last record still uses */
	uint64_t at;	   /* position of start in the stream */

	uint64_t records;
	XXH3_state_t *sums;
	bool mac_before, phase_known, ended, complete;
	enum gw_phase phase;
	unsigned fds_told; /* descriptors whose record has been read, not taken */

	int (*at_phase)(void *opaque, enum gw_phase phase);
	void *at_phase_opaque;
	int (*at_layout)(void *opaque, const struct gw_layout *layout);
	void *at_layout_opaque;
	uint16_t kind; /* of the last object */
	const struct gw_state_handler *own;
	void *own_opaque;
	struct gw_reader_row table[GW_WIRE_LAYOUTS_MAX];
	unsigned table_count;
	struct gw_together *together;
	void *object; /* GW_WIRE_STRUCT_MAX bytes, aligned for any struct */
	struct gw_scratch memory;
};

/* sealed.c: buf is the stream itself, if it can not change; nothing happens if it can. */
int gw_reader_map(struct gw_state_reader *reader);
void gw_reader_unmap(struct gw_state_reader *reader);
/* Pages of what is read next; and is there still nothing behind it? */
void gw_reader_make_ready(struct gw_state_reader *reader);
bool gw_reader_map_has_grown(const struct gw_state_reader *reader);
/* foreign.c: the stream of another make to its end, checked; the buffer grows to it. */
int gw_reader_foreign(struct gw_state_reader *reader);
/* Keeps the failure and its sentence. */
int gw_reader_stick(struct gw_state_reader *reader, int err);

#endif
