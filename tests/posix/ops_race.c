// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_race.c - several processes at the same names, with one outcome whoever wins. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "posix.h"

#define RACERS_MAX 8
#define RECORD	   16

/* What one process does in round @round; 0 or -1 and errno. */
typedef int race_fn(const char *path, unsigned racer, unsigned round);

struct score {
	atomic_uint ready; /* processes that came so far */
	atomic_uint won, lost, strange;
};

/* All begin a round together. */
static void meet(struct score *score, unsigned racers, unsigned round)
{
	atomic_fetch_add(&score->ready, 1);
	while (atomic_load(&score->ready) < racers * (round + 1))
		sched_yield();
}

static void run_racer(struct score *score, race_fn *fn, int expected, char **arg, unsigned racer)
{
	unsigned racers = (unsigned)number_of(arg[1]), rounds = (unsigned)number_of(arg[2]);

	for (unsigned round = 0; round < rounds; round++) {
		meet(score, racers, round);
		if (fn(arg[0], racer, round) == 0)
			atomic_fetch_add(&score->won, 1);
		else if (errno == expected)
			atomic_fetch_add(&score->lost, 1);
		else
			atomic_fetch_add(&score->strange, 1);
	}
	_exit(0);
}

/* race-* PATH PROCESSES ROUNDS: how many calls succeeded, failed as expected, and otherwise. */
static void race(char **arg, race_fn *fn, int expected)
{
	unsigned racers = (unsigned)number_of(arg[1]);
	struct score *score = mmap(NULL, sizeof(*score), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (score == MAP_FAILED || racers > RACERS_MAX)
		bad_case("no race of %u", racers);
	fflush(stdout);
	for (unsigned i = 0; i < racers; i++) {
		if (fork() == 0)
			run_racer(score, fn, expected, arg, i);
	}
	while (wait(NULL) > 0)
		;
	say("won%u lost%u strange%u", score->won, score->lost, score->strange);
	munmap(score, sizeof(*score));
}

static const char *numbered(const char *path, unsigned number)
{
	static char name[512];

	snprintf(name, sizeof(name), "%s%u", path, number);
	return name;
}

static int excl(const char *path, unsigned racer, unsigned round)
{
	int fd = open(numbered(path, round), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int make_directory(const char *path, unsigned racer, unsigned round)
{
	return mkdir(numbered(path, round), 0700);
}

static int make_symlink(const char *path, unsigned racer, unsigned round)
{
	return symlink("target", numbered(path, round));
}

static int remove_file(const char *path, unsigned racer, unsigned round)
{
	return unlink(numbered(path, round));
}

static int remove_directory(const char *path, unsigned racer, unsigned round)
{
	return rmdir(numbered(path, round));
}

static int link_one(const char *path, unsigned racer, unsigned round)
{
	return link(path, numbered(path, round));
}

static int rename_away(const char *path, unsigned racer, unsigned round)
{
	char to[512];

	snprintf(to, sizeof(to), "%s%u.%u", path, round, racer);
	return rename(numbered(path, round), to);
}

/* Everybody's own file over the same name. */
static int rename_over(const char *path, unsigned racer, unsigned round)
{
	char from[512];
	int fd;

	snprintf(from, sizeof(from), "%s.%u.%u", path, racer, round);
	fd = open(from, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0 || close(fd) < 0)
		return -1;
	return rename(from, path);
}

static int append(const char *path, unsigned racer, unsigned round)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	char record[RECORD + 1];

	snprintf(record, sizeof(record), "%03u.%010u.\n", racer, round);
	if (fd < 0 || write(fd, record, RECORD) != RECORD)
		return -1;
	return close(fd);
}

/* A file that is replaced whole is never seen in part. */
static int replace_or_read(const char *path, unsigned racer, unsigned round)
{
	char text[64] = "", from[512];
	int fd;

	if (racer == 0) {
		snprintf(from, sizeof(from), "%s.new%u", path, round);
		fd = open(from, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, "complete", 8) != 8 || close(fd) < 0)
			return -1;
		return rename(from, path);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return -1;
	close(fd);
	errno = EILSEQ;
	return strcmp(text, "complete") == 0 ? 0 : -1;
}

static int make_and_remove(const char *path, unsigned racer, unsigned round)
{
	return racer % 2 ? mkdir(path, 0700) : rmdir(path);
}

static void do_race_excl(char **arg, unsigned count)
{
	race(arg, excl, EEXIST);
}

static void do_race_mkdir(char **arg, unsigned count)
{
	race(arg, make_directory, EEXIST);
}

static void do_race_symlink(char **arg, unsigned count)
{
	race(arg, make_symlink, EEXIST);
}

static void do_race_unlink(char **arg, unsigned count)
{
	race(arg, remove_file, ENOENT);
}

static void do_race_rmdir(char **arg, unsigned count)
{
	race(arg, remove_directory, ENOENT);
}

static void do_race_link(char **arg, unsigned count)
{
	race(arg, link_one, EEXIST);
}

static void do_race_rename(char **arg, unsigned count)
{
	race(arg, rename_away, ENOENT);
}

static void do_race_over(char **arg, unsigned count)
{
	race(arg, rename_over, 0);
}

static void do_race_append(char **arg, unsigned count)
{
	race(arg, append, 0);
}

static void do_race_replace(char **arg, unsigned count)
{
	race(arg, replace_or_read, EILSEQ);
}

/* Who wins is open: only that nothing else happens. */
static void do_race_make_remove(char **arg, unsigned count)
{
	unsigned won, lost, strange;

	race(arg, make_and_remove, EEXIST);
	if (sscanf(said(), "won%u lost%u strange%u", &won, &lost, &strange) != 3)
		bad_case("'%s' is no result", said());
	said_reset();
	say("%u", won + lost + strange);
}

/* numbered PATH COUNT TYPE: what racers fight for. */
static void do_numbered(char **arg, unsigned count)
{
	unsigned n = (unsigned)number_of(arg[1]), made = 0;

	for (unsigned i = 0; i < n; i++) {
		const char *name = numbered(arg[0], i);

		made += (arg[2][0] == 'd' ? mkdir(name, 0755) : mknod(name, S_IFREG | 0644, 0)) ==
			0;
	}
	say("%u", made);
}

/* Whole records, all of them, each racer's in its order. */
static void do_records(char **arg, unsigned count)
{
	unsigned next[RACERS_MAX] = {0}, wrong = 0, all = 0, racer, round;
	char record[RECORD + 1] = "";
	FILE *file = fopen(arg[0], "re");

	while (file && fread(record, RECORD, 1, file) == 1) {
		all++;
		if (sscanf(record, "%3u.%10u.\n", &racer, &round) != 2 || racer >= RACERS_MAX ||
		    round != next[racer]++)
			wrong++;
	}
	say("%u records %u wrong", all, wrong);
	if (file)
		fclose(file);
}

const struct op race_ops[] = {
	{"race-excl", 3, 3, do_race_excl, false},
	{"race-mkdir", 3, 3, do_race_mkdir, false},
	{"race-symlink", 3, 3, do_race_symlink, false},
	{"race-unlink", 3, 3, do_race_unlink, false},
	{"race-rmdir", 3, 3, do_race_rmdir, false},
	{"race-link", 3, 3, do_race_link, false},
	{"race-rename", 3, 3, do_race_rename, false},
	{"race-over", 3, 3, do_race_over, false},
	{"race-append", 3, 3, do_race_append, false},
	{"race-replace", 3, 3, do_race_replace, false},
	{"race-make-remove", 3, 3, do_race_make_remove, false},
	{"numbered", 3, 3, do_numbered, false},
	{"records", 1, 1, do_records, false},
	{0},
};
