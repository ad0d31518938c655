/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/block.h - a device whose state is one big block. */
#ifndef BENCH_BLOCK_H
#define BENCH_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "godwit/error.h"
#include "godwit/state.h"

#define BLOCK_PIECE (192u * 1024) /* an object has at most 256 KiB */

struct block {
	uint64_t offset;
	struct gw_bytes bytes;
};

static const struct gw_field block_fields[] = {
	GW_KEY(struct block, offset, GW_FIELD_U64),
	GW_FIELD_SIZED(struct block, bytes, GW_FIELD_BYTES, BLOCK_PIECE),
	{NULL},
};

static const struct gw_layout block_layout = {
	.name = "bench_block_v1",
	.type = GW_RECORD_DEVICE,
	.size = sizeof(struct block),
	.fields = block_fields,
};

static inline void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, gw_last_error());
	exit(1);
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#endif
