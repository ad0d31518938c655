/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-dirs.c - a directory read in the middle goes on, no name twice and none
 * missing. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reader.h"

static struct share from, to;
static struct reader reader;

static int set_up(void **state)
{
	(void)state;
	move_source(&from);
	share_mkdir(&from, "d");
	reader_files(&from, "d");
	reader = (struct reader){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static void test_in_the_middle(void **state)
{
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	move_over(&to, &from);
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 1);
	/* From the start again. */
	reader.cookie = 0;
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 2);
}

/* The guest had been given more than it took: it comes back with an earlier cookie. */
static void test_a_little_before(void **state)
{
	struct reader taken;
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	assert_true(reader_next(&reader, &from, handle, 100));
	taken = reader;
	assert_true(reader_next(&reader, &from, handle, 100));
	move_over(&to, &from);
	reader = taken;
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 1);
}

/* Twice, with reading in between, and names that come and go. */
static void test_twice(void **state)
{
	struct share third;
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 4; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	move_over(&third, &from);
	for (int i = 0; i < 4; i++)
		assert_true(reader_next(&reader, &third, handle, 50));
	for (unsigned i = 0; i < READER_FILES; i++) {
		if (reader.seen[i])
			assert_int_equal(unlink(share_path(&from, "d/n%u", i)), 0);
	}
	move_over(&to, &third);
	move_twin_close(&third);
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 1);
}

/* Where it goes on cannot be told: the migration fails, and the guest reads on here. */
static void test_more_than_the_limit(void **state)
{
	uint64_t handle;
	int fd;

	(void)state;
	from.host.dir_limit = 200;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	assert_int_equal(move_save_result(&from, &fd), -EOVERFLOW);
	close(fd);
	assert_non_null(strstr(gw_last_error(), "/d: "));
	assert_non_null(strstr(gw_last_error(), "--dir-limit"));
	move_twin(&to, &from);
	reader_rest(&reader, &from, handle);
	reader_has_all(&reader, 1);
}

/* The guest hears of it, and is not given names that it had. */
static void test_more_than_the_limit_tolerated(void **state)
{
	uint64_t handle;

	(void)state;
	from.host.dir_limit = 200;
	from.host.on_error = FS_ON_ERROR_GUEST;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	move_over(&to, &from);
	assert_int_equal(reader_try(&reader, &to, handle, 50), -EINVAL);
	assert_int_equal(reader.budget, 50);
	reader = (struct reader){0};
	reader_rest(&reader, &to, handle);
	reader_has_all(&reader, 1);
}

/* A destination that remembers less than what comes says so. */
static void test_less_is_remembered_there(void **state)
{
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(reader_next(&reader, &from, handle, 50));
	move_twin(&to, &from);
	to.host.dir_limit = 200;
	assert_int_equal(move_load(&to, move_save(&from)), -ENOSPC);
	assert_non_null(strstr(gw_last_error(), "--dir-limit"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_the_middle, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_little_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_the_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_the_limit_tolerated, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_less_is_remembered_there, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
