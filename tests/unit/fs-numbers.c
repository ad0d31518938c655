/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-numbers.c - a number of an inode's own, kept and given up again. */
#include <unistd.h>

#include "fs-share.h"
#include "fs/table.h"

#define KEPT UINT64_C(4242424242)

static struct share share;

static int set_up(void **state)
{
	(void)state;
	share_open(&share, 0);
	share_file(&share, "f", "x");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&share);
	return 0;
}

static void test_kept_until_dropped(void **state)
{
	uint64_t id = share_lookup(&share, FS_ROOT_ID, "f");
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, id);

	(void)state;
	assert_int_equal(fs_number_keep(share.fs.inodes, inode, KEPT), 0);
	assert_int_equal(share_ino(&share, id), KEPT);
	fs_number_drop(share.fs.inodes, inode);
	assert_int_equal(share_ino(&share, id), host_ino(share_path(&share, "f")));
}

/* A file made anew after a move may get the very number that the guest knows it by. */
static void test_the_hosts_number_is_none_of_its_own(void **state)
{
	uint64_t id = share_lookup(&share, FS_ROOT_ID, "f");
	uint64_t number = host_ino(share_path(&share, "f"));
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, id);

	(void)state;
	assert_int_equal(fs_number_keep(share.fs.inodes, inode, KEPT), 0);
	fs_number_drop(share.fs.inodes, inode);
	assert_int_equal(fs_number_keep(share.fs.inodes, inode, number), 0);
	assert_false(fs_inode_has(inode, FS_INODE_NUMBERED));
	assert_int_equal(share_ino(&share, id), number);
	fs_inode_forget(share.fs.inodes, id, 1); /* the last: the inode goes, with what it has */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_until_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_hosts_number_is_none_of_its_own, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
