/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-files.c - open files with a name go on, wherever the name went meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "move.h"

static struct share from, to;

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static void test_log_goes_on(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "log", "one\n");
	id = share_lookup(&from, FS_ROOT_ID, "log");
	handle = guest_open(&from, id, O_RDWR | O_APPEND);
	guest_append(&from, handle, "two\n");
	move_over(&to, &from);
	guest_append(&to, handle, "three\n");
	assert_string_equal(guest_read(&to, handle), "one\ntwo\nthree\n");
	assert_int_equal(share_ino(&to, id), host_ino(share_path(&from, "log")));
	assert_int_equal(fs_handles_count(to.fs.handles), 1);
}

static void test_renamed_while_open(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	uint64_t id, handle;

	(void)state;
	share_file(&from, "before", "content");
	id = share_lookup(&from, FS_ROOT_ID, "before");
	handle = guest_open(&from, id, O_RDONLY);
	assert_int_equal(rename(share_path(&from, "before"), share_path(&from, "after")), 0);
	fs_name_moved(from.fs.inodes, root, "before", root, "after", false);
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "after"), id);
}

/* What the host moved the guest was not told, so the records are wrong. */
static void test_renamed_on_the_host(void **state)
{
	uint64_t dir, file, handle;

	(void)state;
	share_mkdir(&from, "d");
	share_file(&from, "d/f", "content");
	share_mkdir(&from, "other");
	share_mkdir(&from, "other/deeper");
	dir = share_lookup(&from, FS_ROOT_ID, "d");
	file = share_lookup(&from, dir, "f");
	handle = guest_open(&from, file, O_RDONLY);
	assert_int_equal(rename(share_path(&from, "d/f"), share_path(&from, "other/deeper/g")), 0);
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(share_ino(&to, file), host_ino(share_path(&from, "other/deeper/g")));
}

static void test_write_only_and_no_mode(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "shut", "");
	id = share_lookup(&from, FS_ROOT_ID, "shut");
	handle = guest_open(&from, id, O_WRONLY);
	assert_int_equal(chmod(share_path(&from, "shut"), 0), 0);
	move_over(&to, &from);
	guest_append(&to, handle, "written");
	assert_int_equal(fcntl(guest_fd(&to, handle), F_GETFL) & O_ACCMODE, O_WRONLY);
	{
		struct stat st;

		assert_int_equal(stat(share_path(&from, "shut"), &st), 0);
		assert_int_equal(st.st_mode & 07777, 0);
		assert_int_equal(st.st_size, 7);
	}
}

static void test_first_of_two_links_is_gone(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "first", "content");
	assert_int_equal(link(share_path(&from, "first"), share_path(&from, "second")), 0);
	id = share_lookup(&from, FS_ROOT_ID, "first");
	assert_int_equal(share_lookup(&from, FS_ROOT_ID, "second"), id);
	handle = guest_open(&from, id, O_RDWR);
	guest_unlink(&from, FS_ROOT_ID, "first", share_path(&from, "first"));
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "second"), id);
}

/* The guest never saw the link that is left; only the share can tell. */
static void test_the_link_that_is_left_was_never_seen(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_mkdir(&from, "d");
	share_mkdir(&from, "d/deeper");
	share_file(&from, "first", "content");
	assert_int_equal(link(share_path(&from, "first"), share_path(&from, "d/deeper/second")), 0);
	id = share_lookup(&from, FS_ROOT_ID, "first");
	handle = guest_open(&from, id, O_RDWR);
	guest_unlink(&from, FS_ROOT_ID, "first", share_path(&from, "first"));
	move_over(&to, &from);
	guest_append(&to, handle, ", more");
	assert_string_equal(guest_read(&to, handle), "content, more");
	assert_int_equal(share_ino(&to, id), host_ino(share_path(&from, "d/deeper/second")));
	/* Having been looked for changed nothing: one FORGET ends it. */
	fs_handle_release(from.fs.handles, handle);
	fs_inode_forget(from.fs.inodes, id, 1);
	assert_null(fs_inode_get(from.fs.inodes, id));
}

static void test_unprintable_names(void **state)
{
	static const char name[] = "\xff\xfe\n\x01 (deleted)";
	uint64_t dir, id;

	(void)state;
	share_mkdir(&from, "\x80");
	dir = share_lookup(&from, FS_ROOT_ID, "\x80");
	{
		char path[64];

		snprintf(path, sizeof(path), "\x80/%s", name);
		share_file(&from, path, "content");
	}
	id = share_lookup(&from, dir, name);
	move_over(&to, &from);
	assert_int_equal(share_lookup(&to, dir, name), id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_log_goes_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_while_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_on_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_write_only_and_no_mode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_of_two_links_is_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_link_that_is_left_was_never_seen, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_unprintable_names, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
