/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ranges.c - which bytes of a file somebody has locked, and how. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "base/checked.h"
#include "fs/ranges.h"

/* Grows the last one where that is the same lock. */
static void append(struct fs_ranges *ranges, struct fs_range range)
{
	struct fs_range *last = ranges->count ? &ranges->at[ranges->count - 1] : NULL;

	if (range.type == F_UNLCK)
		return;
	if (last && last->type == range.type && last->end + 1 == range.start)
		last->end = range.end;
	else
		ranges->at[ranges->count++] = range;
}

/* What is before the change, the change, what is behind it: at most two more than there were. */
int fs_ranges_with(const struct fs_ranges *ranges, const struct fs_range *change,
		   struct fs_ranges *next)
{
	bool placed = false;

	*next = (struct fs_ranges){.at = malloc((ranges->count + 2) * sizeof(*next->at))};
	if (!next->at)
		return -ENOLCK;
	for (unsigned i = 0; i < ranges->count; i++) {
		struct fs_range old = ranges->at[i], part = old;

		part.end = GW_MIN(old.end, change->start - 1);
		if (old.start < change->start)
			append(next, part);
		if (old.end <= change->end)
			continue;
		if (!placed)
			append(next, *change);
		placed = true;
		part = old;
		part.start = GW_MAX(old.start, change->end + 1);
		append(next, part);
	}
	if (!placed)
		append(next, *change);
	if (next->count <= FS_RANGES_MAX)
		return 0;
	fs_ranges_free(next);
	return -ENOLCK;
}

bool fs_ranges_touch(const struct fs_ranges *ranges, const struct fs_range *range)
{
	for (unsigned i = 0; i < ranges->count; i++) {
		if (ranges->at[i].start <= range->end && range->start <= ranges->at[i].end)
			return true;
	}
	return false;
}

void fs_ranges_free(struct fs_ranges *ranges)
{
	free(ranges->at);
	*ranges = (struct fs_ranges){0};
}
