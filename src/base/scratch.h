/* SPDX-License-Identifier: BSD-3-Clause */
/* base/scratch.h - memory for one piece of work, given back in whole. */
#ifndef GW_BASE_SCRATCH_H
#define GW_BASE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Pages that were made ready (bigpage.h), else others, used from the front: what takes a few
 * milliseconds in all should not spend them in faults for pages of its arrays, nor in other
 * processors' waiting until those are unmapped. All of it is zero. One thread at a time.
 */
struct gw_scratch {
	struct gw_scratch_block *block; /* the latest; a list */
	char *at;			/* its memory that nobody has yet */
	size_t left;
};

/* @len bytes, aligned for anything; NULL: no memory. */
void *gw_scratch_take(struct gw_scratch *scratch, size_t len);
/* @old of @old_len bytes (NULL, 0) becomes @len bytes, in place if it was taken last. NULL: no
 * memory, and @old is as it was. */
void *gw_scratch_grow(struct gw_scratch *scratch, void *old, size_t old_len, size_t len);
/* All that was taken; it can be used again. */
void gw_scratch_free(struct gw_scratch *scratch);

#endif
