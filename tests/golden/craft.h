/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/craft.h - streams made by hand: good checksums around whatever is wanted. */
#ifndef GW_TESTS_GOLDEN_CRAFT_H
#define GW_TESTS_GOLDEN_CRAFT_H

#include <stddef.h>
#include <stdint.h>

/* Written from docs/stream.md, and not with the code that is tested. */
struct craft {
	uint8_t *bytes;
	size_t len, cap;
	uint64_t sums[4096];
	size_t records; /* sums[0] is the header's */
};

/* With sample_header(1)'s fields. */
void craft_begin(struct craft *craft);
void craft_record(struct craft *craft, unsigned type, unsigned flags, const void *payload,
		  size_t len);
/* Checksum what is there of the last part anew: the header, or the record that begins at @begin. */
void craft_rehash(struct craft *craft, size_t begin);
/* LAYOUT records of sample_thing_v1 (0x100) and sample_note_v1 (0x101, optional). */
void craft_thing_layout(struct craft *craft);
void craft_note_layout(struct craft *craft);
void craft_phase(struct craft *craft, uint64_t phase);
void craft_end(struct craft *craft);
void craft_free(struct craft *craft);

#endif
