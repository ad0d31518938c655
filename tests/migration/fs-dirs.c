/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-dirs.c - a directory read in the middle goes on, no name twice and none
 * missing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/dir.h"
#include "fs/dir_read.h"
#include "move.h"

#define FILES 600

static struct share from, to;
static unsigned seen[FILES];
static uint64_t cookie;

static int set_up(void **state)
{
	char name[32];

	(void)state;
	move_source(&from);
	share_mkdir(&from, "d");
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "d/n%u", i);
		share_file(&from, name, "");
	}
	memset(seen, 0, sizeof(seen));
	cookie = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static unsigned budget;

static int take(void *opaque, const struct fs_listed *entry)
{
	(void)opaque;
	if (!budget)
		return FS_LIST_FULL;
	budget--;
	cookie = entry->cookie;
	if (entry->name[0] == 'n')
		seen[atoi(entry->name + 1)]++;
	return FS_LIST_TAKEN;
}

/* So many more entries; false at the end. */
static bool read_on(struct share *share, uint64_t handle, unsigned count)
{
	FS_AUTO_HANDLE struct fs_handle *found = fs_handle_get(share->fs.handles, handle);

	budget = count;
	assert_int_equal(fs_dir_read(found->dir, found->fd, cookie, 4096, take, NULL), 0);
	return budget != count;
}

static void read_to_the_end(struct share *share, uint64_t handle)
{
	while (read_on(share, handle, 37))
		;
}

static void test_in_the_middle(void **state)
{
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(read_on(&from, handle, 50));
	move_over(&to, &from);
	read_to_the_end(&to, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
	/* From the start again. */
	cookie = 0;
	read_to_the_end(&to, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 2);
}

/* The guest had been given more than it took: it comes back with an earlier cookie. */
static void test_a_little_before(void **state)
{
	uint64_t handle, taken;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	assert_true(read_on(&from, handle, 100));
	taken = cookie;
	{
		unsigned before[FILES];

		memcpy(before, seen, sizeof(seen));
		assert_true(read_on(&from, handle, 100));
		memcpy(seen, before, sizeof(seen));
	}
	move_over(&to, &from);
	cookie = taken;
	read_to_the_end(&to, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
}

/* Twice, with reading in between, and names that come and go. */
static void test_twice(void **state)
{
	struct share third;
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 4; i++)
		assert_true(read_on(&from, handle, 50));
	move_over(&third, &from);
	for (int i = 0; i < 4; i++)
		assert_true(read_on(&third, handle, 50));
	for (unsigned i = 0; i < FILES; i++) {
		if (seen[i])
			assert_int_equal(unlink(share_path(&from, "d/n%u", i)), 0);
	}
	move_over(&to, &third);
	move_twin_close(&third);
	read_to_the_end(&to, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
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
		assert_true(read_on(&from, handle, 50));
	assert_int_equal(move_save_result(&from, &fd), -EOVERFLOW);
	close(fd);
	assert_non_null(strstr(gw_last_error(), "/d: "));
	assert_non_null(strstr(gw_last_error(), "--dir-limit"));
	move_twin(&to, &from);
	read_to_the_end(&from, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
}

/* The guest hears of it, and is not given names that it had. */
static void test_more_than_the_limit_tolerated(void **state)
{
	FS_AUTO_HANDLE struct fs_handle *found = NULL;
	uint64_t handle;

	(void)state;
	from.host.dir_limit = 200;
	from.host.on_error = FS_ON_ERROR_GUEST;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(read_on(&from, handle, 50));
	move_over(&to, &from);
	found = fs_handle_get(to.fs.handles, handle);
	budget = 50;
	assert_int_equal(fs_dir_read(found->dir, found->fd, cookie, 4096, take, NULL), -EINVAL);
	assert_int_equal(budget, 50);
	memset(seen, 0, sizeof(seen));
	cookie = 0;
	read_to_the_end(&to, handle);
	for (unsigned i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
	fs_handle_put_ptr(&found);
	found = NULL;
}

/* A destination that remembers less than what comes says so. */
static void test_less_is_remembered_there(void **state)
{
	uint64_t handle;

	(void)state;
	handle = guest_opendir(&from, share_lookup(&from, FS_ROOT_ID, "d"));
	for (int i = 0; i < 5; i++)
		assert_true(read_on(&from, handle, 50));
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
