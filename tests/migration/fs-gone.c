/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-gone.c - what the host removed, and nobody has open, is in nobody's way. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "move.h"

#define MANY 300 /* more than there are descriptors */

static struct share from, to, third;

static int set_up(void **state)
{
	(void)state;
	share_open(&from, 100);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static int state_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);
	struct statx stx;

	return inode ? fs_inode_statx(inode, &stx) : -ENOENT;
}

/* The guest has it in its cache, with and without a descriptor of ours. On the way to a third
 * host, too. */
static void test_removed_on_the_host(void **state)
{
	uint64_t ids[MANY];
	char name[16];

	(void)state;
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, name);
		ids[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
	for (unsigned i = 0; i < MANY; i += 3)
		assert_int_equal(unlink(share_path(&from, "f%u", i)), 0);
	move_over(&to, &from);
	move_over(&third, &to);
	for (unsigned i = 0; i < MANY; i++) {
		int err = state_of(&to, ids[i]);

		/* What had a descriptor is still there, without a name. */
		assert_true(i % 3 ? !err : !err || err == -ESTALE);
		assert_int_equal(state_of(&third, ids[i]), err);
		if (i % 3)
			assert_int_equal(state_of(&from, ids[i]), 0);
	}
	fs_inode_forget(to.fs.inodes, ids[0], 1);
	assert_int_equal(state_of(&to, ids[0]), -ENOENT);
	move_twin_close(&third);
}

/* The size of what nobody reads any more does not keep a guest from moving. */
static void test_large_and_not_open(void **state)
{
	uint64_t huge, small;
	int fd;

	(void)state;
	share_file(&from, "huge", "");
	share_file(&from, "small", "content");
	fd = open(share_path(&from, "huge"), O_WRONLY);
	for (int i = 0; i < 65; i++) {
		static char mib[1 << 20] = {1};

		assert_int_equal(pwrite(fd, mib, sizeof(mib), (off_t)i << 20), sizeof(mib));
	}
	close(fd);
	huge = share_lookup(&from, FS_ROOT_ID, "huge");
	small = share_lookup(&from, FS_ROOT_ID, "small");
	assert_int_equal(unlink(share_path(&from, "huge")), 0);
	assert_int_equal(unlink(share_path(&from, "small")), 0);
	move_over(&to, &from);
	assert_int_equal(state_of(&to, huge), -ESTALE);
	assert_int_equal(state_of(&to, small), 0);
	assert_int_equal(state_of(&from, huge), 0);
}

/* A new file of that name is not it. */
static void test_replaced_on_the_host(void **state)
{
	uint64_t dir, id;

	(void)state;
	share_mkdir(&from, "d");
	dir = share_lookup(&from, FS_ROOT_ID, "d");
	share_file(&from, "d/f", "old");
	id = share_lookup(&from, dir, "f");
	share_file(&from, "d/g", "new");
	assert_int_equal(rename(share_path(&from, "d/g"), share_path(&from, "d/f")), 0);
	move_over(&to, &from);
	assert_int_not_equal(share_lookup(&to, dir, "f"), id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_removed_on_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_large_and_not_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_on_the_host, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
