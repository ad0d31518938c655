// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_data.c - contents: read, written, copied. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/fs.h>

#include "posix.h"

#define DIRECT_ALIGN 4096
#define PIECES_MAX   8

/* Aligned, so that O_DIRECT takes it. */
static void *room(size_t len)
{
	void *buf = aligned_alloc(DIRECT_ALIGN, (len + DIRECT_ALIGN) & ~(size_t)(DIRECT_ALIGN - 1));

	if (!buf)
		bad_case("no room for %zu bytes", len);
	memset(buf, 0, len);
	return buf;
}

static void do_write(char **arg, unsigned count)
{
	say_result(write(fd_of(arg[0]), arg[1], strlen(arg[1])));
}

static void do_pwrite(char **arg, unsigned count)
{
	say_result(pwrite(fd_of(arg[0]), arg[2], strlen(arg[2]), (off_t)number_of(arg[1])));
}

static void say_read(void *buf, ssize_t got)
{
	if (got < 0)
		say_result(-1);
	else
		say_data(buf, (size_t)got);
	free(buf);
}

static void do_read(char **arg, unsigned count)
{
	size_t len = (size_t)number_of(arg[1]);
	void *buf = room(len);

	say_read(buf, read(fd_of(arg[0]), buf, len));
}

static void do_pread(char **arg, unsigned count)
{
	size_t len = (size_t)number_of(arg[2]);
	void *buf = room(len);

	say_read(buf, pread(fd_of(arg[0]), buf, len, (off_t)number_of(arg[1])));
}

/* writev FD TEXT... */
static void do_writev(char **arg, unsigned count)
{
	struct iovec pieces[PIECES_MAX];

	for (unsigned i = 1; i < count && i <= PIECES_MAX; i++)
		pieces[i - 1] = (struct iovec){arg[i], strlen(arg[i])};
	say_result(writev(fd_of(arg[0]), pieces, (int)count - 1));
}

/* readv FD LENGTH...: what came, in one. */
static void do_readv(char **arg, unsigned count)
{
	struct iovec pieces[PIECES_MAX];
	size_t all = 0;
	char *buf;

	for (unsigned i = 1; i < count && i <= PIECES_MAX; i++)
		all += (size_t)number_of(arg[i]);
	buf = room(all);
	all = 0;
	for (unsigned i = 1; i < count && i <= PIECES_MAX; i++) {
		pieces[i - 1] = (struct iovec){buf + all, (size_t)number_of(arg[i])};
		all += pieces[i - 1].iov_len;
	}
	say_read(buf, readv(fd_of(arg[0]), pieces, (int)count - 1));
}

static const struct flag rw_flags[] = {
	{"APPEND", RWF_APPEND}, {"DSYNC", RWF_DSYNC}, {"SYNC", RWF_SYNC},
	{"HIPRI", RWF_HIPRI},	{"none", 0},	      {0}};

/* pwritev2 FD OFFSET TEXT FLAGS */
static void do_pwritev2(char **arg, unsigned count)
{
	struct iovec piece = {arg[2], strlen(arg[2])};

	say_result(pwritev2(fd_of(arg[0]), &piece, 1, (off_t)number_of(arg[1]),
			    (int)flags_of(rw_flags, arg[3])));
}

/* fill FD OFFSET LENGTH SEED: a pattern. */
static void do_fill(char **arg, unsigned count)
{
	off_t offset = (off_t)number_of(arg[1]);
	size_t len = (size_t)number_of(arg[2]);
	uint8_t *buf = room(len);

	pattern(buf, len, offset, (uint32_t)number_of(arg[3]));
	say_result(pwrite(fd_of(arg[0]), buf, len, offset));
	free(buf);
}

/* check FD OFFSET LENGTH SEED: is the pattern there? */
static void do_check(char **arg, unsigned count)
{
	off_t offset = (off_t)number_of(arg[1]);
	size_t len = (size_t)number_of(arg[2]);
	uint8_t *want = room(len), *have = room(len);
	ssize_t got = pread(fd_of(arg[0]), have, len, offset);

	pattern(want, len, offset, (uint32_t)number_of(arg[3]));
	if (got < 0)
		say_result(-1);
	else
		say("%zd%s", got, memcmp(want, have, (size_t)got) == 0 ? "" : " other");
	free(want);
	free(have);
}

/* The whole file, through an open of its own. */
static void do_cat(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);
	int fd = t.is_fd ? open(proc_path(t.dir), O_RDONLY | O_CLOEXEC)
			 : openat(t.dir, t.path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		say_result(-1);
	} else {
		void *buf = room((size_t)st.st_size + 1);

		say_read(buf, pread(fd, buf, (size_t)st.st_size + 1, 0));
	}
	if (fd >= 0)
		close(fd);
}

/* Into memory that is not there. */
static void do_read_bad(char **arg, unsigned count)
{
	say_result(read(fd_of(arg[0]), (void *)8, (size_t)number_of(arg[1])));
}

static void do_write_bad(char **arg, unsigned count)
{
	say_result(write(fd_of(arg[0]), (const void *)8, (size_t)number_of(arg[1])));
}

static const struct flag whences[] = {{"SET", SEEK_SET},
				      {"CUR", SEEK_CUR},
				      {"END", SEEK_END},
				      {"DATA", SEEK_DATA},
				      {"HOLE", SEEK_HOLE},
				      {"bad", 9},
				      {0}};

