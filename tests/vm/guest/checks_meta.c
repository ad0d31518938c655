// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/checks_meta.c - attributes and locks, and that the share is as good as new. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "guest.h"

#define XATTR "user.godwit"

static const char xattr_value[] = "with a \0 in it";
static int locked_fd;

static int set_xattrs(const char *dir)
{
	int fd = make_file(path_in(dir, "file"), "");

	must(fd >= 0);
	skip_if(fsetxattr(fd, XATTR, xattr_value, sizeof(xattr_value), 0) < 0 &&
			errno == EOPNOTSUPP,
		"no xattrs on this share");
	must(fgetxattr(fd, XATTR, NULL, 0) == (ssize_t)sizeof(xattr_value));
	must(close(fd) == 0);
	must(setxattr(dir, XATTR, "dir", 3, XATTR_CREATE) == 0);
	return 0;
}

static int xattrs_are_there(const char *dir)
{
	const char *path = path_in(dir, "file");
	char buf[64];

	must(getxattr(path, XATTR, buf, sizeof(buf)) == (ssize_t)sizeof(xattr_value));
	must(memcmp(buf, xattr_value, sizeof(xattr_value)) == 0);
	must(getxattr(dir, XATTR, buf, sizeof(buf)) == 3);
	must(listxattr(path, buf, sizeof(buf)) >= (ssize_t)sizeof(XATTR));
	must(setxattr(path, XATTR, "new", 3, XATTR_REPLACE) == 0);
	must(getxattr(path, XATTR, buf, sizeof(buf)) == 3);
	must(removexattr(path, XATTR) == 0);
	must(getxattr(path, XATTR, buf, sizeof(buf)) < 0 && errno == ENODATA);
	return 0;
}

static int hold_lock(const char *dir)
{
	locked_fd = make_file(path_in(dir, "lock"), "");
	must(locked_fd >= 0);
	must(flock(locked_fd, LOCK_EX) == 0);
	return 0;
}

static int lock_is_held(const char *dir)
{
	int rival = open(path_in(dir, "lock"), O_RDWR | O_CLOEXEC);

	must(rival >= 0);
	must(flock(rival, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	must(flock(locked_fd, LOCK_UN) == 0);
	must(flock(rival, LOCK_EX | LOCK_NB) == 0);
	must(close(rival) == 0 && close(locked_fd) == 0);
	return 0;
}

static const struct timespec long_ago[] = {{1000000000, 0}, {1000000001, 0}};

static int set_attributes(const char *dir)
{
	const char *path = path_in(dir, "file");
	int fd = make_file(path, "attributes");

	must(fd >= 0 && close(fd) == 0);
	must(chmod(path, 0604) == 0);
	must(utimensat(AT_FDCWD, path, long_ago, 0) == 0);
	must(symlink("file", path_in(dir, "symlink")) == 0);
	must(mkfifo(path_in(dir, "fifo"), 0600) == 0);
	return 0;
}

static int attributes_are_there(const char *dir)
{
	struct stat st;
	char target[16];

	must(lstat(path_in(dir, "file"), &st) == 0);
	must((st.st_mode & 07777) == 0604 && st.st_size == 10 && st.st_nlink == 1);
	must(st.st_mtim.tv_sec == long_ago[1].tv_sec);
	must(readlink(path_in(dir, "symlink"), target, sizeof(target)) == 4);
	must(memcmp(target, "file", 4) == 0);
	must(lstat(path_in(dir, "fifo"), &st) == 0 && S_ISFIFO(st.st_mode));
	return 0;
}

static int use_names(const char *dir)
{
	must(mkdir(path_in(dir, "new"), 0755) == 0);
	must(rename(path_in(dir, "made"), path_in(dir, "new/moved")) == 0);
	must(link(path_in(dir, "new/moved"), path_in(dir, "linked")) == 0);
	must(symlink("linked", path_in(dir, "symlink")) == 0);
	must(file_is(path_in(dir, "symlink"), "made after"));
	must(unlink(path_in(dir, "symlink")) == 0);
	must(unlink(path_in(dir, "new/moved")) == 0);
	must(rmdir(path_in(dir, "new")) == 0);
	must(access(path_in(dir, "new"), F_OK) < 0 && errno == ENOENT);
	host_expects(path_in(dir, "linked"));
	return 0;
}

/* Nothing to prepare: this is what a guest does that knows of no move. */
static int all_is_well(const char *dir)
{
	int fd = make_file(path_in(dir, "made"), "made after the move"), dirfd;
	struct statvfs vfs;

	must(fd >= 0);
	must(ftruncate(fd, 10) == 0);
	must(fsync(fd) == 0 && fdatasync(fd) == 0);
	must(close(fd) == 0);
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dirfd >= 0);
	must(fsync(dirfd) == 0);
	must(close(dirfd) == 0);
	must(statvfs(dir, &vfs) == 0 && vfs.f_blocks > 0);
	return use_names(dir);
}

const struct check meta_checks[] = {
	{"xattrs", set_xattrs, xattrs_are_there},
	{"held-flock", hold_lock, lock_is_held},
	{"attributes", set_attributes, attributes_are_there},
	{"create-rename-unlink", NULL, all_is_well},
	{NULL, NULL, NULL},
};
