/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/mounts.c - the mounts inside the share, by small numbers. */
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "fs/open.h"
#include "fs/table.h"

static uint64_t device_of(const struct statx *stx)
{
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

static uint64_t mount_id_of(const struct statx *stx)
{
	/* Linux 5.8; before that the device alone has to do. */
	return stx->stx_mask & STATX_MNT_ID ? stx->stx_mnt_id : 0;
}

static bool is_at(const struct fs_mount *mount, const struct statx *stx)
{
	return mount->known && mount->mnt_id == mount_id_of(stx) && mount->dev == device_of(stx);
}

static void set(struct fs_mount *mount, const struct statx *stx)
{
	*mount = (struct fs_mount){
		.used = true,
		.known = true,
		.inodes = 1,
		.mnt_id = mount_id_of(stx),
		.dev = device_of(stx),
		.fd = -1,
	};
}

/* Can files on this mount be opened by handle? Asked by doing it once. */
static int open_for_handles(struct fs_inodes *inodes, int fd)
{
	GW_AUTO_FD int dir = fs_open_again(inodes->fs->proc_fd, fd, O_RDONLY | O_DIRECTORY);
	struct fs_fhandle handle;
	GW_AUTO_FD int probe = -1;

	if (dir < 0 || fs_fhandle_of(fd, &handle))
		return -1;
	probe = fs_fhandle_open(dir, &handle);
	return probe < 0 ? -1 : gw_take_fd(&dir);
}

int fs_mounts_init(struct fs_inodes *inodes)
{
	struct fs_mount *root = &inodes->mounts[0];
	struct statx stx;
	int err;

	pthread_mutex_init(&inodes->mounts_lock, NULL);
	root->fd = -1;
	err = fs_statx_fd(inodes->fs->root_fd, &stx);
	if (err)
		return err;
	set(root, &stx);
	atomic_store(&inodes->mounts_end, 1);
	fs_mount_offer(inodes, 0, inodes->fs->root_fd);
	return 0;
}

void fs_mounts_fini(struct fs_inodes *inodes)
{
	for (size_t i = 0; i < atomic_load(&inodes->mounts_end); i++) {
		if (inodes->mounts[i].used)
			gw_close(&inodes->mounts[i].fd);
	}
	pthread_mutex_destroy(&inodes->mounts_lock);
}

/* The root's mount never changes, so that most look-ups take no lock. */
bool fs_mount_is(struct fs_inodes *inodes, unsigned mount, const struct statx *stx)
{
	if (!mount)
		return is_at(&inodes->mounts[0], stx);
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	return is_at(&inodes->mounts[mount], stx);
}

/* mounts_lock is held. */
static int find_or_add(struct fs_inodes *inodes, const struct statx *stx, unsigned hint)
{
	unsigned end = atomic_load(&inodes->mounts_end), unused = end;

	if (is_at(&inodes->mounts[hint], stx))
		return (int)hint;
	for (unsigned i = 1; i < end; i++) {
		if (is_at(&inodes->mounts[i], stx))
			return (int)i;
		if (!inodes->mounts[i].used && unused == end)
			unused = i;
	}
	if (unused == FS_MOUNTS_MAX)
		return -ENFILE;
	set(&inodes->mounts[unused], stx);
	inodes->mounts[unused].inodes = 0;
	if (unused == end)
		atomic_store(&inodes->mounts_end, end + 1);
	return (int)unused;
}

int fs_mount_get(struct fs_inodes *inodes, const struct statx *stx, unsigned hint, unsigned *mount)
{
	int found;

	*mount = 0;
	if (is_at(&inodes->mounts[0], stx))
		return 0;
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	found = find_or_add(inodes, stx, hint);
	if (found < 0)
		return found;
	inodes->mounts[found].inodes++;
	*mount = (unsigned)found;
	return 0;
}

void fs_mount_expect(struct fs_inodes *inodes, unsigned mount)
{
	struct fs_mount *at = &inodes->mounts[mount];
	GW_LOCK_SCOPE(&inodes->mounts_lock);

	if (at->expected)
		return;
	if (!at->used)
		*at = (struct fs_mount){.used = true, .fd = -1};
	at->expected = true;
	at->inodes++;
	if (atomic_load(&inodes->mounts_end) <= mount)
		atomic_store(&inodes->mounts_end, mount + 1);
}

void fs_mounts_unexpect(struct fs_inodes *inodes)
{
	for (unsigned i = 1; i < atomic_load(&inodes->mounts_end); i++) {
		struct fs_mount *at = &inodes->mounts[i];

		if (!at->expected)
			continue;
		at->expected = false;
		fs_mount_put(inodes, i);
	}
}

void fs_mount_hold(struct fs_inodes *inodes, unsigned mount)
{
	struct fs_mount *at = &inodes->mounts[mount];

	if (!mount)
		return;
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	/* Nobody was on it any more: the source has given its number to another one, perhaps. */
	if (at->inodes++ == 1 && at->expected) {
		gw_close(&at->fd);
		at->known = false;
		atomic_store(&at->offered, false);
	}
}

/* mounts_lock is held. */
static bool is_known_elsewhere(const struct fs_inodes *inodes, const struct statx *stx)
{
	for (unsigned i = 0; i < inodes->mounts_end; i++) {
		if (is_at(&inodes->mounts[i], stx))
			return true;
	}
	return false;
}

bool fs_mount_learn(struct fs_inodes *inodes, unsigned mount, const struct statx *stx)
{
	struct fs_mount *at = &inodes->mounts[mount];

	if (!mount)
		return is_at(at, stx);
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	if (at->used && !at->known && !is_known_elsewhere(inodes, stx)) {
		at->known = true;
		at->mnt_id = mount_id_of(stx);
		at->dev = device_of(stx);
	}
	return is_at(at, stx);
}

bool fs_mount_may_be(struct fs_inodes *inodes, unsigned mount, const struct statx *stx)
{
	const struct fs_mount *at = &inodes->mounts[mount];
	GW_LOCK_SCOPE(&inodes->mounts_lock);

	return !at->known || at->dev == device_of(stx);
}

void fs_mount_put(struct fs_inodes *inodes, unsigned mount)
{
	struct fs_mount *at = &inodes->mounts[mount];
	GW_AUTO_FD int closing = -1;

	if (!mount)
		return;
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	if (--at->inodes)
		return;
	closing = gw_take_fd(&at->fd);
	at->used = at->known = at->expected = false;
}

void fs_mount_offer(struct fs_inodes *inodes, unsigned mount, int fd)
{
	struct fs_mount *at = &inodes->mounts[mount];
	bool never = inodes->fs->host->handles == FS_HANDLES_NEVER;
	GW_AUTO_FD int ours = -1;
	struct statfs sfs;

	if (atomic_load_explicit(&at->offered, memory_order_relaxed) ||
	    atomic_exchange(&at->offered, true))
		return;
	ours = never ? -1 : open_for_handles(inodes, fd);
	GW_LOCK_SCOPE(&inodes->mounts_lock);
	at->portable = !fstatfs(fd, &sfs) && fs_fhandle_is_portable((uint64_t)sfs.f_type);
	if (at->fd < 0)
		__atomic_store_n(&at->fd, gw_take_fd(&ours), __ATOMIC_RELAXED);
}

int fs_mount_fd(struct fs_inodes *inodes, unsigned mount)
{
	/* Only ever closed with the last inode on the mount. */
	return __atomic_load_n(&inodes->mounts[mount].fd, __ATOMIC_RELAXED);
}
