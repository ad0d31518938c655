/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-inode-ids.c - one node id an inode, for as long as the guest knows it, and never
 * again. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs-share.h"

static struct share share;

static int set_up(void **state)
{
	(void)state;
	share_open(&share, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&share);
	return 0;
}

static void test_root_is_one(void **state)
{
	(void)state;
	assert_int_equal(share_ino(&share, FS_ROOT_ID), host_ino(share.path));
	fs_inode_forget(share.fs.inodes, FS_ROOT_ID, 1);
	assert_int_equal(share_ino(&share, FS_ROOT_ID), host_ino(share.path));
}

static void test_one_id_for_all_names(void **state)
{
	uint64_t id;

	(void)state;
	share_mkdir(&share, "dir");
	share_file(&share, "a", "x");
	assert_int_equal(link(share_path(&share, "a"), share_path(&share, "dir/b")), 0);
	id = share_lookup(&share, FS_ROOT_ID, "a");
	assert_int_equal(share_lookup(&share, FS_ROOT_ID, "a"), id);
	assert_int_equal(share_lookup(&share, share_lookup(&share, FS_ROOT_ID, "dir"), "b"), id);
	assert_int_equal(share_ino(&share, id), host_ino(share_path(&share, "a")));
}

static void test_stale_after_the_last_forget(void **state)
{
	uint64_t id, again;

	(void)state;
	share_file(&share, "f", "x");
	id = share_lookup(&share, FS_ROOT_ID, "f");
	share_lookup(&share, FS_ROOT_ID, "f");
	fs_inode_forget(share.fs.inodes, id, 1);
	assert_int_equal(share_ino(&share, id), host_ino(share_path(&share, "f")));
	fs_inode_forget(share.fs.inodes, id, 1);
	assert_null(fs_inode_get(share.fs.inodes, id));
	again = share_lookup(&share, FS_ROOT_ID, "f");
	assert_int_not_equal(again, id);
	assert_null(fs_inode_get(share.fs.inodes, id));
	/* More than the guest has, and what nobody has. */
	fs_inode_forget(share.fs.inodes, again, UINT64_MAX);
	assert_null(fs_inode_get(share.fs.inodes, again));
	fs_inode_forget(share.fs.inodes, again, 1);
	fs_inode_forget(share.fs.inodes, UINT64_MAX, 1);
	fs_inode_forget(share.fs.inodes, 0, 1);
}

static void test_clear_goes_on_counting(void **state)
{
	struct fs_inode_stats stats;
	uint64_t id, child;

	(void)state;
	share_mkdir(&share, "d");
	share_file(&share, "d/f", "x");
	id = share_lookup(&share, FS_ROOT_ID, "d");
	child = share_lookup(&share, id, "f");
	fs_inodes_clear(share.fs.inodes);
	fs_inode_stats(share.fs.inodes, &stats);
	assert_int_equal(stats.inodes, 1);
	assert_null(fs_inode_get(share.fs.inodes, id));
	assert_null(fs_inode_get(share.fs.inodes, child));
	assert_int_not_equal(share_lookup(&share, FS_ROOT_ID, "d"), id);
	assert_null(fs_inode_get(share.fs.inodes, id));
}

static void test_children_hold_their_parent(void **state)
{
	uint64_t dir, file;

	(void)state;
	share_mkdir(&share, "p");
	share_file(&share, "p/c", "x");
	dir = share_lookup(&share, FS_ROOT_ID, "p");
	file = share_lookup(&share, dir, "c");
	fs_inode_forget(share.fs.inodes, dir, 1);
	assert_int_equal(share_lookup(&share, FS_ROOT_ID, "p"), dir);
	fs_inode_forget(share.fs.inodes, dir, 1);
	fs_inode_forget(share.fs.inodes, file, 1);
	assert_null(fs_inode_get(share.fs.inodes, file));
	assert_null(fs_inode_get(share.fs.inodes, dir));
}

static void test_a_replaced_file_is_another(void **state)
{
	uint64_t before, after;

	(void)state;
	share_file(&share, "log", "old");
	before = share_lookup(&share, FS_ROOT_ID, "log");
	assert_int_equal(rename(share_path(&share, "log"), share_path(&share, "log.1")), 0);
	share_file(&share, "log", "new");
	after = share_lookup(&share, FS_ROOT_ID, "log");
	assert_int_not_equal(before, after);
	assert_int_equal(share_ino(&share, before), host_ino(share_path(&share, "log.1")));
	assert_int_equal(share_ino(&share, after), host_ino(share_path(&share, "log")));
}

static void test_only_files_and_directories_are_opened(void **state)
{
	FS_AUTO_INODE struct fs_inode *fifo = NULL, *link = NULL;

	(void)state;
	assert_int_equal(mkfifo(share_path(&share, "fifo"), 0600), 0);
	assert_int_equal(symlink("/etc/passwd", share_path(&share, "link")), 0);
	fifo = fs_inode_get(share.fs.inodes, share_lookup(&share, FS_ROOT_ID, "fifo"));
	link = fs_inode_get(share.fs.inodes, share_lookup(&share, FS_ROOT_ID, "link"));
	assert_int_equal(fs_inode_open(fifo, 0), -ENXIO);
	assert_int_equal(fs_inode_open(link, 0), -ENXIO);
	assert_int_equal(fs_inode_type(link), S_IFLNK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_root_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_id_for_all_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale_after_the_last_forget, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_clear_goes_on_counting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_children_hold_their_parent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_replaced_file_is_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_files_and_directories_are_opened, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
