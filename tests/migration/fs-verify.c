/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-verify.c - what a load proves before it says yes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/load.h"
#include "fs/table.h"
#include "precopy.h"

/* More than a sample has; so many of them stale that the first few of any sample show it, however
 * slow the machine is (0.1 ^ 16). */
#define FILES 2000u
#define STALE (FILES / 10 * 9)

static struct share from, to;
static uint64_t ids[FILES], dir_id, handle;

/* Most are in a directory of its own, which is there or not. */
static uint64_t parent_of(unsigned i)
{
	return i < FILES - STALE ? FS_ROOT_ID : dir_id;
}

static const char *name_of(char name[16], unsigned i)
{
	snprintf(name, 16, "f%u", i);
	return name;
}

static int set_up_all(void **state)
{
	char name[16];

	(void)state;
	move_source(&from);
	share_mkdir(&from, "q");
	dir_id = share_lookup(&from, FS_ROOT_ID, "q");
	for (unsigned i = 0; i < FILES; i++) {
		name_of(name, i);
		if (mknod(share_path(&from, "%s%s", parent_of(i) == dir_id ? "q/" : "", name),
			  S_IFREG | 0644, 0))
			return -1;
		ids[i] = share_lookup(&from, parent_of(i), name);
	}
	handle = guest_open(&from, ids[0], O_RDWR);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	move_twin(&to, &from);
	to.host.verify_budget = 60000;
	move_helpers(&to, 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_helpers_end(&to);
	move_twin_close(&to);
	rename(share_path(&from, "away"), share_path(&from, "q"));
	return 0;
}

/* Between save and load. */
static int stream_and_move(const char *name, const char *new_name)
{
	int stream = move_save(&from);

	assert_int_equal(rename(share_path(&from, "%s", name), share_path(&from, "%s", new_name)),
			 0);
	return stream;
}

static int stream_and_remove(void)
{
	return stream_and_move("q", "away");
}

static struct fs_inode_stats stats_of(struct share *share)
{
	struct fs_inode_stats stats;

	fs_inode_stats(share->fs.inodes, &stats);
	return stats;
}

static void test_open_takes_a_sample(void **state)
{
	(void)state;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	/* Not all, not none: at most a thousand were looked for. */
	assert_in_range(stats_of(&to).unresolved, FILES - 1001, FILES);
	assert_int_equal(stats_of(&to).stale, 0);
	assert_true(guest_fd(&to, handle) >= 0);
}

static void test_one_stale_in_the_sample_proves_all(void **state)
{
	(void)state;
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, stream_and_remove()), 0);
	assert_int_equal(stats_of(&to).unresolved, 0);
	assert_int_equal(stats_of(&to).stale, STALE + 1);
	assert_int_equal(share_ino(&to, ids[1]), host_ino(share_path(&from, "f1")));
}

