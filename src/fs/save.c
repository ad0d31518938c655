/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/save.c - the device's state into a stream; the device stays as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/collector.h"
#include "fs/dir.h"
#include "fs/gather.h"
#include "fs/handles.h"
#include "fs/handover.h"
#include "fs/hidden.h"
#include "fs/iterate.h"
#include "fs/locks.h"
#include "fs/orphan.h"
#include "fs/ready.h"
#include "fs/records.h"
#include "fs/resolver.h"
#include "fs/sync.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Pieces handed to the stream at once. */
#define PIECES 256

int fs_prepare(void *dev, bool on)
{
	struct fs *fs = dev;

	fs->announced = on;
	if (on)
		return fs_collector_start(fs->collector);
	if (!fs->iterating)
		fs_collector_stop(fs->collector);
	return 0;
}

struct saving {
	struct fs *fs;
	struct gw_state_writer *writer;
	struct fs_maker maker;
	struct fs_gathered gathered;
	struct fs_iterating *iterating; /* something was sent while the guest ran */
};

typedef int inode_fn(struct saving *saving, struct fs_inode *inode);
typedef int handle_fn(struct saving *saving, struct fs_open *open);

static int each_inode(struct saving *saving, inode_fn *fn)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	struct fs_inode *inode;
	uint32_t at = 0;
	int err = 0;

	while (!err && (inode = fs_slots_next(&inodes->slots, &at))) {
		if (!fs_slot_try_pin(&inode->slot))
			continue;
		err = fn(saving, inode);
		fs_inode_put(inode);
	}
	return err;
}

static int each_handle(struct saving *saving, handle_fn *fn)
{
	struct fs_handles *handles = saving->fs->handles;
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = fn(saving, open);
		fs_handle_put(&open->handle);
	}
	return err;
}

int fs_save_session(struct fs *fs, struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 record = {
		.initialised = fs->session.initialised,
		.minor = fs->session.minor,
		.flags = fs->session.flags,
		.max_write = fs->session.max_write,
		.max_readahead = fs->session.max_readahead,
		.max_pages = fs->session.max_pages,
		.inode_generation = fs_slots_floor(&fs->inodes->slots),
		.handle_generation = fs_slots_floor(&fs->handles->slots),
		.next_number = fs->inodes->numbers.next,
	};

	return gw_state_put(writer, &gw_fs_session_v1, &record);
}

int fs_save_mounts(struct fs *fs, struct gw_state_writer *writer, bool left)
{
	struct fs_inodes *inodes = fs->inodes;

	for (unsigned i = 1; i < atomic_load(&inodes->mounts_end); i++) {
		struct gw_fs_mount_v1 record = {.index = i};
		struct statfs sfs;
		int err;

		if (!inodes->mounts[i].used && !left)
			continue;
		if (inodes->mounts[i].fd >= 0 && !fstatfs(inodes->mounts[i].fd, &sfs))
			record.f_type = (uint64_t)sfs.f_type;
		err = gw_state_put(writer, &gw_fs_mount_v1, &record);
		if (err)
			return err;
	}
	return 0;
}

/* The source cannot reach them either. */
static int save_lost(struct saving *saving)
{
	const struct fs_inode_list *lost = &saving->gathered.lost;
	int err = 0;

	for (size_t i = 0; i < lost->count && !err; i++) {
		const struct gw_fs_lost_v1 record = {.inode = fs_inode_id(lost->inodes[i])};

		err = gw_state_put(saving->writer, &gw_fs_lost_v1, &record);
	}
	if (lost->count)
		gw_warn("save: %zu inodes that the guest knows are gone from the share",
			lost->count);
	return err;
}

static int save_orphans(struct saving *saving)
{
	struct fs_ahead *ahead = saving->iterating ? fs_iterating_ahead(saving->iterating) : NULL;

	return fs_orphans_save(saving->fs, &saving->gathered.unnamed, ahead, saving->writer);
}

/* Of each unit the records of one kind, as they lie in memory. */
typedef struct gw_bytes piece_fn(const struct fs_records *records);

static struct gw_bytes inode_piece(const struct fs_records *records)
{
	return (struct gw_bytes){.data = records->bytes, .len = records->inodes_len};
}

static struct gw_bytes name_piece(const struct fs_records *records)
{
	return (struct gw_bytes){.data = records->bytes + records->inodes_len,
				 .len = records->names_len};
}

static int save_pieces(struct saving *saving, const struct gw_layout *layout, piece_fn *piece)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	struct gw_bytes pieces[PIECES];
	size_t n = 0;
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(&inodes->slots, &unit); unit++) {
		err = fs_unit_make(&saving->maker, unit);
		if (!err && inodes->tracking.records[unit].inodes_len)
			pieces[n++] = piece(&inodes->tracking.records[unit]);
		if (!err && n == PIECES) {
			err = gw_state_put_records(saving->writer, layout, pieces, n);
			n = 0;
		}
	}
	return err ? err : gw_state_put_records(saving->writer, layout, pieces, n);
}

static int save_inodes(struct saving *saving)
{
	return save_pieces(saving, &gw_fs_inode_v1, inode_piece);
}

static int save_names(struct saving *saving)
{
	return save_pieces(saving, &gw_fs_name_v1, name_piece);
}

