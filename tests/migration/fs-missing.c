/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-missing.c - never another file in silence; the operator says what follows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "move.h"

static struct share from, to;
static uint64_t dir_id, file_id, other_id, handle;

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	share_mkdir(&from, "d");
	share_file(&from, "d/victim", "right");
	share_file(&from, "d/other", "other");
	dir_id = share_lookup(&from, FS_ROOT_ID, "d");
	file_id = share_lookup(&from, dir_id, "victim");
	other_id = share_lookup(&from, dir_id, "other");
	handle = guest_open(&from, file_id, O_RDONLY);
	move_twin(&to, &from);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

/* Between save and load somebody puts another file there. */
static int stream_and_replace(void)
{
	int stream = move_save(&from);

	assert_int_equal(rename(share_path(&from, "d/victim"), share_path(&from, "away")), 0);
	share_file(&from, "d/victim", "EVIL");
	return stream;
}

static void test_abort_names_the_path(void **state)
{
	struct fs_inodes *before = to.fs.inodes;

	(void)state;
	assert_int_equal(move_load(&to, stream_and_replace()), -ESTALE);
	assert_non_null(strstr(gw_last_error(), "/d/victim"));
	/* No trace. */
	assert_ptr_equal(to.fs.inodes, before);
	assert_false(to.fs.session.initialised);
	assert_null(fs_inode_get(to.fs.inodes, file_id));
	assert_int_equal(fs_handles_count(to.fs.handles), 0);
	/* The source goes on. */
	assert_string_equal(guest_read(&from, handle), "right");
}

static void test_guest_error(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;

	(void)state;
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, stream_and_replace()), 0);
	inode = fs_inode_get(to.fs.inodes, file_id);
	assert_non_null(inode);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	assert_int_equal(fs_inode_open(inode, O_RDONLY), -ESTALE);
	assert_int_equal(guest_fd(&to, handle), -1);
	assert_int_equal(share_ino(&to, other_id), host_ino(share_path(&from, "d/other")));
	/* The newcomer is somebody else. */
	assert_int_not_equal(share_lookup(&to, dir_id, "victim"), file_id);
	assert_int_equal(fs_handle_release(to.fs.handles, handle), 0);
	fs_inode_put_ptr(&inode);
	inode = NULL;
	fs_inode_forget(to.fs.inodes, file_id, 1);
	assert_null(fs_inode_get(to.fs.inodes, file_id));
}

/* A missing directory takes what is below it along, and nothing else. */
static void test_guest_error_of_a_directory(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;
	uint64_t elsewhere;
	int stream;

	(void)state;
	share_file(&from, "elsewhere", "");
	elsewhere = share_lookup(&from, FS_ROOT_ID, "elsewhere");
	stream = move_save(&from);
	assert_int_equal(rename(share_path(&from, "d"), share_path(&from, "e")), 0);
	share_mkdir(&from, "d");
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, stream), 0);
	inode = fs_inode_get(to.fs.inodes, other_id);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	assert_int_equal(share_ino(&to, elsewhere), host_ino(share_path(&from, "elsewhere")));
}

/* What is lost stays lost, with its id, on the next move. */
static void test_lost_moves_on(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct share third;
	struct statx stx;

	(void)state;
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, stream_and_replace()), 0);
	move_over(&third, &to);
	inode = fs_inode_get(third.fs.inodes, file_id);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	fs_inode_put_ptr(&inode);
	inode = NULL;
	move_twin_close(&third);
}

/* What may be written here is this host's to say, whatever was open there. */
static void test_read_only_here(void **state)
{
	uint64_t writer = guest_open(&from, other_id, O_RDWR);

	(void)state;
	to.host.readonly = true;
	assert_int_equal(move_load(&to, move_save(&from)), -EROFS);
	assert_non_null(strstr(gw_last_error(), "/d/other"));
	to.host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(move_load(&to, move_save(&from)), 0);
	assert_int_equal(guest_fd(&to, writer), -1);
	assert_string_equal(guest_read(&to, handle), "right");
}

static void test_another_share(void **state)
{
	struct share other;

	(void)state;
	share_open(&other, 0);
	assert_int_equal(move_load(&other, move_save(&from)), -ENOENT);
	assert_non_null(strstr(gw_last_error(), other.path));
	share_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_abort_names_the_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_guest_error, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_guest_error_of_a_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost_moves_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_read_only_here, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_share, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
