// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_name.c - what makes, opens, moves and removes names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "posix.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE	 2
#define RENAME_WHITEOUT	 4
#endif

static const struct flag open_flags[] = {
	{"RDONLY", O_RDONLY},	  {"WRONLY", O_WRONLY},	      {"RDWR", O_RDWR},
	{"ACCMODE", O_ACCMODE},	  {"CREAT", O_CREAT},	      {"EXCL", O_EXCL},
	{"TRUNC", O_TRUNC},	  {"APPEND", O_APPEND},	      {"DIRECTORY", O_DIRECTORY},
	{"NOFOLLOW", O_NOFOLLOW}, {"PATH", O_PATH},	      {"TMPFILE", O_TMPFILE},
	{"SYNC", O_SYNC},	  {"DSYNC", O_DSYNC},	      {"DIRECT", O_DIRECT},
	{"NOATIME", O_NOATIME},	  {"NONBLOCK", O_NONBLOCK},   {"NOCTTY", O_NOCTTY},
	{"CLOEXEC", O_CLOEXEC},	  {"LARGEFILE", O_LARGEFILE}, {0},
};

static int open_word(const char *word, int flags, mode_t mode)
{
	struct target t = target_of(word);

	return openat(t.dir, t.path, flags | O_CLOEXEC, mode);
}

static void do_open(char **arg, unsigned count)
{
	int flags = (int)flags_of(open_flags, arg[2]);

	fd_put(arg[0], open_word(arg[1], flags, count > 3 ? mode_of(arg[3]) : LOCAL_MODE));
}

static void do_creat(char **arg, unsigned count)
{
	fd_put(arg[0], creat(arg[1], mode_of(arg[2])));
}

static void do_close(char **arg, unsigned count)
{
	int fd = fd_of(arg[0]), copy;

	/* close() itself gives up the number, whatever it returns. */
	copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0) {
		say_result(-1);
		return;
	}
	fd_put(arg[0], -1);
	said_reset();
	say_result(close(copy));
}

static void do_dup(char **arg, unsigned count)
{
	fd_put(arg[0], fcntl(fd_of(arg[1]), F_DUPFD_CLOEXEC, 0));
}

/* A file that is not there yet. */
static void do_create(char **arg, unsigned count)
{
	mode_t mode = count > 1 ? mode_of(arg[1]) : LOCAL_MODE;
	int fd = open_word(arg[0], O_CREAT | O_EXCL | O_WRONLY, mode);

	say_result(fd < 0 ? -1 : 0);
	if (fd >= 0)
		close(fd);
}

/* A file with this text. */
static void do_put(char **arg, unsigned count)
{
	int fd = open_word(arg[0], O_CREAT | O_TRUNC | O_WRONLY, LOCAL_MODE);
	ssize_t wrote = fd < 0 ? -1 : write(fd, arg[1], strlen(arg[1]));

	say_result(wrote);
	if (fd >= 0)
		close(fd);
}

static void do_mkdir(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);

	say_result(mkdirat(t.dir, t.path, count > 1 ? mode_of(arg[1]) : 0755));
}

static void do_rmdir(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);

	say_result(unlinkat(t.dir, t.path, AT_REMOVEDIR));
}

static void do_unlink(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);

	say_result(unlinkat(t.dir, t.path, 0));
}

static const struct flag node_types[] = {
	{"file", S_IFREG},  {"fifo", S_IFIFO},
	{"sock", S_IFSOCK}, {"chr", S_IFCHR},
	{"blk", S_IFBLK},   {"dir", S_IFDIR},
	{"link", S_IFLNK},  {"none", 0},
	{"bad", 0170000},   {0},
};

static int make_node(const char *word, const char *type, mode_t mode, dev_t dev)
{
	struct target t = target_of(word);

	return mknodat(t.dir, t.path, (mode_t)flags_of(node_types, type) | mode, dev);
}

/* mknod PATH TYPE [MODE [MAJOR MINOR]] */
static void do_mknod(char **arg, unsigned count)
{
	dev_t dev = 0;

	if (count > 4)
		dev = makedev((unsigned)number_of(arg[3]), (unsigned)number_of(arg[4]));
	say_result(make_node(arg[0], arg[1], count > 2 ? mode_of(arg[2]) : LOCAL_MODE, dev));
}

static void do_symlink(char **arg, unsigned count)
{
	struct target t = target_of(arg[1]);

	say_result(symlinkat(arg[0], t.dir, t.path));
}

static int make_file(const char *path)
{
	int fd = open_word(path, O_CREAT | O_EXCL | O_WRONLY, LOCAL_MODE);

	return fd < 0 ? -1 : close(fd);
}

/* To a file beside it. */
static int make_link(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s.target", path);
	return make_file(name) < 0
		       ? -1
		       : symlink(strrchr(name, '/') ? strrchr(name, '/') + 1 : name, path);
}

static int make_full(const char *path)
{
	char name[PATH_MAX];

	snprintf(name, sizeof(name), "%s/in", path);
	return mkdir(path, 0755) < 0 ? -1 : mkdir(name, 0755);
}

