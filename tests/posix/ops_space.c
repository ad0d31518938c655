// SPDX-License-Identifier: BSD-3-Clause
/* posix/ops_space.c - space: holes, allocation, and files in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/falloc.h>

#include "posix.h"

#define SEGMENTS_MAX 16
#define MAPS	     4

static const struct flag allocate_modes[] = {{"none", 0},
					     {"KEEP_SIZE", FALLOC_FL_KEEP_SIZE},
					     {"PUNCH_HOLE", FALLOC_FL_PUNCH_HOLE},
					     {"COLLAPSE_RANGE", FALLOC_FL_COLLAPSE_RANGE},
					     {"ZERO_RANGE", FALLOC_FL_ZERO_RANGE},
					     {"INSERT_RANGE", FALLOC_FL_INSERT_RANGE},
					     {"UNSHARE_RANGE", FALLOC_FL_UNSHARE_RANGE},
					     {"NO_HIDE_STALE", FALLOC_FL_NO_HIDE_STALE},
					     {"bad", 0x4000},
					     {0}};

/* fallocate FD MODE OFFSET LENGTH */
static void do_fallocate(char **arg, unsigned count)
{
	say_result(fallocate(fd_of(arg[0]), (int)flags_of(allocate_modes, arg[1]),
			     (off_t)number_of(arg[2]), (off_t)number_of(arg[3])));
}

/* Where data and holes are, from front to back. */
static void do_segments(char **arg, unsigned count)
{
	int fd = fd_of(arg[0]), whence = SEEK_DATA;
	off_t at = 0;

	for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
		at = lseek(fd, at, whence);
		if (at < 0) {
			say_result(-1);
			return;
		}
		say("%s%lld", whence == SEEK_DATA ? "data" : "hole", (long long)at);
		whence = whence == SEEK_DATA ? SEEK_HOLE : SEEK_DATA;
	}
}

const struct op space_ops[] = {
	{"fallocate", 4, 4, do_fallocate, false},
	{"segments", 1, 1, do_segments, false},
	{0},
};

static struct {
	char *start;
	size_t len;
} maps[MAPS];

static unsigned map_number(const char *word)
{
	if (word[0] != 'm' || word[1] < '0' || word[1] >= '0' + MAPS || word[2])
		bad_case("'%s' is no mapping", word);
	return (unsigned)(word[1] - '0');
}

/* NULL where there could be no mapping; it says so. */
static char *map_at(const char *word, const char *offset, size_t len)
{
	unsigned n = map_number(word);
	size_t at = (size_t)number_of(offset);

	if (!maps[n].start) {
		say("unmapped");
		return NULL;
	}
	if (at > maps[n].len || len > maps[n].len - at)
		bad_case("%s has no %zu bytes at %zu", word, len, at);
	return maps[n].start + at;
}

void maps_drop(void)
{
	for (unsigned i = 0; i < MAPS; i++) {
		if (maps[i].start)
			munmap(maps[i].start, maps[i].len);
		maps[i].start = NULL;
	}
}

static const struct flag protections[] = {
	{"R", PROT_READ}, {"W", PROT_WRITE}, {"X", PROT_EXEC}, {"none", PROT_NONE}, {0}};
static const struct flag map_flags[] = {{"SHARED", MAP_SHARED},
					{"PRIVATE", MAP_PRIVATE},
					{"SYNC", MAP_SHARED_VALIDATE | MAP_SYNC},
					{0}};

/* mmap MAP FD R|W SHARED OFFSET LENGTH */
static void do_mmap(char **arg, unsigned count)
{
	unsigned n = map_number(arg[0]);
	size_t len = (size_t)number_of(arg[5]);
	void *start =
		mmap(NULL, len, (int)flags_of(protections, arg[2]),
		     (int)flags_of(map_flags, arg[3]), fd_of(arg[1]), (off_t)number_of(arg[4]));

	if (start == MAP_FAILED) {
		say_result(-1);
		return;
	}
	maps[n].start = start;
	maps[n].len = len;
	say_result(0);
}

static void do_munmap(char **arg, unsigned count)
{
	unsigned n = map_number(arg[0]);

	say_result(munmap(maps[n].start, maps[n].len));
	maps[n].start = NULL;
}

/* poke MAP OFFSET TEXT */
static void do_poke(char **arg, unsigned count)
{
	size_t len = strlen(arg[2]);

	char *at = map_at(arg[0], arg[1], len);

	if (!at)
		return;
	memcpy(at, arg[2], len);
	say_result((long long)len);
}

/* peek MAP OFFSET LENGTH */
static void do_peek(char **arg, unsigned count)
{
	size_t len = (size_t)number_of(arg[2]);

	const char *at = map_at(arg[0], arg[1], len);

	if (at)
		say_data(at, len);
}

static const struct flag sync_flags[] = {
	{"SYNC", MS_SYNC}, {"ASYNC", MS_ASYNC}, {"INVALIDATE", MS_INVALIDATE}, {0}};

static void do_msync(char **arg, unsigned count)
{
	unsigned n = map_number(arg[0]);

	say_result(msync(maps[n].start, maps[n].len, (int)flags_of(sync_flags, arg[1])));
}

const struct op map_ops[] = {
	{"mmap", 6, 6, do_mmap, false},	  {"munmap", 1, 1, do_munmap, false},
	{"poke", 3, 3, do_poke, false},	  {"peek", 3, 3, do_peek, false},
	{"msync", 2, 2, do_msync, false}, {0},
};
