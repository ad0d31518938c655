/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-deep.c - a tree deeper than any path is long, and few descriptors for it. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/records.h"
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

/* A chain of so many directories, each in the one before. */
static unsigned chain;

static void put_chain(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	struct gw_fs_inode_v1 dir = {.id = FS_ROOT_ID, .type = DT_DIR};
	struct gw_fs_name_v1 name = {.parent = FS_ROOT_ID, .name = {.data = "d", .len = 1}};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &dir), 0);
	dir.lookups = 1;
	for (dir.id = dir.ino = FS_ROOT_ID + 1; dir.id <= FS_ROOT_ID + chain; dir.ino = ++dir.id)
		assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &dir), 0);
	/* From the deepest up: whoever looks at each needs what is not there yet. */
	for (uint64_t id = FS_ROOT_ID + chain; id > FS_ROOT_ID; id--) {
		name.inode = id;
		name.parent = id - 1;
		assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &name), 0);
	}
}

static double load_chain(unsigned depth)
{
	double best = 1e9;

	for (int i = 0; i < 3; i++) {
		clock_t begin;
		double took;
		int stream;

		chain = depth;
		stream = move_stream(put_chain);
		begin = clock();
		if (move_load(&to, stream))
			fail_msg("load: %s", gw_last_error());
		took = (double)(clock() - begin);
		best = took < best ? took : best;
	}
	return best;
}

/* Eight times as deep takes eight times as long, or a little more for memory that is farther away;
 * it would be sixty-four times if each directory were looked for all its way up. */
static void test_depth_costs_no_more_than_number(void **state)
{
	double one, eight;

	(void)state;
	move_twin(&to, &from);
	to.host.verify = FS_VERIFY_NONE;
	one = load_chain(2000);
	eight = load_chain(16000);
	if (eight > 24 * one)
		fail_msg("%.0f us for 2000 directories, %.0f for 16000", one, eight);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_as_it_is, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_above, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_depth_costs_no_more_than_number, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
