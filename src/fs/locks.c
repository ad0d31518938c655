/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks.c - the guest's file locks, on the host. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/cleanup.h"
#include "fs/handle.h"
#include "fs/locks.h"
#include "fs/table.h"
#include "godwit/error.h"

#define OWNERS_MAX 4096 /* all together, so that the way along them is short */

/* One owner on one inode. */
struct owner {
	struct owner *next;
	struct fs_inode *inode;
	uint64_t id;
	int fd;
};

struct fs_locks {
	pthread_mutex_t lock;
	struct owner *first;
	unsigned count;
};

int fs_locks_new(struct fs_locks **locks)
{
	*locks = calloc(1, sizeof(**locks));
	if (!*locks)
		return gw_fail(ENOMEM, "locks: no memory");
	pthread_mutex_init(&(*locks)->lock, NULL);
	return 0;
}

static void owner_free(struct owner *owner)
{
	gw_close(&owner->fd);
	fs_inodes_charge(fs_table_of(owner->inode), -1);
	fs_inode_put(owner->inode);
	free(owner);
}

static struct owner **find(struct fs_locks *locks, const struct fs_inode *inode, uint64_t id)
{
	struct owner **at = &locks->first;

	while (*at && ((*at)->inode != inode || (*at)->id != id))
		at = &(*at)->next;
	return at;
}

/* For writing if that may be, since a lock to write with needs it. */
static int open_for_locks(struct fs_inode *inode)
{
	int fd = fs_inode_open(inode, O_RDWR | O_CLOEXEC);

	if (fd == -EACCES || fd == -EROFS || fd == -ETXTBSY || fd == -EPERM)
		fd = fs_inode_open(inode, O_RDONLY | O_CLOEXEC);
	return fd;
}

/* Under the lock. */
static int add_owner(struct fs_locks *locks, struct fs_inode *inode, uint64_t id,
		     struct owner **out)
{
	struct owner *owner;
	int fd = -ENOLCK;

	if (locks->count < OWNERS_MAX && fs_inodes_may_open(fs_table_of(inode)))
		fd = open_for_locks(inode);
	if (fd < 0)
		return fd;
	owner = malloc(sizeof(*owner));
	if (!owner) {
		gw_close(&fd);
		return -ENOLCK;
	}
	*owner = (struct owner){
		.next = locks->first, .inode = fs_inode_pin(inode), .id = id, .fd = fd};
	fs_inodes_charge(fs_table_of(inode), 1);
	locks->count++;
	*out = locks->first = owner;
	return 0;
}

static void remove_owner(struct fs_locks *locks, struct owner **at)
{
	struct owner *owner = *at;

	if (!owner)
		return;
	*at = owner->next;
	locks->count--;
	owner_free(owner);
}

static int control(int fd, int command, struct flock *lock)
{
	lock->l_pid = 0; /* fcntl(2): must be, for locks of open file descriptions */
	if (fcntl(fd, command, lock) == 0)
		return 0;
	return errno == EACCES ? -EAGAIN : -errno;
}

/* An owner without any locks asks with a description that is nobody's. */
int fs_lock_get(struct fs *fs, struct fs_inode *inode, uint64_t id, struct flock *lock)
{
	struct owner *owner;
	GW_AUTO_FD int own = -1;
	GW_LOCK_SCOPE(&fs->locks->lock);

	owner = *find(fs->locks, inode, id);
	if (owner)
		return control(owner->fd, F_OFD_GETLK, lock);
	own = open_for_locks(inode);
	return own < 0 ? own : control(own, F_OFD_GETLK, lock);
}

static bool is_everything(const struct flock *lock)
{
	return lock->l_start == 0 && lock->l_len == 0;
}

int fs_lock_set(struct fs *fs, struct fs_inode *inode, uint64_t id, struct flock *lock)
{
	struct owner **at, *owner;
	bool fresh;
	int ret = 0;
	GW_LOCK_SCOPE(&fs->locks->lock);

	at = find(fs->locks, inode, id);
	owner = *at;
	fresh = !owner;
	if (lock->l_type == F_UNLCK && (fresh || is_everything(lock))) {
		remove_owner(fs->locks, at);
		return 0;
	}
	if (fresh)
		ret = add_owner(fs->locks, inode, id, &owner);
	if (ret < 0)
		return ret;
	ret = control(owner->fd, F_OFD_SETLK, lock);
	if (ret < 0 && fresh)
		remove_owner(fs->locks, &fs->locks->first);
	return ret;
}

void fs_lock_drop(struct fs *fs, const struct fs_inode *inode, uint64_t id)
{
	GW_LOCK_SCOPE(&fs->locks->lock);

	remove_owner(fs->locks, find(fs->locks, inode, id));
}

int fs_flock_set(struct fs_handle *handle, int type)
{
	static const struct {
		int type, operation;
	} operations[] = {{F_RDLCK, LOCK_SH}, {F_WRLCK, LOCK_EX}, {F_UNLCK, LOCK_UN}};

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (operations[i].type != type)
			continue;
		if (flock(handle->fd, operations[i].operation | LOCK_NB) < 0)
			return -errno;
		handle->flocked = type != F_UNLCK;
		return 0;
	}
	return -EINVAL;
}

struct fs_inode *fs_locks_any(struct fs_locks *locks)
{
	if (!locks)
		return NULL;
	GW_LOCK_SCOPE(&locks->lock);
	return locks->first ? fs_inode_pin(locks->first->inode) : NULL;
}

void fs_locks_clear(struct fs_locks *locks)
{
	if (!locks)
		return;
	GW_LOCK_SCOPE(&locks->lock);
	while (locks->first)
		remove_owner(locks, &locks->first);
}

void fs_locks_free(struct fs_locks *locks)
{
	if (!locks)
		return;
	fs_locks_clear(locks);
	pthread_mutex_destroy(&locks->lock);
	free(locks);
}
