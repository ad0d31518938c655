/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/save.c - the device's state into a stream; the device stays as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/collector.h"
#include "fs/dir.h"
#include "fs/handles.h"
#include "fs/locks.h"
#include "fs/orphan.h"
#include "fs/ready.h"
#include "fs/records.h"
#include "fs/resolver.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Numbers of file systems whose caches are not coherent between hosts. */
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_CIFS 0xff534d42
#define MAGIC_FUSE 0x65735546

/* Pieces handed to the stream at once. */
#define PIECES 256

int fs_prepare(void *dev, bool on)
{
	struct fs *fs = dev;

	if (on)
		return fs_collector_start(fs->collector);
	fs_collector_stop(fs->collector);
	return 0;
}

struct saving {
	struct fs *fs;
	struct gw_state_writer *writer;
	struct fs_maker maker;
	struct fs_orphans orphans;
	struct fs_inode_list missing, lost;
	uint64_t idle_bytes; /* of unnamed files that are not open */
	unsigned idle_files;
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

static int save_session(struct saving *saving)
{
	struct fs *fs = saving->fs;
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

	return gw_state_put(saving->writer, &gw_fs_session_v1, &record);
}

static int save_mounts(struct saving *saving)
{
	struct fs_inodes *inodes = saving->fs->inodes;

	for (unsigned i = 1; i < atomic_load(&inodes->mounts_end); i++) {
		struct gw_fs_mount_v1 record = {.index = i};
		struct statfs sfs;
		int err;

		if (!inodes->mounts[i].used)
			continue;
		if (inodes->mounts[i].fd >= 0 && !fstatfs(inodes->mounts[i].fd, &sfs))
			record.f_type = (uint64_t)sfs.f_type;
		err = gw_state_put(saving->writer, &gw_fs_mount_v1, &record);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Nothing acknowledged is lost where the destination would not see this host's cache.
 */
static bool is_incoherent(int fd)
{
	static const uint32_t local_caches[] = {NFS_SUPER_MAGIC, MAGIC_SMB2, MAGIC_CIFS,
						MAGIC_FUSE};
	struct statfs sfs;

	if (fstatfs(fd, &sfs) < 0)
		return false;
	for (size_t i = 0; i < GW_ARRAY_LEN(local_caches); i++) {
		if (local_caches[i] == (uint32_t)sfs.f_type)
			return true;
	}
	return false;
}

static int sync_handle(struct saving *saving, struct fs_open *open)
{
	struct fs_handle *handle = &open->handle;
	char text[FS_DESCRIBE_MAX];

	if (handle->fd < 0 || !atomic_load(&handle->dirty) || !is_incoherent(handle->fd))
		return 0;
	if (fsync(handle->fd) < 0)
		return gw_fail(errno, "save: %s: what was written cannot be synced: %s",
			       fs_describe(saving->fs->inodes, handle->inode, text),
			       strerror(errno));
	atomic_store(&handle->dirty, false);
	return 0;
}

/*
 * Names first, since putting them right may bring parents into the table that have to be saved.
 */
/* What the guest merely remembers is not worth any amount of content. */
static bool is_too_much(struct saving *saving, struct fs_inode *inode)
{
	uint64_t bytes;
	struct statx stx;

	if (fs_inode_type(inode) != S_IFREG || !fs_fdcache_is_idle(inode) ||
	    fs_inode_statx(inode, &stx))
		return false;
	bytes = stx.stx_blocks * 512;
	if (saving->idle_files == FS_IDLE_FILES_MAX ||
	    bytes > FS_IDLE_BYTES_MAX - saving->idle_bytes)
		return true;
	saving->idle_files++;
	saving->idle_bytes += bytes;
	return false;
}

/* Where in the stream it belongs. */
static struct fs_inode_list *list_for(struct saving *saving, struct fs_inode *inode, int found)
{
	if (found == FS_FOUND_ORPHAN && !is_too_much(saving, inode))
		return &saving->orphans.list;
	return found == FS_FOUND_NAMED ? NULL : &saving->lost;
}

/* 1: it has no name that leads to it, so that the next save has to ask again. */
static int collect(void *opaque, struct fs_inode *inode)
{
	struct saving *saving = opaque;
	int found = fs_collect(saving->fs->inodes, inode);
	struct fs_inode_list *list = found == FS_FOUND_NOWHERE || found == FS_FOUND_GONE
					     ? &saving->missing
					     : list_for(saving, inode, found);
	int err = found < 0 ? found : 0;

	if (!err && list)
		err = fs_list_note(list, inode);
	if (err)
		return gw_fail(-err, "save: names of inode %llu: %s",
			       (unsigned long long)fs_inode_id(inode), strerror(-err));
	return found != FS_FOUND_NAMED;
}

/* What is settled was looked at beside the guest. */
static int collect_all(struct saving *saving)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(&inodes->slots, &unit); unit++) {
		if (!fs_unit_is_settled(inodes, unit))
			err = fs_unit_settle(inodes, unit, collect, saving);
	}
	return err;
}

/* We hold it, so that for the guest it is still there: the destination decides. */
static void tell_missing(struct fs_inodes *inodes, struct fs_inode *inode)
{
	char text[FS_DESCRIBE_MAX];

	gw_warn("save: %s: inode %llu (host's %llu) is nowhere to be found; the "
		"destination will miss it",
		fs_describe(inodes, inode, text), (unsigned long long)fs_inode_id(inode),
		(unsigned long long)inode->ino);
}

/* What no name leads to, nor a descriptor, is looked for once more, all in one go. */
static int collect_missing(struct saving *saving)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	const struct fs_inode_list *missing = &saving->missing;
	int err = missing->count ? fs_search(inodes, missing) : 0;

