// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_attr.c - attributes: asked for and set. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/fs.h>

#include "posix.h"

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static int stat_word(const char *word, int flags, struct stat *st)
{
	struct target t = target_of(word);

	return fstatat(t.dir, t.path, st, flags | (t.is_fd ? AT_EMPTY_PATH : 0));
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "dir";
	case S_IFLNK:
		return "link";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "sock";
	case S_IFCHR:
		return "chr";
	case S_IFBLK:
		return "blk";
	default:
		return "?";
	}
}

static void say_stat(const char *word, int flags)
{
	struct stat st;

	if (stat_word(word, flags, &st) < 0) {
		say_result(-1);
		return;
	}
	say("%s %04o u%u g%u n%lu s%lld", type_name(st.st_mode), st.st_mode & 07777, st.st_uid,
	    st.st_gid, (unsigned long)st.st_nlink, (long long)st.st_size);
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		say("%u:%u", major(st.st_rdev), minor(st.st_rdev));
}

static void do_stat(char **arg, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		say_stat(arg[i], AT_SYMLINK_NOFOLLOW);
}

static void do_stat_follow(char **arg, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		say_stat(arg[i], 0);
}

/* One number each: what is left out may differ. */
static void do_mode(char **arg, unsigned count)
{
	struct stat st;

	for (unsigned i = 0; i < count; i++) {
		if (stat_word(arg[i], AT_SYMLINK_NOFOLLOW, &st) < 0)
			say_result(-1);
		else
			say("%04o", st.st_mode & 07777);
	}
}

static void do_size(char **arg, unsigned count)
{
	struct stat st;

	for (unsigned i = 0; i < count; i++)
		say_result(stat_word(arg[i], AT_SYMLINK_NOFOLLOW, &st) < 0 ? -1 : st.st_size);
}

static void do_nlink(char **arg, unsigned count)
{
	struct stat st;

	for (unsigned i = 0; i < count; i++)
		say_result(stat_word(arg[i], AT_SYMLINK_NOFOLLOW, &st) < 0
				   ? -1
				   : (long long)st.st_nlink);
}

static void do_blocks(char **arg, unsigned count)
{
	struct stat st;

	for (unsigned i = 0; i < count; i++)
		say_result(stat_word(arg[i], AT_SYMLINK_NOFOLLOW, &st) < 0 ? -1 : st.st_blocks);
}

static void do_blksize(char **arg, unsigned count)
{
	struct stat st;

	say_result(stat_word(arg[0], AT_SYMLINK_NOFOLLOW, &st) < 0 ? -1 : st.st_blksize);
}

/* Are all the same file? */
static void do_same(char **arg, unsigned count)
{
	struct stat first, st;
	bool same = true;

	if (stat_word(arg[0], AT_SYMLINK_NOFOLLOW, &first) < 0) {
		say_result(-1);
		return;
	}
	for (unsigned i = 1; i < count; i++) {
		if (stat_word(arg[i], AT_SYMLINK_NOFOLLOW, &st) < 0) {
			say_result(-1);
			return;
		}
		same = same && st.st_ino == first.st_ino && st.st_dev == first.st_dev;
	}
	say(same ? "same" : "other");
}

/* statx PATH [MASK]: which of what one may ask for is there. */
static void do_statx(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	unsigned ask = count > 1 ? (unsigned)number_of(arg[1]) : STATX_BASIC_STATS | STATX_BTIME;
	struct statx stx;

	if (statx(t.dir, t.path, AT_SYMLINK_NOFOLLOW | (t.is_fd ? AT_EMPTY_PATH : 0), ask, &stx) <
	    0)
		say_result(-1);
	else
		say("%x", stx.stx_mask & ask);
}

/* Attributes of the kind that chattr sets. */
static void do_statx_attributes(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	struct statx stx;

	if (statx(t.dir, t.path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &stx) < 0)
		say_result(-1);
	else
		say("%llx", (unsigned long long)stx.stx_attributes &
				    (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP));
}

static void do_chmod(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	mode_t mode = mode_of(arg[1]);

	say_result(t.is_fd ? fchmod(t.dir, mode) : (int)syscall(SYS_fchmodat, t.dir, t.path, mode));
}

static void do_lchmod(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);

	say_result(fchmodat(t.dir, t.path, mode_of(arg[1]), AT_SYMLINK_NOFOLLOW));
}

static void change_owner(char **arg, int flags)
{
	struct target t = target_of(arg[0]);
	uid_t uid = (uid_t)number_of(arg[1]);
	gid_t gid = (gid_t)number_of(arg[2]);

	say_result(t.is_fd ? fchown(t.dir, uid, gid) : fchownat(t.dir, t.path, uid, gid, flags));
}

/* chown PATH UID GID, each -1 for none */
static void do_chown(char **arg, unsigned count)
{
	change_owner(arg, 0);
}

static void do_lchown(char **arg, unsigned count)
{
	change_owner(arg, AT_SYMLINK_NOFOLLOW);
}

static void do_truncate(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	off_t size = (off_t)number_of(arg[1]);

	say_result(t.is_fd ? ftruncate(t.dir, size) : truncate(t.path, size));
}

static const struct flag access_modes[] = {{"F", F_OK}, {"R", R_OK}, {"W", W_OK}, {"X", X_OK}, {0}};
static const struct flag access_flags[] = {
	{"EACCESS", AT_EACCESS}, {"NOFOLLOW", AT_SYMLINK_NOFOLLOW}, {0}};

/* access PATH R|W|X [FLAGS] */
static void do_access(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	int flags = count > 2 ? (int)flags_of(access_flags, arg[2]) : 0;

	say_result(syscall(SYS_faccessat2, t.dir, t.path, (int)flags_of(access_modes, arg[1]),
			   flags | (t.is_fd ? AT_EMPTY_PATH : 0)));
}

