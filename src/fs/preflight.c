/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/preflight.c - what would not survive a move, how much there is to move, and how long that
 * takes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "fs/collect.h"
#include "fs/dir.h"
#include "fs/handles.h"
#include "fs/locks.h"
#include "fs/open.h"
#include "fs/ready.h"
#include "fs/records.h"
#include "fs/report.h"
#include "fs/sync.h"
#include "fs/unnamed.h"
#include "godwit/error.h"

/* So many open files are opened once more, to see how long that takes. */
#define TIMED_OPENS 32

/*
 * What SAVE does, done beside the guest and without a stream: names are compared with the host,
 * which puts right what the host moved, and records are made and thrown away. Nothing that the
 * guest can see is changed.
 */
struct flight {
	struct fs *fs;
	struct gw_report *report; /* its list of what cannot travel is open */
	struct fs_maker maker;
	struct fs_inode_list missing, orphans;
	struct fs_unnamed_list unnamed;
	uint64_t inodes, handles, locks;
	uint64_t state_bytes;
	uint64_t lost;	   /* the guest gets ESTALE for these already */
	uint64_t unsynced; /* open files */
	/* How long it took: names and records of all inodes; so many files opened again. */
	uint64_t inodes_ns, opens_ns;
	unsigned opens;
};

static void obstacle_at(struct flight *flight, const char *kind, struct fs_inode *inode,
			const char *path, const char *reason)
{
	gw_report_object(flight->report, NULL);
	gw_report_text(flight->report, "kind", kind);
	gw_report_text(flight->report, "path", path);
	gw_report_number(flight->report, "inode", fs_inode_id(inode));
	gw_report_text(flight->report, "reason", reason);
	gw_report_end(flight->report);
}

static void obstacle(struct flight *flight, const char *kind, struct fs_inode *inode,
		     const char *reason)
{
	char path[FS_DESCRIBE_MAX];

	obstacle_at(flight, kind, inode, fs_describe(flight->fs->inodes, inode, path), reason);
}

/* -- inodes -------------------------------------------------------------------------------- */

static int note_found(struct flight *flight, struct fs_inode *inode, int found)
{
	if (found == FS_FOUND_NOWHERE)
		return fs_list_note(&flight->missing, inode);
	if (found == FS_FOUND_ORPHAN)
		return fs_list_note(&flight->orphans, inode);
	flight->lost += found == FS_FOUND_GONE;
	if (found < 0)
		obstacle(flight, "inode", inode, strerror(-found));
	return 0;
}

static int look_at(void *opaque, struct fs_inode *inode)
{
	struct flight *flight = opaque;

	flight->inodes++;
	return note_found(flight, inode, fs_check(flight->fs->inodes, inode));
}

static int look_at_unit(struct flight *flight, uint32_t unit)
{
	struct fs_inodes *inodes = flight->fs->inodes;
	int err = 0;

	for (uint32_t i = 0; i < FS_UNIT && !err; i++) {
		struct fs_inode *inode = fs_slot_at(&inodes->slots, unit * FS_UNIT + i);

		if (!inode || !fs_slot_try_pin(&inode->slot))
			continue;
		err = look_at(flight, inode);
		fs_inode_put(inode);
	}
	return err ? err : fs_unit_measure(&flight->maker, unit, &flight->state_bytes);
}

static int look_at_inodes(struct flight *flight)
{
	uint64_t begin = gw_clock_ns();
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(&flight->fs->inodes->slots, &unit); unit++)
		err = gw_report_cancelled(flight->report) ? -ECANCELED : look_at_unit(flight, unit);
	flight->inodes_ns = gw_clock_ns() - begin;
	return err;
}

