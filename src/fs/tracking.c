/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/tracking.c - what of the inode table is ready to be saved, and what changed since. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "fs/tracking.h"

#define UNITS (FS_SLOTS_MAX / FS_UNIT)

static int map(struct fs_tracking *tracking)
{
	size_t settled = UNITS * sizeof(*tracking->settled);
	size_t records = UNITS * sizeof(*tracking->records);
	size_t size = settled + records + UNITS * sizeof(*tracking->made);
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return -errno;
	tracking->size = size;
	tracking->settled = (void *)base;
	tracking->records = (void *)(base + settled);
	tracking->made = (void *)(base + settled + records);
	return 0;
}

int fs_tracking_start(struct fs_tracking *tracking)
{
	int err = tracking->settled ? 0 : map(tracking);

	if (!err)
		atomic_store(&tracking->on, true);
	return err;
}

bool fs_unit_next(const struct fs_slots *slots, uint32_t *unit)
{
	uint32_t at = *unit * FS_UNIT;

	if (!fs_slots_next(slots, &at))
		return false;
	*unit = (at - 1) / FS_UNIT;
	return true;
}

static void free_records(struct fs_tracking *tracking, const struct fs_slots *slots)
{
	for (uint32_t unit = 0; fs_unit_next(slots, &unit); unit++)
		free(tracking->records[unit].bytes);
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void fs_tracking_stop(struct fs_tracking *tracking, const struct fs_slots *slots)
{
	if (!atomic_exchange(&tracking->on, false))
		return;
	free_records(tracking, slots);
	/* Zero again, and not resident. Who still takes a mark away finds none. */
	madvise((void *)tracking->settled, tracking->size, MADV_DONTNEED);
}

void fs_tracking_fini(struct fs_tracking *tracking, const struct fs_slots *slots)
{
	fs_tracking_stop(tracking, slots);
	if (tracking->settled)
		munmap((void *)tracking->settled, tracking->size);
	tracking->settled = NULL;
}
