/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/report.c - what the device tells who operates it; docs/control.md has the meaning of each. */
#include <stdio.h>

#include "base/checked.h"
#include "base/clock.h"
#include "fs/collect.h"
#include "fs/counters.h"
#include "fs/handles.h"
#include "fs/hidden.h"
#include "fs/ops.h"
#include "fs/pool.h"
#include "fs/report.h"
#include "fs/table.h"
#include "fs/watch.h"
#include "state/journal.h"

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

static uint64_t count_bytes(const struct fs *fs)
{
	return fs_inodes_bytes(fs->inodes);
}

/* 0: any. */
static uint64_t inode_limit(const struct fs *fs)
{
	return fs->host->inode_limit;
}

static uint64_t inode_bytes_limit(const struct fs *fs)
{
	return (uint64_t)fs->host->inode_memory << 20;
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

static uint64_t count_watched(const struct fs *fs)
{
	struct fs_watch_stats stats = {0};

	if (fs->watch)
		fs_watch_stats(fs->watch, &stats);
	return stats.changes;
}

static uint64_t count_watch_overflows(const struct fs *fs)
{
	struct fs_watch_stats stats = {0};

	if (fs->watch)
		fs_watch_stats(fs->watch, &stats);
	return stats.overflows;
}

static uint64_t count_unresolved(const struct fs *fs)
{
	return atomic_load_explicit(&fs->inodes->lazy.unresolved, memory_order_relaxed);
}

static uint64_t count_resolved(const struct fs *fs)
{
	return atomic_load_explicit(&fs->inodes->lazy.resolved, memory_order_relaxed);
}

static uint64_t count_stale(const struct fs *fs)
{
	return atomic_load_explicit(&fs->inodes->lazy.stale, memory_order_relaxed);
}

static uint64_t count_loaded_same(const struct fs *fs)
{
	return atomic_load_explicit(&fs->loaded.same, memory_order_relaxed);
}

static uint64_t count_loaded_different(const struct fs *fs)
{
	return atomic_load_explicit(&fs->loaded.different, memory_order_relaxed);
}

static uint64_t count_hidden(const struct fs *fs)
{
	return fs_hidden_count(fs->hidden);
}

/* Of this process and those that it goes on for. */
static uint64_t number_of(const struct fs *fs, enum gw_journal_number number)
{
	struct gw_journal *journal = fs->outliving.journal;

	return journal ? gw_journal_number(journal, number, 0) : 0;
}

static uint64_t count_recoveries(const struct fs *fs)
{
	return number_of(fs, GW_JOURNAL_RECOVERIES);
}

static uint64_t count_undecided(const struct fs *fs)
{
	return number_of(fs, GW_JOURNAL_UNDECIDED);
}

static uint64_t count_dropped(const struct fs *fs)
{
	return number_of(fs, GW_JOURNAL_DROPPED);
}

static const struct number numbers[] = {
	{"inodes", {"godwit_fs_inodes", "Inodes that the guest knows."}, count_inodes},
	{"inode_bytes", {"godwit_fs_inode_bytes", "Memory that these take."}, count_bytes},
	{"inode_limit",
	 {"godwit_fs_inode_limit", "How many it may know beside the root, 0: any."},
	 inode_limit},
	{"inode_bytes_limit",
	 {"godwit_fs_inode_bytes_limit", "What memory they may take, 0: any."},
	 inode_bytes_limit},
	{"handles",
	 {"godwit_fs_handles", "Files and directories that the guest has open."},
	 count_handles},
	{"descriptors",
	 {"godwit_fs_descriptors", "Descriptors of inodes and handles."},
	 count_descriptors},
	{"descriptor_limit",
	 {"godwit_fs_descriptor_limit", "And how many there may be."},
	 descriptor_limit},
	{"hidden",
	 {"godwit_fs_hidden_files", "Files that were removed and are open (--orphans=hide)."},
	 count_hidden},
	{"watched_changes",
	 {"godwit_fs_watched_changes_total", "Changes by others that --watch heard of.", true},
	 count_watched},
	{"watch_overflows",
	 {"godwit_fs_watch_overflows_total", "Times at which it missed some.", true},
	 count_watch_overflows},
	{"unresolved",
	 {"godwit_fs_unresolved_inodes", "Inodes that moved here and were not looked for yet."},
	 count_unresolved},
	{"resolved",
	 {"godwit_fs_resolved_inodes", "Inodes that were looked for since the move, and found."},
	 count_resolved},
	{"stale",
	 {"godwit_fs_stale_inodes", "Inodes that were not found where they moved from."},
	 count_stale},
	{"loaded_same",
	 {"godwit_fs_loaded_same_records", "Records of the last load that had come ahead of it."},
	 count_loaded_same},
	{"loaded_different",
	 {"godwit_fs_loaded_different_records",
	  "Records that had not, of a load of which most came ahead."},
	 count_loaded_different},
	{"recoveries",
	 {"godwit_fs_recoveries_total", "Times at which a process went on where one had died.",
	  true},
	 count_recoveries},
	{"undecided",
	 {"godwit_fs_undecided_requests_total",
	  "Requests of which that process could not tell whether they had been carried out.", true},
	 count_undecided},
	{"unrecorded",
	 {"godwit_fs_unrecorded_total",
	  "Changes that found no room in the journal, so that nobody could go on.", true},
	 count_dropped},
};

/* -- requests ------------------------------------------------------------------------------ */

/* What takes less is on its way; what takes longer, somebody may be waiting for. */
#define SLOW_NS	 (10u * GW_NS_PER_MS)
#define SLOW_MAX 16

struct slow {
	struct fs_working working;
	bool waiting; /* for a thread */
};

/* The longest, as many as there is room for, longest first. */
struct slow_list {
	struct slow list[SLOW_MAX];
	unsigned count;
};

static void note_slow(struct slow_list *slow, const struct fs_working *working, bool waiting)
{
	unsigned at = slow->count;

	if (at == SLOW_MAX && slow->list[at - 1].working.begin_ns <= working->begin_ns)
		return;
	at -= at == SLOW_MAX;
	for (; at && slow->list[at - 1].working.begin_ns > working->begin_ns; at--)
		slow->list[at] = slow->list[at - 1];
	slow->list[at] = (struct slow){*working, waiting};
	slow->count = GW_MIN(slow->count + 1, (unsigned)SLOW_MAX);
}

static void note_working(void *opaque, const struct fs_working *working)
{
	note_slow(opaque, working, false);
}

static void note_waiting(void *opaque, const struct fs_request *req)
{
	const struct fs_working working = {req->in.opcode, req->in.nodeid, req->begin_ns};

	if (working.begin_ns + SLOW_NS <= gw_clock_ns())
		note_slow(opaque, &working, true);
}

static void tell_path(const struct fs *fs, uint64_t nodeid, struct gw_report *report)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(fs->inodes, nodeid);
	char text[FS_DESCRIBE_MAX];

	if (inode)
		gw_report_text(report, "path", fs_describe(fs->inodes, inode, text));
}

