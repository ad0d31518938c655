/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/old-stream.h - a stream that was once written, for a share that there is now. */
#ifndef TESTS_MIGRATION_OLD_STREAM_H
#define TESTS_MIGRATION_OLD_STREAM_H

#include "move.h"

/* The share on which the stream was made is gone: this file of the present one has the place of
 * inode @id. "" is the share's root. */
struct standin {
	uint64_t id; /* 0 ends the table */
	const char *path;
};

/*
 * Every object of the stream at @path, read by this build's layouts and written again in its order,
 * in its phases and under its header, but for what proves the stand-ins to be those that were
 * meant, and for owners where this is not root. A descriptor at its start, for move_load().
 */
int old_stream(const char *path, const struct share *share, const struct standin *standins,
	       unsigned *objects);

#endif
