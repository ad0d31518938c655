/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-again.c - a hundred migrations that came to nothing leave nothing behind. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/sanitized.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"

#define FILES	2000
#define WARM_UP 20 /* rounds until allocators and caches have what they keep */
#define ROUNDS	100
/* What allocators may still move about. */
#define GROWTH_MAX_KB 2048

static struct share from, to;

static int set_up(void **state)
{
	char name[16];

	(void)state;
	move_source(&from);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, name);
		share_lookup(&from, FS_ROOT_ID, name);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

static unsigned entries_of(const char *path)
{
	DIR *dir = opendir(path);
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static long resident_kb(void)
{
	long pages = 0, all;
	FILE *f = fopen("/proc/self/statm", "re");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", &all, &pages), 2);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static uint64_t references(void)
{
	const struct fs_inodes *inodes = from.fs.inodes;
	const struct fs_slot *slot;
	uint32_t at = 0;
	uint64_t n = 0;

	while ((slot = fs_slots_next(&inodes->slots, &at)))
		n += (uint32_t)atomic_load(&slot->life);
	return n;
}

static void wait_until(bool on)
{
	const struct timespec pause = {.tv_nsec = 200000};

	while (fs_tracking_is_on(&from.fs.inodes->tracking) != on)
		nanosleep(&pause, NULL);
}

/* Announced, and then: 0 called off, 1 saved for nothing, 2 saved and refused. */
static void come_to_nothing(unsigned how)
{
	assert_int_equal(fs_prepare(&from.fs, true), 0);
	wait_until(true);
	if (how == 1)
		close(move_save(&from));
	if (how == 2) {
		int stream = move_save(&from);

		assert_int_equal(ftruncate(stream, lseek(stream, 0, SEEK_END) - 1), 0);
		lseek(stream, 0, SEEK_SET);
		move_twin(&to, &from);
		assert_true(move_load(&to, stream) < 0);
		move_twin_close(&to);
	}
	fs_prepare(&from.fs, false);
	wait_until(false);
}

static void test_nothing_is_left(void **state)
{
	unsigned fds, threads;
	uint64_t pins = references();
	long kb;

	(void)state;
	for (unsigned i = 0; i < WARM_UP; i++)
		come_to_nothing(i % 3);
	fds = entries_of("/proc/self/fd");
	threads = entries_of("/proc/self/task");
	kb = resident_kb();
	for (unsigned i = 0; i < ROUNDS; i++)
		come_to_nothing(i % 3);
	assert_int_equal(entries_of("/proc/self/fd"), fds);
	assert_in_range(entries_of("/proc/self/task"), threads - 1, threads + 1);
	/* A sanitizer keeps what was freed, to see whether it is used again. */
	if (!GW_SANITIZED)
		assert_in_range(resident_kb(), 0, kb + GROWTH_MAX_KB);
	assert_int_equal(references(), pins);
	assert_false(fs_tracking_is_on(&from.fs.inodes->tracking));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_left, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
