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
#include "fs/collect.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "godwit/error.h"

/* One orphan on its way out. */
struct source {
	struct fs *fs;
	struct gw_state_writer *writer;
	struct fs_inode *inode;
	struct statx stx;
	int fd; /* a real one of a file or directory, else O_PATH */
};

static int fail(const struct source *source, int err, const char *what)
{
	char text[FS_DESCRIBE_MAX];

	return gw_fail(err, "save: unnamed %s (inode %llu): %s: %s",
		       fs_unnamed_describe(source->fs, source->inode, text),
		       (unsigned long long)fs_inode_id(source->inode), what, strerror(err));
}

static int save_attributes(const struct source *source)
{
	const struct statx *stx = &source->stx;
	char target[FS_RECORD_TARGET_MAX + 1];
	struct gw_fs_orphan_v1 record = {
		.inode = fs_inode_id(source->inode),
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
		ssize_t len = readlinkat(source->fd, "", target, FS_RECORD_TARGET_MAX);

		if (len < 0)
			return fail(source, errno, "its target cannot be read");
		record.target = (struct gw_bytes){.data = target, .len = (size_t)len};
	}
	return gw_state_put(source->writer, &gw_fs_orphan_v1, &record);
}

/* Bytes of [@offset, @end) */
static int save_piece(const struct source *source, uint64_t offset, uint64_t end, char *buf)
{
	while (offset < end) {
		size_t ask = (size_t)GW_MIN(end - offset, (uint64_t)FS_RECORD_DATA_MAX);
		ssize_t got = pread(source->fd, buf, ask, (off_t)offset);
		struct gw_fs_content_v1 record = {.inode = fs_inode_id(source->inode),
						  .offset = offset};
		int err;

		if (got <= 0)
			return got < 0 ? fail(source, errno, "it cannot be read") : 0;
		record.data = (struct gw_bytes){.data = buf, .len = (size_t)got};
		err = gw_state_put(source->writer, &gw_fs_content_v1, &record);
		if (err)
			return err;
		offset += (uint64_t)got;
	}
	return 0;
}

/* It goes from hand to hand. */
static int save_unsent(struct source *source)
{
	const struct gw_fs_unsent_v1 record = {.inode = fs_inode_id(source->inode)};
	int err = fs_statx_fd(source->fd, &source->stx);

	if (gw_state_number(source->writer) < gw_fs_unsent_v1.since)
		return fail(source, EFBIG, "a state of this number cannot leave its content out");
	if (err)
		return fail(source, -err, "it cannot be looked at");
	err = save_attributes(source);
	return err ? err : gw_state_put(source->writer, &gw_fs_unsent_v1, &record);
}

/* Holes stay holes. */
static int save_content(const struct source *source)
{
	GW_AUTO_FREE char *buf = malloc(FS_RECORD_DATA_MAX);
	uint64_t size = source->stx.stx_size, at = 0;
	int err = 0;

	if (!buf)
		return fail(source, ENOMEM, "no memory for its content");
	while (at < size && !err) {
		off_t data = lseek(source->fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(source->fd, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole up to the end */
		/* Where the file system knows nothing of holes, all is data. */
		if (data < 0 || hole < 0) {
			data = (off_t)at;
			hole = (off_t)size;
		}
		at = GW_MIN((uint64_t)hole, size);
		err = save_piece(source, (uint64_t)data, at, buf);
	}
	return err;
}

static int save_xattr(const struct source *source, const char *name, char *value)
{
	ssize_t len = fgetxattr(source->fd, name, value, FS_RECORD_XATTR_MAX);
	struct gw_fs_xattr_v1 record = {
		.inode = fs_inode_id(source->inode),
		.name = {.data = name, .len = strlen(name)},
	};

	if (len < 0 && errno == ENODATA)
		return 0;
	if (len < 0)
		return fail(source, errno, name);
	record.value = (struct gw_bytes){.data = value, .len = (size_t)len};
	return gw_state_put(source->writer, &gw_fs_xattr_v1, &record);
}

static int save_xattrs(const struct source *source)
{
	GW_AUTO_FREE char *names = malloc(FS_RECORD_XATTR_MAX);
	GW_AUTO_FREE char *value = malloc(FS_RECORD_XATTR_MAX);
	ssize_t len;
	int err = 0;

	if (!names || !value)
		return fail(source, ENOMEM, "no memory for its attributes");
	len = flistxattr(source->fd, names, FS_RECORD_XATTR_MAX);
	if (len < 0)
		return errno == EOPNOTSUPP ? 0 : fail(source, errno, "its attributes");
	for (const char *name = names; name < names + len && !err; name += strlen(name) + 1)
		err = save_xattr(source, name, value);
	return err;
}

static int save_one(struct source *source)
{
	mode_t type = fs_inode_type(source->inode);
	int err = fs_statx_fd(source->fd, &source->stx);

	if (err)
		return fail(source, -err, "it cannot be looked at");
	err = save_attributes(source);
	if (!err && type == S_IFREG)
		err = save_content(source);
	/* What else there is cannot be opened, and an attribute there is nobody's to read. */
	if (!err && (type == S_IFREG || type == S_IFDIR))
		err = save_xattrs(source);
	return err;
}

static int open_path(struct fs *fs, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err = fs_inode_fd(inode, &fd);

	return err ? err : fs_open_again(fs->proc_fd, fd.fd, O_PATH);
}

int fs_orphans_save(struct fs *fs, const struct fs_unnamed_list *unnamed,
		    struct gw_state_writer *writer)
{
	int err = 0;

	for (size_t i = 0; i < unnamed->count && !err; i++) {
		struct fs_inode *inode = unnamed->files[i].inode;
		struct source source = {.fs = fs, .writer = writer, .inode = inode};
		bool handed = unnamed->files[i].fate == FS_UNNAMED_HANDED;
		GW_AUTO_FD int fd = -1;

		if (!handed && unnamed->files[i].fate != FS_UNNAMED_GOES)
			continue;
		fd = source.fd = handed ? open_path(fs, inode) : fs_unnamed_open(fs, inode);
		if (fd < 0)
			err = fail(&source, -fd, "it cannot be opened");
		else
			err = handed ? save_unsent(&source) : save_one(&source);
	}
	return err;
}
