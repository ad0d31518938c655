/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/sync.c - what was written and answered is on the server before the guest is elsewhere. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include "base/checked.h"
#include "fs/collect.h"
#include "fs/handles.h"
#include "fs/sync.h"
#include "godwit/error.h"

/*
 * File systems that several hosts can use at once without seeing each other's caches at once: a
 * destination would read what was there before. Those of clusters (gfs2, ocfs2, ceph, lustre) keep
 * caches coherent by locks. Not in every linux/magic.h; the numbers are those of statfs(2).
 */
#define MAGIC_CIFS 0xff534d42
#define MAGIC_SMB2 0xfe534d42
#define MAGIC_FUSE 0x65735546
#define MAGIC_9P   0x01021997
#define MAGIC_AFS  0x5346414f
#define MAGIC_VBOX 0x786f4256

bool fs_sync_type_is_incoherent(uint64_t f_type)
{
	static const uint32_t local_caches[] = {
		NFS_SUPER_MAGIC, MAGIC_CIFS, MAGIC_SMB2, MAGIC_FUSE,
		MAGIC_9P,	 MAGIC_AFS,  MAGIC_VBOX, SMB_SUPER_MAGIC,
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(local_caches); i++) {
		if (local_caches[i] == (uint32_t)f_type)
			return true;
	}
	return false;
}

bool fs_sync_is_incoherent(int fd)
{
	struct statfs sfs;

	/* Who cannot tell has to be synced. */
	return fstatfs(fd, &sfs) < 0 || fs_sync_type_is_incoherent((uint64_t)sfs.f_type);
}

bool fs_sync_is_due(const struct fs_handle *handle)
{
	return handle->fd >= 0 && atomic_load(&handle->dirty) && fs_sync_is_incoherent(handle->fd);
}

static int sync_handle(struct fs *fs, struct fs_handle *handle)
{
	char text[FS_DESCRIBE_MAX];

	if (!fs_sync_is_due(handle))
		return 0;
	if (fsync(handle->fd) < 0)
		return gw_fail(errno, "save: %s: what was written cannot be synced: %s",
			       fs_describe(fs->inodes, handle->inode, text), strerror(errno));
	atomic_store(&handle->dirty, false);
	return 0;
}

/* So that little is left when the guest stands still. An error comes up again then. */
static int start_writing(struct fs *fs, struct fs_handle *handle)
{
	(void)fs;
	if (handle->fd >= 0 && atomic_load(&handle->dirty) && fs_sync_is_incoherent(handle->fd))
		sync_file_range(handle->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int each_handle(struct fs *fs, int (*fn)(struct fs *fs, struct fs_handle *handle))
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = fn(fs, &open->handle);
		fs_handle_put(&open->handle);
	}
	return err;
}

void fs_sync_begin(struct fs *fs)
{
	each_handle(fs, start_writing);
}

int fs_sync_all(struct fs *fs)
{
	return each_handle(fs, sync_handle);
}
