/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-orphan-limit.c - what cannot go along: the source says so, or leaves it
 * behind. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "move.h"

#define KIB 1024

static struct share from, to;

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	from.host.orphan_limit = 100 * KIB;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&from);
	return 0;
}

/* An open file without a name. */
static uint64_t orphan(const char *name, size_t size, uint64_t *id)
{
	char *content = calloc(1, size + 1);
	uint64_t handle;

	memset(content, 'x', size);
	share_file(&from, name, content);
	free(content);
	*id = share_lookup(&from, FS_ROOT_ID, name);
	handle = guest_open(&from, *id, O_RDWR);
	guest_unlink(&from, FS_ROOT_ID, name, share_path(&from, "%s", name));
	return handle;
}

static int save_fails(void)
{
	int stream, err = move_save_result(&from, &stream);

	close(stream);
	return err;
}

static void test_names_and_sizes(void **state)
{
	uint64_t id;

	(void)state;
	orphan("fits", 60 * KIB, &id);
	orphan("first", 50 * KIB, &id);
	orphan("second", 70 * KIB, &id);
	assert_int_equal(save_fails(), -EFBIG);
	assert_non_null(strstr(gw_last_error(), "102400 bytes (--migration-orphan-limit)"));
	assert_non_null(strstr(gw_last_error(), "61440 bytes that fit"));
	assert_non_null(strstr(gw_last_error(), "first (deleted) 51200 bytes"));
	assert_non_null(strstr(gw_last_error(), "second (deleted) 71680 bytes"));
	/* With more allowed they go. */
	from.host.orphan_limit = 200 * KIB;
	move_over(&to, &from);
	move_twin_close(&to);
}

static void test_guest_error_leaves_what_does_not_fit(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	uint64_t big_id, small_id, big, small;
	struct statx stx;

	(void)state;
	from.host.on_error = FS_ON_ERROR_GUEST;
	big = orphan("big", 101 * KIB, &big_id);
	small = orphan("small", 100 * KIB, &small_id);
	move_over(&to, &from);
	inode = fs_inode_get(to.fs.inodes, big_id);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	fs_inode_put_ptr(&inode);
	inode = NULL;
	assert_int_equal(guest_fd(&to, big), -1);
	assert_int_equal(strlen(guest_read(&to, small)), 4095); /* as much as that reads */
	assert_int_equal(share_ino(&to, small_id), share_ino(&from, small_id));
	move_twin_close(&to);
}

/* What nobody has open does not keep those that are from going. */
static void test_idle_ones_count_apart(void **state)
{
	uint64_t open_id, id;
	char name[16];

	(void)state;
	orphan("open", 100 * KIB, &open_id);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "idle%u", i);
		assert_int_equal(fs_handle_release(from.fs.handles, orphan(name, 10 * KIB, &id)),
				 0);
	}
	move_over(&to, &from);
	assert_int_equal(share_ino(&to, open_id), share_ino(&from, open_id));
	move_twin_close(&to);
}

/* Holes do not count, wherever they are. */
static void test_holes_are_free(void **state)
{
	uint64_t id, handle = orphan("sparse", 10, &id);
	int fd = guest_fd(&from, handle);

	(void)state;
	for (off_t at = 1; at < 8; at++)
		assert_int_equal(pwrite(fd, "end", 3, at << 30), 3);
	move_over(&to, &from);
	move_twin_close(&to);
}

/* It has a name, and so is never copied: but nobody finds it. */
static void test_moved_out_of_the_share(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	char outside[96];
	uint64_t id;
	struct statx stx;

	(void)state;
	share_file(&from, "f", "content");
	id = share_lookup(&from, FS_ROOT_ID, "f");
	guest_open(&from, id, O_RDWR);
	snprintf(outside, sizeof(outside), "%s-outside", from.path);
	assert_int_equal(rename(share_path(&from, "f"), outside), 0);
	assert_int_equal(save_fails(), -ENOENT);
	assert_non_null(strstr(gw_last_error(), "/f: inode"));
	from.host.on_error = FS_ON_ERROR_GUEST;
	move_over(&to, &from);
	assert_int_equal(unlink(outside), 0);
	inode = fs_inode_get(to.fs.inodes, id);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	fs_inode_put_ptr(&inode);
	inode = NULL;
	move_twin_close(&to);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names_and_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_guest_error_leaves_what_does_not_fit, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_idle_ones_count_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holes_are_free, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_moved_out_of_the_share, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
