/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks_move.c - locks on their way: written, released, taken again at either end. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/load.h"
#include "fs/lock_owners.h"
#include "fs/locks_kept.h"
#include "godwit/error.h"

#define PATIENCE_STEP_MS 5

static const struct fs_range everything = {.end = INT64_MAX, .type = F_UNLCK};

typedef int handle_fn(struct fs *fs, struct fs_open *open, void *opaque);

static int each_handle(struct fs *fs, handle_fn *fn, void *opaque)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = fn(fs, open, opaque);
		fs_handle_put(&open->handle);
	}
	return err;
}

/*
 * Written.
 */

static int save_owner(const struct fs_lock_owner *owner, struct gw_state_writer *writer)
{
	struct gw_fs_lock_v1 record = {
		.inode = fs_inode_id(owner->inode),
		.owner = owner->id,
		.handle = owner->handle,
		.lost = owner->lost,
	};
	int err = owner->lost ? gw_state_put(writer, &gw_fs_lock_v1, &record) : 0;

	for (unsigned i = 0; i < owner->ranges.count && !err; i++) {
		const struct fs_range *range = &owner->ranges.at[i];

		record.start = (uint64_t)range->start;
		record.end = (uint64_t)range->end;
		record.write = range->type == F_WRLCK;
		err = gw_state_put(writer, &gw_fs_lock_v1, &record);
	}
	return err;
}

static int save_flock(struct fs *fs, struct fs_open *open, void *writer)
{
	const struct gw_fs_flock_v1 record = {
		.handle = fs_slot_id(&open->slot),
		.shared = open->handle.flock == LOCK_SH,
		.exclusive = open->handle.flock == LOCK_EX,
		.lost = open->handle.lost,
	};

	(void)fs;
	if (!open->handle.flock && !open->handle.lost)
		return 0;
	return gw_state_put(writer, &gw_fs_flock_v1, &record);
}

/* Only one side can hold a lock, and who holds it must not lose it unawares. */
static int refuse(void *opaque, const struct fs_lock_info *info)
{
	char text[FS_DESCRIBE_MAX];

	return gw_fail(EBUSY,
		       "save: %s: the guest holds a lock on it, which a state in this format "
		       "cannot say",
		       fs_describe(opaque, info->inode, text));
}

int fs_locks_check_none(struct fs *fs)
{
	return fs_locks_each(fs, refuse, fs->inodes);
}

int fs_locks_save(struct fs *fs, struct gw_state_writer *writer)
{
	int err = 0;

	if (gw_state_number(writer) < gw_fs_lock_v1.since)
		return fs_locks_check_none(fs);
	if (fs->locks) {
		GW_LOCK_SCOPE(&fs->locks->lock);
		for (struct fs_lock_owner *i = fs->locks->first; i && !err; i = i->next)
			err = save_owner(i, writer);
	}
	return err ? err : each_handle(fs, save_flock, writer);
}

/*
 * Released.
 */

static void release_owner(const struct fs_lock_owner *owner)
{
	struct fs_range range = everything;

	if (owner->fd >= 0)
		fs_lock_control(owner->fd, F_OFD_SETLK, &range);
}

static int release_flock(struct fs *fs, struct fs_open *open, void *opaque)
{
	(void)fs;
	(void)opaque;
	if (open->handle.flock)
		flock(open->handle.fd, LOCK_UN);
	return 0;
}

/* The destination takes them when it has read the end of the stream, which the library writes after
 * this; everything before it is on its way. */
int fs_locks_release(struct fs *fs, struct gw_state_writer *writer)
{
	int err = gw_state_flush(writer);

	if (!err && fs->locks && !fs_handover_keeps_locks(fs->handover))
		fs_locks_let_go(fs);
	return err;
}

void fs_locks_let_go(struct fs *fs)
{
	GW_LOCK_SCOPE(&fs->locks->lock);

	fs->locks->released = true;
	for (struct fs_lock_owner *i = fs->locks->first; i; i = i->next)
		release_owner(i);
	each_handle(fs, release_flock, NULL);
}

/*
 * Taken again by who released them.
 */

static void mark_lost(struct fs_handles *handles, struct fs_lock_owner *owner)
{
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(handles, owner->handle);

	owner->lost = true;
	fs_lock_tell_lost(owner);
	if (!handle || handle->inode != owner->inode)
		return;
	handle->lost = true;
	fs_flock_tell(fs_open_of(handle), handle->flock);
}

