/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks_kept.c - the guest's locks outlive the process that took them for it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "fs/handles.h"
#include "fs/load.h"
#include "fs/locks_kept.h"
#include "fs/table.h"
#include "godwit/error.h"
#include "state/journal.h"

static const struct gw_field gw_fs_locking_v1_fields[] = {
	GW_FIELD(struct gw_fs_locking_v1, inode, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_locking_v1, owner, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_locking_v1, start, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_locking_v1, end, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_locking_v1, type, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_locking_v1, handle, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_locking_v1, lost, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_locking_v1, kept, GW_FIELD_U32),
	{.name = NULL},
};
const struct gw_layout gw_fs_locking_v1 = {
	.name = "gw_fs_locking_v1",
	.type = GW_RECORD_DEVICE + 0x81,
	.size = sizeof(struct gw_fs_locking_v1),
	.fields = gw_fs_locking_v1_fields,
};

static const struct gw_field gw_fs_flocking_v1_fields[] = {
	GW_FIELD(struct gw_fs_flocking_v1, handle, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_flocking_v1, shared, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_flocking_v1, exclusive, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_flocking_v1, lost, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_flocking_v1, kept, GW_FIELD_U32),
	{.name = NULL},
};
const struct gw_layout gw_fs_flocking_v1 = {
	.name = "gw_fs_flocking_v1",
	.type = GW_RECORD_DEVICE + 0x82,
	.size = sizeof(struct gw_fs_flocking_v1),
	.fields = gw_fs_flocking_v1_fields,
};

static const struct fs_range nothing = {.end = INT64_MAX, .type = F_UNLCK};

/*
 * What is kept. No node id has 0 where the slot's index is, and no slot a number so high.
 */
#define LOCK_BIT (UINT64_C(1) << 63)

static uint64_t key_of(uint32_t number)
{
	return LOCK_BIT | (uint64_t)number << 32;
}

bool fs_kept_is_lock(uint64_t id)
{
	return !(uint32_t)id && id & LOCK_BIT;
}

uint32_t fs_kept_lock_number(uint64_t id)
{
	return (uint32_t)((id & ~LOCK_BIT) >> 32);
}

bool fs_locks_are_kept(const struct fs *fs)
{
	return fs->outliving.journal != NULL;
}

static int keep(struct fs *fs, int fd, uint32_t *number)
{
	const struct gw_outliving *outliving = &fs->outliving;
	uint32_t next = (atomic_fetch_add(&fs->lock_number, 1) + 1) & INT32_MAX;

	if (atomic_fetch_add(&fs->locks_kept, 1) >= FS_LOCKS_KEPT_MAX ||
	    outliving->keep(outliving->opaque, key_of(next), fd)) {
		atomic_fetch_sub(&fs->locks_kept, 1);
		return -ENOLCK;
	}
	*number = next;
	return 0;
}

void fs_lock_let_go(struct fs *fs, uint32_t number)
{
	const struct gw_outliving *outliving = &fs->outliving;

	if (!number)
		return;
	atomic_fetch_sub(&fs->locks_kept, 1);
	outliving->let_go(outliving->opaque, key_of(number));
}

static bool has_one(struct fs *fs, const struct fs_inode *inode, uint64_t owner)
{
	GW_LOCK_SCOPE(&fs->locks->lock);
	const struct fs_lock_owner *found = fs_lock_owner_find(fs->locks, inode, owner);

	return found && (found->fd >= 0 || found->lost);
}

int fs_lock_spare(struct fs *fs, struct fs_inode *inode, uint64_t owner,
		  const struct fs_range *range, struct fs_lock_spare *spare)
{
	int err;

	*spare = (struct fs_lock_spare){.fd = -1};
	if (!fs_locks_are_kept(fs) || range->type == F_UNLCK || has_one(fs, inode, owner))
		return 0;
	if (!fs_inodes_may_open(fs_table_of(inode)))
		return -ENOLCK;
	spare->fd = fs_lock_open(inode);
	if (spare->fd < 0)
		return spare->fd;
	err = keep(fs, spare->fd, &spare->number);
	if (err)
		gw_close(&spare->fd);
	return err;
}

void fs_lock_spare_end(struct fs *fs, struct fs_lock_spare *spare)
{
	if (spare->fd >= 0)
		fs_lock_let_go(fs, spare->number);
	gw_close(&spare->fd);
}

int fs_lock_keep_owner(struct fs *fs, struct fs_lock_owner *owner)
{
	return !fs_locks_are_kept(fs) || owner->kept || owner->fd < 0
		       ? 0
		       : keep(fs, owner->fd, &owner->kept);
}

int fs_lock_keep_handle(struct fs *fs, struct fs_handle *handle)
{
	uint32_t number, none = 0;
	int err;

	if (!fs_locks_are_kept(fs) || handle->kept)
		return 0;
	err = keep(fs, handle->fd, &number);
	if (!err && !atomic_compare_exchange_strong(&handle->kept, &none, number))
		fs_lock_let_go(fs, number);
	return err;
}

/*
 * What is told.
 */
static struct gw_fs_locking_v1 describe(const struct fs_lock_owner *owner,
					const struct fs_range *range)
{
	return (struct gw_fs_locking_v1){.inode = fs_inode_id(owner->inode),
					 .owner = owner->id,
					 .start = (uint64_t)range->start,
					 .end = (uint64_t)range->end,
					 .type = (uint32_t)range->type,
					 .handle = owner->handle,
					 .lost = owner->lost,
					 .kept = owner->kept};
}

