/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ranges.h - which bytes of a file somebody has locked, and how. */
#ifndef GW_FS_RANGES_H
#define GW_FS_RANGES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The kernel does not tell what an open file description holds, so it is kept here: ranges in
 * order, none of which overlap, or touch and have the same type (POSIX, fcntl(): what is locked
 * anew takes the new type, what is unlocked in the middle leaves two).
 */
struct fs_range {
	int64_t start, end; /* end is the last byte; INT64_MAX: however long the file becomes */
	short type;	    /* F_RDLCK, F_WRLCK; for fs_ranges_with() also F_UNLCK */
};

struct fs_ranges {
	struct fs_range *at;
	unsigned count;
};

/* What one owner may have on one file. */
#define FS_RANGES_MAX 1024

/* *@next: as @ranges, with @change made; the caller's to free. -ENOLCK: too many, or no memory. */
int fs_ranges_with(const struct fs_ranges *ranges, const struct fs_range *change,
		   struct fs_ranges *next);
/* Is any byte of @range in @ranges? */
bool fs_ranges_touch(const struct fs_ranges *ranges, const struct fs_range *range);
void fs_ranges_free(struct fs_ranges *ranges);

#endif