static void tell_lost(struct fs *fs, struct fs_inode *inode, int err, const char *what)
{
	char text[FS_DESCRIBE_MAX];

	gw_warn("locks: %s: %s was lost while the guest was stopped: %s; who held it gets errors "
		"from the file until it is closed",
		fs_describe(fs->inodes, inode, text), what,
		err == -EAGAIN ? "somebody else has it" : strerror(-err));
}

/* All, or none: half of them would protect nothing. *@failed: which it was. */
static int take_ranges(struct fs_lock_owner *owner, struct fs_range *failed)
{
	int err = 0;

	for (unsigned i = 0; i < owner->ranges.count && !err; i++) {
		*failed = owner->ranges.at[i];
		err = fs_lock_control(owner->fd, F_OFD_SETLK, &owner->ranges.at[i]);
	}
	if (err)
		release_owner(owner);
	return err;
}

#define RANGE_TEXT_MAX 80
static const char *range_text(const struct fs_range *range, char text[RANGE_TEXT_MAX])
{
	const char *type = range->type == F_WRLCK ? "write" : "read";

	if (range->end == INT64_MAX)
		snprintf(text, RANGE_TEXT_MAX, "the %s lock from byte %lld on", type,
			 (long long)range->start);
	else
		snprintf(text, RANGE_TEXT_MAX, "the %s lock on bytes %lld to %lld", type,
			 (long long)range->start, (long long)range->end);
	return text;
}

static void retake_owner(struct fs *fs, struct fs_lock_owner *owner)
{
	char text[RANGE_TEXT_MAX];
	struct fs_range failed;
	int err = take_ranges(owner, &failed);

	if (!err)
		return;
	tell_lost(fs, owner->inode, err, range_text(&failed, text));
	fs_lock_owner_has(fs->locks, owner, &(struct fs_ranges){0});
	mark_lost(fs->handles, owner);
}

static int retake_flock(struct fs *fs, struct fs_open *open, void *opaque)
{
	struct fs_handle *handle = &open->handle;

	(void)opaque;
	if (!handle->flock || !flock(handle->fd, handle->flock | LOCK_NB))
		return 0;
	tell_lost(fs, handle->inode, -errno, "the lock of flock()");
	handle->flock = 0;
	handle->lost = true;
	fs_flock_tell(open, 0);
	return 0;
}

void fs_locks_retake(struct fs *fs)
{
	if (!fs->locks)
		return;
	GW_LOCK_SCOPE(&fs->locks->lock);
	if (!fs->locks->released)
		return;
	fs->locks->released = false;
	for (struct fs_lock_owner *i = fs->locks->first; i; i = i->next)
		retake_owner(fs, i);
	each_handle(fs, retake_flock, NULL);
}

/*
 * Read, and taken by who loads.
 */

static int check_lock(const struct gw_fs_lock_v1 *record, const struct fs_inode *inode)
{
	if (!inode || inode->type != DT_REG)
		return gw_fail(EINVAL, "load: inode %llu cannot have locks",
			       (unsigned long long)record->inode);
	if (record->end > INT64_MAX || record->start > record->end)
		return gw_fail(EINVAL, "load: a lock on bytes %llu to %llu of inode %llu",
			       (unsigned long long)record->start, (unsigned long long)record->end,
			       (unsigned long long)record->inode);
	return 0;
}

static int stage_range(struct fs_locks *locks, struct fs_lock_owner *owner,
		       const struct gw_fs_lock_v1 *record)
{
	const struct fs_range range = {(int64_t)record->start, (int64_t)record->end,
				       record->write ? F_WRLCK : F_RDLCK};
	struct fs_ranges next;

	if (owner->lost || fs_ranges_touch(&owner->ranges, &range))
		return gw_fail(EINVAL, "load: inode %llu has two locks of one owner on byte %llu",
			       (unsigned long long)record->inode,
			       (unsigned long long)record->start);
	if (locks->ranges == FS_LOCK_RANGES_MAX || fs_ranges_with(&owner->ranges, &range, &next))
		return gw_fail(ENOLCK, "load: inode %llu has too many locks",
			       (unsigned long long)record->inode);
	fs_lock_owner_has(locks, owner, &next);
	return 0;
}

int fs_lock_put(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_lock_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->inode);
	struct fs_lock_owner *owner;
	int err = check_lock(record, inode);

	if (err)
		return err;
	owner = fs_lock_owner_find(loading->locks, inode, record->owner);
	if (!owner && fs_lock_owner_add(loading->locks, inode, record->owner, &owner))
		return gw_fail(ENOLCK, "load: more than %d owners of locks", FS_LOCK_OWNERS_MAX);
	owner->handle = record->handle;
	if (!record->lost)
		return stage_range(loading->locks, owner, record);
	owner->lost = true;
	return owner->ranges.count ? gw_fail(EINVAL, "load: a lock of inode %llu is lost and held",
					     (unsigned long long)record->inode)
				   : 0;
}

