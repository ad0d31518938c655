/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/newborn.c - making anew, without a name, what had none at the source. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/inode.h"
#include "fs/open.h"
#include "fs/orphan.h"
#include "godwit/error.h"

/* For who finds one after a crash in the wrong moment: nothing of value has this name. */
#define HIDDEN_PREFIX ".godwit-moving-"
#define HIDDEN_MAX    (sizeof(HIDDEN_PREFIX) + 16)

static int hidden_name(char name[HIDDEN_MAX])
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -errno;
	snprintf(name, HIDDEN_MAX, HIDDEN_PREFIX "%016llx", (unsigned long long)random);
	return 0;
}

static int make_file(int dir, const char *name, const struct gw_fs_orphan_v1 *record)
{
	(void)record;
	return fs_open_beneath(dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static int make_directory(int dir, const char *name, const struct gw_fs_orphan_v1 *record)
{
	(void)record;
	if (mkdirat(dir, name, 0700) < 0)
		return -errno;
	return fs_open_beneath(dir, name, O_RDONLY | O_DIRECTORY, 0);
}

static int make_symlink(int dir, const char *name, const struct gw_fs_orphan_v1 *record)
{
	GW_AUTO_FREE char *target = strndup(record->target.data, record->target.len);

	if (!target)
		return -ENOMEM;
	if (symlinkat(target, dir, name) < 0)
		return -errno;
	return fs_open_beneath(dir, name, O_PATH, 0);
}

static int make_special(int dir, const char *name, const struct gw_fs_orphan_v1 *record)
{
	if (mknodat(dir, name, record->mode & (S_IFMT | 0777), record->rdev) < 0)
		return -errno;
	return fs_open_beneath(dir, name, O_PATH, 0);
}

static int (*maker_of(uint32_t mode))(int, const char *, const struct gw_fs_orphan_v1 *)
{
	if (S_ISREG(mode))
		return make_file;
	if (S_ISDIR(mode))
		return make_directory;
	return S_ISLNK(mode) ? make_symlink : make_special;
}

/* Under a name that is there for a moment. */
static int make_hidden(int dir, const struct gw_fs_orphan_v1 *record)
{
	char name[HIDDEN_MAX];
	int fd = hidden_name(name);

	if (fd < 0)
		return fd;
	fd = maker_of(record->mode)(dir, name, record);
	/* What was made goes also when it could not be opened; what was not is not there. */
	if (fd != -EEXIST)
		unlinkat(dir, name, S_ISDIR(record->mode) ? AT_REMOVEDIR : 0);
	return fd;
}

static int make(int dir, const struct gw_fs_orphan_v1 *record)
{
	int fd = -EOPNOTSUPP;

	if (S_ISREG(record->mode))
		fd = fs_open_beneath(dir, ".", O_TMPFILE | O_RDWR, 0600);
	if (fd == -EOPNOTSUPP || fd == -EISDIR || fd == -ENOENT)
		fd = make_hidden(dir, record);
	return fd;
}

static int fail(const struct fs_newborn *newborn, int err, const char *what)
{
	return gw_fail(err, "load: unnamed inode %llu: %s: %s",
		       (unsigned long long)newborn->record.inode, what, strerror(err));
}

/* The owner comes first: later it would take set-id bits and capabilities away. */
static int give(const struct fs_newborn *newborn)
{
	const struct gw_fs_orphan_v1 *record = &newborn->record;

	if (fchownat(newborn->fd, "", record->uid, record->gid, AT_EMPTY_PATH) < 0)
		return fail(newborn, errno, "its owner cannot be set");
	if (S_ISREG(record->mode) && ftruncate(newborn->fd, (off_t)record->size) < 0)
		return fail(newborn, errno, "its size cannot be set");
	return 0;
}

int fs_newborn_make(struct fs_newborn *newborn, struct fs *fs, int dir,
		    const struct gw_fs_orphan_v1 *record)
{
	(void)fs;
	newborn->record = *record;
	newborn->record.target = (struct gw_bytes){0};
	if (record->size > INT64_MAX)
		return fail(newborn, EFBIG, "its size");
	newborn->fd = make(dir, record);
	if (newborn->fd < 0) {
		int err = -newborn->fd;

		newborn->fd = -1;
		return fail(newborn, err, "it cannot be made anew in the share");
	}
	return give(newborn);
}

int fs_newborn_again(struct fs_newborn *newborn, const struct gw_fs_orphan_v1 *record)
{
	bool same_type = !((newborn->record.mode ^ record->mode) & S_IFMT);

	if (!same_type || record->size > INT64_MAX)
		return fail(newborn, EINVAL, same_type ? "its size" : "it changes its type");
	newborn->record = *record;
	newborn->record.target = (struct gw_bytes){0};
	return give(newborn);
}

int fs_newborn_write(struct fs_newborn *newborn, const struct gw_fs_content_v1 *content)
{
	const char *from = content->data.data;
	size_t done = 0;

	if (!S_ISREG(newborn->record.mode) ||
	    !gw_range_within(content->offset, content->data.len, newborn->record.size))
		return fail(newborn, EINVAL, "content beyond its end");
	while (done < content->data.len) {
		ssize_t n = pwrite(newborn->fd, from + done, content->data.len - done,
				   (off_t)(content->offset + done));

		if (n < 0 && errno != EINTR)
			return fail(newborn, errno, "its content cannot be written");
		done += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

/* Of the user's attributes none may be missing. Others belong to the host's own rules, and a host
 * that does not have them, or does not let us, has rules of its own. */
static bool is_optional(const char *name, int err)
{
	return strncmp(name, "user.", 5) && (err == EPERM || err == EOPNOTSUPP);
}

int fs_newborn_xattr(struct fs_newborn *newborn, struct fs *fs, const struct gw_fs_xattr_v1 *xattr)
{
	char name[FS_NAME_MAX + 1];
	mode_t type = newborn->record.mode & S_IFMT;

	(void)fs;
	if ((type != S_IFREG && type != S_IFDIR) || !xattr->name.len ||
	    memchr(xattr->name.data, 0, xattr->name.len))
		return fail(newborn, EINVAL, "an attribute that cannot be");
	memcpy(name, xattr->name.data, xattr->name.len);
	name[xattr->name.len] = 0;
	if (!fsetxattr(newborn->fd, name, xattr->value.data, xattr->value.len, 0))
		return 0;
	if (!is_optional(name, errno))
		return fail(newborn, errno, "one of its attributes cannot be set");
	gw_warn("load: unnamed inode %llu: an attribute is not possible here: %s",
		(unsigned long long)newborn->record.inode, strerror(errno));
	return 0;
}

int fs_newborn_finish(struct fs_newborn *newborn, struct fs *fs)
{
	const struct gw_fs_orphan_v1 *record = &newborn->record;
	const struct timespec times[] = {
		{.tv_sec = record->atime, .tv_nsec = record->atime_ns},
		{.tv_sec = record->mtime, .tv_nsec = record->mtime_ns},
	};
	mode_t type = record->mode & S_IFMT;
	char name[16];

	/* Others got their mode when they were made, and times that nobody asks for. */
	if (type != S_IFREG && type != S_IFDIR)
		return 0;
	snprintf(name, sizeof(name), "%d", newborn->fd);
	if (fchmodat(fs->proc_fd, name, record->mode & 07777, 0) < 0)
		return fail(newborn, errno, "its mode cannot be set");
	if (record->atime_ns >= 1000000000 || record->mtime_ns >= 1000000000)
		return fail(newborn, EINVAL, "its times");
	if (futimens(newborn->fd, times) < 0)
		return fail(newborn, errno, "its times cannot be set");
	return 0;
}
