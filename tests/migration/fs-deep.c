/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-deep.c - a tree deeper than any path is long, and few descriptors for it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "move.h"

#define DEPTH	    200
#define DESCRIPTORS 40
#define NAME	    "a-directory-with-a-long-name-%03u"

static struct share from, to;
static uint64_t ids[DEPTH + 1];
static int half; /* descriptor of the directory half way down */

static int set_up(void **state)
{
	int fd, next;

	(void)state;
	share_open(&from, DESCRIPTORS);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	fd = open(from.path, O_RDONLY | O_DIRECTORY);
	ids[0] = FS_ROOT_ID;
	for (unsigned i = 0; i < DEPTH; i++) {
		char name[64];

		snprintf(name, sizeof(name), NAME, i);
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		if (i == DEPTH / 2)
			half = fd;
		else
			close(fd);
		fd = next;
		ids[i + 1] = share_lookup(&from, ids[i], name);
	}
	close(fd);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(half);
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

static void move_and_compare(void)
{
	move_over(&to, &from);
	for (unsigned i = DEPTH; i; i--)
		assert_int_equal(share_ino(&to, ids[i]), share_ino(&from, ids[i]));
}

static void test_as_it_is(void **state)
{
	(void)state;
	move_and_compare();
}

/* The host renames what is above the cached ones: the first, and one so deep that nobody can say
 * its path. */
static void test_renamed_above(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), NAME, 0);
	assert_int_equal(rename(share_path(&from, "%s", name), share_path(&from, "top")), 0);
	snprintf(name, sizeof(name), NAME, DEPTH / 2);
	assert_int_equal(renameat(half, name, half, "half"), 0);
	move_and_compare();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_above, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
