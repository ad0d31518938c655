// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/checks_file.c - open files, with a name, with another name, with none. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define ORPHAN_SIZE (256 * 1024)
#define MAPPED_SIZE (64 * 1024)
#define OPEN_FILES  100

static struct {
	int fd;
	uint64_t ino;
} renamed, linked;
static int unlinked_fd, tmpfile_fd, write_only_fd, reader_fd, appender_fd;
static int many_fds[OPEN_FILES];
static uint8_t *mapped;

static int rename_while_open(const char *dir)
{
	renamed.fd = make_file(path_in(dir, "before"), "written before, ");
	must(renamed.fd >= 0);
	must(mkdir(path_in(dir, "below"), 0755) == 0);
	must(rename(path_in(dir, "before"), path_in(dir, "below/after")) == 0);
	must(stat_fresh(renamed.fd, "", &renamed.ino, NULL));
	return 0;
}

static int renamed_is_there(const char *dir)
{
	const char *after = path_in(dir, "below/after");
	uint64_t by_fd, by_name;

	must(has_text(renamed.fd, 0, "written before, "));
	must(put_text(renamed.fd, 16, "written after"));
	must(stat_fresh(renamed.fd, "", &by_fd, NULL));
	must(stat_fresh(AT_FDCWD, after, &by_name, NULL));
	must(by_fd == renamed.ino && by_name == renamed.ino);
	must(access(path_in(dir, "before"), F_OK) < 0 && errno == ENOENT);
	must(close(renamed.fd) == 0);
	must(file_is(after, "written before, written after"));
	host_expects(after);
	return 0;
}

static int unlink_while_open(const char *dir)
{
	uint8_t *buf = malloc(ORPHAN_SIZE);

	unlinked_fd = make_file(path_in(dir, "gone"), "");
	must(buf && unlinked_fd >= 0);
	fill_pattern(buf, ORPHAN_SIZE, 1);
	must(write(unlinked_fd, buf, ORPHAN_SIZE) == ORPHAN_SIZE);
	free(buf);
	must(fchmod(unlinked_fd, 0640) == 0);
	must(unlink(path_in(dir, "gone")) == 0);
	return 0;
}

/* What holds of every file without a name: its bytes, its attributes, and that it can change. */
static int orphan_lives(int fd, uint32_t seed)
{
	struct stat st;
	uint32_t nlink;

	must(stat_fresh(fd, "", NULL, &nlink));
	must(nlink == 0);
	must(fstat(fd, &st) == 0);
	must(st.st_size == ORPHAN_SIZE);
	must((st.st_mode & 07777) == 0640);
	must(has_pattern(fd, 0, ORPHAN_SIZE, seed));
	must(put_text(fd, ORPHAN_SIZE, "and more"));
	must(ftruncate(fd, ORPHAN_SIZE + 4) == 0);
	must(fsync(fd) == 0);
	drop_caches();
	must(has_text(fd, ORPHAN_SIZE, "and "));
	must(fstat(fd, &st) == 0);
	must(st.st_size == ORPHAN_SIZE + 4);
	return 0;
}

static int unlinked_is_there(const char *dir)
{
	int ret = orphan_lives(unlinked_fd, 1);

	if (ret)
		return ret;
	must(access(path_in(dir, "gone"), F_OK) < 0 && errno == ENOENT);
	must(close(unlinked_fd) == 0);
	return 0;
}

static int make_tmpfile(const char *dir)
{
	uint8_t *buf = malloc(ORPHAN_SIZE);

	tmpfile_fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
	skip_if(tmpfile_fd < 0 && errno == EOPNOTSUPP, "no O_TMPFILE on this share");
	must(buf && tmpfile_fd >= 0);
	fill_pattern(buf, ORPHAN_SIZE, 2);
	must(write(tmpfile_fd, buf, ORPHAN_SIZE) == ORPHAN_SIZE);
	free(buf);
	return 0;
}

