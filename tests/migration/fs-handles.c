/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-handles.c - what the host moved between save and load is found by its handle,
 * by whose word, and not outside the share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/table.h"
#include "move.h"
#include "state/stream.h"

static struct share from, to;
static uint64_t dir_id, file_id, handle;
static const uint8_t key[GW_STATE_KEY_LEN] = "a key of which nobody knows it..";
static char outside[80];

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	from.host.migration_mode = FS_MIGRATION_HANDLES;
	share_mkdir(&from, "d");
	share_file(&from, "d/file", "right");
	dir_id = share_lookup(&from, FS_ROOT_ID, "d");
	file_id = share_lookup(&from, dir_id, "file");
	handle = guest_open(&from, file_id, O_RDONLY);
	move_twin(&to, &from);
	to.host.migration_mode = FS_MIGRATION_AUTO;
	snprintf(outside, sizeof(outside), "%s.outside", from.path);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_key = NULL;
	unlink(outside);
	rmdir(outside);
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

/* Handles that mean the same elsewhere, and the privilege to open them. */
static bool can_open(void)
{
	return from.fs.inodes->mounts[0].portable && fs_mount_fd(to.fs.inodes, 0) >= 0;
}

/* The state, whose file is @new_path when it is loaded. */
static int stream_and_move(const char *path, const char *new_path)
{
	int stream = move_save(&from);

	assert_int_equal(rename(path, new_path), 0);
	return stream;
}

static int load_moved(void)
{
	return move_load(&to,
			 stream_and_move(share_path(&from, "d/file"), share_path(&from, "moved")));
}

static void test_by_the_operators_word(void **state)
{
	(void)state;
	if (!can_open())
		skip();
	to.host.migration_mode = FS_MIGRATION_HANDLES;
	if (load_moved())
		fail_msg("load: %s", gw_last_error());
	assert_string_equal(guest_read(&to, handle), "right");
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "moved"), file_id);
}

static void test_by_a_signature(void **state)
{
	(void)state;
	if (!can_open())
		skip();
	move_key = key;
	if (load_moved())
		fail_msg("load: %s", gw_last_error());
	assert_string_equal(guest_read(&to, handle), "right");
}

static void test_by_nobodys_word(void **state)
{
	(void)state;
	assert_int_equal(load_moved(), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/d/file"));
}

static void test_signed_where_the_operator_takes_none(void **state)
{
	(void)state;
	move_key = key;
	to.host.migration_mode = FS_MIGRATION_PATHS;
	assert_int_equal(load_moved(), -ENOENT);
}

/* Which another file has by now; the handle is of the old one. */
static void test_replaced(void **state)
{
	int stream;

	(void)state;
	if (!can_open())
		skip();
	to.host.migration_mode = FS_MIGRATION_HANDLES;
	stream = stream_and_move(share_path(&from, "d/file"), share_path(&from, "moved"));
	share_file(&from, "d/file", "EVIL");
	assert_int_equal(move_load(&to, stream), 0);
	assert_string_equal(guest_read(&to, handle), "right");
}

static void test_a_file_outside(void **state)
{
	(void)state;
	if (!can_open())
		skip();
	to.host.migration_mode = FS_MIGRATION_HANDLES;
	/* The kernel knows its path, as it was looked up just now. */
	assert_true(move_load(&to, stream_and_move(share_path(&from, "d/file"), outside)) < 0);
}

static void test_a_directory_outside(void **state)
{
	(void)state;
	if (!can_open())
		skip();
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	to.host.migration_mode = FS_MIGRATION_HANDLES;
	assert_int_equal(rename(share_path(&from, "d/file"), share_path(&from, "file")), 0);
	assert_true(move_load(&to, stream_and_move(share_path(&from, "d"), outside)) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_the_operators_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_a_signature, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_by_nobodys_word, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signed_where_the_operator_takes_none, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file_outside, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_directory_outside, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