int fs_flock_put(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_flock_v1 *record = object;
	struct fs_open *open = fs_slot_adopted(&loading->handles->slots, record->handle);

	if (!open || !open->handle.inode || open->handle.dir ||
	    (record->shared && record->exclusive))
		return gw_fail(EINVAL, "load: handle %#llx cannot have such a lock",
			       (unsigned long long)record->handle);
	open->handle.flock = record->exclusive ? LOCK_EX : record->shared ? LOCK_SH : 0;
	open->handle.lost = record->lost;
	return 0;
}

static int taken(struct fs_loading *loading, struct fs_inode *inode, int err, const char *what)
{
	char text[FS_DESCRIBE_MAX];

	return gw_fail(-err, "load: %s: %s, which the guest holds, cannot be had: %s",
		       fs_describe(loading->inodes, inode, text), what,
		       err == -EAGAIN ? "somebody else has it" : strerror(-err));
}

/* What was to be handed over and was not is released when its owner sees that, which is waited for
 * once in a load. */
static bool rest(struct fs_loading *loading)
{
	if (!loading->handed.patience)
		return false;
	loading->handed.patience--;
	poll(NULL, 0, PATIENCE_STEP_MS);
	return true;
}

static int take_patiently(struct fs_loading *loading, struct fs_lock_owner *owner,
			  struct fs_range *failed)
{
	int err = take_ranges(owner, failed);

	while (err == -EAGAIN && rest(loading))
		err = take_ranges(owner, failed);
	return err;
}

/* The description that the source's owner has, or one of its own. */
static int take_or_open(struct fs_loading *loading, struct fs_lock_owner *owner)
{
	owner->fd = fs_handed_take(loading, FS_HANDED_LOCKS, fs_inode_id(owner->inode), owner->id,
				   owner->inode);
	if (owner->fd < 0) {
		owner->kept = 0;
		return fs_lock_owner_open(owner);
	}
	fs_inodes_charge(loading->inodes, 1);
	return 0;
}

/* What is not to be had because the file is not: the operator's choice, as for the file itself. */
static int adopt_owner(struct fs_loading *loading, struct fs_lock_owner *owner)
{
	bool gone = fs_inode_has(owner->inode, FS_INODE_LOST);
	int err = owner->lost || gone ? 0 : take_or_open(loading, owner);
	char text[RANGE_TEXT_MAX];
	struct fs_range failed;

	if (err)
		err = fs_miss(loading, owner->inode, err, "cannot be opened for its locks");
	if (err)
		return err;
	if (owner->fd < 0) {
		fs_lock_owner_has(loading->locks, owner, &(struct fs_ranges){0});
		mark_lost(loading->handles, owner);
		return 0;
	}
	err = take_patiently(loading, owner, &failed);
	if (!err)
		return fs_lock_keep_owner(loading->fs, owner);
	if (!loading->fs->recovering)
		return taken(loading, owner->inode, err, range_text(&failed, text));
	/* A process that died had let go of it, for a destination. */
	tell_lost(loading->fs, owner->inode, err, range_text(&failed, text));
	fs_lock_owner_has(loading->locks, owner, &(struct fs_ranges){0});
	mark_lost(loading->handles, owner);
	return 0;
}

static int adopt_flock(struct fs_loading *loading, struct fs_handle *handle)
{
	int err = 0;

	if (!handle->flock || handle->fd < 0)
		return 0;
	do
		err = flock(handle->fd, handle->flock | LOCK_NB) < 0 ? -errno : 0;
	while (err == -EAGAIN && rest(loading));
	if (!err)
		return fs_lock_keep_handle(loading->fs, handle);
	if (!loading->fs->recovering)
		return taken(loading, handle->inode, err, "the lock of flock()");
	tell_lost(loading->fs, handle->inode, err, "the lock of flock()");
	handle->flock = 0;
	handle->lost = true;
	return 0;
}

int fs_locks_adopt(struct fs_loading *loading)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	for (struct fs_lock_owner *i = loading->locks->first; i && !err; i = i->next)
		err = adopt_owner(loading, i);
	while (!err && (open = fs_slots_next(&loading->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = adopt_flock(loading, &open->handle);
		fs_handle_put(&open->handle);
	}
	return err;
}