/* lseek FD OFFSET WHENCE */
static void do_lseek(char **arg, unsigned count)
{
	say_result(lseek(fd_of(arg[0]), (off_t)number_of(arg[1]), (int)flags_of(whences, arg[2])));
}

/* copy FROM OFFSET TO OFFSET LENGTH [FLAGS]; an offset of -1 is the file's position. */
static void do_copy(char **arg, unsigned count)
{
	off_t in = (off_t)number_of(arg[1]), out = (off_t)number_of(arg[3]);

	say_result(copy_file_range(fd_of(arg[0]), in == -1 ? NULL : &in, fd_of(arg[2]),
				   out == -1 ? NULL : &out, (size_t)number_of(arg[4]),
				   count > 5 ? (unsigned)number_of(arg[5]) : 0));
}

/* sendfile TO FROM OFFSET LENGTH */
static void do_sendfile(char **arg, unsigned count)
{
	off_t offset = (off_t)number_of(arg[2]);

	say_result(sendfile(fd_of(arg[0]), fd_of(arg[1]), offset == -1 ? NULL : &offset,
			    (size_t)number_of(arg[3])));
}

/* splice TO FROM LENGTH, by way of a pipe. */
static void do_splice(char **arg, unsigned count)
{
	size_t len = (size_t)number_of(arg[2]);
	int ends[2];
	ssize_t in, out;

	if (pipe2(ends, O_CLOEXEC) < 0)
		bad_case("no pipe");
	in = splice(fd_of(arg[1]), NULL, ends[1], NULL, len, 0);
	out = in > 0 ? splice(ends[0], NULL, fd_of(arg[0]), NULL, (size_t)in, 0) : in;
	say_result(out);
	close(ends[0]);
	close(ends[1]);
}

static void do_clone(char **arg, unsigned count)
{
	say_result(ioctl(fd_of(arg[0]), FICLONE, fd_of(arg[1])));
}

static void do_fsync(char **arg, unsigned count)
{
	say_result(fsync(fd_of(arg[0])));
}

static void do_fdatasync(char **arg, unsigned count)
{
	say_result(fdatasync(fd_of(arg[0])));
}

static void do_syncfs(char **arg, unsigned count)
{
	say_result(syncfs(fd_of(arg[0])));
}

static void do_sync_range(char **arg, unsigned count)
{
	say_result(sync_file_range(fd_of(arg[0]), (off_t)number_of(arg[1]),
				   (off_t)number_of(arg[2]),
				   SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
}

static const struct flag advices[] = {{"NORMAL", POSIX_FADV_NORMAL},
				      {"SEQUENTIAL", POSIX_FADV_SEQUENTIAL},
				      {"RANDOM", POSIX_FADV_RANDOM},
				      {"WILLNEED", POSIX_FADV_WILLNEED},
				      {"DONTNEED", POSIX_FADV_DONTNEED},
				      {"NOREUSE", POSIX_FADV_NOREUSE},
				      {0}};

static void do_advise(char **arg, unsigned count)
{
	errno = posix_fadvise(fd_of(arg[0]), 0, 0, (int)flags_of(advices, arg[1]));
	say_result(errno ? -1 : 0);
}

static const struct flag status_flags[] = {{"APPEND", O_APPEND}, {"NONBLOCK", O_NONBLOCK},
					   {"DIRECT", O_DIRECT}, {"NOATIME", O_NOATIME},
					   {"none", 0},		 {0}};

static void do_setfl(char **arg, unsigned count)
{
	say_result(fcntl(fd_of(arg[0]), F_SETFL, (int)flags_of(status_flags, arg[1])));
}

static void do_getfl(char **arg, unsigned count)
{
	int flags = fcntl(fd_of(arg[0]), F_GETFL);

	if (flags < 0)
		say_result(-1);
	else
		say("%o", (unsigned)flags & ~(unsigned)O_LARGEFILE);
}

const struct op data_ops[] = {
	{"write", 2, 2, do_write, false},
	{"pwrite", 3, 3, do_pwrite, false},
	{"read", 2, 2, do_read, false},
	{"pread", 3, 3, do_pread, false},
	{"writev", 2, 9, do_writev, false},
	{"readv", 2, 9, do_readv, false},
	{"pwritev2", 4, 4, do_pwritev2, false},
	{"fill", 4, 4, do_fill, false},
	{"check", 4, 4, do_check, false},
	{"cat", 1, 1, do_cat, false},
	{"read-bad", 2, 2, do_read_bad, false},
	{"write-bad", 2, 2, do_write_bad, false},
	{"lseek", 3, 3, do_lseek, false},
	{"copy", 5, 6, do_copy, false},
	{"sendfile", 4, 4, do_sendfile, false},
	{"splice", 3, 3, do_splice, false},
	{"clone", 2, 2, do_clone, false},
	{"fsync", 1, 1, do_fsync, false},
	{"fdatasync", 1, 1, do_fdatasync, false},
	{"syncfs", 1, 1, do_syncfs, false},
	{"sync-range", 3, 3, do_sync_range, false},
	{"advise", 2, 2, do_advise, false},
	{"setfl", 2, 2, do_setfl, false},
	{"getfl", 1, 1, do_getfl, false},
	{0},
};