/* As at a save: one search for all that no name and no descriptor leads to. */
static int look_for_missing(struct flight *flight)
{
	struct fs_inodes *inodes = flight->fs->inodes;
	int err = flight->missing.count ? fs_search(inodes, &flight->missing) : 0;

	for (size_t i = 0; i < flight->missing.count && !err; i++) {
		struct fs_inode *inode = flight->missing.inodes[i];
		int found = fs_check(inodes, inode);

		if (found != FS_FOUND_NOWHERE)
			err = note_found(flight, inode, found);
		else if (flight->fs->host->migration_mode != FS_MIGRATION_HANDLES)
			obstacle(flight, "inode", inode,
				 "it is not to be found in the share under any name");
	}
	return err;
}

static void judge_unnamed(struct flight *flight, const struct fs_unnamed *file)
{
	char reason[200], path[FS_DESCRIBE_MAX];

	if (file->fate == FS_UNNAMED_TOO_BIG)
		snprintf(reason, sizeof(reason),
			 "it has no name any more, and its %llu bytes, with those of others, are "
			 "more than the %llu that may travel (--migration-orphan-limit)",
			 (unsigned long long)file->bytes,
			 (unsigned long long)fs_orphan_limit(flight->fs));
	else if (fs_unnamed_why(file))
		snprintf(reason, sizeof(reason), "it has no name any more, and %s%s%s",
			 fs_unnamed_why(file), file->err ? ": " : "",
			 file->err ? strerror(file->err) : "");
	else
		return;
	obstacle_at(flight, "inode", file->inode,
		    fs_unnamed_describe(flight->fs, file->inode, path), reason);
}

/* What is open and has no name goes by its content, within a limit; what is merely remembered and
 * too much is not worth a word. */
static int look_at_unnamed(struct flight *flight)
{
	int err = fs_unnamed_weigh(&flight->unnamed, flight->fs, &flight->orphans);

	for (size_t i = 0; i < flight->unnamed.count && !err; i++)
		judge_unnamed(flight, &flight->unnamed.files[i]);
	return err;
}

/* -- handles and locks --------------------------------------------------------------------- */

/* May this process open the file again as the guest has it open? Its owner always can, by adding
 * the bit for a moment. */
static bool may_open(const struct flight *flight, struct fs_inode *inode, uint32_t flags)
{
	static const int wanted[] = {
		[O_RDONLY] = R_OK, [O_WRONLY] = W_OK, [O_RDWR] = R_OK | W_OK, [3] = R_OK | W_OK};
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct statx stx;
	char name[16];

	if (fs_inode_fd(inode, &fd))
		return true; /* that it is missing is said elsewhere */
	snprintf(name, sizeof(name), "%d", fd.fd);
	if (!faccessat(flight->fs->proc_fd, name, wanted[flags & O_ACCMODE], AT_EACCESS) ||
	    errno != EACCES)
		return true;
	if (!fs_statx_fd(fd.fd, &stx) && !stx.stx_nlink)
		return true; /* it is made anew, if it can be */
	return fs_inode_is_ours(inode);
}

