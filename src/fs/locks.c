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
static int open_for_locks(struct fs_inode *inode)
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
	owner->fd = open_for_locks(owner->inode);
	if (owner->fd < 0)
		return owner->fd;
	fs_inodes_charge(fs_table_of(owner->inode), 1);
	return 0;
}

static void remove_owner(struct fs_locks *locks, struct fs_lock_owner **at)
{
	struct fs_lock_owner *owner = *at;

	if (!owner)
		return;
	*at = owner->next;
	locks->count--;
	locks->ranges -= owner->ranges.count;
	if (owner->fd >= 0)
		fs_inodes_charge(fs_table_of(owner->inode), -1);
	gw_close(&owner->fd);
	fs_ranges_free(&owner->ranges);
	fs_inode_put(owner->inode);
	free(owner);
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
	own = open_for_locks(inode);
	return own < 0 ? own : fs_lock_control(own, F_OFD_GETLK, range);
}

/* The list before the kernel, since that part can fail. */
static int set(struct fs_locks *locks, struct fs_lock_owner *owner, struct fs_range range)
{
	struct fs_ranges next;
	int ret = fs_ranges_with(&owner->ranges, &range, &next);

	if (ret < 0)
		return ret;
	if (locks->ranges - owner->ranges.count + next.count > FS_LOCK_RANGES_MAX)
		ret = -ENOLCK;
	if (ret == 0 && owner->fd < 0)
		ret = fs_lock_owner_open(owner);
	if (ret == 0)
		ret = fs_lock_control(owner->fd, F_OFD_SETLK, &range);
	if (ret == 0)
		fs_lock_owner_has(locks, owner, &next);
	fs_ranges_free(&next);
	return ret;
}

int fs_lock_set(struct fs *fs, struct fs_inode *inode, uint64_t id, uint64_t handle,
		const struct fs_range *range)
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
	ret = set(fs->locks, owner, *range);
	if (!owner->ranges.count)
		remove_owner(fs->locks, find(fs->locks, inode, id));
	return ret;
}

void fs_lock_drop(struct fs *fs, const struct fs_inode *inode, uint64_t id)
{
	GW_LOCK_SCOPE(&fs->locks->lock);

	remove_owner(fs->locks, find(fs->locks, inode, id));
}

/* Whose owner lives on has said FLUSH for them before: what is left is the open file's own. */
void fs_lock_drop_through(struct fs *fs, const struct fs_inode *inode, uint64_t handle)
{
	GW_LOCK_SCOPE(&fs->locks->lock);
	struct fs_lock_owner **at = &fs->locks->first;

	while (*at) {
		if ((*at)->inode == inode && (*at)->handle == handle)
			remove_owner(fs->locks, at);
		else
			at = &(*at)->next;
	}
}

int fs_flock_set(struct fs_handle *handle, int type)
{
	static const struct {
		int type, operation;
	} operations[] = {{F_RDLCK, LOCK_SH}, {F_WRLCK, LOCK_EX}, {F_UNLCK, LOCK_UN}};

	if (handle->lost)
		return -EIO;
	for (size_t i = 0; i < GW_ARRAY_LEN(operations); i++) {
		int operation = operations[i].operation, ret;

		if (operations[i].type != type)
			continue;
		ret = flock(handle->fd, operation | LOCK_NB) < 0 ? -errno : 0;
		handle->flock = (uint8_t)(ret || operation == LOCK_UN ? 0 : operation);
		return ret;
	}
	return -EINVAL;
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