void fs_lock_tell(const struct fs_lock_owner *owner, const struct fs_range *range)
{
	struct gw_journal *journal = fs_table_of(owner->inode)->journal;
	const struct gw_fs_locking_v1 record = describe(owner, range);

	if (journal)
		gw_journal_put(journal, &gw_fs_locking_v1, false, &record);
}

void fs_lock_tell_lost(const struct fs_lock_owner *owner)
{
	fs_lock_tell(owner, &nothing);
}

static struct gw_fs_flocking_v1 describe_flock(const struct fs_open *open, int flock)
{
	return (struct gw_fs_flocking_v1){.handle = fs_slot_id(&open->slot),
					  .shared = flock == LOCK_SH,
					  .exclusive = flock == LOCK_EX,
					  .lost = open->handle.lost,
					  .kept = open->handle.kept};
}

void fs_flock_tell(const struct fs_open *open, int flock)
{
	struct gw_journal *journal = fs_table_of(open->handle.inode)->journal;
	const struct gw_fs_flocking_v1 record = describe_flock(open, flock);

	if (journal)
		gw_journal_put(journal, &gw_fs_flocking_v1, false, &record);
}

static int put_owner(const struct fs_lock_owner *owner, struct gw_state_writer *writer)
{
	struct gw_fs_locking_v1 record = describe(owner, &nothing);
	int err = owner->lost ? gw_state_put(writer, &gw_fs_locking_v1, &record) : 0;

	for (unsigned i = 0; i < owner->ranges.count && !err; i++) {
		record = describe(owner, &owner->ranges.at[i]);
		err = gw_state_put(writer, &gw_fs_locking_v1, &record);
	}
	return err;
}

static int put_flocks(struct fs *fs, struct gw_state_writer *writer)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&fs->handles->slots, &at))) {
		struct gw_fs_flocking_v1 record;

		if (!fs_slot_try_pin(&open->slot))
			continue;
		record = describe_flock(open, open->handle.flock);
		if (open->handle.flock || open->handle.lost)
			err = gw_state_put(writer, &gw_fs_flocking_v1, &record);
		fs_handle_put(&open->handle);
	}
	return err;
}

int fs_locks_checkpoint(struct fs *fs, struct gw_state_writer *writer)
{
	int err = 0;

	if (fs->locks) {
		GW_LOCK_SCOPE(&fs->locks->lock);
		for (struct fs_lock_owner *i = fs->locks->first; i && !err; i = i->next)
			err = put_owner(i, writer);
	}
	return err ? err : put_flocks(fs, writer);
}

/*
 * What a process left.
 */
static int find_kept(const struct fs_loading *loading, uint32_t number)
{
	const struct gw_outliving *outliving = &loading->fs->outliving;
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		if (fs_kept_is_lock(id) && fs_kept_lock_number(id) == number)
			return fd;
	}
	return -1;
}

/* It is where what was handed over would be. */
static int hand(struct fs_loading *loading, struct gw_handed_item item, uint32_t number)
{
	int fd = number ? find_kept(loading, number) : -1;
	int err = fd < 0 ? 0 : gw_handed_add(&loading->handed.all, item, fd);

	atomic_fetch_add(&loading->fs->locks_kept, fd >= 0);
	if (number > atomic_load(&loading->fs->lock_number))
		atomic_store(&loading->fs->lock_number, number);
	return err ? gw_fail(-err, "recovery: no room for a lock") : 0;
}

static int check_recovering(const struct fs_loading *loading)
{
	return loading->fs->recovering
		       ? 0
		       : gw_fail(EINVAL, "load: records of a journal are no part of a stream");
}

int fs_locking_put(void *opaque, const void *object)
{
	const struct gw_fs_locking_v1 *told = object;
	const struct gw_fs_lock_v1 record = {.inode = told->inode,
					     .owner = told->owner,
					     .start = told->start,
					     .end = told->end,
					     .write = told->type == F_WRLCK,
					     .handle = told->handle,
					     .lost = told->lost};
	struct fs_loading *loading = opaque;
	struct fs_lock_owner *owner;
	int err = check_recovering(loading);

	if (!err)
		err = fs_lock_put(loading, &record);
	if (err)
		return err;
	owner = fs_lock_owner_find(loading->locks, fs_staged_inode(loading, told->inode),
				   told->owner);
	if (owner->kept)
		return 0;
	owner->kept = told->kept;
	return hand(loading,
		    (struct gw_handed_item){
			    .kind = FS_HANDED_LOCKS, .id = told->inode, .owner = told->owner},
		    told->kept);
}

int fs_flocking_put(void *opaque, const void *object)
{
	const struct gw_fs_flocking_v1 *told = object;
	const struct gw_fs_flock_v1 record = {.handle = told->handle,
					      .shared = told->shared,
					      .exclusive = told->exclusive,
					      .lost = told->lost};
	struct fs_loading *loading = opaque;
	struct fs_open *open;
	int err = check_recovering(loading);

	if (!err)
		err = fs_flock_put(loading, &record);
	if (err)
		return err;
	open = fs_slot_adopted(&loading->handles->slots, told->handle);
	open->handle.kept = told->kept;
	return hand(loading, (struct gw_handed_item){.kind = FS_HANDED_HANDLE, .id = told->handle},
		    told->kept);
}
