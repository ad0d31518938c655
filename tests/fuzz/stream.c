/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/stream.c - any bytes as a stream, and any records with good checksums around them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "craft.h"
#include "godwit/error.h"
#include "harness.h"
#include "sample.h"

/* What was crafted cannot be told from good by its sums: it is the contents that are tried. */
static void try_stream(const uint8_t *bytes, size_t len)
{
	static FILE *nowhere;
	struct sample_result result;
	int fd = sample_fd(bytes, len);

	sample_read(fd, NULL, &result);
	gw_close(&fd);
	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	fd = sample_fd(bytes, len);
	gw_state_dump(fd, NULL, nowhere);
	gw_close(&fd);
}

/* { type, flags, length (two bytes each, little-endian), payload }... */
static void craft_records(struct craft *craft, const uint8_t *data, size_t size)
{
	while (size >= 6 && craft->records < 1000) {
		size_t len = (size_t)data[4] | (size_t)data[5] << 8;

		if (len > size - 6)
			len = size - 6;
		craft_record(craft, data[0] | data[1] << 8, data[2] | data[3] << 8, data + 6, len);
		data += 6 + len;
		size -= 6 + len;
	}
}

/* The first byte says how the rest is meant: 'r' raw, else its bits put frames around records. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct craft craft;

	gw_log_set_level(GW_LOG_OFF);
	if (!size)
		return 0;
	if (data[0] == 'r') {
		try_stream(data + 1, size - 1);
		return 0;
	}
	craft_begin(&craft);
	if (data[0] & 1)
		craft_phase(&craft, 0);
	if (data[0] & 2)
		craft_thing_layout(&craft);
	if (data[0] & 4)
		craft_note_layout(&craft);
	craft_records(&craft, data + 1, size - 1);
	if (data[0] & 8)
		craft_end(&craft);
	try_stream(craft.bytes, craft.len);
	craft_free(&craft);
	return 0;
}
