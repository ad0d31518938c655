/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/unnamed.c - files without a name: which of them can go along by their content. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/handles.h"
#include "fs/open.h"
#include "fs/table.h"
#include "fs/handover.h"
#include "fs/unnamed.h"
#include "godwit/error.h"

/* Files that a sentence names. */
#define NAMED_MAX 3

uint64_t fs_orphan_limit(const struct fs *fs)
{
	return fs->host->orphan_limit ? fs->host->orphan_limit : FS_ORPHAN_LIMIT_DEFAULT;
}

/* A handle that can be read, for a file that its mode does not let us open again. */
static int borrow_handle(struct fs *fs, const struct fs_inode *inode)
{
	struct fs_open *open;
	int fd = -EACCES;
	uint32_t at = 0;

	while (fd < 0 && (open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		if (open->handle.inode == inode && open->handle.fd >= 0 &&
		    (open->handle.flags & O_ACCMODE) != O_WRONLY)
			fd = fcntl(open->handle.fd, F_DUPFD_CLOEXEC, 0);
		fs_handle_put(&open->handle);
	}
	return fd;
}

int fs_unnamed_open_unseen(struct fs *fs, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	mode_t type = fs_inode_type(inode);
	int opened;

	if (type != S_IFREG && type != S_IFDIR) {
		int err = fs_inode_fd(inode, &fd);

		return err ? err : fs_open_again(fs->proc_fd, fd.fd, O_PATH);
	}
	/* Reading is not to be seen, where we may. */
	opened = fs_inode_open(inode, O_RDONLY | O_NONBLOCK | O_NOATIME);
	if (opened == -EPERM)
		opened = fs_inode_open(inode, O_RDONLY | O_NONBLOCK);
	return opened == -EACCES ? borrow_handle(fs, inode) : opened;
}

int fs_unnamed_open(struct fs *fs, struct fs_inode *inode)
{
	int opened = fs_unnamed_open_unseen(fs, inode);

	return opened == -EACCES ? fs_inode_open_as_owner(inode, O_RDONLY | O_NONBLOCK | O_NOATIME)
				 : opened;
}

const char *fs_unnamed_describe(struct fs *fs, struct fs_inode *inode, char text[FS_DESCRIBE_MAX])
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	char path[PATH_MAX];

	if (!fs_inode_fd(inode, &fd) && !fs_path_of(fs->proc_fd, fd.fd, path, sizeof(path)))
		return fs_escape(text, path);
	return fs_describe(fs->inodes, inode, text);
}

/* Where the file system knows nothing of holes, all is data. Counting ends beyond @limit. */
static uint64_t data_bytes(int fd, uint64_t limit)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t at = 0;
	uint64_t bytes = 0;

	while (at < size && bytes <= limit) {
		off_t data = lseek(fd, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole up to the end */
		if (hole < 0)
			return (uint64_t)size;
		bytes += (uint64_t)(GW_MIN(hole, size) - data);
		at = hole;
	}
	/* So big that it does not matter how big: what the file system says is good for telling. */
	return bytes;
}

/* What its owner could read is not opened just for being weighed: that can be seen. */
static void weigh(struct fs_unnamed *file, struct fs *fs)
{
	GW_AUTO_FD int fd = fs_unnamed_open_unseen(fs, file->inode);
	struct statx stx;

	if (!fs->may_chown && !fs_inode_is_ours(file->inode)) {
		file->fate = FS_UNNAMED_FOREIGN;
		return;
	}
	if (fd == -EACCES && fs_inode_is_ours(file->inode) && !fs_inode_statx(file->inode, &stx)) {
		file->bytes = stx.stx_blocks * 512;
		return;
	}
	if (fd < 0) {
		file->fate = FS_UNNAMED_CLOSED;
		file->err = -fd;
		return;
	}
	if (fs_inode_type(file->inode) != S_IFREG)
		return;
	file->bytes = data_bytes(fd, fs_orphan_limit(fs));
	if (file->bytes > fs_orphan_limit(fs) && !fs_statx_fd(fd, &stx))
		file->bytes = GW_MAX(file->bytes, stx.stx_blocks * 512);
}