	for (size_t i = 0; !err && i < missing->count; i++) {
		struct fs_inode *inode = missing->inodes[i];
		int found = fs_collect(inodes, inode);
		struct fs_inode_list *list = list_for(saving, inode, found);

		if (found == FS_FOUND_NOWHERE)
			tell_missing(inodes, inode);
		else if (list)
			err = fs_list_note(list, inode);
	}
	return err ? gw_fail(-err, "save: looking for missing inodes: %s", strerror(-err)) : 0;
}

static int save_lost(struct saving *saving)
{
	int err = 0;

	for (size_t i = 0; i < saving->lost.count && !err; i++) {
		const struct gw_fs_lost_v1 record = {.inode = fs_inode_id(saving->lost.inodes[i])};

		err = gw_state_put(saving->writer, &gw_fs_lost_v1, &record);
	}
	if (saving->lost.count)
		gw_warn("save: %zu inodes that the guest knows are gone from the share",
			saving->lost.count);
	return err;
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
		if (!err && inodes->tracking.records[unit].bytes)
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
	const struct gw_fs_handle_v1 record = {
		.id = fs_slot_id(&open->slot),
		.inode = fs_inode_id(open->handle.inode),
		.flags = open->handle.flags,
		.directory = dir,
		.blind = dir && dir->untracked,
	};
	int err = gw_state_put(saving->writer, &gw_fs_handle_v1, &record);

	if (err || !dir)
		return err;
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

static int save_all(struct saving *saving)
{
	int err = each_handle(saving, sync_handle);

	if (!err)
		err = collect_all(saving);
	if (!err)
		err = collect_missing(saving);
	if (!err)
		err = save_session(saving);
	if (!err)
		err = save_mounts(saving);
	if (!err)
		err = save_inode_ids(saving);
	if (!err)
		err = each_handle(saving, save_handle_id);
	if (!err)
		err = save_inodes(saving);
	if (!err)
		err = save_names(saving);
	if (!err)
		err = save_lost(saving);
	if (!err)
		err = fs_orphans_save(&saving->orphans, saving->fs, saving->writer);
	if (!err)
		err = each_handle(saving, save_handle);
	if (!err)
		err = fs_locks_save(saving->fs, saving->writer);
	return err ? err : fs_locks_release(saving->fs, saving->writer);
}

static int save_held(struct saving *saving)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	bool collected = fs_tracking_is_on(&inodes->tracking);
	int err = fs_tracking_start(&inodes->tracking);

	if (err)
		return gw_fail(-err, "save: no memory to collect in");
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

	(void)budget;
	if (phase != GW_PHASE_STOPPED)
		return 0; /* everything is said once the device stands still */
	/* It starts again with the device, if that goes on here. */
	fs_resolver_stop(fs->resolver);
	fs_collector_hold(fs->collector);
	err = save_held(&saving);
	fs_collector_release(fs->collector);
	fs_list_free(&saving.orphans.list);
	fs_list_free(&saving.missing);
	fs_list_free(&saving.lost);
	return err;
}
