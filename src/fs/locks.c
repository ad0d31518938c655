/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks.c - the guest's file locks, on the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/handles.h"
#include "fs/lock_owners.h"
#include "fs/locks_kept.h"
#include "fs/table.h"
#include "godwit/error.h"

int fs_locks_new(struct fs_locks **locks)
{
	*locks = calloc(1, sizeof(**locks));
	if (!*locks)
		return gw_fail(ENOMEM, "locks: no memory");
	pthread_mutex_init(&(*locks)->lock, NULL);
	return 0;
}

/*
 * Owners.
 */

static struct fs_lock_owner **find(struct fs_locks *locks, const struct fs_inode *inode,
				   uint64_t id)
{
	struct fs_lock_owner **at = &locks->first;

	while (*at && ((*at)->inode != inode || (*at)->id != id))
		at = &(*at)->next;
	return at;
}

struct fs_lock_owner *fs_lock_owner_find(struct fs_locks *locks, const struct fs_inode *inode,
					 uint64_t id)
{
	return *find(locks, inode, id);
}

int fs_lock_owner_add(struct fs_locks *locks, struct fs_inode *inode, uint64_t id,
		      struct fs_lock_owner **out)
{
	struct fs_lock_owner *owner =
		locks->count < FS_LOCK_OWNERS_MAX ? malloc(sizeof(*owner)) : NULL;

	if (!owner)
		return -ENOLCK;
	*owner = (struct fs_lock_owner){
		.next = locks->first, .inode = fs_inode_pin(inode), .id = id, .fd = -1};
	locks->count++;
	*out = locks->first = owner;
	return 0;
}

/* For writing if that may be, since a lock to write with needs it. */
int fs_lock_open(struct fs_inode *inode)
{
	int fd = fs_inode_open(inode, O_RDWR | O_CLOEXEC);

	if (fd == -EACCES || fd == -EROFS || fd == -ETXTBSY || fd == -EPERM)
		fd = fs_inode_open(inode, O_RDONLY | O_CLOEXEC);
	return fd;
}

int fs_lock_owner_open(struct fs_lock_owner *owner)
{
	if (!fs_inodes_may_open(fs_table_of(owner->inode)))
		return -ENOLCK;
	owner->fd = fs_lock_open(owner->inode);
	if (owner->fd < 0)
		return owner->fd;
	fs_inodes_charge(fs_table_of(owner->inode), 1);
	return 0;
}

/* Who keeps the description, too, is told afterwards: the locks on it are gone before. */
static void unlock_all(struct fs_lock_owner *owner)
{
	struct fs_range everything = {.end = INT64_MAX, .type = F_UNLCK};

	owner->lost = false;
	fs_lock_tell(owner, &everything);
	if (owner->kept && owner->fd >= 0)
		fs_lock_control(owner->fd, F_OFD_SETLK, &everything);
}

/* Returns under what it was kept (fs_lock_let_go(), not under the lock), or 0. */
static uint32_t remove_owner(struct fs_locks *locks, struct fs_lock_owner **at)
{
	struct fs_lock_owner *owner = *at;
	uint32_t kept = owner ? owner->kept : 0;

	if (!owner)
		return 0;
	unlock_all(owner);
	*at = owner->next;
	locks->count--;
	locks->ranges -= owner->ranges.count;
	if (owner->fd >= 0)
		fs_inodes_charge(fs_table_of(owner->inode), -1);
	gw_close(&owner->fd);
	fs_ranges_free(&owner->ranges);
	fs_inode_put(owner->inode);
	free(owner);
	return kept;
}

void fs_lock_owner_has(struct fs_locks *locks, struct fs_lock_owner *owner, struct fs_ranges *next)
{
	locks->ranges += next->count - owner->ranges.count;
	fs_ranges_free(&owner->ranges);
	owner->ranges = *next;
	*next = (struct fs_ranges){0};
}

/*
 * Locks.
 */

