// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/checks_dir.c - directories: removed, half read, worked in, oddly named. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

#define ENTRIES	     600
#define READ_BEFORE  200
#define LISTING_SIZE 1024 /* small, so that the kernel asks for more all the time */

/* What getdents64() fills in; the C library has no name for it. */
struct entry {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

static int removed_fd, listing_fd, odd_dir_fd, odd_file_fd;
static unsigned char times_seen[ENTRIES];

static int remove_while_open(const char *dir)
{
	const char *path = path_in(dir, "gone");

	must(mkdir(path, 0750) == 0);
	removed_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(removed_fd >= 0);
	must(rmdir(path) == 0);
	return 0;
}

static int removed_is_dead(const char *dir)
{
	struct stat st;

	must(stat_fresh(removed_fd, "", NULL, NULL));
	must(fstat(removed_fd, &st) == 0);
	must(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0750);
	must(openat(removed_fd, "new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644) < 0);
	must(errno == ENOENT);
	must(close(removed_fd) == 0);
	must(mkdir(path_in(dir, "gone"), 0755) == 0);
	return 0;
}

/* Reads until `most` more entries were seen, or to the end; how many, or -1. */
static int read_entries(int fd, int most)
{
	_Alignas(struct entry) char buf[LISTING_SIZE];
	int seen = 0, index;
	long got = 0;

	while (seen < most && (got = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < got;) {
			const struct entry *e = (const void *)(buf + at);

			if (sscanf(e->name, "entry-%d-", &index) == 1 && index >= 0 &&
			    index < ENTRIES)
				times_seen[index]++, seen++;
			at += e->reclen;
		}
	}
	return got < 0 ? -1 : seen;
}

static int read_half(const char *dir)
{
	char name[64];

	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "entry-%d-with-a-rather-long-name", i);
		must(mknod(path_in(dir, name), S_IFREG | 0644, 0) == 0);
	}
	listing_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(listing_fd >= 0);
	must(read_entries(listing_fd, READ_BEFORE) >= READ_BEFORE);
	return 0;
}

static int none_twice_none_missing(const char *dir)
{
	int again, missing = 0, twice = 0;

	must(read_entries(listing_fd, INT_MAX) > 0);
	for (int i = 0; i < ENTRIES; i++) {
		missing += times_seen[i] == 0;
		twice += times_seen[i] > 1;
	}
	if (missing || twice) {
		snprintf(check_reason, sizeof(check_reason), "of %d names %d missing, %d twice",
			 ENTRIES, missing, twice);
		return CHECK_FAILED;
	}
	must(lseek(listing_fd, 0, SEEK_SET) == 0);
	again = read_entries(listing_fd, INT_MAX);
	must(again == ENTRIES);
	must(close(listing_fd) == 0);
	return 0;
}

static int work_in(const char *dir)
{
	int fd;

	must(mkdir(path_in(dir, "here"), 0755) == 0);
	must(chdir(path_in(dir, "here")) == 0);
	fd = make_file("before", "relative");
	must(fd >= 0 && close(fd) == 0);
	must(rename(path_in(dir, "here"), path_in(dir, "there")) == 0);
	return 0;
}

static int still_work_in(const char *dir)
{
	char cwd[PATH_MAX];
	int fd;

	must(getcwd(cwd, sizeof(cwd)) != NULL);
	must(strcmp(cwd, path_in(dir, "there")) == 0);
	must(file_is("before", "relative"));
	fd = make_file("after", "relative too");
	must(fd >= 0 && close(fd) == 0);
	must(file_is(path_in(dir, "there/after"), "relative too"));
	must(chdir("/") == 0);
	host_expects(path_in(dir, "there/after"));
	return 0;
}

/* Not UTF-8, and one that ends like the kernel's mark for what is gone. */
#define ODD_DIR	 "caf\xe9"
#define ODD_FILE "\xff\xfe\x80 \x01"
#define LIAR	 "not (deleted)"

static int name_oddly(const char *dir)
{
	must(mkdir(path_in(dir, ODD_DIR), 0755) == 0);
	odd_dir_fd = open(path_in(dir, ODD_DIR), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	odd_file_fd = make_file(path_in(dir, ODD_DIR "/" ODD_FILE), "odd name");
	must(odd_dir_fd >= 0 && odd_file_fd >= 0);
	must(close(make_file(path_in(dir, LIAR), "here")) == 0);
	return 0;
}

static int odd_names_are_there(const char *dir)
{
	const char *path = path_in(dir, ODD_DIR "/" ODD_FILE);
	struct stat by_fd, by_name;
	int fd;

	must(has_text(odd_file_fd, 0, "odd name"));
	must(fstat(odd_file_fd, &by_fd) == 0);
	must(fstatat(odd_dir_fd, ODD_FILE, &by_name, 0) == 0);
	must(by_fd.st_ino == by_name.st_ino);
	must(file_is(path, "odd name"));
	fd = openat(odd_dir_fd, "\xc3(", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	must(fd >= 0 && close(fd) == 0);
	must(file_is(path_in(dir, LIAR), "here"));
	must(close(odd_file_fd) == 0 && close(odd_dir_fd) == 0);
	host_expects(path);
	return 0;
}

const struct check dir_checks[] = {
	{"removed-directory", remove_while_open, removed_is_dead},
	{"half-read-directory", read_half, none_twice_none_missing},
	{"working-directory", work_in, still_work_in},
	{"non-utf8-names", name_oddly, odd_names_are_there},
	{NULL, NULL, NULL},
};