static int tmpfile_is_there(const char *dir)
{
	const char *path = path_in(dir, "named");
	int ret = orphan_lives(tmpfile_fd, 2);
	char self[32];
	uint32_t nlink;

	if (ret)
		return ret;
	/* What it is made for: to get its name when it is ready. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", tmpfile_fd);
	must(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0);
	must(stat_fresh(tmpfile_fd, "", NULL, &nlink));
	must(nlink == 1);
	must(close(tmpfile_fd) == 0);
	host_expects(path);
	return 0;
}

/* Nobody may open a file of mode 0, but who created it holds it open. */
static int open_forbidden(const char *dir)
{
	write_only_fd = open(path_in(dir, "forbidden"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
	must(write_only_fd >= 0);
	must(write(write_only_fd, "before, ", 8) == 8);
	return 0;
}

static int forbidden_takes_writes(const char *dir)
{
	const char *path = path_in(dir, "forbidden");
	char c;

	must(write(write_only_fd, "after", 5) == 5);
	must(pread(write_only_fd, &c, 1, 0) < 0 && errno == EBADF);
	must(close(write_only_fd) == 0);
	must(chmod(path, 0600) == 0);
	must(file_is(path, "before, after"));
	host_expects(path);
	return 0;
}

static int remove_first_link(const char *dir)
{
	linked.fd = make_file(path_in(dir, "first"), "two names, ");
	must(linked.fd >= 0);
	must(link(path_in(dir, "first"), path_in(dir, "second")) == 0);
	must(unlink(path_in(dir, "first")) == 0);
	must(stat_fresh(linked.fd, "", &linked.ino, NULL));
	return 0;
}

static int second_link_is_it(const char *dir)
{
	const char *second = path_in(dir, "second");
	uint64_t by_fd, by_name;
	uint32_t nlink;

	must(stat_fresh(linked.fd, "", &by_fd, &nlink));
	must(nlink == 1);
	must(stat_fresh(AT_FDCWD, second, &by_name, NULL));
	must(by_fd == linked.ino && by_name == linked.ino);
	must(put_text(linked.fd, 11, "one left"));
	must(close(linked.fd) == 0);
	must(file_is(second, "two names, one left"));
	must(access(path_in(dir, "first"), F_OK) < 0 && errno == ENOENT);
	host_expects(second);
	return 0;
}

static int map_shared(const char *dir)
{
	int fd = make_file(path_in(dir, "mapped"), "");

	must(fd >= 0);
	must(ftruncate(fd, MAPPED_SIZE) == 0);
	mapped = mmap(NULL, MAPPED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(mapped != MAP_FAILED);
	close(fd);
	fill_pattern(mapped, MAPPED_SIZE / 2, 3); /* dirty when the machine moves */
	return 0;
}

static int mapping_reaches_file(const char *dir)
{
	const char *path = path_in(dir, "mapped");
	uint32_t crc;
	int fd;

	fill_pattern(mapped + MAPPED_SIZE / 2, MAPPED_SIZE / 2, 4);
	crc = crc32_of(0, mapped, MAPPED_SIZE);
	must(msync(mapped, MAPPED_SIZE, MS_SYNC) == 0);
	must(madvise(mapped, MAPPED_SIZE, MADV_DONTNEED) == 0);
	drop_caches();
	must(crc32_of(0, mapped, MAPPED_SIZE) == crc); /* read again, through the mapping */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	must(fd >= 0);
	must(has_pattern(fd, 0, MAPPED_SIZE / 2, 3));
	must(has_pattern(fd, MAPPED_SIZE / 2, MAPPED_SIZE / 2, 4));
	close(fd);
	must(munmap(mapped, MAPPED_SIZE) == 0);
	host_expects(path);
	return 0;
}

/* A reader half way through, and a writer that only ever appends. */
static int stop_half_way(const char *dir)
{
	const char *path = path_in(dir, "offsets");
	char buf[6];
	int fd = make_file(path, "first second ");

	must(fd >= 0 && close(fd) == 0);
	reader_fd = open(path, O_RDONLY | O_CLOEXEC);
	appender_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	must(reader_fd >= 0 && appender_fd >= 0);
	must(read(reader_fd, buf, 6) == 6);
	return 0;
}

static int go_on_half_way(const char *dir)
{
	const char *path = path_in(dir, "offsets");
	char buf[13] = "";

	must(write(appender_fd, "third", 5) == 5);
	must(read(reader_fd, buf, 12) == 12);
	must(strcmp(buf, "second third") == 0);
	must(close(reader_fd) == 0 && close(appender_fd) == 0);
	must(file_is(path, "first second third"));
	host_expects(path);
	return 0;
}

static int open_many(const char *dir)
{
	char name[32];

	for (int i = 0; i < OPEN_FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		many_fds[i] = make_file(path_in(dir, name), name);
		must(many_fds[i] >= 0);
	}
	return 0;
}

static int all_are_their_own(const char *dir)
{
	char name[32];

	for (int i = 0; i < OPEN_FILES; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		must(has_text(many_fds[i], 0, name));
		must(put_text(many_fds[i], (off_t)strlen(name), "."));
		must(close(many_fds[i]) == 0);
		must(unlink(path_in(dir, name)) == 0);
	}
	return 0;
}

const struct check file_checks[] = {
	{"renamed-while-open", rename_while_open, renamed_is_there},
	{"unlinked-while-open", unlink_while_open, unlinked_is_there},
	{"tmpfile", make_tmpfile, tmpfile_is_there},
	{"write-only-mode-0", open_forbidden, forbidden_takes_writes},
	{"first-link-gone", remove_first_link, second_link_is_it},
	{"shared-mmap", map_shared, mapping_reaches_file},
	{"file-offsets", stop_half_way, go_on_half_way},
	{"many-open-files", open_many, all_are_their_own},
	{NULL, NULL, NULL},
};