static void time_open(struct flight *flight, struct fs_inode *inode)
{
	uint64_t begin = gw_clock_ns();
	GW_AUTO_FD int fd = -1;

	if (flight->opens == TIMED_OPENS)
		return;
	fd = fs_inode_open(inode, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return;
	flight->opens_ns += gw_clock_ns() - begin;
	flight->opens++;
}

static void judge_directory(struct flight *flight, const struct fs_handle *handle)
{
	char reason[160];

	if (!handle->dir || fs_dir_can_travel(handle->dir))
		return;
	snprintf(reason, sizeof(reason),
		 "the guest is reading it, and has been given more entries than the %u that are "
		 "remembered (--dir-limit)",
		 fs_dir_limit(flight->fs));
	obstacle(flight, "handle", handle->inode, reason);
}

static void look_at_handle(struct flight *flight, struct fs_open *open)
{
	const struct fs_handle *handle = &open->handle;

	flight->handles++;
	flight->unsynced += fs_sync_is_due(handle);
	if (!may_open(flight, handle->inode, handle->flags))
		obstacle(flight, "handle", handle->inode,
			 "its mode does not let this program open it again as the guest has it "
			 "open, and it belongs to somebody else");
	judge_directory(flight, handle);
	time_open(flight, handle->inode);
}

static int look_at_handles(struct flight *flight)
{
	struct fs_handles *handles = flight->fs->handles;
	struct fs_open *open;
	uint32_t at = 0;

	while ((open = fs_slots_next(&handles->slots, &at))) {
		if (gw_report_cancelled(flight->report))
			return -ECANCELED;
		if (!fs_slot_try_pin(&open->slot))
			continue;
		look_at_handle(flight, open);
		fs_handle_put(&open->handle);
	}
	return 0;
}

/* Older formats cannot say them. */
static int look_at_lock(void *opaque, const struct fs_lock_info *info)
{
	struct flight *flight = opaque;
	int64_t state = gw_params_get(flight->fs->params, "state", gw_fs_lock_v1.since);

	flight->locks++;
	if (state < gw_fs_lock_v1.since)
		obstacle(flight, "lock", info->inode,
			 "the guest holds a lock on it, which a state in this format cannot say");
	return 0;
}

/* -- what comes of it ---------------------------------------------------------------------- */

static void tell_estimate(const struct flight *flight)
{
	bool collecting = fs_tracking_is_on(&flight->fs->inodes->tracking);
	uint64_t opens = flight->opens ? flight->opens_ns / flight->opens * flight->handles : 0;
	uint64_t inodes = collecting ? 0 : flight->inodes_ns;
	char text[256];

	gw_report_number(flight->report, "save_us", inodes / GW_NS_PER_US);
	gw_report_number(flight->report, "open_us", opens / GW_NS_PER_US);
	gw_report_number(flight->report, "blackout_us", (inodes + opens) / GW_NS_PER_US);
	gw_report_flag(flight->report, "collecting", collecting);
	snprintf(text, sizeof(text),
		 "%s; opening each of %llu open files takes what it took for %u of them just now",
		 collecting ? "names and records are collected beside the guest already"
			    : "looking at all names and making all records takes what it took just "
			      "now, unless the migration is announced by dirty logging",
		 (unsigned long long)flight->handles, flight->opens);
	gw_report_text(flight->report, "estimate", text);
}

static void tell(const struct flight *flight)
{
	uint64_t content = flight->unnamed.open_bytes + flight->unnamed.idle_bytes;

	gw_report_number(flight->report, "inodes", flight->inodes);
	gw_report_number(flight->report, "inode_bytes", fs_inodes_bytes(flight->fs->inodes));
	gw_report_number(flight->report, "handles", flight->handles);
	gw_report_number(flight->report, "locks", flight->locks);
	gw_report_number(flight->report, "state_bytes", flight->state_bytes + content);
	gw_report_number(flight->report, "orphans", flight->unnamed.count);
	gw_report_number(flight->report, "orphan_bytes", content);
	gw_report_number(flight->report, "lost", flight->lost);
	gw_report_number(flight->report, "unsynced_files", flight->unsynced);
	tell_estimate(flight);
}

static int look_at_all(struct flight *flight)
{
	int err = look_at_inodes(flight);

	if (!err)
		err = look_for_missing(flight);
	if (!err)
		err = look_at_unnamed(flight);
	if (!err)
		err = look_at_handles(flight);
	return err ? err : fs_locks_each(flight->fs, look_at_lock, flight);
}

int fs_preflight(struct fs *fs, struct gw_report *report)
{
	struct flight flight = {.fs = fs, .report = report, .maker.inodes = fs->inodes};
	int err = fs_maker_init(&flight.maker);

	gw_report_list(report, "cannot_travel");
	if (!err)
		err = look_at_all(&flight);
	gw_report_end(report);
	if (!err)
		tell(&flight);
	fs_list_free(&flight.missing);
	fs_list_free(&flight.orphans);
	fs_unnamed_free(&flight.unnamed);
	fs_maker_fini(&flight.maker);
	return err ? gw_fail(-err, "preflight: %s", strerror(-err)) : 0;
}
