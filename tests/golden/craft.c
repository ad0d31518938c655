/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/craft.c - streams made by hand: good checksums around whatever is wanted. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "craft.h"

static void add(struct craft *craft, const void *data, size_t len)
{
	if (craft->len + len > craft->cap) {
		craft->cap = 2 * (craft->len + len);
		craft->bytes = realloc(craft->bytes, craft->cap);
		if (!craft->bytes)
			abort();
	}
	if (len)
		memcpy(craft->bytes + craft->len, data, len);
	craft->len += len;
}

/* Little-endian. */
static void add_number(struct craft *craft, uint64_t number, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++) {
		uint8_t byte = (uint8_t)(number >> (8 * i));

		add(craft, &byte, 1);
	}
}

/* Zeros to a multiple of 8, then the checksum of everything from @begin on. */
static void add_sum(struct craft *craft, size_t begin)
{
	uint64_t sum;

	add_number(craft, 0, (unsigned)(-craft->len & 7));
	sum = XXH3_64bits(craft->bytes + begin, craft->len - begin);
	add_number(craft, sum, 8);
	if (craft->records == sizeof(craft->sums) / sizeof(craft->sums[0]))
		abort();
	craft->sums[craft->records++] = sum;
}

void craft_begin(struct craft *craft)
{
	static const char implementation[] = "sample 1";
	static const char model[] = "example.org/sample\nqueues=4\n";
	static const char prerequisites[] = "none";

	memset(craft, 0, sizeof(*craft));
	add(craft, "\x89GODWIT\n", 8);
	add_number(craft, 1, 2);  /* format */
	add_number(craft, 1, 2);  /* oldest reader */
	add_number(craft, 64, 2); /* where the texts begin */
	add_number(craft, 1, 2);  /* stateful */
	for (unsigned i = 0; i < 16; i++)
		add_number(craft, 0xa0 + i, 1);
	add_number(craft, 0, 8); /* no ticket */
	add_number(craft, 0, 8);
	add_number(craft, sizeof(implementation) - 1, 2);
	add_number(craft, sizeof(prerequisites) - 1, 2);
	add_number(craft, sizeof(model) - 1, 4);
	add_number(craft, 0, 8);
	add(craft, implementation, sizeof(implementation) - 1);
	add(craft, model, sizeof(model) - 1);
	add(craft, prerequisites, sizeof(prerequisites) - 1);
	add_sum(craft, 0);
}

void craft_record(struct craft *craft, unsigned type, unsigned flags, const void *payload,
		  size_t len)
{
	size_t begin = craft->len;

	add_number(craft, type, 2);
	add_number(craft, flags, 2);
	add_number(craft, len, 4);
	add(craft, payload, len);
	add_sum(craft, begin);
}

void craft_rehash(struct craft *craft, size_t begin)
{
	craft->len -= 8;
	craft->records--;
	add_sum(craft, begin);
}

void craft_thing_layout(struct craft *craft)
{
	/* type 0x100, mandatory; name; 10 fields: name, type, key, max */
	static const char layout[] = "\x80\x02\0\x0fsample_thing_v1\x0a"
				     "\x02id\x06\x01\0"
				     "\x02u8\x01\0\0"
				     "\x03u16\x02\0\0"
				     "\x03u32\x03\0\xc0\x84\x3d"
				     "\x03u64\x04\0\0"
				     "\x03i64\x05\0\0"
				     "\x05"
				     "delta\x06\0\0"
				     "\x04"
				     "flag\x07\0\0"
				     "\x05"
				     "fixed\x08\0\x06"
				     "\x05"
				     "bytes\x09\0\x80\x80\x08";

	craft_record(craft, 1, 0, layout, sizeof(layout) - 1);
}

void craft_note_layout(struct craft *craft)
{
	static const char layout[] = "\x81\x02\x01\x0esample_note_v1\x02"
				     "\x06number\x03\x01\0"
				     "\x04text\x09\0\x64";

	craft_record(craft, 1, 0, layout, sizeof(layout) - 1);
}

void craft_phase(struct craft *craft, uint64_t phase)
{
	uint8_t payload[8];

	for (unsigned i = 0; i < 8; i++)
		payload[i] = (uint8_t)(phase >> (8 * i));
	craft_record(craft, 2, 0, payload, sizeof(payload));
}

void craft_end(struct craft *craft)
{
	uint8_t sums[sizeof(craft->sums)];
	uint8_t payload[16];
	uint64_t sum;

	for (size_t i = 0; i < 8 * craft->records; i++)
		sums[i] = (uint8_t)(craft->sums[i / 8] >> (8 * (i % 8)));
	sum = XXH3_64bits(sums, 8 * craft->records);
	for (unsigned i = 0; i < 8; i++) {
		payload[i] = (uint8_t)((craft->records - 1) >> (8 * i));
		payload[8 + i] = (uint8_t)(sum >> (8 * i));
	}
	craft_record(craft, 4, 0, payload, sizeof(payload));
}

void craft_free(struct craft *craft)
{
	free(craft->bytes);
}
