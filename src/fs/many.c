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
	struct fs_work *works;
	size_t count;
	pthread_t main;
};

uint64_t fs_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_late(struct fs_loading *loading, struct fs_work *work)
{
	uint64_t none = 0, now;

	if (fs_is_given_up(loading))
		return true;
	if (!work->budget)
		return false;
	now = fs_now();
	if (atomic_compare_exchange_strong(&work->deadline, &none, now + work->budget))
		return false;
	return now >= atomic_load(&work->deadline);
}

/* Each does something, however late it is. */
static void work_on(struct fs_loading *loading, struct fs_work *work)
{
	size_t i, end;

	do {
		i = atomic_fetch_add(&work->next, BATCH);
		end = GW_MIN(i + BATCH, work->count);
		for (; i < end; i++)
			work->fn(loading, i);
	} while (end < work->count && !is_late(loading, work));
}

/*
 * Who asked for help begins at the front, where that is which no two can share, and the helpers at
 * the back: there are more of them than processors, so that what one of them has alone would wait
 * for all others.
 */
static void work_on_all(void *opaque)
{
	struct many *many = opaque;
	bool is_main = pthread_equal(pthread_self(), many->main);

	for (size_t i = 0; i < many->count; i++)
		work_on(many->loading, &many->works[is_main ? i : many->count - 1 - i]);
}

void fs_do(struct fs_loading *loading, struct fs_work *works, size_t count)
{
	struct many many = {
		.loading = loading, .works = works, .count = count, .main = pthread_self()};
	size_t helpers = 0;

	for (size_t i = 0; i < count; i++) {
		helpers += (works[i].count + BATCH - 1) / BATCH;
	}
	helpers = GW_MIN(helpers, (size_t)HELPERS_MAX + 1);
	fs_pool_share(loading->fs->pool, helpers ? (unsigned)helpers - 1 : 0, work_on_all, &many);
}

void fs_each(struct fs_loading *loading, size_t count, uint64_t budget, fs_each_fn *fn)
{
	struct fs_work work = {.fn = fn, .count = count, .budget = budget};

	fs_do(loading, &work, 1);
}