/* What a stop waits for, among others. */
static void tell_slow(const struct fs *fs, struct gw_report *report)
{
	struct slow_list slow = {.count = 0};
	uint64_t now = gw_clock_ns();

	fs_counters_working_since(fs->counters, SLOW_NS, note_working, &slow);
	fs_pool_waiting(fs->pool, note_waiting, &slow);
	gw_report_list(report, "slow_requests");
	for (unsigned i = 0; i < slow.count; i++) {
		const struct fs_working *working = &slow.list[i].working;
		const struct fs_op *op = fs_op_find(working->opcode);

		gw_report_object(report, NULL);
		gw_report_text(report, "op", op ? op->name : "?");
		gw_report_number(report, "inode", working->nodeid);
		tell_path(fs, working->nodeid, report);
		gw_report_number(report, "ms", (now - working->begin_ns) / GW_NS_PER_MS);
		gw_report_flag(report, "waiting", slow.list[i].waiting);
		gw_report_end(report);
	}
	gw_report_end(report);
}

static void tell_op(struct gw_report *report, const char *name, const struct fs_op_sums *sums)
{
	static const struct gw_metric seconds = {
		"godwit_fs_request_seconds",
		"Time from taking a request off its queue to its answer."};
	static const struct gw_metric errors = {"godwit_fs_request_errors_total",
						"Requests that were answered with an error.", true};
	uint64_t bounds[FS_LATENCY_BUCKETS - 1];
	const struct gw_histogram histogram = {FS_LATENCY_BUCKETS - 1, bounds, sums->latency,
					       sums->ns};
	char label[48];

	for (unsigned i = 0; i < FS_LATENCY_BUCKETS - 1; i++)
		bounds[i] = UINT64_C(1) << (FS_LATENCY_FIRST_LOG2 + 2 * i);
	snprintf(label, sizeof(label), "op=\"%s\"", name);
	gw_report_histogram(report, &seconds, label, &histogram);
	gw_report_metric(report, &errors, label, sums->errors);
}

/* Those that were used. */
static void tell_ops(const struct fs *fs, struct gw_report *report)
{
	static const struct gw_metric content = {
		"godwit_fs_content_bytes_total",
		"Content of files that the guest has read and written.", true};
	uint64_t read, written;

	for (unsigned i = 0; i < FS_OPCODES_MAX; i++) {
		const struct fs_op *op = fs_op_find(i);
		struct fs_op_sums sums;

		fs_counters_op(fs->counters, i, &sums);
		if (sums.requests)
			tell_op(report, op ? op->name : "unknown", &sums);
	}
	fs_counters_content(fs->counters, &read, &written);
	gw_report_metric(report, &content, "direction=\"read\"", read);
	gw_report_metric(report, &content, "direction=\"write\"", written);
}

/* -- all ----------------------------------------------------------------------------------- */

/* As --state-format has them. */
static const char *const format_names[] = {
	[FS_STATE_GODWIT] = "godwit", [FS_STATE_VIRTIOFSD_V2] = "virtiofsd-v2"};

static void tell_status(const struct fs *fs, struct gw_report *report)
{
	gw_report_flag(report, "mounted", fs->session.initialised);
	gw_report_text(report, "state_format", format_names[fs->host->state_format]);
	for (size_t i = 0; i < GW_ARRAY_LEN(numbers); i++)
		gw_report_number(report, numbers[i].name, numbers[i].get(fs));
	tell_slow(fs, report);
}

static void tell_stats(const struct fs *fs, struct gw_report *report)
{
	for (size_t i = 0; i < GW_ARRAY_LEN(numbers); i++)
		gw_report_metric(report, &numbers[i].metric, NULL, numbers[i].get(fs));
	tell_ops(fs, report);
}

int fs_report(void *dev, enum gw_report_kind kind, struct gw_report *report)
{
	struct fs *fs = dev;

	if (kind == GW_REPORT_PREFLIGHT)
		return fs_preflight(fs, report);
	if (kind == GW_REPORT_STATUS)
		tell_status(fs, report);
	else if (kind == GW_REPORT_STATS)
		tell_stats(fs, report);
	return 0;
}
