/* SPDX-License-Identifier: BSD-3-Clause */
/* state/format.h - the device-state stream's wire, and nothing else; docs/stream.md explains it. */
#ifndef GW_STATE_FORMAT_H
#define GW_STATE_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "godwit/state.h"

/*
 * All numbers are little-endian. A stream is a header and records:
 *
 *   struct gw_wire_header, texts, zeros to a multiple of 8, u64 XXH3-64 of all of that
 *   { struct gw_wire_record, payload, zeros to a multiple of 8, u64 XXH3-64 of all of that } ...
 *
 * The magic has a byte above 127 and a line end, so that a channel that is not 8-bit clean or
 * converts text shows at once (PNG's idea).
 */
#define GW_WIRE_MAGIC	  "\x89GODWIT\n"
#define GW_WIRE_MAGIC_LEN 8
#define GW_WIRE_FORMAT	  1
#define GW_WIRE_OLDEST	  1 /* readers of this format and later understand what we write */
#define GW_WIRE_ALIGN	  8
#define GW_WIRE_SUM_LEN	  8
#define GW_WIRE_MAC_LEN	  32

struct gw_wire_header {
	uint8_t magic[GW_WIRE_MAGIC_LEN];
	uint16_t format;
	uint16_t oldest; /* the oldest format whose readers can read this stream */
	uint16_t fixed;	 /* where the texts begin: a later format may put fields before them */
	uint16_t mode;	 /* enum gw_state_mode */
	uint8_t id[16];
	uint8_t ticket[16];
	uint16_t implementation_len; /* the three texts in this order, without a NUL */
	uint16_t prerequisites_len;
	uint32_t model_len;
	uint64_t reserved; /* zero */
};
static_assert(sizeof(struct gw_wire_header) == 64, "header is wire format");
static_assert(offsetof(struct gw_wire_header, format) == 8, "header is wire format");
static_assert(offsetof(struct gw_wire_header, id) == 16, "header is wire format");
static_assert(offsetof(struct gw_wire_header, ticket) == 32, "header is wire format");
static_assert(offsetof(struct gw_wire_header, implementation_len) == 48, "header is wire format");
static_assert(offsetof(struct gw_wire_header, model_len) == 52, "header is wire format");
static_assert(offsetof(struct gw_wire_header, reserved) == 56, "header is wire format");

/* What a reader accepts for `fixed`, so that a later header cannot ask for any amount of memory. */
#define GW_WIRE_FIXED_MAX 1024

struct gw_wire_record {
	uint16_t type;
	uint16_t flags;
	uint32_t length; /* of the payload, without the padding */
};
static_assert(sizeof(struct gw_wire_record) == 8, "record header is wire format");
static_assert(offsetof(struct gw_wire_record, length) == 4, "record header is wire format");

/* Record types. What is below GW_WIRE_OBJECTS frames the stream, what is above carries objects. */
enum gw_wire_type {
	GW_WIRE_LAYOUT = 1, /* what the objects of one record type look like */
	GW_WIRE_PHASE = 2,  /* u64: enum gw_phase */
	GW_WIRE_MAC = 3,    /* HMAC-SHA256 of every byte before this record */
	GW_WIRE_END = 4,    /* struct gw_wire_end */
	GW_WIRE_FD = 5,	    /* no payload: a descriptor came with it */
	GW_WIRE_OBJECTS = 0x10,
};
static_assert(GW_WIRE_OBJECTS < GW_RECORD_DEVICE, "the library has object types of its own");

/* Record flags; all others must be zero. */
#define GW_WIRE_OPTIONAL 0x0001 /* may be skipped by who does not know it */
#define GW_WIRE_FLAGS	 0x0001

struct gw_wire_end {
	uint64_t records; /* before this one, the header not counted */
	uint64_t sums;	  /* XXH3-64 over the checksums of the header and these records, in order */
};
static_assert(sizeof(struct gw_wire_end) == 16, "end record is wire format");

/* In front of each object in a record's payload. */
enum gw_wire_op {
	GW_WIRE_PUT = 1,    /* all fields follow */
	GW_WIRE_DELETE = 2, /* the key fields follow */
};

/* Bounds, checked before anything is allocated. */
#define GW_WIRE_RECORD_TARGET (64 * 1024) /* a record is closed when it has grown to this */
#define GW_WIRE_PAYLOAD_MAX   (GW_WIRE_RECORD_TARGET + GW_OBJECT_MAX)
#define GW_WIRE_LAYOUTS_MAX   64
#define GW_WIRE_FIELDS_MAX    GW_STATE_FIELDS_MAX
#define GW_WIRE_NAME_MAX      64	  /* of a layout or a field, the NUL of C included */
#define GW_WIRE_VARINT_MAX    10	  /* bytes of a 64-bit varint */
#define GW_WIRE_STRUCT_MAX    (16 * 1024) /* size of the C struct of an object */

#endif
