/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attr.c - attributes as the guest gets them, and for how long it may believe them. */
#include "fs/attr.h"
#include "fs/notify.h"
#include "fs/request.h"
#include "fs/watch.h"

/* Linux 5.8, which a C library may be older than. */
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

#define A_DAY 86400

/* The policies of virtiofsd, whose option's values these are. */
static const struct fs_cache_policy policies[] = {
	[FS_CACHE_AUTO] = {.valid = 1},
	[FS_CACHE_ALWAYS] = {.valid = A_DAY,
			     .file_flags = FOPEN_KEEP_CACHE,
			     .dir_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR},
	[FS_CACHE_NEVER] = {.valid = 0, .file_flags = FOPEN_DIRECT_IO},
	[FS_CACHE_METADATA] = {.valid = A_DAY,
			       .file_flags = FOPEN_DIRECT_IO,
			       .dir_flags = FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR},
};

/* Nothing is kept: the guest asks each time, and reads again when it opens. */
static const struct fs_cache_policy doubtful[] = {
	[FS_CACHE_AUTO] = {.valid = 0},
	[FS_CACHE_ALWAYS] = {.valid = 0},
	[FS_CACHE_NEVER] = {.file_flags = FOPEN_DIRECT_IO},
	[FS_CACHE_METADATA] = {.file_flags = FOPEN_DIRECT_IO},
};

const struct fs_cache_policy *fs_cache_policy(const struct fs *fs, struct fs_inode *inode)
{
	return fs_watch_doubts(fs, inode) ? &doubtful[fs->policy.cache]
					  : &policies[fs->policy.cache];
}

/* Whom to name to the guest when it changes (notify.h). */
static void learn(const struct fs *fs, struct fs_inode *inode)
{
	uint64_t key;

	if (fs_notify_agreed(fs) && fs_watch_key(inode, &key))
		fs_notify_learn(fs->notify, key, fs_inode_id(inode));
}

/* The same by its id; the guest has just been given a reference. */
static uint64_t attr_valid(const struct fs *fs, struct fs_inode *parent, uint64_t nodeid)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;

	if (!fs->watch || (fs_changed_quiet(fs_watch_changed(fs->watch)) && !fs_notify_agreed(fs)))
		return policies[fs->policy.cache].valid;
	inode = fs_inode_get(fs->inodes, nodeid);
	if (!inode)
		return 0;
	learn(fs, parent);
	learn(fs, inode);
	return fs_cache_policy(fs, inode)->valid;
}

/* The 32-bit form of a device number that FUSE uses: 12 bits of major, 20 of minor. */
static uint32_t fuse_dev(uint32_t dev_major, uint32_t dev_minor)
{
	return (dev_minor & 0xff) | (dev_major & 0xfff) << 8 | (dev_minor & 0xfff00) << 12;
}

void fs_attr_fill(const struct fs *fs, struct fuse_attr *attr, const struct statx *stx)
{
	*attr = (struct fuse_attr){
		.ino = stx->stx_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.atime = (uint64_t)stx->stx_atime.tv_sec,
		.mtime = (uint64_t)stx->stx_mtime.tv_sec,
		.ctime = (uint64_t)stx->stx_ctime.tv_sec,
		.atimensec = stx->stx_atime.tv_nsec,
		.mtimensec = stx->stx_mtime.tv_nsec,
		.ctimensec = stx->stx_ctime.tv_nsec,
		.mode = stx->stx_mode,
		.nlink = stx->stx_nlink,
		.uid = fs_idmap_to_guest(&fs->uids, stx->stx_uid),
		.gid = fs_idmap_to_guest(&fs->gids, stx->stx_gid),
		.rdev = fuse_dev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.blksize = stx->stx_blksize,
	};
}

static struct fuse_sx_time sx_time(const struct statx_timestamp *time)
{
	return (struct fuse_sx_time){.tv_sec = time->tv_sec, .tv_nsec = time->tv_nsec};
}

/* Device numbers of the host's file system stay here: the guest has its own for the mount. */
void fs_statx_fill(const struct fs *fs, struct fuse_statx *out, const struct statx *stx)
{
	*out = (struct fuse_statx){
		.mask = stx->stx_mask & (STATX_BASIC_STATS | STATX_BTIME),
		.blksize = stx->stx_blksize,
		.attributes = stx->stx_attributes,
		.nlink = stx->stx_nlink,
		.uid = fs_idmap_to_guest(&fs->uids, stx->stx_uid),
		.gid = fs_idmap_to_guest(&fs->gids, stx->stx_gid),
		.mode = stx->stx_mode,
		.ino = stx->stx_ino,
		.size = stx->stx_size,
		.blocks = stx->stx_blocks,
		.attributes_mask = stx->stx_attributes_mask,
		.atime = sx_time(&stx->stx_atime),
		.btime = sx_time(&stx->stx_btime),
		.ctime = sx_time(&stx->stx_ctime),
		.mtime = sx_time(&stx->stx_mtime),
		.rdev_major = stx->stx_rdev_major,
		.rdev_minor = stx->stx_rdev_minor,
	};
}

void fs_entry_fill(const struct fs *fs, struct fs_inode *parent, struct fuse_entry_out *entry,
		   uint64_t nodeid, const struct statx *stx)
{
	*entry = (struct fuse_entry_out){
		.nodeid = nodeid,
		.entry_valid = fs_cache_policy(fs, parent)->valid,
		.attr_valid = attr_valid(fs, parent, nodeid),
	};
	fs_attr_fill(fs, &entry->attr, stx);
	/* Of the share's own root nobody asks for an entry. */
	if (fs_has(fs, FUSE_SUBMOUNTS) && S_ISDIR(stx->stx_mode) &&
	    stx->stx_attributes & STATX_ATTR_MOUNT_ROOT)
		entry->attr.flags = FUSE_ATTR_SUBMOUNT;
}

void fs_attr_out_fill(const struct fs *fs, struct fs_inode *inode, struct fuse_attr_out *out,
		      const struct statx *stx)
{
	*out = (struct fuse_attr_out){.attr_valid = fs_cache_policy(fs, inode)->valid};
	fs_attr_fill(fs, &out->attr, stx);
}
