/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/reader.h - a guest that reads a directory piece by piece, and what it was given.
 */
#ifndef TESTS_MIGRATION_READER_H
#define TESTS_MIGRATION_READER_H

#include "move.h"

#define READER_FILES 600

/* Zeroed it is at the beginning. */
struct reader {
	uint64_t cookie; /* where it goes on */
	unsigned seen[READER_FILES];
	unsigned budget;
};

/* What it reads: n0, n1, ... in @dir, which is there. */
void reader_files(struct share *share, const char *dir);
/* So many entries more, through the directory's handle; what the device says to that. */
int reader_try(struct reader *reader, struct share *share, uint64_t handle, unsigned count);
/* The same, which must be allowed; false at the end. */
bool reader_next(struct reader *reader, struct share *share, uint64_t handle, unsigned count);
void reader_rest(struct reader *reader, struct share *share, uint64_t handle);
/* Each file was given so often, no more and no less. */
void reader_has_all(const struct reader *reader, unsigned times);

#endif