int fs_lock_control(int fd, int command, struct fs_range *range)
{
	/* l_pid is 0, as fcntl(2) has it for locks of open file descriptions. */
	struct flock lock = {
		.l_type = range->type,
		.l_whence = SEEK_SET,
		.l_start = range->start,
		.l_len = range->end == INT64_MAX ? 0 : range->end - range->start + 1,
	};

	if (fcntl(fd, command, &lock) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	range->type = lock.l_type;
	range->start = lock.l_start;
	range->end = lock.l_len ? lock.l_start + lock.l_len - 1 : INT64_MAX;
	return 0;
}

/* An owner without any locks asks with a description that is nobody's. */
int fs_lock_get(struct fs *fs, struct fs_inode *inode, uint64_t id, struct fs_range *range)
{
	struct fs_lock_owner *owner;
	GW_AUTO_FD int own = -1;
	GW_LOCK_SCOPE(&fs->locks->lock);

	owner = *find(fs->locks, inode, id);
	if (owner)
		return owner->lost ? -EIO : fs_lock_control(owner->fd, F_OFD_GETLK, range);
	own = fs_lock_open(inode);
	return own < 0 ? own : fs_lock_control(own, F_OFD_GETLK, range);
}

/* With a description that is kept, where one must be. -ERESTART: it was there a moment ago. */
static int open_owner(struct fs *fs, struct fs_lock_owner *owner, struct fs_lock_spare *spare)
{
	if (owner->fd >= 0)
		return 0;
	if (!fs_locks_are_kept(fs))
		return fs_lock_owner_open(owner);
	if (spare->fd < 0)
		return -ERESTART;
	owner->fd = gw_take_fd(&spare->fd);
	owner->kept = spare->number;
	fs_inodes_charge(fs_table_of(owner->inode), 1);
	return 0;
}

static void tell_all(const struct fs_lock_owner *owner)
{
	for (unsigned i = 0; i < owner->ranges.count; i++)
		fs_lock_tell(owner, &owner->ranges.at[i]);
}

/* What may become less is told to be gone first: what is told is always had (locks_kept.h). */
static int control(struct fs_lock_owner *owner, struct fs_range range)
{
	const struct fs_range none = {.start = range.start, .end = range.end, .type = F_UNLCK};
	bool less = range.type != F_WRLCK && fs_ranges_touch(&owner->ranges, &range);
	struct fs_range asked = range;
	int ret;

	if (less)
		fs_lock_tell(owner, &none);
	ret = fs_lock_control(owner->fd, F_OFD_SETLK, &asked);
	if (ret == 0 && range.type != F_UNLCK)
		fs_lock_tell(owner, &range);
	else if (ret < 0 && less)
		tell_all(owner);
	return ret;
}

/* The list before the kernel, since that part can fail. */
static int set(struct fs *fs, struct fs_lock_owner *owner, const struct fs_range *range,
	       struct fs_lock_spare *spare)
{
	struct fs_locks *locks = fs->locks;
	struct fs_ranges next;
	int ret = fs_ranges_with(&owner->ranges, range, &next);

	if (ret < 0)
		return ret;
	if (locks->ranges - owner->ranges.count + next.count > FS_LOCK_RANGES_MAX)
		ret = -ENOLCK;
	if (ret == 0)
		ret = open_owner(fs, owner, spare);
	if (ret == 0)
		ret = control(owner, *range);
	if (ret == 0)
		fs_lock_owner_has(locks, owner, &next);
	fs_ranges_free(&next);
	return ret;
}

/* *@gone: under what it was kept that has no locks any more. */
static int set_one(struct fs *fs, struct fs_inode *inode, uint64_t id, uint64_t handle,
		   const struct fs_range *range, struct fs_lock_spare *spare, uint32_t *gone)
{
	struct fs_lock_owner *owner;
	int ret = 0;
	GW_LOCK_SCOPE(&fs->locks->lock);

	owner = *find(fs->locks, inode, id);
	if (owner && owner->lost)
		return -EIO;
	if (!owner && range->type == F_UNLCK)
		return 0;
	if (!owner)
		ret = fs_lock_owner_add(fs->locks, inode, id, &owner);
	if (ret < 0)
		return ret;
	owner->handle = handle;
	ret = set(fs, owner, range, spare);
	if (!owner->ranges.count)
		*gone = remove_owner(fs->locks, find(fs->locks, inode, id));
	return ret;
}

int fs_lock_set(struct fs *fs, struct fs_inode *inode, uint64_t id, uint64_t handle,
		const struct fs_range *range)
{
	int ret;

	do {
		struct fs_lock_spare spare;
		uint32_t gone = 0;

		ret = fs_lock_spare(fs, inode, id, range, &spare);
		if (ret == 0)
			ret = set_one(fs, inode, id, handle, range, &spare, &gone);
		fs_lock_let_go(fs, gone);
		fs_lock_spare_end(fs, &spare);
	} while (ret == -ERESTART);
	return ret;
}

static uint32_t drop_one(struct fs *fs, const struct fs_inode *inode, uint64_t id)
{
	GW_LOCK_SCOPE(&fs->locks->lock);

	return remove_owner(fs->locks, find(fs->locks, inode, id));
}

void fs_lock_drop(struct fs *fs, const struct fs_inode *inode, uint64_t id)
{
	fs_lock_let_go(fs, drop_one(fs, inode, id));
}

/* The first, if there is one that is on @inode (NULL: on any), through @handle. */
static bool drop_first(struct fs *fs, const struct fs_inode *inode, uint64_t handle, uint32_t *gone)
{
	GW_LOCK_SCOPE(&fs->locks->lock);
	struct fs_lock_owner **at = &fs->locks->first;

	while (*at && inode && ((*at)->inode != inode || (*at)->handle != handle))
		at = &(*at)->next;
	if (!*at)
		return false;
	*gone = remove_owner(fs->locks, at);
	return true;
}

/* Whose owner lives on has said FLUSH for them before: what is left is the open file's own. */
void fs_lock_drop_through(struct fs *fs, const struct fs_inode *inode, uint64_t handle)
{
	uint32_t gone;

	while (drop_first(fs, inode, handle, &gone))
		fs_lock_let_go(fs, gone);
}

static int flock_set(struct fs_handle *handle, int operation)
{
	struct fs *fs = fs_table_of(handle->inode)->fs;
	int ret = operation == LOCK_UN ? 0 : fs_lock_keep_handle(fs, handle);

	if (ret)
		return ret;
	if (handle->flock)
		fs_flock_tell(fs_open_of(handle), 0);
	ret = flock(handle->fd, operation | LOCK_NB) < 0 ? -errno : 0;
	handle->flock = (uint8_t)(ret || operation == LOCK_UN ? 0 : operation);
	if (handle->flock)
		fs_flock_tell(fs_open_of(handle), handle->flock);
	else
		fs_lock_let_go(fs, atomic_exchange(&handle->kept, 0));
	return ret;
}

int fs_flock_set(struct fs_handle *handle, int type)
{
	static const struct {
		int type, operation;
	} operations[] = {{F_RDLCK, LOCK_SH}, {F_WRLCK, LOCK_EX}, {F_UNLCK, LOCK_UN}};

	if (handle->lost)
		return -EIO;
	for (size_t i = 0; i < GW_ARRAY_LEN(operations); i++) {
		if (operations[i].type == type)
			return flock_set(handle, operations[i].operation);
	}
	return -EINVAL;
}

/* Who keeps the descriptions as well would keep the locks. */
static void end_flocks(struct fs *fs)
{
	struct fs_open *open;
	uint32_t at = 0;

	while ((open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		if (open->handle.kept)
			flock_set(&open->handle, LOCK_UN);
		fs_handle_put(&open->handle);
	}
}

void fs_locks_end(struct fs *fs)
{
	uint32_t gone;

	if (!fs->locks)
		return;
	while (drop_first(fs, NULL, 0, &gone))
		fs_lock_let_go(fs, gone);
	fs_locks_clear(fs->locks);
	end_flocks(fs);
}

/*
 * All of them.
 */

static int show_owner(const struct fs_lock_owner *owner, fs_lock_fn *fn, void *opaque)
{
	struct fs_lock_info info = {.inode = owner->inode, .owner = owner->id};
	int ret = 0;

	for (unsigned i = 0; i < owner->ranges.count && !ret; i++) {
		info.range = owner->ranges.at[i];
		ret = fn(opaque, &info);
	}
	return ret;
}

static int show_flock(const struct fs_open *open, fs_lock_fn *fn, void *opaque)
{
	const struct fs_lock_info info = {
		.inode = open->handle.inode,
		.flock = true,
		.owner = fs_slot_id(&open->slot),
		.range = {.end = INT64_MAX,
			  .type = open->handle.flock == LOCK_EX ? F_WRLCK : F_RDLCK},
	};

	return open->handle.flock ? fn(opaque, &info) : 0;
}

int fs_locks_each(struct fs *fs, fs_lock_fn *fn, void *opaque)
{
	struct fs_open *open;
	uint32_t at = 0;
	int ret = 0;

	if (fs->locks) {
		GW_LOCK_SCOPE(&fs->locks->lock);
		for (struct fs_lock_owner *i = fs->locks->first; i && !ret; i = i->next)
			ret = show_owner(i, fn, opaque);
	}
	while (!ret && (open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		ret = show_flock(open, fn, opaque);
		fs_handle_put(&open->handle);
	}
	return ret;
}

void fs_locks_clear(struct fs_locks *locks)
{
	if (!locks)
		return;
	GW_LOCK_SCOPE(&locks->lock);
	while (locks->first)
		remove_owner(locks, &locks->first);
	locks->released = false;
}

void fs_locks_free(struct fs_locks *locks)
{
	if (!locks)
		return;
	fs_locks_clear(locks);
	pthread_mutex_destroy(&locks->lock);
	free(locks);
}
