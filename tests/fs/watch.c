/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fs/watch.c - --watch: what others change is not believed in for a while, and only that. */
#include "../common/fuse_client.h"
#include "../common/watched.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <time.h>

#include "fs/watch.h"

#define A_DAY	    86400
#define PATIENCE_MS 30000

static struct fuse_client client;
static char share[] = "/tmp/gw-watch.XXXXXX";

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static uint64_t entry_valid(uint64_t parent, const char *name)
{
	struct fuse_entry_out entry;

	assert_true(fuse_lookup(&client, parent, name, &entry) > 0);
	return entry.entry_valid;
}

static uint64_t attr_valid(uint64_t node)
{
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out out;
	struct fuse_call call = {.opcode = FUSE_GETATTR,
				 .nodeid = node,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = &out,
				 .room = sizeof(out)};

	assert_true(fuse_call(&client, &call) > 0);
	return out.attr_valid;
}

static uint32_t opendir_flags(uint64_t node)
{
	struct fuse_open_in in = {0};
	struct fuse_open_out out;
	struct fuse_call call = {.opcode = FUSE_OPENDIR,
				 .nodeid = node,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = &out,
				 .room = sizeof(out)};

	assert_true(fuse_call(&client, &call) > 0);
	fuse_release(&client, FUSE_RELEASEDIR, out.fh);
	return out.open_flags;
}

static void await_entry(uint64_t parent, const char *name, uint64_t expected)
{
	uint64_t end = now() + PATIENCE_MS;

	while (entry_valid(parent, name) != expected) {
		if (now() > end)
			fail_msg("%s: entry_valid is %llu, expected %llu", name,
				 (unsigned long long)entry_valid(parent, name),
				 (unsigned long long)expected);
		poll(NULL, 0, 5);
	}
}

static void await_attr(uint64_t node, uint64_t expected)
{
	uint64_t end = now() + PATIENCE_MS;

	while (attr_valid(node) != expected) {
		assert_true(now() < end);
		poll(NULL, 0, 5);
	}
}

static uint64_t dir, calm, file;

static int set_up(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){.policy.cache = FS_CACHE_ALWAYS,
						   .watch = true,
						   .share = share});
	assert_true(fuse_mkdir(&client, 1, "dir", 0755, NULL) > 0);
	assert_true(fuse_mkdir(&client, 1, "calm", 0755, NULL) > 0);
	dir = fuse_node(&client, 1, "dir");
	calm = fuse_node(&client, 1, "calm");
	assert_true(fuse_create(&client, dir, "file", O_RDWR, 0644, &(struct fuse_created){0}) > 0);
	assert_true(fuse_create(&client, calm, "file", O_RDWR, 0644, &(struct fuse_created){0}) >
		    0);
	file = fuse_node(&client, dir, "file");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fuse_stop(&client);
	watched_others("cd $GW_SHARE && rm -rf ./*");
	return 0;
}

/* All that the guest made itself, above and here, is no reason. */
static void test_own_changes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(entry_valid(dir, "file"), A_DAY);
		assert_true(fuse_mkdir(&client, dir, "made", 0755, NULL) > 0);
		assert_int_equal(fuse_name(&client, FUSE_RMDIR, dir, "made"), 0);
		poll(NULL, 0, 5);
	}
	assert_int_equal(attr_valid(dir), A_DAY);
}

static void test_a_new_name(void **state)
{
	uint64_t start;

	(void)state;
	assert_int_equal(entry_valid(dir, "file"), A_DAY);
	assert_true(opendir_flags(dir) & FOPEN_CACHE_DIR);
	start = now();
	watched_others("echo >$GW_SHARE/dir/new");
	await_entry(dir, "file", 0);
	assert_int_equal(entry_valid(dir, "new"), 0);
	assert_int_equal(attr_valid(dir), 0);
	assert_int_equal(opendir_flags(dir), 0);
	/* Only there. */
	assert_int_equal(entry_valid(calm, "file"), A_DAY);
	assert_int_equal(entry_valid(1, "calm"), A_DAY);
	assert_true(opendir_flags(calm) & FOPEN_CACHE_DIR);
	/* And not for ever. */
	await_entry(dir, "file", A_DAY);
	assert_in_range(now() - start, FS_CHANGED_HOLD_MS, PATIENCE_MS);
	await_attr(dir, A_DAY);
	assert_true(opendir_flags(dir) & FOPEN_CACHE_DIR);
}

static void test_each_kind_of_change(void **state)
{
	static const char *const changes[] = {
		"rm $GW_SHARE/dir/gone",
		"mv $GW_SHARE/dir/from $GW_SHARE/dir/to",
		"mv $GW_SHARE/dir/moved $GW_SHARE/calm/",
		"ln -s x $GW_SHARE/dir/link",
		"mkdir $GW_SHARE/dir/sub",
		"chmod 700 $GW_SHARE/dir",
	};

	(void)state;
	watched_others("cd $GW_SHARE/dir; echo >gone; echo >from; echo >moved");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		/* A fresh start instead of waiting until all is believed in again. */
		fuse_stop(&client);
		fuse_start(&client, &(struct fuse_options){.policy.cache = FS_CACHE_ALWAYS,
							   .watch = true,
							   .share = share});
		dir = fuse_node(&client, 1, "dir");
		assert_int_equal(attr_valid(dir), A_DAY);
		watched_others(changes[i]);
		await_attr(dir, 0);
	}
}

static void test_a_file(void **state)
{
	struct fuse_open_out open;

	(void)state;
	assert_int_equal(attr_valid(file), A_DAY);
	assert_true(fuse_open(&client, file, O_RDONLY, &open) > 0);
	assert_true(open.open_flags & FOPEN_KEEP_CACHE);
	watched_others("echo more >>$GW_SHARE/dir/file");
	await_attr(file, 0);
	/* What the guest has of it is not kept when it opens it. */
	assert_true(fuse_open(&client, file, O_RDONLY, &open) > 0);
	assert_int_equal(open.open_flags, 0);
	await_attr(file, A_DAY);
}

static void test_mounted_inside(void **state)
{
	uint64_t sub;

	(void)state;
	fuse_stop(&client);
	watched_others("mkdir $GW_SHARE/mnt && mount -t tmpfs inner $GW_SHARE/mnt && echo "
		       ">$GW_SHARE/mnt/file");
	fuse_start(&client, &(struct fuse_options){.policy.cache = FS_CACHE_ALWAYS,
						   .watch = true,
						   .share = share});
	sub = fuse_node(&client, 1, "mnt");
	assert_int_equal(entry_valid(sub, "file"), A_DAY);
	watched_others("echo >$GW_SHARE/mnt/other");
	await_entry(sub, "file", 0);
	assert_int_equal(fuse_forget(&client, sub, 1), FUSE_NO_ANSWER);
	watched_others("umount -l $GW_SHARE/mnt");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_new_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_kind_of_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mounted_inside, set_up, tear_down),
	};
	int failed = watched_make(share, false);

	if (failed)
		return failed;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	watched_remove(share);
	return failed;
}
