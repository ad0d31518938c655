/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/mutate.h - a small fuzzer for compilers that bring none: seeds, changed at random. */
#ifndef TEST_FUZZ_MUTATE_H
#define TEST_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define INPUT_MAX (4 << 20)

struct seed {
	uint8_t *data;
	size_t len;
};

/*
 * Feeds the harness changed @seeds for so many seconds. Which changes follows from @random alone.
 * An input that ends the program, or is not done with after @timeout seconds, is left in a file
 * whose name begins with @prefix. Returns how many inputs there were.
 */
uint64_t mutate(const struct seed *seeds, size_t count, unsigned seconds, uint64_t random,
		unsigned timeout, const char *prefix);

#endif
