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
#include "fs/dir.h"
#include "fs/handles.h"
#include "fs/locks.h"
#include "fs/orphan.h"
#include "fs/records.h"
#include "fs/table.h"
#include "godwit/error.h"

/* Numbers of file systems whose caches are not coherent between hosts. */
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_CIFS 0xff534d42
#define MAGIC_FUSE 0x65735546

/* Collecting begins when SAVE comes: there is nothing to start or stop yet. */
int fs_prepare(void *dev, bool on)
{
	(void)dev;
	(void)on;
	return 0;
}

struct saving {
	struct fs *fs;
	struct gw_state_writer *writer;
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

static int collect(struct saving *saving, struct fs_inode *inode)
{
	int found = fs_collect(saving->fs->inodes, inode);
	struct fs_inode_list *list = found == FS_FOUND_NOWHERE || found == FS_FOUND_GONE
					     ? &saving->missing
					     : list_for(saving, inode, found);
	int err = found < 0 ? found : 0;

	if (!err && list)
		err = fs_list_note(list, inode);
	return err ? gw_fail(-err, "save: names of inode %llu: %s",
			     (unsigned long long)fs_inode_id(inode), strerror(-err))
		   : 0;
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

/* Where there is no birth time, the handle has to tell one file from the next of its number. */
static bool handle_needed(struct fs_inodes *inodes, struct fs_inode *inode,
			  struct fs_fhandle *handle)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;

	if (inode->btime || !inodes->mounts[inode->mount].portable)
		return false;
	if (fs_fhandle_recall(inode, handle))
		return true;
	if (fs_inode_fd(inode, &fd) || fs_fhandle_of(fd.fd, handle))
		return false;
	fs_fhandle_remember(inode, handle); /* else it is asked for again next time */
	return true;
}

static int save_inode(struct saving *saving, struct fs_inode *inode)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	struct fs_fhandle handle;
	struct gw_fs_inode_v1 record = {
		.id = fs_inode_id(inode),
		.type = inode->type,
		.mount = inode->mount,
		.ino = inode->ino,
		.btime = inode->btime,
		.lookups = fs_lookups_count(inodes, inode),
		.links = fs_inode_has(inode, FS_INODE_LINKS),
	};

	if (fs_inode_has(inode, FS_INODE_NUMBERED))
		record.number = fs_number_seen(inodes, inode);
	if (handle_needed(inodes, inode, &handle)) {
		record.handle_type = handle.type;
		record.handle = (struct gw_bytes){.data = handle.bytes, .len = handle.len};
	}
	return gw_state_put(saving->writer, &gw_fs_inode_v1, &record);
}

static int save_names(struct saving *saving, struct fs_inode *inode)
{
	struct fs_name_copy *names;
	unsigned count;
	int err = fs_names_copy(saving->fs->inodes, inode, &names, &count);

	if (err)
		return gw_fail(-err, "save: no memory for names");
	/* The latest comes last, as it was found. */
	for (unsigned i = count; i && !err; i--) {
		const struct gw_fs_name_v1 record = {
			.parent = fs_inode_id(names[i - 1].parent),
			.name = {.data = names[i - 1].name, .len = names[i - 1].len},
			.inode = fs_inode_id(inode),
		};

		err = gw_state_put(saving->writer, &gw_fs_name_v1, &record);
	}
	fs_names_copy_free(names, count);
	return err;
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

static int save_handle_id(struct saving *saving, struct fs_open *open)
{
	return save_foreign_id(saving, &open->slot, true);
}

static int save_all(struct saving *saving)
{
	int err = each_handle(saving, sync_handle);

	if (!err)
		err = each_inode(saving, collect);
	if (!err)
		err = collect_missing(saving);
	if (!err)
		err = save_session(saving);
	if (!err)
		err = save_mounts(saving);
	if (!err)
		err = each_inode(saving, save_inode_id);
	if (!err)
		err = each_handle(saving, save_handle_id);
	if (!err)
		err = each_inode(saving, save_inode);
	if (!err)
		err = each_inode(saving, save_names);
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

int fs_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	struct saving saving = {.fs = dev, .writer = writer};
	int err;

	(void)budget;
	if (phase != GW_PHASE_STOPPED)
		return 0; /* everything is said once the device stands still */
	err = save_all(&saving);
	fs_list_free(&saving.orphans.list);
	fs_list_free(&saving.missing);
	fs_list_free(&saving.lost);
	return err;
}
