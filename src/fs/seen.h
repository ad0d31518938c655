/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/seen.h - was there one like it before? "No" is certain. */
#ifndef GW_FS_SEEN_H
#define GW_FS_SEEN_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/scratch.h"

/*
 * A bit for a hash, and so many bits that nearly all are alone with theirs: who fills a table of
 * hashes need not look at who is there, which would be a wait for memory each time. The few that
 * may have been seen are looked at when all are done.
 */
struct fs_seen {
	uint64_t *bits;
	uint64_t mask; /* of a word's number */
};

#define FS_SEEN_BITS_EACH 16u

static inline int fs_seen_init(struct fs_seen *seen, struct gw_scratch *scratch, size_t count)
{
	uint64_t words = 64;

	while (words * 64 / FS_SEEN_BITS_EACH < count)
		words *= 2;
	seen->mask = words - 1;
	seen->bits = gw_scratch_take(scratch, words * sizeof(*seen->bits));
	return seen->bits ? 0 : -ENOMEM;
}

/* Bits of the hash that buckets are not told apart by. */
static inline uint64_t *fs_seen_word(const struct fs_seen *seen, uint64_t hash)
{
	return &seen->bits[hash >> 26 & seen->mask];
}

static inline bool fs_seen_has(const struct fs_seen *seen, uint64_t hash)
{
	return *fs_seen_word(seen, hash) >> (hash >> 20 & 63) & 1;
}

/* From now on it was. False: it certainly was not. */
static inline bool fs_seen_set(const struct fs_seen *seen, uint64_t hash)
{
	uint64_t bit = UINT64_C(1) << (hash >> 20 & 63), *word = fs_seen_word(seen, hash);
	bool before = *word & bit;

	*word |= bit;
	return before;
}

#endif