/* All of them at once, as a mask of what is allowed. */
static void do_rights(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	const int modes[] = {F_OK, R_OK, W_OK, X_OK};
	const char letters[] = "frwx";
	char text[5] = "----";

	for (unsigned i = 0; i < 4; i++) {
		if (syscall(SYS_faccessat2, t.dir, t.path, modes[i], AT_EACCESS) == 0)
			text[i] = letters[i];
	}
	say("%s", text);
}

static void do_umask(char **arg, unsigned count)
{
	say("%o", umask(mode_of(arg[0])));
}

static void do_statfs(char **arg, unsigned count)
{
	struct statfs st;

	if ((arg[0][0] == '@' ? fstatfs(fd_of(arg[0]), &st) : statfs(arg[0], &st)) < 0)
		say_result(-1);
	else
		say("bsize%ld frsize%ld namelen%ld blocks%llu files%llu", (long)st.f_bsize,
		    (long)st.f_frsize, (long)st.f_namelen, (unsigned long long)st.f_blocks,
		    (unsigned long long)st.f_files);
}

static void do_fstype(char **arg, unsigned count)
{
	struct statfs st;

	if (statfs(arg[0], &st) < 0)
		say_result(-1);
	else
		say("%lx", (unsigned long)st.f_type);
}

static const struct flag path_limits[] = {
	{"NAME_MAX", _PC_NAME_MAX},	    {"PATH_MAX", _PC_PATH_MAX},
	{"LINK_MAX", _PC_LINK_MAX},	    {"CHOWN_RESTRICTED", _PC_CHOWN_RESTRICTED},
	{"NO_TRUNC", _PC_NO_TRUNC},	    {"PIPE_BUF", _PC_PIPE_BUF},
	{"2_SYMLINKS", _PC_2_SYMLINKS},	    {"ALLOC_SIZE_MIN", _PC_ALLOC_SIZE_MIN},
	{"FILESIZEBITS", _PC_FILESIZEBITS}, {0}};

static void do_pathconf(char **arg, unsigned count)
{
	say_result(pathconf(arg[0], (int)flags_of(path_limits, arg[1])));
}

static const struct flag inode_flags[] = {{"none", 0},
					  {"immutable", FS_IMMUTABLE_FL},
					  {"append", FS_APPEND_FL},
					  {"nodump", FS_NODUMP_FL},
					  {"noatime", FS_NOATIME_FL},
					  {"sync", FS_SYNC_FL},
					  {"dirsync", FS_DIRSYNC_FL},
					  {"casefold", 0x40000000},
					  {"all", FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL |
							  FS_NOATIME_FL | FS_SYNC_FL |
							  FS_DIRSYNC_FL},
					  {0}};

static int open_for_flags(const char *word)
{
	struct target t = target_of(word);

	return openat(t.dir, t.path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
}

static int change_flags(int fd, unsigned set, unsigned mask)
{
	unsigned flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return -1;
	flags = (flags & ~mask) | set;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

/* chattr PATH FLAGS: of "all", these and no others. */
static void do_chattr(char **arg, unsigned count)
{
	int fd = open_for_flags(arg[0]);

	say_result(fd < 0 ? -1
			  : change_flags(fd, (unsigned)flags_of(inode_flags, arg[1]),
					 (unsigned)flags_of(inode_flags, "all")));
	if (fd >= 0)
		close(fd);
}

static void do_lsattr(char **arg, unsigned count)
{
	unsigned flags = 0;
	int fd = open_for_flags(arg[0]);

	if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		say_result(-1);
	else
		say("%x", flags & (unsigned)flags_of(inode_flags, "all"));
	if (fd >= 0)
		close(fd);
}

static void do_project(char **arg, unsigned count)
{
	struct fsxattr attr;
	int fd = open_for_flags(arg[0]);

	if (fd < 0 || ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
		say_result(-1);
	else
		say("flags%x project%u",
		    attr.fsx_xflags & (FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND | FS_XFLAG_NODUMP |
				       FS_XFLAG_NOATIME | FS_XFLAG_SYNC),
		    attr.fsx_projid);
	if (fd >= 0)
		close(fd);
}

const struct op attr_ops[] = {
	{"stat", 1, 8, do_stat, false},
	{"stat-follow", 1, 8, do_stat_follow, false},
	{"mode", 1, 8, do_mode, false},
	{"size", 1, 8, do_size, false},
	{"nlink", 1, 8, do_nlink, false},
	{"blocks", 1, 8, do_blocks, false},
	{"blksize", 1, 1, do_blksize, false},
	{"same", 2, 8, do_same, false},
	{"statx", 1, 2, do_statx, false},
	{"statx-attributes", 1, 1, do_statx_attributes, false},
	{"chmod", 2, 2, do_chmod, false},
	{"lchmod", 2, 2, do_lchmod, false},
	{"chown", 3, 3, do_chown, true},
	{"lchown", 3, 3, do_lchown, true},
	{"truncate", 2, 2, do_truncate, false},
	{"access", 2, 3, do_access, false},
	{"rights", 1, 1, do_rights, false},
	{"umask", 1, 1, do_umask, false},
	{"statfs", 1, 1, do_statfs, false},
	{"fstype", 1, 1, do_fstype, false},
	{"pathconf", 2, 2, do_pathconf, false},
	{"chattr", 2, 2, do_chattr, true},
	{"lsattr", 1, 1, do_lsattr, false},
	{"project", 1, 1, do_project, false},
	{0},
};
