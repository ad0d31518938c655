// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_time.c - times: set, and how they stand to what they were. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "posix.h"

#define MARKS	 8
#define CLOCK_MS 15 /* more than a tick of the clock that file systems look at */

struct mark {
	char word[256];
	struct statx stx;
};

static struct mark marks[MARKS];
static unsigned marks_used;

static int ask(const char *word, struct statx *stx)
{
	struct target t = target_of(word);

	return statx(t.dir, t.path, AT_SYMLINK_NOFOLLOW | (t.is_fd ? AT_EMPTY_PATH : 0),
		     STATX_BASIC_STATS | STATX_BTIME, stx);
}

static struct mark *mark_of(const char *word)
{
	for (unsigned i = 0; i < marks_used; i++) {
		if (strcmp(marks[i].word, word) == 0)
			return &marks[i];
	}
	if (marks_used == MARKS)
		bad_case("more than %d marks", MARKS);
	snprintf(marks[marks_used].word, sizeof(marks[0].word), "%s", word);
	return &marks[marks_used++];
}

void marks_drop(void)
{
	marks_used = 0;
}

/* Keeps the times of these, and waits until the clock is further. */
static void do_mark(char **arg, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		say_result(ask(arg[i], &mark_of(arg[i])->stx));
	pause_ms(CLOCK_MS);
}

static char relation(const struct statx_timestamp *now, const struct statx_timestamp *before)
{
	if (now->tv_sec != before->tv_sec)
		return now->tv_sec > before->tv_sec ? '+' : '-';
	if (now->tv_nsec != before->tv_nsec)
		return now->tv_nsec > before->tv_nsec ? '+' : '-';
	return '=';
}

/* Which of them are other ones than at the mark. */
static void do_times(char **arg, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct mark *mark = mark_of(arg[i]);
		struct statx stx;

		if (ask(arg[i], &stx) < 0)
			say_result(-1);
		else
			say("a%c m%c c%c b%c", relation(&stx.stx_atime, &mark->stx.stx_atime),
			    relation(&stx.stx_mtime, &mark->stx.stx_mtime),
			    relation(&stx.stx_ctime, &mark->stx.stx_ctime),
			    relation(&stx.stx_btime, &mark->stx.stx_btime));
	}
}

/* The change that must always be seen; which others come along may depend on more. */
static void do_ctime(char **arg, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct statx stx;

		if (ask(arg[i], &stx) < 0)
			say_result(-1);
		else
			say("c%c", relation(&stx.stx_ctime, &mark_of(arg[i])->stx.stx_ctime));
	}
}

/* How one file's times stand to each other. */
static void do_order(char **arg, unsigned count)
{
	struct statx stx;

	if (ask(arg[0], &stx) < 0)
		say_result(-1);
	else
		say("a%cm m%cc", relation(&stx.stx_atime, &stx.stx_mtime),
		    relation(&stx.stx_mtime, &stx.stx_ctime));
}

/* One is as old as the other? */
static void do_mtime_as(char **arg, unsigned count)
{
	struct statx a, b;

	if (ask(arg[0], &a) < 0 || ask(arg[1], &b) < 0)
		say_result(-1);
	else
		say("m%c", relation(&a.stx_mtime, &b.stx_mtime));
}

/* In numbers: only of times that were set. */
static void do_when(char **arg, unsigned count)
{
	struct statx stx;

	if (ask(arg[0], &stx) < 0)
		say_result(-1);
	else
		say("a%lld.%09u m%lld.%09u", (long long)stx.stx_atime.tv_sec, stx.stx_atime.tv_nsec,
		    (long long)stx.stx_mtime.tv_sec, stx.stx_mtime.tv_nsec);
}

/* now, omit, or SECONDS[.NANOSECONDS] */
static struct timespec time_of(const char *word)
{
	const char *dot = strchr(word, '.');

	if (strcmp(word, "now") == 0)
		return (struct timespec){.tv_nsec = UTIME_NOW};
	if (strcmp(word, "omit") == 0)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){.tv_sec = (time_t)strtoll(word, NULL, 10),
				 .tv_nsec = dot ? (long)strtoll(dot + 1, NULL, 10) : 0};
}

static void set_times(char **arg, int flags)
{
	struct target t = target_of(arg[0]);
	const struct timespec times[2] = {time_of(arg[1]), time_of(arg[2])};

	say_result(t.is_fd ? futimens(t.dir, times) : utimensat(t.dir, t.path, times, flags));
}

/* utime PATH ATIME MTIME */
static void do_utime(char **arg, unsigned count)
{
	set_times(arg, 0);
}

static void do_lutime(char **arg, unsigned count)
{
	set_times(arg, AT_SYMLINK_NOFOLLOW);
}

static void do_touch(char **arg, unsigned count)
{
	struct target t = target_of(arg[0]);

	say_result(t.is_fd ? futimens(t.dir, NULL) : utimensat(t.dir, t.path, NULL, 0));
}

const struct op time_ops[] = {
	{"mark", 1, 8, do_mark, false},		{"times", 1, 8, do_times, false},
	{"ctime", 1, 8, do_ctime, false},	{"order", 1, 1, do_order, false},
	{"mtime-as", 2, 2, do_mtime_as, false}, {"when", 1, 1, do_when, false},
	{"utime", 3, 3, do_utime, false},	{"lutime", 3, 3, do_lutime, false},
	{"touch", 1, 1, do_touch, false},	{0},
};
