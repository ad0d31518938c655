/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-unprivileged.c - without privileges: no opening by handle, and only one's own
 * files. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/table.h"
#include "move.h"

static struct share from, to;

static int set_up(void **state)
{
	(void)state;
	share_open(&from, 40);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return 0;
}

static int set_up_wide(void **state)
{
	int err = set_up(state);

	share_close(&from);
	share_open(&from, 1000);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return err;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static void test_owner_opens_what_the_mode_forbids(void **state)
{
	struct stat st;
	uint64_t writer, reader;

	(void)state;
	share_file(&from, "w", "");
	share_file(&from, "r", "content");
	writer = guest_open(&from, share_lookup(&from, FS_ROOT_ID, "w"), O_WRONLY);
	reader = guest_open(&from, share_lookup(&from, FS_ROOT_ID, "r"), O_RDWR);
	assert_int_equal(chmod(share_path(&from, "w"), 0), 0);
	assert_int_equal(chmod(share_path(&from, "r"), 0444), 0);
	move_over(&to, &from);
	guest_append(&to, writer, "written");
	assert_string_equal(guest_read(&to, reader), "content");
	assert_int_equal(stat(share_path(&from, "w"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0);
	assert_int_equal(st.st_size, 7);
	assert_int_equal(stat(share_path(&from, "r"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0444);
}

/* By many hands at once: one's added bits are not the file's own to another. */
static void test_owner_opens_the_same_file_again_and_again(void **state)
{
	struct stat st;

	(void)state;
	for (int round = 0; round < 20; round++) {
		share_file(&from, "f", "");
		for (int i = 0; i < 200; i++)
			guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDWR);
		assert_int_equal(chmod(share_path(&from, "f"), 0), 0);
		move_twin(&to, &from);
		move_helpers(&to, 4);
		if (move_load(&to, move_save(&from)))
			fail_msg("load: %s", gw_last_error());
		assert_int_equal(stat(share_path(&from, "f"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0);
		move_helpers_end(&to);
		if (round == 19)
			break;
		move_twin_close(&to);
		fs_handles_clear(from.fs.handles);
		assert_int_equal(unlink(share_path(&from, "f")), 0);
	}
}

static void test_unnamed_and_unreadable(void **state)
{
	uint64_t handle;

	(void)state;
	share_file(&from, "f", "content");
	handle = guest_open(&from, share_lookup(&from, FS_ROOT_ID, "f"), O_RDWR);
	assert_int_equal(chmod(share_path(&from, "f"), 0), 0);
	guest_unlink(&from, FS_ROOT_ID, "f", share_path(&from, "f"));
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
}

/* What was evicted is found by path, also after the guest renamed what is above it. */
static void test_many_by_path(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	uint64_t ids[300], dir;
	char name[32];

	(void)state;
	share_mkdir(&from, "d");
	dir = share_lookup(&from, FS_ROOT_ID, "d");
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/f%u", i);
		share_file(&from, name, "");
		ids[i] = share_lookup(&from, dir, name + 2);
	}
	assert_int_equal(rename(share_path(&from, "d"), share_path(&from, "e")), 0);
	fs_name_moved(from.fs.inodes, root, "d", root, "e", false);
	assert_int_equal(fs_mount_fd(from.fs.inodes, 0), -1);
	move_over(&to, &from);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(share_ino(&from, ids[i]), host_ino(share_path(&from, "e/f%u", i)));
		assert_int_equal(share_ino(&to, ids[i]), host_ino(share_path(&from, "e/f%u", i)));
	}
}

/* No descriptor, no handle, and the name is wrong: what is left is to look for it. */
static void test_moved_on_the_host_while_evicted(void **state)
{
	uint64_t dir, ids[300];
	char name[32];

	(void)state;
	share_mkdir(&from, "d");
	share_mkdir(&from, "other");
	dir = share_lookup(&from, FS_ROOT_ID, "d");
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d/f%u", i);
		share_file(&from, name, "");
		ids[i] = share_lookup(&from, dir, name + 2);
	}
	for (unsigned i = 0; i < 300; i += 50)
		assert_int_equal(
			rename(share_path(&from, "d/f%u", i), share_path(&from, "other/g%u", i)),
			0);
	move_over(&to, &from);
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(share_ino(&to, ids[i]),
				 host_ino(share_path(&from, i % 50 ? "d/f%u" : "other/g%u", i)));
}

/* The way to it leads out of the share by now, over a symbolic link that is not the last step. It
 * is the very same file at its end. */
static void test_no_way_over_a_link(void **state)
{
	FS_AUTO_INODE struct fs_inode *top = NULL, *deep = NULL;
	int found;
	char outside[] = "/tmp/godwit-outside-XXXXXX", moved[64], name[16];
	uint64_t a, b, file;

	(void)state;
	assert_non_null(mkdtemp(outside));
	snprintf(moved, sizeof(moved), "%s/a", outside);
	share_mkdir(&from, "a");
	share_mkdir(&from, "a/b");
	share_file(&from, "a/b/f", "");
	a = share_lookup(&from, FS_ROOT_ID, "a");
	b = share_lookup(&from, a, "b");
	file = share_lookup(&from, b, "f");
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, "");
		share_lookup(&from, FS_ROOT_ID, name);
	}
	top = fs_inode_get(from.fs.inodes, a);
	deep = fs_inode_get(from.fs.inodes, b);
	assert_false(fs_fdcache_holds(top) || fs_fdcache_holds(deep));
	assert_int_equal(rename(share_path(&from, "a"), moved), 0);
	assert_int_equal(symlink(moved, share_path(&from, "a")), 0);
	{
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(from.fs.inodes, file);
		struct statx stx;

		found = fs_inode_statx(inode, &stx);
	}
	assert_int_equal(unlink(share_path(&from, "a")), 0);
	assert_int_equal(rename(moved, share_path(&from, "a")), 0);
	rmdir(outside);
	move_twin(&to, &from);
	assert_int_equal(found, -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_owner_opens_what_the_mode_forbids, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_owner_opens_the_same_file_again_and_again,
						set_up_wide, tear_down),
		cmocka_unit_test_setup_teardown(test_unnamed_and_unreadable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_by_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_way_over_a_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved_on_the_host_while_evicted, set_up,
						tear_down),
	};
	const uid_t nobody = 65534;

	if (!geteuid() && (setgroups(0, NULL) || setresgid(nobody, nobody, nobody) ||
			   setresuid(nobody, nobody, nobody))) {
		printf("cannot give up root here: %m\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