static void test_stale_in_the_sample_aborts(void **state)
{
	(void)state;
	assert_int_equal(move_load(&to, stream_and_remove()), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/q"));
	assert_int_equal(stats_of(&to).inodes, 1);
}

static void test_all(void **state)
{
	(void)state;
	to.host.verify = FS_VERIFY_ALL;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(stats_of(&to).unresolved, 0);
	assert_int_equal(stats_of(&to).stale, 0);
}

/* One among many, which a sample would hardly find. */
static void test_all_finds_one(void **state)
{
	(void)state;
	to.host.verify = FS_VERIFY_ALL;
	assert_int_equal(move_load(&to, stream_and_move("f123", "there")), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/f123"));
	rename(share_path(&from, "there"), share_path(&from, "f123"));
}

static void test_none(void **state)
{
	(void)state;
	to.host.verify = FS_VERIFY_NONE;
	assert_int_equal(move_load(&to, stream_and_remove()), 0);
	/* The open one was opened, and by that proven. */
	assert_int_equal(stats_of(&to).unresolved, FILES);
	assert_int_equal(stats_of(&to).stale, 0);
	assert_true(guest_fd(&to, handle) >= 0);
}

static void test_none_still_opens_what_is_open(void **state)
{
	(void)state;
	to.host.verify = FS_VERIFY_NONE;
	assert_int_equal(move_load(&to, stream_and_move("f0", "there")), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/f0"));
	rename(share_path(&from, "there"), share_path(&from, "f0"));
}

/* All of one directory; who holds that would find them however it is called. */
static void rename_each(const char *from_path, const char *to_path)
{
	char old[64], name[16];

	for (unsigned i = FILES - STALE; i < FILES; i++) {
		name_of(name, i);
		snprintf(old, sizeof(old), "%s", share_path(&from, "%s%s", from_path, name));
		assert_int_equal(rename(old, share_path(&from, "%s%s", to_path, name)), 0);
	}
}

static int load_without_them(void)
{
	int stream = move_save(&from), err;

	rename_each("q/", "q/not-");
	err = move_load(&to, stream);
	rename_each("q/not-", "q/");
	return err;
}

/* A sample that was drawn when most of the state came does for none that is drawn when it comes. */
static void test_a_sample_of_what_came_ahead(void **state)
{
	(void)state;
	to.host.on_error = FS_ON_ERROR_GUEST;
	precopy_begin(&from);
	precopy_end(&from);
	assert_int_equal(precopy_load(&to), 0);
	assert_int_equal(load_without_them(), 0);
	assert_true(to.fs.loaded.same > 0);
	/* Who was in the first sample was looked for then. */
	assert_int_equal(stats_of(&to).unresolved, 0);
	assert_in_range(stats_of(&to).stale, STALE - FS_SAMPLE_INODES, STALE + 1);
}

static void test_what_came_ahead_aborts(void **state)
{
	(void)state;
	precopy_begin(&from);
	precopy_end(&from);
	assert_int_equal(precopy_load(&to), 0);
	assert_int_equal(load_without_them(), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/q/f"));
	assert_int_equal(stats_of(&to).inodes, 1);
}

/* Who wants all to be looked for wants that of when the guest goes on. */
static void test_all_of_what_came_ahead(void **state)
{
	int stream;

	(void)state;
	to.host.verify = FS_VERIFY_ALL;
	precopy_begin(&from);
	precopy_end(&from);
	assert_int_equal(precopy_load(&to), 0);
	stream = move_save(&from);
	assert_int_equal(rename(share_path(&from, "f123"), share_path(&from, "there")), 0);
	assert_int_equal(move_load(&to, stream), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/f123"));
	assert_int_equal(rename(share_path(&from, "there"), share_path(&from, "f123")), 0);
}

/* What could not be proven in time counts as not found. A millisecond is not enough, on any
 * machine, for two thousand: a system call each. */
static void test_budget(void **state)
{
	(void)state;
	to.host.verify = FS_VERIFY_ALL;
	to.host.verify_budget = 1;
	assert_int_equal(move_load(&to, move_save(&from)), -ETIME);
	assert_non_null(strstr(gw_last_error(), "--migration-verify-budget"));
}

static void test_budget_with_guest_error(void **state)
{
	uint64_t lost = 0;
	char name[16];

	(void)state;
	to.host.verify = FS_VERIFY_ALL;
	to.host.verify_budget = 1;
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(stats_of(&to).unresolved, 0);
	assert_true(stats_of(&to).stale > 0);
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "q"), dir_id);
	/* They are there after all, and the guest gets them back when it asks by name. */
	for (unsigned i = 0; i < FILES; i++) {
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to.fs.inodes, ids[i]);
		struct statx stx;

		lost += fs_inode_statx(inode, &stx) == -ESTALE;
		if (!to.fs.inodes->root->btime)
			continue;
		assert_int_equal(share_lookup(&to, parent_of(i), name_of(name, i)), ids[i]);
		assert_int_equal(fs_inode_statx(inode, &stx), 0);
	}
	assert_true(lost > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_takes_a_sample, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_stale_in_the_sample_proves_all, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_stale_in_the_sample_aborts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_finds_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_none_still_opens_what_is_open, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_sample_of_what_came_ahead, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_came_ahead_aborts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_of_what_came_ahead, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_budget_with_guest_error, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