/* What the guest merely remembers is not worth any amount of content. */
static void choose_idle(struct fs_unnamed_list *list, struct fs_unnamed *file, uint64_t limit)
{
	if (file->fate != FS_UNNAMED_GOES || list->idle_files == FS_IDLE_FILES_MAX ||
	    file->bytes > limit - list->idle_bytes) {
		file->fate = FS_UNNAMED_WORTHLESS;
		return;
	}
	list->idle_files++;
	list->idle_bytes += file->bytes;
}

static void choose_open(struct fs_unnamed_list *list, struct fs_unnamed *file, uint64_t limit)
{
	if (file->fate != FS_UNNAMED_GOES)
		return;
	if (file->bytes > limit - list->open_bytes)
		file->fate = FS_UNNAMED_TOO_BIG;
	else
		list->open_bytes += file->bytes;
}

int fs_unnamed_weigh(struct fs_unnamed_list *list, struct fs *fs,
		     const struct fs_inode_list *orphans)
{
	uint64_t limit = fs_orphan_limit(fs);

	list->files = calloc(orphans->count + 1, sizeof(*list->files));
	if (!list->files)
		return -ENOMEM;
	for (size_t i = 0; i < orphans->count; i++) {
		struct fs_unnamed *file = &list->files[list->count++];

		file->inode = fs_inode_pin(orphans->inodes[i]);
		weigh(file, fs);
		if (fs_fdcache_is_idle(file->inode))
			choose_idle(list, file, limit / FS_IDLE_SHARE);
		else
			choose_open(list, file, limit);
		if (file->fate != FS_UNNAMED_GOES && fs_handover_has_peer(fs->handover))
			file->fate = FS_UNNAMED_HANDED;
	}
	return 0;
}

void fs_unnamed_free(struct fs_unnamed_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fs_inode_put(list->files[i].inode);
	free(list->files);
	*list = (struct fs_unnamed_list){0};
}

const char *fs_unnamed_why(const struct fs_unnamed *file)
{
	if (file->fate == FS_UNNAMED_CLOSED)
		return "it cannot be opened to be read";
	if (file->fate == FS_UNNAMED_FOREIGN)
		return "it belongs to somebody else, so that it cannot be made anew by this "
		       "program";
	return NULL;
}

static int refuse_closed(struct fs *fs, const struct fs_unnamed *file)
{
	int err = file->err ? file->err : EPERM;
	char text[FS_DESCRIBE_MAX];

	return gw_fail(err, "save: unnamed %s (inode %llu): %s: %s",
		       fs_unnamed_describe(fs, file->inode, text),
		       (unsigned long long)fs_inode_id(file->inode), fs_unnamed_why(file),
		       strerror(err));
}

/* "a 3000000 bytes, b 2000000 bytes and 7 more" */
static int refuse_big(struct fs *fs, const struct fs_unnamed_list *list)
{
	char names[NAMED_MAX * (FS_DESCRIBE_MAX + 40)], text[FS_DESCRIBE_MAX];
	size_t len = 0, big = 0;

	for (size_t i = 0; i < list->count; i++) {
		const struct fs_unnamed *file = &list->files[i];

		if (file->fate != FS_UNNAMED_TOO_BIG || ++big > NAMED_MAX)
			continue;
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%.100s %llu bytes",
					len ? ", " : "", fs_unnamed_describe(fs, file->inode, text),
					(unsigned long long)file->bytes);
	}
	if (big > NAMED_MAX)
		snprintf(names + len, sizeof(names) - len, " and %zu more", big - NAMED_MAX);
	return gw_fail(EFBIG,
		       "save: unnamed files hold more than %llu bytes (--migration-orphan-limit): "
		       "besides %llu bytes that fit, %s",
		       (unsigned long long)fs_orphan_limit(fs),
		       (unsigned long long)list->open_bytes, names);
}

int fs_unnamed_check(const struct fs_unnamed_list *list, struct fs *fs)
{
	for (size_t i = 0; i < list->count; i++) {
		if (fs_unnamed_why(&list->files[i]))
			return refuse_closed(fs, &list->files[i]);
		if (list->files[i].fate == FS_UNNAMED_TOO_BIG)
			return refuse_big(fs, list);
	}
	return 0;
}
