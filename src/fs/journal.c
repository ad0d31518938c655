/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/journal.c - what of the device's state a next process needs, told as it changes. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/dir.h"
#include "fs/hidden.h"
#include "fs/index.h"
#include "fs/journal.h"
#include "fs/locks_kept.h"
#include "godwit/error.h"

/* @handle: room for what the record points to. */
static struct gw_fs_inode_v1 describe(const struct fs_inode *inode, struct fs_fhandle *handle)
{
	struct fs_inode *known = (struct fs_inode *)(uintptr_t)inode;
	struct gw_fs_inode_v1 record = {
		.id = fs_inode_id(inode),
		.type = inode->type,
		.mount = inode->mount,
		.ino = inode->ino,
		.btime = inode->btime,
		.lookups = inode->lookups,
		.links = fs_inode_has(inode, FS_INODE_LINKS),
	};

	if (fs_inode_has(inode, FS_INODE_NUMBERED))
		record.number = fs_number_seen(fs_table_of(inode), inode);
	/* Evidence where there is no better. */
	if (!inode->btime && fs_fhandle_recall(known, handle)) {
		record.handle_type = handle->type;
		record.handle = (struct gw_bytes){handle->bytes, handle->len};
	}
	return record;
}

void fs_journal_put_inode(const struct fs_inode *inode)
{
	struct fs_fhandle handle;
	const struct gw_fs_inode_v1 record = describe(inode, &handle);

	gw_journal_put(fs_table_of(inode)->journal, &gw_fs_inode_v1, false, &record);
}

void fs_journal_put_inode_gone(const struct fs_inode *inode)
{
	const struct gw_fs_inode_v1 record = {.id = fs_inode_id(inode)};

	gw_journal_put(fs_table_of(inode)->journal, &gw_fs_inode_v1, true, &record);
}

static struct gw_fs_name_v1 describe_name(const struct fs_inodes *inodes,
					  const struct fs_name *name)
{
	const struct fs_inode *parent = fs_slot_at(&inodes->slots, name->parent);
	const struct fs_inode *inode = fs_slot_at(&inodes->slots, name->inode);

	return (struct gw_fs_name_v1){.parent = fs_inode_id(parent),
				      .name = {name->bytes, name->len},
				      .inode = fs_inode_id(inode)};
}

void fs_journal_put_name(const struct fs_inodes *inodes, const struct fs_name *name, bool gone)
{
	const struct gw_fs_name_v1 record = describe_name(inodes, name);

	gw_journal_put(inodes->journal, &gw_fs_name_v1, gone, &record);
}

void fs_journal_name_ahead(const struct fs_inode *parent, const char *name,
			   const struct fs_inode *inode, bool gone)
{
	struct gw_journal *journal = fs_table_of(inode)->journal;
	const struct gw_fs_name_v1 record = {.parent = fs_inode_id(parent),
					     .name = {name, strlen(name)},
					     .inode = fs_inode_id(inode)};

	if (journal)
		gw_journal_put(journal, &gw_fs_name_v1, gone, &record);
}

/* On this host the file system's own cookies go on being right. */
static struct gw_fs_handle_v1 describe_handle(const struct fs_open *open)
{
	return (struct gw_fs_handle_v1){.id = fs_slot_id(&open->slot),
					.inode = fs_inode_id(open->handle.inode),
					.flags = open->handle.flags,
					.directory = open->handle.dir,
					.blind = open->handle.dir};
}

void fs_journal_put_handle(const struct fs_handles *handles, const struct fs_open *open, bool gone)
{
	struct gw_fs_handle_v1 record = {.id = fs_slot_id(&open->slot)};

	if (!gone)
		record = describe_handle(open);
	gw_journal_put(handles->journal, &gw_fs_handle_v1, gone, &record);
}

void fs_journal_keep(struct fs_inode *inode, int fd)
{
	const struct fs_inodes *inodes = fs_table_of(inode);
	const struct gw_outliving *outliving = &inodes->fs->outliving;

	if (!inodes->journal || fs_inode_has(inode, FS_INODE_KEPT))
		return;
	atomic_fetch_or(&inode->flags, FS_INODE_KEPT);
	if (outliving->keep(outliving->opaque, fs_inode_id(inode), fd))
		gw_error("recovery: an unnamed file would not be survived: %s", gw_last_error());
}

