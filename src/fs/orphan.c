/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/orphan.c - saving what has no name any more. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/ahead.h"
#include "fs/collect.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "godwit/error.h"

static int fail(const struct fs_orphan *orphan, int err, const char *what)
{
	char text[FS_DESCRIBE_MAX];

	return gw_fail(err, "save: unnamed %s (inode %llu): %s: %s",
		       fs_unnamed_describe(orphan->fs, orphan->inode, text),
		       (unsigned long long)fs_inode_id(orphan->inode), what, strerror(err));
}

int fs_orphan_look(struct fs_orphan *orphan, struct gw_fs_orphan_v1 *record)
{
	const struct statx *stx = &orphan->stx;
	int err = fs_statx_fd(orphan->fd, &orphan->stx);

	if (err)
		return fail(orphan, -err, "it cannot be looked at");
	*record = (struct gw_fs_orphan_v1){
		.inode = fs_inode_id(orphan->inode),
		.mode = stx->stx_mode,
		.uid = stx->stx_uid,
		.gid = stx->stx_gid,
		.rdev = makedev(stx->stx_rdev_major, stx->stx_rdev_minor),
		.size = S_ISREG(stx->stx_mode) ? stx->stx_size : 0,
		.atime = stx->stx_atime.tv_sec,
		.mtime = stx->stx_mtime.tv_sec,
		.atime_ns = stx->stx_atime.tv_nsec,
		.mtime_ns = stx->stx_mtime.tv_nsec,
	};
	if (S_ISLNK(stx->stx_mode)) {
		ssize_t len = readlinkat(orphan->fd, "", orphan->target, FS_RECORD_TARGET_MAX);

		if (len < 0)
			return fail(orphan, errno, "its target cannot be read");
		record->target = (struct gw_bytes){.data = orphan->target, .len = (size_t)len};
	}
	return 0;
}

static int save_attributes(struct fs_orphan *orphan)
{
	struct gw_fs_orphan_v1 record;
	int err = fs_orphan_look(orphan, &record);

	return err ? err : gw_state_put(orphan->writer, &gw_fs_orphan_v1, &record);
}

/* It goes from hand to hand. */
static int save_unsent(struct fs_orphan *orphan)
{
	const struct gw_fs_unsent_v1 record = {.inode = fs_inode_id(orphan->inode)};
	int err;

	if (gw_state_number(orphan->writer) < gw_fs_unsent_v1.since)
		return fail(orphan, EFBIG, "a state of this number cannot leave its content out");
	err = save_attributes(orphan);
	return err ? err : gw_state_put(orphan->writer, &gw_fs_unsent_v1, &record);
}

/* Bytes of [@offset, @end) */
static int read_pieces(const struct fs_orphan *orphan, uint64_t offset, uint64_t end, char *buf,
		       fs_piece_fn *fn, void *opaque)
{
	while (offset < end) {
		uint64_t room = FS_RECORD_DATA_MAX - offset % FS_RECORD_DATA_MAX;
		ssize_t got = pread(orphan->fd, buf, GW_MIN(end - offset, room), (off_t)offset);
		int err;

		if (got <= 0)
			return got < 0 ? fail(orphan, errno, "it cannot be read") : 0;
		err = fn(opaque, offset, buf, (size_t)got);
		if (err)
			return err;
		offset += (uint64_t)got;
	}
	return 0;
}

