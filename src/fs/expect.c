/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/expect.c - memory for a state on its way here, before it comes. */
#include <stdlib.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "fs/expect.h"
#include "fs/pool.h"

/* For 100,000 inodes: five pages of their table, two of names, three for the load itself. */
#define ANY_BYTES (10 * (size_t)GW_BIG_PAGE)
/* An inode and its name are some 34 bytes of a state, and 160 of memory while they are loaded. Of
 * longer names it is less, and what is too much is given back. */
#define TIMES 5u
/* Whoever says more may be wrong. */
#define MOST ((uint64_t)1 << 30)

struct fs_expecting {
	struct fs_pool_work work;
	size_t bytes;
};

void fs_expect_any(void)
{
	gw_big_prepare(ANY_BYTES);
}

static void make_ready(void *opaque)
{
	struct fs_expecting *expecting = opaque;

	gw_big_prepare(expecting->bytes);
}

static size_t memory_for(uint64_t state_bytes)
{
	uint64_t bytes = GW_MIN(state_bytes, MOST / TIMES) * TIMES + ANY_BYTES;

	return gw_round_up(GW_MIN(bytes, MOST), GW_BIG_PAGE);
}

/* Beside the control thread: pages that were never used may take milliseconds each. */
void fs_expect(void *dev, uint64_t state_bytes)
{
	struct fs *fs = dev;
	struct fs_expecting *expecting;

	fs_expect_end(fs);
	expecting = calloc(1, sizeof(*expecting));
	if (!expecting)
		return;
	expecting->bytes = memory_for(state_bytes);
	expecting->work = (struct fs_pool_work){.fn = make_ready, .opaque = expecting, .wanted = 1};
	fs->expecting = expecting;
	fs_pool_begin(fs->pool, &expecting->work);
}

void fs_expect_end(struct fs *fs)
{
	if (fs->expecting)
		fs_pool_end(fs->pool, &fs->expecting->work);
	free(fs->expecting);
	fs->expecting = NULL;
}
