/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-ids.c - ids, counts and sessions are the source's, and stay one an inode. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/table.h"
#include "move.h"

#define LINKS 200

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

/* Each looked up by one name, moved, then looked up by the other. */
static void test_tree_of_hard_links(void **state)
{
	uint64_t a, b, ids[LINKS];
	char name[32];

	(void)state;
	share_mkdir(&from, "a");
	share_mkdir(&from, "b");
	a = share_lookup(&from, FS_ROOT_ID, "a");
	for (unsigned i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "a/f%u", i);
		share_file(&from, name, name);
		assert_int_equal(link(share_path(&from, "a/f%u", i), share_path(&from, "b/g%u", i)),
				 0);
		ids[i] = share_lookup(&from, a, name + 2);
	}
	move_over(&to, &from);
	b = share_lookup(&to, FS_ROOT_ID, "b");
	for (unsigned i = 0; i < LINKS; i++) {
		snprintf(name, sizeof(name), "g%u", i);
		assert_int_equal(share_lookup(&to, b, name), ids[i]);
	}
}

static void test_look_up_counts(void **state)
{
	uint64_t id;

	(void)state;
	share_file(&from, "f", "");
	id = share_lookup(&from, FS_ROOT_ID, "f");
	for (unsigned i = 0; i < 9; i++)
		share_lookup(&from, FS_ROOT_ID, "f");
	move_over(&to, &from);
	fs_inode_forget(to.fs.inodes, id, 9);
	share_ino(&to, id);
	fs_inode_forget(to.fs.inodes, id, 1);
	assert_null(fs_inode_get(to.fs.inodes, id));
	assert_int_not_equal(share_lookup(&to, FS_ROOT_ID, "f"), id);
}

/* An id that the guest has given back does not come again on the other side. */
static void test_generations_go_on(void **state)
{
	uint64_t used[64], handles[64], id;

	(void)state;
	share_file(&from, "f", "");
	for (unsigned i = 0; i < 64; i++) {
		used[i] = share_lookup(&from, FS_ROOT_ID, "f");
		handles[i] = guest_open(&from, used[i], O_RDONLY);
		assert_int_equal(fs_handle_release(from.fs.handles, handles[i]), 0);
		fs_inode_forget(from.fs.inodes, used[i], 1);
	}
	move_over(&to, &from);
	id = share_lookup(&to, FS_ROOT_ID, "f");
	for (unsigned i = 0; i < 64; i++) {
		assert_int_not_equal(id, used[i]);
		assert_int_not_equal(guest_open(&to, id, O_RDONLY), handles[i]);
		assert_null(fs_handle_get(to.fs.handles, handles[i]));
	}
}

static void test_session(void **state)
{
	(void)state;
	from.fs.session.max_write = 123456;
	from.fs.session.max_readahead = 4321;
	from.fs.session.max_pages = 77;
	move_over(&to, &from);
	assert_true(to.fs.session.initialised);
	assert_int_equal(to.fs.session.minor, 39);
	assert_int_equal(to.fs.session.max_write, 123456);
	assert_int_equal(to.fs.session.max_readahead, 4321);
	assert_int_equal(to.fs.session.max_pages, 77);
}

static void test_never_started(void **state)
{
	struct fs_inode_stats stats;

	(void)state;
	from.fs.session.initialised = false;
	move_over(&to, &from);
	assert_false(to.fs.session.initialised);
	fs_inode_stats(to.fs.inodes, &stats);
	assert_int_equal(stats.inodes, 1);
	share_file(&from, "f", "");
	share_lookup(&to, FS_ROOT_ID, "f");
}

/* SAVE twice, then the source goes on, and so does the destination of either. */
static void test_save_leaves_the_source_alone(void **state)
{
	uint64_t id, handle, gone, gone_id;
	struct share third;

	(void)state;
	share_file(&from, "f", "a");
	id = share_lookup(&from, FS_ROOT_ID, "f");
	handle = guest_open(&from, id, O_RDWR);
	gone = guest_tmpfile(&from, "unnamed", &gone_id);
	move_over(&third, &from);
	move_over(&to, &from);
	guest_append(&from, handle, "b");
	assert_string_equal(guest_read(&to, handle), "ab");
	assert_string_equal(guest_read(&from, gone), "unnamed");
	assert_int_equal(share_lookup(&from, FS_ROOT_ID, "f"), id);
	assert_int_equal(fs_handle_release(from.fs.handles, handle), 0);
	move_twin_close(&third);
	/* And on: from the destination to the next. */
	move_over(&third, &to);
	assert_string_equal(guest_read(&third, handle), "ab");
	assert_string_equal(guest_read(&third, gone), "unnamed");
	move_twin_close(&third);
}

/* The guest knows an unnamed file by the number it had; the host gives that to a new file. */
static void test_numbers_stay_unique(void **state)
{
	uint64_t unnamed, number;
	char name[32];

	(void)state;
	guest_tmpfile(&from, "x", &unnamed);
	number = share_ino(&from, unnamed);
	move_over(&to, &from);
	fs_handles_clear(from.fs.handles);
	fs_inodes_clear(from.fs.inodes);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t id;

		snprintf(name, sizeof(name), "new%u", i);
		share_file(&from, name, "");
		id = share_lookup(&to, FS_ROOT_ID, name);
		assert_int_not_equal(share_ino(&to, id), number);
		if (host_ino(share_path(&from, "%s", name)) != number)
			continue;
		fs_inode_forget(to.fs.inodes, unnamed, 1);
		return;
	}
}

static void test_many_with_few_descriptors(void **state)
{
	uint64_t ids[500];
	char name[32];

	(void)state;
	from.host.fd_limit = 40;
	for (unsigned i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&from, name, name);
		ids[i] = share_lookup(&from, FS_ROOT_ID, name);
	}
	move_over(&to, &from);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(share_ino(&to, ids[i]), host_ino(share_path(&from, "f%u", i)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tree_of_hard_links, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_look_up_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_generations_go_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_session, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_started, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_save_leaves_the_source_alone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_numbers_stay_unique, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_with_few_descriptors, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