/* Holes stay holes. */
int fs_orphan_read(const struct fs_orphan *orphan, fs_piece_fn *fn, void *opaque)
{
	GW_AUTO_FREE char *buf = malloc(FS_RECORD_DATA_MAX);
	uint64_t size = orphan->stx.stx_size, at = 0;
	int err = 0;

	if (!buf)
		return fail(orphan, ENOMEM, "no memory for its content");
	while (at < size && !err) {
		off_t data = lseek(orphan->fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(orphan->fd, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole up to the end */
		/* Where the file system knows nothing of holes, all is data. */
		if (data < 0 || hole < 0) {
			data = (off_t)at;
			hole = (off_t)size;
		}
		at = GW_MIN((uint64_t)hole, size);
		err = read_pieces(orphan, (uint64_t)data, at, buf, fn, opaque);
	}
	return err;
}

static int put_piece(void *opaque, uint64_t offset, const char *data, size_t len)
{
	const struct fs_orphan *orphan = opaque;
	const struct gw_fs_content_v1 record = {.inode = fs_inode_id(orphan->inode),
						.offset = offset,
						.data = {.data = data, .len = len}};

	return gw_state_put(orphan->writer, &gw_fs_content_v1, &record);
}

static int each_xattr(const struct fs_orphan *orphan, const char *name, char *value,
		      fs_xattr_fn *fn, void *opaque)
{
	ssize_t len = fgetxattr(orphan->fd, name, value, FS_RECORD_XATTR_MAX);
	struct gw_fs_xattr_v1 record = {
		.inode = fs_inode_id(orphan->inode),
		.name = {.data = name, .len = strlen(name)},
	};

	if (len < 0 && errno == ENODATA)
		return 0;
	if (len < 0)
		return fail(orphan, errno, name);
	record.value = (struct gw_bytes){.data = value, .len = (size_t)len};
	return fn(opaque, &record);
}

/* What is neither file nor directory cannot be opened, and an attribute there is nobody's to read.
 */
int fs_orphan_xattrs(const struct fs_orphan *orphan, fs_xattr_fn *fn, void *opaque)
{
	mode_t type = fs_inode_type(orphan->inode);
	GW_AUTO_FREE char *names = malloc(FS_RECORD_XATTR_MAX);
	GW_AUTO_FREE char *value = malloc(FS_RECORD_XATTR_MAX);
	ssize_t len;
	int err = 0;

	if (type != S_IFREG && type != S_IFDIR)
		return 0;
	if (!names || !value)
		return fail(orphan, ENOMEM, "no memory for its attributes");
	len = flistxattr(orphan->fd, names, FS_RECORD_XATTR_MAX);
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : fail(orphan, errno, "its attributes");
	for (const char *name = names; name < names + len && !err; name += strlen(name) + 1)
		err = each_xattr(orphan, name, value, fn, opaque);
	return err;
}

int fs_orphan_put_xattr(void *writer, const struct gw_fs_xattr_v1 *record)
{
	return gw_state_put(writer, &gw_fs_xattr_v1, record);
}

static int save_one(struct fs_orphan *orphan)
{
	int err = save_attributes(orphan);

	if (!err && fs_inode_type(orphan->inode) == S_IFREG)
		err = fs_orphan_read(orphan, put_piece, orphan);
	return err ? err : fs_orphan_xattrs(orphan, fs_orphan_put_xattr, orphan->writer);
}

static int open_path(struct fs *fs, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err = fs_inode_fd(inode, &fd);

	return err ? err : fs_open_again(fs->proc_fd, fd.fd, O_PATH);
}

static int save_whole(struct fs_orphan *orphan, bool handed)
{
	GW_AUTO_FD int fd = handed ? open_path(orphan->fs, orphan->inode)
				   : fs_unnamed_open(orphan->fs, orphan->inode);

	if (fd < 0)
		return fail(orphan, -fd, "it cannot be opened");
	orphan->fd = fd;
	return handed ? save_unsent(orphan) : save_one(orphan);
}

int fs_orphans_save(struct fs *fs, const struct fs_unnamed_list *unnamed, struct fs_ahead *ahead,
		    struct gw_state_writer *writer)
{
	int err = 0;

	for (size_t i = 0; i < unnamed->count && !err; i++) {
		enum fs_fate fate = unnamed->files[i].fate;
		struct fs_orphan orphan = {
			.fs = fs, .writer = writer, .inode = unnamed->files[i].inode};

		if (fate != FS_UNNAMED_GOES && fate != FS_UNNAMED_HANDED)
			continue;
		if (ahead && fate == FS_UNNAMED_GOES)
			err = fs_ahead_put(ahead, &orphan);
		else
			err = save_whole(&orphan, fate == FS_UNNAMED_HANDED);
	}
	return err;
}