/* What the guest has served from before it moved is not known: it may begin anew. */
static int save_nowhere(struct saving *saving, uint64_t id)
{
	const struct gw_fs_dir_v1 record = {.handle = id, .cookie = FS_DIR_NOWHERE};

	return gw_state_put(saving->writer, &gw_fs_dir_v1, &record);
}

static int save_entries(struct saving *saving, uint64_t id, const struct fs_dir *dir)
{
	for (uint32_t i = 0; i < dir->count; i++) {
		const struct gw_fs_dir_v1 record = {
			.handle = id,
			.position = i,
			.cookie = dir->entries[i].cookie,
			.hash = dir->entries[i].hash,
		};
		int err = gw_state_put(saving->writer, &gw_fs_dir_v1, &record);

		if (err)
			return err;
	}
	return 0;
}

static int save_handle(struct saving *saving, struct fs_open *open)
{
	struct fs_dir *dir = open->handle.dir;
	bool nowhere = dir && !fs_dir_can_travel(dir);
	const struct gw_fs_handle_v1 record = {
		.id = fs_slot_id(&open->slot),
		.inode = fs_inode_id(open->handle.inode),
		.flags = open->handle.flags,
		.directory = dir,
		.blind = dir && dir->untracked && !nowhere,
	};
	int err = saving->iterating && fs_iterating_has(saving->iterating, &record)
			  ? 0
			  : gw_state_put(saving->writer, &gw_fs_handle_v1, &record);

	if (err || !dir)
		return err;
	if (nowhere)
		return save_nowhere(saving, record.id);
	GW_LOCK_SCOPE(&dir->lock);
	return save_entries(saving, record.id, dir);
}

/*
 * Of a guest that was taken over from another make. Nothing to say about most.
 */
static int save_foreign_id(struct saving *saving, const struct fs_slot *slot, bool handle)
{
	const struct gw_fs_foreign_id_v1 record = {.handle = handle, .id = fs_slot_id(slot)};

	return fs_slot_is_foreign(slot)
		       ? gw_state_put(saving->writer, &gw_fs_foreign_id_v1, &record)
		       : 0;
}

static int save_inode_id(struct saving *saving, struct fs_inode *inode)
{
	return save_foreign_id(saving, &inode->slot, false);
}

static int save_inode_ids(struct saving *saving)
{
	if (!atomic_load(&saving->fs->inodes->slots.foreign.count))
		return 0;
	return each_inode(saving, save_inode_id);
}

static int save_handle_id(struct saving *saving, struct fs_open *open)
{
	return save_foreign_id(saving, &open->slot, true);
}

/* Of a save in phases only what the stream lacks. */
static int save_table(struct saving *saving)
{
	int err;

	if (saving->iterating)
		return fs_iterating_rest(saving->iterating, &saving->gathered.unnamed,
					 saving->writer);
	err = save_inode_ids(saving);
	if (!err)
		err = each_handle(saving, save_handle_id);
	if (!err)
		err = save_inodes(saving);
	return err ? err : save_names(saving);
}

static int save_all(struct saving *saving)
{
	int err = fs_sync_all(saving->fs);

	/* Names first, since putting them right may bring parents into the table that have to be
	 * saved. */
	if (!err)
		err = fs_gather(saving->fs, &saving->gathered);
	if (!err)
		err = fs_save_session(saving->fs, saving->writer);
	if (!err)
		err = fs_save_mounts(saving->fs, saving->writer, false);
	if (!err)
		err = save_table(saving);
	if (!err)
		err = save_lost(saving);
	if (!err)
		err = fs_handover_offer(saving->fs->handover, saving->writer,
					&saving->gathered.unnamed);
	if (!err)
		err = save_orphans(saving);
	if (!err)
		err = each_handle(saving, save_handle);
	if (!err)
		err = fs_locks_save(saving->fs, saving->writer);
	if (!err)
		err = fs_hidden_save(saving->fs->hidden);
	return err ? err : fs_locks_release(saving->fs, saving->writer);
}

static int save_held(struct saving *saving)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	uint32_t open = 0;
	bool collected = fs_tracking_is_on(&inodes->tracking);
	int err = fs_tracking_start(&inodes->tracking);

	if (err)
		return gw_fail(-err, "save: no memory to collect in");
	fs_handles_hold(saving->fs->handles, &open, UINT32_MAX);
	err = fs_maker_init(&saving->maker);
	if (!err)
		err = save_all(saving);
	if (!collected)
		fs_tracking_stop(&inodes->tracking, &inodes->slots);
	fs_maker_fini(&saving->maker);
	return err;
}

int fs_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct fs *fs = dev;
	struct saving saving = {.fs = fs, .writer = writer, .maker.inodes = fs->inodes};
	int err;

	if (phase == GW_PHASE_RUNNING)
		return fs_iterating_round(fs, writer, budget);
	saving.iterating = fs_iterating_begun(fs);
	/* It starts again with the device, if that goes on here. */
	fs_resolver_stop(fs->resolver);
	fs_collector_hold(fs->collector);
	err = save_held(&saving);
	fs_collector_release(fs->collector);
	fs_gathered_free(&saving.gathered);
	return err;
}
