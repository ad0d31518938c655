/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attic_kept.c - the lock of an attic outlives its process. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "fs/attic.h"
#include "fs/attic_kept.h"
#include "fs/table.h"
#include "godwit/error.h"

/* No node id has 0 where the slot's index is. */
static uint64_t key_of(const struct fs_inode *dir)
{
	return (uint64_t)fs_slot_index(&dir->slot) << 32;
}

bool fs_kept_is_attic(uint64_t id)
{
	return !(uint32_t)id && !(id >> 63);
}

int fs_attic_keep(struct fs *fs, const struct fs_inode *dir, int lock)
{
	const struct gw_outliving *outliving = &fs->outliving;

	return outliving->keep ? outliving->keep(outliving->opaque, key_of(dir), lock) : 0;
}

static void unlock(int lock)
{
	struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (fcntl(lock, F_OFD_SETLK, &none) < 0)
		gw_debug("an attic's lock: it stays until it is closed everywhere");
}

void fs_attic_let_go(struct fs *fs, const struct fs_inode *dir, int lock)
{
	const struct gw_outliving *outliving = &fs->outliving;

	if (!outliving->let_go || lock < 0)
		return;
	unlock(lock);
	outliving->let_go(outliving->opaque, key_of(dir));
}

int fs_attic_kept(struct fs *fs, const struct fs_inode *dir, int fd)
{
	const struct gw_outliving *outliving = &fs->outliving;
	uint64_t id;
	int lock;

	for (unsigned i = 0; outliving->kept; i++) {
		lock = outliving->kept(outliving->opaque, i, &id);
		if (lock < 0)
			break;
		if (id != key_of(dir) || !fs_attic_is_lock(fd, lock))
			continue;
		lock = fcntl(lock, F_DUPFD_CLOEXEC, 0);
		return lock < 0 ? -errno : lock;
	}
	return -ENOENT;
}

bool fs_attics_forsake(struct fs *fs, bool (*is_joined)(void *opaque, uint32_t slot), void *opaque)
{
	const struct gw_outliving *outliving = &fs->outliving;
	bool any = false;
	uint64_t id;
	int lock;

	for (unsigned i = 0; (lock = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		if (!fs_kept_is_attic(id) || is_joined(opaque, (uint32_t)(id >> 32)))
			continue;
		unlock(lock);
		outliving->let_go(outliving->opaque, id);
		any = true;
	}
	return any;
}