/* chained TARGET COUNT: symbolic links c1 to c(COUNT), each to the one before. */
static void do_chained(char **arg, unsigned count)
{
	unsigned n = (unsigned)number_of(arg[1]);
	char from[16], to[PATH_MAX];

	snprintf(to, sizeof(to), "%s", arg[0]);
	for (unsigned i = 1; i <= n; i++) {
		snprintf(from, sizeof(from), "c%u", i);
		if (symlink(to, from) < 0)
			break;
		snprintf(to, sizeof(to), "%s", from);
	}
	say("%s", to);
}

/* One of a type, whatever it takes: make TYPE PATH. */
static void do_make(char **arg, unsigned count)
{
	const char *type = arg[0], *path = arg[1];

	if (strcmp(type, "dir") == 0)
		say_result(mkdir(path, 0755));
	else if (strcmp(type, "symlink") == 0)
		say_result(make_link(path));
	else if (strcmp(type, "dangling") == 0)
		say_result(symlink("nowhere", path));
	else if (strcmp(type, "loop") == 0)
		say_result(symlink(path, path));
	else if (strcmp(type, "missing") == 0)
		say_result(0);
	else if (strcmp(type, "full") == 0)
		say_result(make_full(path));
	else
		say_result(make_node(path, type, LOCAL_MODE, makedev(1, 3)));
}

/* A socket's name, as bind() makes it. */
static void do_bind(char **arg, unsigned count)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", arg[0]);
	say_result(bind(sock, (const struct sockaddr *)&addr, sizeof(addr)));
	close(sock);
}

static const struct flag at_flags[] = {
	{"FOLLOW", AT_SYMLINK_FOLLOW}, {"EMPTY", AT_EMPTY_PATH}, {"none", 0}, {0}};

/* link OLD NEW [FLAGS] */
static void do_link(char **arg, unsigned count)
{
	struct target from = target_of(arg[0]), to = target_of(arg[1]);

	say_result(linkat(from.dir, from.path, to.dir, to.path,
			  count > 2 ? (int)flags_of(at_flags, arg[2]) : 0));
}

/* An open file's name, by way of /proc. */
static void do_linkproc(char **arg, unsigned count)
{
	struct target to = target_of(arg[1]);

	say_result(linkat(AT_FDCWD, proc_path(fd_of(arg[0])), to.dir, to.path, AT_SYMLINK_FOLLOW));
}

static const struct flag rename_flags[] = {{"NOREPLACE", RENAME_NOREPLACE},
					   {"EXCHANGE", RENAME_EXCHANGE},
					   {"WHITEOUT", RENAME_WHITEOUT},
					   {0}};

/* rename OLD NEW [FLAGS] */
static void do_rename(char **arg, unsigned count)
{
	struct target from = target_of(arg[0]), to = target_of(arg[1]);

	if (count > 2)
		say_result(syscall(SYS_renameat2, from.dir, from.path, to.dir, to.path,
				   (unsigned)flags_of(rename_flags, arg[2])));
	else
		say_result(renameat(from.dir, from.path, to.dir, to.path));
}

/* readlink PATH [SIZE] */
static void do_readlink(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	size_t room = count > 1 ? (size_t)number_of(arg[1]) : PATH_MAX;
	char where[PATH_MAX + 1];
	ssize_t len = readlinkat(t.dir, t.path, where, room);

	if (len < 0)
		say_result(-1);
	else
		say_data(where, (size_t)len);
}

static void do_chdir(char **arg, unsigned count)
{
	say_result(arg[0][0] == '@' ? fchdir(fd_of(arg[0])) : chdir(arg[0]));
}

/* The end of it: the case's directory has another name elsewhere. */
static void do_getcwd(char **arg, unsigned count)
{
	char path[PATH_MAX], *last;

	if (!getcwd(path, sizeof(path))) {
		say_result(-1);
		return;
	}
	last = strrchr(path, '/');
	say("%s", last + 1);
}

const struct op name_ops[] = {
	{"open", 3, 4, do_open, false},
	{"creat", 3, 3, do_creat, false},
	{"close", 1, 1, do_close, false},
	{"dup", 2, 2, do_dup, false},
	{"create", 1, 2, do_create, false},
	{"put", 2, 2, do_put, false},
	{"make", 2, 2, do_make, false},
	{"mkdir", 1, 2, do_mkdir, false},
	{"rmdir", 1, 1, do_rmdir, false},
	{"unlink", 1, 1, do_unlink, false},
	{"mknod", 2, 5, do_mknod, false},
	{"bind", 1, 1, do_bind, false},
	{"symlink", 2, 2, do_symlink, false},
	{"chained", 2, 2, do_chained, false},
	{"link", 2, 3, do_link, false},
	{"linkproc", 2, 2, do_linkproc, false},
	{"rename", 2, 3, do_rename, false},
	{"readlink", 1, 2, do_readlink, false},
	{"chdir", 1, 1, do_chdir, false},
	{"getcwd", 0, 0, do_getcwd, false},
	{0},
};
