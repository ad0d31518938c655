/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/unnamed.h - what files without names come down to, whose content comes in pieces. */
#ifndef GW_CLI_STATE_UNNAMED_H
#define GW_CLI_STATE_UNNAMED_H

#include <stdbool.h>
#include <stdint.h>

#include "state/reader.h"

/*
 * The one thing that a stream does not say of itself: pieces of content lie over each other, a file
 * that has become shorter loses what was behind its end, and one that is taken back takes along
 * what came of it (docs/fs-state.md). Without that a state that was sent in rounds could not be
 * compared with one that was sent at once.
 */
#define GW_BLOCK      4096u
#define GW_BLOCKS_MAX (1u << 18) /* 1 GiB of content */

struct gw_block {
	uint64_t file, number; /* by which they are in order */
	uint8_t *bytes;	       /* GW_BLOCK of them */
};

struct gw_taken_back {
	uint64_t file;
	uint32_t order; /* it was the how-manieth object */
};

/* All zero in the beginning. */
struct gw_unnamed {
	struct gw_block *blocks;
	size_t count, room;
	struct gw_taken_back *gone;
	size_t gone_count, gone_room;
};

/* An object of the stream; *@taken: it is content, and has its place here. -ENOMEM, also for more
 * than GW_BLOCKS_MAX. */
int gw_unnamed_take(struct gw_unnamed *unnamed, const struct gw_layout *layout, bool deleted,
		    const struct gw_value *values, uint32_t order, bool *taken);
/* The file of an object that goes when that is taken back (0: it is none). */
uint64_t gw_unnamed_file(const struct gw_layout *layout, const struct gw_value *values);
/* Was @file taken back after object @order? */
bool gw_unnamed_went(const struct gw_unnamed *unnamed, uint64_t file, uint32_t order);
/* Where nothing is written there are no blocks; a hole is like zeros. */
bool gw_block_is_empty(const struct gw_block *block);
void gw_unnamed_fini(struct gw_unnamed *unnamed);

#endif
