// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_dir.c - directories: listed, by steps, and while they change. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix.h"

#define STREAMS	  4
#define NAMES_MAX 4096

static DIR *streams[STREAMS];

static unsigned stream_number(const char *word)
{
	if (word[0] != 'd' || word[1] < '0' || word[1] >= '0' + STREAMS || word[2])
		bad_case("'%s' is no directory stream", word);
	return (unsigned)(word[1] - '0');
}

static DIR *stream_of(const char *word)
{
	DIR *dir = streams[stream_number(word)];

	if (!dir)
		bad_case("'%s' is not open", word);
	return dir;
}

void dirs_close(void)
{
	for (unsigned i = 0; i < STREAMS; i++) {
		if (streams[i])
			closedir(streams[i]);
		streams[i] = NULL;
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char type_letter(unsigned char type)
{
	static const char letters[] = "?pc?d?b?f?l?s";

	return type < sizeof(letters) - 1 ? letters[type] : '?';
}

/* At most @limit more names, each with its type's letter, into @names. */
static unsigned take(DIR *dir, char **names, unsigned limit)
{
	const struct dirent *entry;
	unsigned count = 0;

	while (count < limit && (entry = readdir(dir))) {
		char line[sizeof(entry->d_name) + 4];

		snprintf(line, sizeof(line), "%s/%c", entry->d_name, type_letter(entry->d_type));
		names[count++] = strdup(line);
	}
	return count;
}

/* Sorted, since the order is the file system's; many are their count and a checksum. */
static void say_names(char **names, unsigned count)
{
	char all[4096] = "";
	uint32_t sum = 0;

	qsort(names, count, sizeof(names[0]), by_name);
	for (unsigned i = 0; i < count; i++) {
		size_t len = strlen(all);

		snprintf(all + len, sizeof(all) - len, "%s%s", len ? " " : "", names[i]);
		sum = sum * 31 + checksum(names[i], strlen(names[i]));
		free(names[i]);
	}
	if (count <= 16)
		say("%s", all);
	else
		say("%u:%08x", count, sum);
}

static void list(DIR *dir, unsigned limit)
{
	static char *names[NAMES_MAX];
	unsigned count = take(dir, names, limit);

	say_names(names, count);
}

static DIR *open_dir(const char *word)
{
	struct target t = target_of(word);
	int fd = openat(t.dir, t.is_fd ? "." : t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static void do_ls(char **arg, unsigned count)
{
	DIR *dir = open_dir(arg[0]);

	if (!dir) {
		say_result(-1);
		return;
	}
	list(dir, NAMES_MAX);
	closedir(dir);
}

static void do_opendir(char **arg, unsigned count)
{
	unsigned n = stream_number(arg[0]);

	streams[n] = open_dir(arg[1]);
	say_result(streams[n] ? 0 : -1);
}

static void do_closedir(char **arg, unsigned count)
{
	say_result(closedir(stream_of(arg[0])));
	streams[stream_number(arg[0])] = NULL;
}

/* The rest of it. */
static void do_readdir(char **arg, unsigned count)
{
	list(stream_of(arg[0]), NAMES_MAX);
}

/* Only how many. */
static void do_readdir_count(char **arg, unsigned count)
{
	unsigned limit = count > 1 ? (unsigned)number_of(arg[1]) : NAMES_MAX, n = 0;
	DIR *dir = stream_of(arg[0]);

	while (n < limit && readdir(dir))
		n++;
	say("%u", n);
}

static void do_rewinddir(char **arg, unsigned count)
{
	rewinddir(stream_of(arg[0]));
	say_result(0);
}

/* From each place that was told, reading goes on with the name that came there. */
static void do_seekall(char **arg, unsigned count)
{
	static struct {
		long place;
		char name[256];
	} seen[NAMES_MAX];
	DIR *dir = open_dir(arg[0]);
	const struct dirent *entry;
	unsigned n = 0, wrong = 0;
	long place;

	if (!dir) {
		say_result(-1);
		return;
	}
	while (n < NAMES_MAX && (place = telldir(dir), entry = readdir(dir))) {
		seen[n].place = place;
		snprintf(seen[n++].name, sizeof(seen[0].name), "%s", entry->d_name);
	}
	for (unsigned i = n; i-- > 0;) {
		seekdir(dir, seen[i].place);
		entry = readdir(dir);
		wrong += !entry || strcmp(entry->d_name, seen[i].name) != 0;
	}
	say("%u names %u wrong", n, wrong);
	closedir(dir);
}

/* Does a name's inode number in the listing belong to the file? */
static void do_inodes(char **arg, unsigned count)
{
	DIR *dir = open_dir(arg[0]);
	const struct dirent *entry;
	unsigned n = 0, wrong = 0;
	struct stat st;

	if (!dir) {
		say_result(-1);
		return;
	}
	while ((entry = readdir(dir))) {
		n++;
		if (strcmp(entry->d_name, "..") != 0)
			wrong += fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
				 st.st_ino != entry->d_ino;
	}
	say("%u names %u wrong", n, wrong);
	closedir(dir);
}

/* populate DIR COUNT [TYPE]: files (or directories) with numbers for names. */
static void do_populate(char **arg, unsigned count)
{
	unsigned n = (unsigned)number_of(arg[1]), made = 0;
	bool dirs = count > 2 && strcmp(arg[2], "dir") == 0;
	char path[512];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/entry-%05u", arg[0], i);
		made += (dirs ? mkdir(path, 0755) : mknod(path, S_IFREG | LOCAL_MODE, 0)) == 0;
	}
	say("%u", made);
}

/* depopulate DIR COUNT [STEP] */
static void do_depopulate(char **arg, unsigned count)
{
	unsigned n = (unsigned)number_of(arg[1]), gone = 0;
	unsigned step = count > 2 ? (unsigned)number_of(arg[2]) : 1;
	char path[512];

	for (unsigned i = 0; i < n; i += step) {
		snprintf(path, sizeof(path), "%s/entry-%05u", arg[0], i);
		gone += remove(path) == 0;
	}
	say("%u", gone);
}

/* Reads a stream and removes what it reads, as rm -r does: all has to go. */
static void do_drain(char **arg, unsigned count)
{
	DIR *dir = open_dir(arg[0]);
	const struct dirent *entry;
	unsigned gone = 0;

	if (!dir) {
		say_result(-1);
		return;
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			gone += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
	}
	say("%u", gone);
	closedir(dir);
}

static int only_real(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* nest DEPTH: directories in each other, and back. */
static void do_nest(char **arg, unsigned count)
{
	unsigned depth = (unsigned)number_of(arg[0]), made = 0, gone = 0;
	int top = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	while (made < depth && mkdir("deep", 0755) == 0 && chdir("deep") == 0)
		made++;
	while (gone < made && chdir("..") == 0 && rmdir("deep") == 0)
		gone++;
	if (fchdir(top) < 0)
		say_result(-1);
	close(top);
	say("%u made %u gone", made, gone);
}

/* The count of real names. */
static void do_count(char **arg, unsigned count)
{
	struct dirent **names;
	int n = scandir(arg[0], &names, only_real, NULL);

	say_result(n);
	for (int i = 0; i < n; i++)
		free(names[i]);
	if (n >= 0)
		free(names);
}

const struct op dir_ops[] = {
	{"ls", 1, 1, do_ls, false},
	{"count", 1, 1, do_count, false},
	{"opendir", 2, 2, do_opendir, false},
	{"closedir", 1, 1, do_closedir, false},
	{"readdir", 1, 1, do_readdir, false},
	{"readdir-count", 1, 2, do_readdir_count, false},
	{"rewinddir", 1, 1, do_rewinddir, false},
	{"seekall", 1, 1, do_seekall, false},
	{"inodes", 1, 1, do_inodes, false},
	{"populate", 2, 3, do_populate, false},
	{"depopulate", 2, 3, do_depopulate, false},
	{"drain", 1, 1, do_drain, false},
	{"nest", 1, 1, do_nest, false},
	{0},
};