void fs_journal_let_go(struct fs_inode *inode)
{
	const struct gw_outliving *outliving = &fs_table_of(inode)->fs->outliving;

	if (fs_inode_unmark(inode, FS_INODE_KEPT))
		outliving->let_go(outliving->opaque, fs_inode_id(inode));
}

static struct gw_fs_session_v1 describe_session(struct fs *fs)
{
	return (struct gw_fs_session_v1){
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
}

void fs_journal_put_session(struct fs *fs)
{
	struct gw_fs_session_v1 record;

	if (!fs->outliving.journal)
		return;
	record = describe_session(fs);
	gw_journal_put(fs->outliving.journal, &gw_fs_session_v1, false, &record);
}

void fs_journal_use(struct fs *fs)
{
	fs->inodes->journal = fs->outliving.journal;
	fs->handles->journal = fs->outliving.journal;
}

int fs_journal_begin(void *dev, const struct gw_outliving *outliving)
{
	struct fs *fs = dev;

	fs->recovering = false;
	fs->outliving = *outliving;
	fs_index_settle(fs->inodes);
	fs_journal_use(fs);
	fs_hidden_outlive(fs->hidden);
	return 0;
}

/*
 * Checkpoint: beside the guest. What changes while this goes on is in the journal after it was
 * begun, so that it does not matter which of both an object is as.
 */
static int put_inode(struct fs_inode *inode, struct gw_state_writer *writer)
{
	struct fs_fhandle handle;
	struct gw_fs_inode_v1 record = describe(inode, &handle);

	record.lookups = fs_lookups_count(fs_table_of(inode), inode);
	return gw_state_put(writer, &gw_fs_inode_v1, &record);
}

struct naming {
	const struct fs_inodes *inodes;
	struct gw_state_writer *writer;
};

static int put_name(void *opaque, const struct fs_name *name)
{
	const struct naming *naming = opaque;
	const struct gw_fs_name_v1 record = describe_name(naming->inodes, name);

	return gw_state_put(naming->writer, &gw_fs_name_v1, &record);
}

static int put_names(struct fs_inode *inode, struct gw_state_writer *writer)
{
	struct naming naming = {.inodes = fs_table_of(inode), .writer = writer};

	return fs_names_walk(fs_table_of(inode), inode, put_name, &naming);
}

static int put_lost(struct fs_inode *inode, struct gw_state_writer *writer)
{
	const struct gw_fs_lost_v1 record = {.inode = fs_inode_id(inode)};

	return fs_inode_has(inode, FS_INODE_LOST) ? gw_state_put(writer, &gw_fs_lost_v1, &record)
						  : 0;
}

static int each_inode(struct fs *fs, struct gw_state_writer *writer,
		      int (*fn)(struct fs_inode *inode, struct gw_state_writer *writer))
{
	struct fs_inode *inode;
	uint32_t at = 0;
	int err = 0;

	while (!err && (inode = fs_slots_next(&fs->inodes->slots, &at))) {
		if (!fs_slot_try_pin(&inode->slot))
			continue;
		err = fn(inode, writer);
		fs_inode_put(inode);
	}
	return err;
}

static int put_handles(struct fs *fs, struct gw_state_writer *writer)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&fs->handles->slots, &at))) {
		struct gw_fs_handle_v1 record;

		if (!fs_slot_try_pin(&open->slot))
			continue;
		record = describe_handle(open);
		if (!atomic_load(&open->released))
			err = gw_state_put(writer, &gw_fs_handle_v1, &record);
		fs_handle_put(&open->handle);
	}
	return err;
}

static int put_mounts(struct fs *fs, struct gw_state_writer *writer)
{
	int err = 0;

	for (unsigned i = 1; i < atomic_load(&fs->inodes->mounts_end) && !err; i++) {
		const struct gw_fs_mount_v1 record = {.index = i};

		if (fs->inodes->mounts[i].used)
			err = gw_state_put(writer, &gw_fs_mount_v1, &record);
	}
	return err;
}

int fs_checkpoint(void *dev, struct gw_state_writer *writer)
{
	struct fs *fs = dev;
	const struct gw_fs_session_v1 session = describe_session(fs);
	int err = gw_state_put(writer, &gw_fs_session_v1, &session);

	if (!err)
		err = put_mounts(fs, writer);
	if (!err)
		err = each_inode(fs, writer, put_inode);
	if (!err)
		err = each_inode(fs, writer, put_names);
	if (!err)
		err = each_inode(fs, writer, put_lost);
	if (!err)
		err = put_handles(fs, writer);
	return err ? err : fs_locks_checkpoint(fs, writer);
}
