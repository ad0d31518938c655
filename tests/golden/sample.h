/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/golden/sample.h - a small stream with one of everything, for the tests of the stream. */
#ifndef GW_TESTS_GOLDEN_SAMPLE_H
#define GW_TESTS_GOLDEN_SAMPLE_H

#include "state/stream.h"

struct sample_thing {
	uint64_t id; /* key */
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	uint64_t delta;
	bool flag;
	uint8_t fixed[6];
	struct gw_bytes bytes;
};

struct sample_note {
	uint32_t number; /* key */
	struct gw_bytes text;
};

struct sample_setting {
	uint32_t value;
};

#define SAMPLE_BYTES_MAX (128 * 1024)

extern const struct gw_layout sample_thing_layout;	 /* a field of each type */
extern const struct gw_layout sample_note_layout;	 /* optional */
extern const struct gw_layout sample_setting_layouts[2]; /* until state 1; since state 2 */

/* What is left of a stream once it has been read. */
#define SAMPLE_THINGS_MAX 16
struct sample_result {
	struct sample_thing things[SAMPLE_THINGS_MAX]; /* bytes.data is not kept */
	uint64_t bytes_sum[SAMPLE_THINGS_MAX];	       /* but the sum of its bytes is */
	unsigned count;
	unsigned notes, settings_v1, settings_v2;
	uint32_t setting;
};

extern const uint8_t sample_key[GW_STATE_KEY_LEN];
struct gw_state_header sample_header(unsigned state);

/* Write the fixed stream to @fd; @key may be NULL. */
int sample_write(int fd, const uint8_t *key, unsigned state);
/* Read any stream. */
int sample_read(int fd, const uint8_t *key, struct sample_result *result);
/* Is it what sample_write() wrote? */
bool sample_is_right(const struct sample_result *result, unsigned state);

/* A memfd with these bytes, at its start; or all bytes of one, to free(). */
int sample_fd(const void *data, size_t len);
uint8_t *sample_bytes(int fd, size_t *len);

#endif
