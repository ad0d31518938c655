/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-cancelled.c - a hundred migrations that come to nothing leave nothing behind.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/sanitized.h"
#include "fs/collector.h"
#include "fs/records.h"
#include "fs/table.h"
#include "godwit/device.h"
#include "move.h"

#define FILES	 500u
#define TIMES	 100u
#define WARM	 10u  /* until the allocator has what it wants */
#define SLACK_KB 1024 /* one a migration would be more */

static struct share from, to;
static uint64_t ids[FILES];

static long resident_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	while (fgets(line, sizeof(line), status)) {
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	}
	fclose(status);
	return kb;
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void wait_until(bool on, uint64_t rounds)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	while (fs_tracking_is_on(&from.fs.inodes->tracking) != on ||
	       fs_collector_rounds(from.fs.collector) < rounds)
		nanosleep(&pause, NULL);
}

static void announce(void)
{
	uint64_t rounds = fs_collector_rounds(from.fs.collector);

	assert_int_equal(fs_prepare(&from.fs, true), 0);
	wait_until(true, rounds + 1);
}

static void cancel(void)
{
	fs_prepare(&from.fs, false);
	for (unsigned i = 0; i < 5000 && fs_tracking_is_on(&from.fs.inodes->tracking); i++)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	assert_false(fs_tracking_is_on(&from.fs.inodes->tracking));
}

/* A destination that refuses: it has no such file. */
static void fail_to_load(int stream)
{
	move_twin(&to, &from);
	assert_int_equal(rename(share_path(&from, "open"), share_path(&from, "away")), 0);
	assert_int_not_equal(move_load(&to, stream), 0);
	assert_int_equal(rename(share_path(&from, "away"), share_path(&from, "open")), 0);
	move_twin_close(&to);
}

static void migrate_in_vain(unsigned time)
{
	announce();
	if (time % 3 == 1)
		close(move_save(&from));
	if (time % 3 == 2)
		fail_to_load(move_save(&from));
	cancel();
}

static void assert_nothing_is_held(uint64_t alive, unsigned descriptors)
{
	struct fs_inode_stats stats;

	fs_inode_stats(from.fs.inodes, &stats);
	assert_int_equal(stats.inodes, alive);
	assert_in_range(open_descriptors(), 1, descriptors);
	for (unsigned i = 0; i < FILES; i++) {
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from.fs.inodes, ids[i]);

		assert_non_null(inode);
		assert_true(fs_fdcache_is_idle(inode));
		/* The guest's look-ups, and our own just now. */
		assert_int_equal((uint32_t)atomic_load(&inode->slot.life), 2);
	}
}

static void test_a_hundred(void **state)
{
	struct fs_inode_stats stats;
	unsigned descriptors;
	char name[16];
	long before = 0;

	(void)state;
	share_open(&from, 100);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	gw_log_set_level(GW_LOG_ERROR);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, name);
		ids[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
	share_file(&from, "open", "open");
	guest_open(&from, share_lookup(&from, FS_ROOT_ID, "open"), O_RDWR);
	fs_inode_stats(from.fs.inodes, &stats);
	descriptors = open_descriptors() + 2;
	for (unsigned time = 0; time < TIMES; time++) {
		migrate_in_vain(time);
		if (time == WARM)
			before = resident_kb();
	}
	assert_nothing_is_held(stats.inodes, descriptors);
	/* A sanitizer keeps what was freed, to see whether it is used again. */
	if (!GW_SANITIZED)
		assert_true(resident_kb() < before + SLACK_KB);
	share_close(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_hundred)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
