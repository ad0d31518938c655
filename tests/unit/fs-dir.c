/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-dir.c - what a directory stream has served, up to the cookie that comes back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs-share.h"
#include "fs/dir.h"

static void serve(struct fs_dir *dir, uint64_t cookie, const char *name)
{
	fs_dir_serve(dir, cookie, name, strlen(name));
}

static bool was_served(struct fs_dir *dir, const char *name)
{
	return fs_dir_was_served(dir, name, strlen(name));
}

static void test_goes_back_to_the_cookie(void **state)
{
	struct fs_dir *dir;

	(void)state;
	assert_int_equal(fs_dir_new(&dir, FS_DIR_LIMIT_DEFAULT), 0);
	assert_int_equal(fs_dir_resume(dir, 0), 0);
	serve(dir, 10, "a");
	serve(dir, 20, "b");
	serve(dir, 30, "c");
	assert_true(was_served(dir, "c"));
	assert_int_equal(fs_dir_resume(dir, 20), 0);
	assert_true(was_served(dir, "b"));
	assert_false(was_served(dir, "c"));
	assert_int_equal(fs_dir_resume(dir, 0), 0);
	assert_false(was_served(dir, "a"));
	fs_dir_free(dir);
}

static void test_a_moved_stream_goes_on_by_names(void **state)
{
	struct fs_dir *dir;

	(void)state;
	assert_int_equal(fs_dir_new(&dir, FS_DIR_LIMIT_DEFAULT), 0);
	assert_int_equal(fs_dir_adopt(dir, 777, fs_dir_hash("a", 1)), 0);
	assert_int_equal(fs_dir_adopt(dir, 555, fs_dir_hash("b", 1)), 0);
	assert_true(fs_dir_is_moved(dir));
	assert_int_equal(fs_dir_resume(dir, 12345), -EINVAL);
	assert_int_equal(fs_dir_resume(dir, 777), 0);
	assert_true(was_served(dir, "a"));
	assert_false(was_served(dir, "b"));
	serve(dir, fs_dir_next_cookie(dir), "z");
	assert_int_equal(fs_dir_resume(dir, 0), 0);
	assert_false(fs_dir_is_moved(dir));
	fs_dir_free(dir);
}

static void test_many(void **state)
{
	struct fs_dir *dir;
	char name[16];

	(void)state;
	assert_int_equal(fs_dir_new(&dir, FS_DIR_LIMIT_DEFAULT), 0);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_false(was_served(dir, name));
		serve(dir, i + 1, name);
	}
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_true(was_served(dir, name));
	}
	fs_dir_free(dir);
}

static void test_more_than_the_limit(void **state)
{
	struct fs_dir *dir;

	(void)state;
	assert_int_equal(fs_dir_new(&dir, 2), 0);
	assert_int_equal(fs_dir_resume(dir, 0), 0);
	serve(dir, 10, "a");
	serve(dir, 20, "b");
	assert_true(fs_dir_can_travel(dir));
	serve(dir, 30, "c");
	assert_false(fs_dir_can_travel(dir));
	/* It goes on by the host's cookies, and can travel once it is read from the start. */
	assert_int_equal(fs_dir_resume(dir, 20), 0);
	assert_false(fs_dir_can_travel(dir));
	assert_int_equal(fs_dir_resume(dir, 0), 0);
	assert_true(fs_dir_can_travel(dir));
	fs_dir_free(dir);
}

/* What came along goes on to its end, but no further. */
static void test_beyond_the_limit_after_a_move(void **state)
{
	struct fs_dir *dir;
	uint64_t cookie;

	(void)state;
	assert_int_equal(fs_dir_new(&dir, 2), 0);
	assert_int_equal(fs_dir_adopt(dir, 777, fs_dir_hash("a", 1)), 0);
	assert_int_equal(fs_dir_adopt(dir, 555, fs_dir_hash("b", 1)), 0);
	assert_int_equal(fs_dir_adopt(dir, 333, fs_dir_hash("c", 1)), -ENOSPC);
	cookie = fs_dir_next_cookie(dir);
	serve(dir, cookie, "c");
	assert_int_equal(fs_dir_resume(dir, cookie), 0);
	assert_true(was_served(dir, "c"));
	assert_false(fs_dir_can_travel(dir));
	fs_dir_free(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_back_to_the_cookie),
		cmocka_unit_test(test_more_than_the_limit),
		cmocka_unit_test(test_beyond_the_limit_after_a_move),
		cmocka_unit_test(test_a_moved_stream_goes_on_by_names),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
