/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/report.c - what the device tells who operates it; docs/control.md has the meaning of each. */
#include "base/checked.h"
#include "fs/handles.h"
#include "fs/report.h"
#include "fs/table.h"

/*
 * One table for both: what a status shows and what is measured over time. Counters that other parts
 * keep are added here.
 */
struct number {
	const char *name; /* in the status */
	struct gw_metric metric;
	uint64_t (*get)(const struct fs *fs);
};

static uint64_t count_inodes(const struct fs *fs)
{
	return atomic_load_explicit(&fs->inodes->slots.alive, memory_order_relaxed);
}

static uint64_t count_handles(const struct fs *fs)
{
	return fs_handles_count(fs->handles);
}

static uint64_t count_descriptors(const struct fs *fs)
{
	const struct fs_fdcache *cache = &fs->inodes->fds;

	return atomic_load_explicit(&cache->cached, memory_order_relaxed) +
	       atomic_load_explicit(&cache->charged, memory_order_relaxed);
}

static uint64_t descriptor_limit(const struct fs *fs)
{
	return fs->inodes->fds.limit;
}

static const struct number numbers[] = {
	{"inodes", {"godwit_fs_inodes", "Inodes that the guest knows."}, count_inodes},
	{"handles",
	 {"godwit_fs_handles", "Files and directories that the guest has open."},
	 count_handles},
	{"descriptors",
	 {"godwit_fs_descriptors", "Descriptors of inodes and handles."},
	 count_descriptors},
	{"descriptor_limit",
	 {"godwit_fs_descriptor_limit", "And how many there may be."},
	 descriptor_limit},
};

static void tell_status(const struct fs *fs, struct gw_report *report)
{
	gw_report_flag(report, "mounted", fs->session.initialised);
	for (size_t i = 0; i < GW_ARRAY_LEN(numbers); i++)
		gw_report_number(report, numbers[i].name, numbers[i].get(fs));
}

static void tell_stats(const struct fs *fs, struct gw_report *report)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(numbers); i++)
		gw_report_metric(report, &numbers[i].metric, NULL, numbers[i].get(fs));
}

int fs_report(void *dev, enum gw_report_kind kind, struct gw_report *report)
{
	const struct fs *fs = dev;

	if (kind == GW_REPORT_STATUS)
		tell_status(fs, report);
	else if (kind == GW_REPORT_STATS)
		tell_stats(fs, report);
	return 0;
}
