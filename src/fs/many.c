/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/many.c - a loop over much of the same, by many hands. */
#include <time.h>

#include "base/checked.h"
#include "fs/load.h"
#include "fs/pool.h"

/* Taken at once: enough that the hands do not meet all the time, and little beside a deadline. */
#define BATCH 16u
/* A cold cache is waited for, so there may be more than there are processors. */
#define HELPERS_MAX 7u

struct many {
	struct fs_loading *loading;
	fs_each_fn *fn;
	size_t count;
	uint64_t deadline;
	_Atomic size_t next;
};

uint64_t fs_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Each does something, however late it is. */
static void work(void *opaque)
{
	struct many *many = opaque;
	size_t i, end;

	do {
		i = atomic_fetch_add(&many->next, BATCH);
		end = GW_MIN(i + BATCH, many->count);
		for (; i < end; i++)
			many->fn(many->loading, i);
	} while (end < many->count && (!many->deadline || fs_now() < many->deadline));
}

void fs_each(struct fs_loading *loading, size_t count, uint64_t deadline, fs_each_fn *fn)
{
	struct many many = {.loading = loading, .fn = fn, .count = count, .deadline = deadline};
	size_t helpers = GW_MIN(count / BATCH, (size_t)HELPERS_MAX);

	fs_pool_share(loading->fs->pool, (unsigned)helpers, work, &many);
}
