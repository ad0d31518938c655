/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-inode-fds.c - descriptors are a cache: many inodes with few of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fs-share.h"
#include "base/cleanup.h"
#include "fs/table.h"

#define LIMIT  40
#define INODES 1000

static struct share share;
static uint64_t ids[INODES];

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void make_many(void)
{
	char name[32];

	for (unsigned i = 0; i < INODES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		share_file(&share, name, name);
	}
}

static void look_up_many(void)
{
	char name[32];

	for (unsigned i = 0; i < INODES; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		ids[i] = share_lookup(&share, FS_ROOT_ID, name);
	}
}

static void test_all_are_found_again(void **state)
{
	struct fs_inode_stats stats;

	(void)state;
	share_open(&share, LIMIT);
	make_many();
	look_up_many();
	fs_inode_stats(share.fs.inodes, &stats);
	assert_int_equal(stats.inodes, INODES + 1);
	assert_true(stats.descriptors <= LIMIT);
	assert_true(open_descriptors() <= LIMIT + 20);
	for (unsigned i = 0; i < INODES; i++) {
		assert_int_equal(share_ino(&share, ids[i]), host_ino(share_path(&share, "f%u", i)));
		fs_inode_forget(share.fs.inodes, ids[i], 1);
	}
	fs_inode_stats(share.fs.inodes, &stats);
	assert_int_equal(stats.descriptors, 1);
	share_close(&share);
}

static void test_look_ups_outlive_the_process_limit(void **state)
{
	struct rlimit before, tight;

	(void)state;
	share_open(&share, 100000);
	make_many();
	getrlimit(RLIMIT_NOFILE, &before);
	tight = (struct rlimit){.rlim_cur = 64, .rlim_max = before.rlim_max};
	setrlimit(RLIMIT_NOFILE, &tight);
	look_up_many();
	for (unsigned i = 0; i < INODES; i++)
		share_ino(&share, ids[i]);
	setrlimit(RLIMIT_NOFILE, &before);
	share_close(&share);
}

/* A guest that opens all it can is told when to stop, and still looks around. */
static void test_open_files_leave_room_for_look_ups(void **state)
{
	uint64_t id;
	unsigned n;
	int err = 0;

	(void)state;
	share_open(&share, LIMIT);
	make_many();
	for (n = 0; !err && n < LIMIT; n++) {
		char name[32];
		FS_AUTO_INODE struct fs_inode *inode = NULL;

		snprintf(name, sizeof(name), "f%u", n);
		inode = fs_inode_get(share.fs.inodes, share_lookup(&share, FS_ROOT_ID, name));
		err = fs_handle_add(share.fs.handles, inode, fs_inode_open(inode, O_RDONLY), 0,
				    NULL, &id);
	}
	assert_int_equal(err, -ENFILE);
	assert_true(n > LIMIT / 4);
	look_up_many();
	assert_true(open_descriptors() <= LIMIT + 20);
	share_close(&share);
}

static void test_another_file_of_that_name_is_not_taken_for_it(void **state)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;

	(void)state;
	share_open(&share, LIMIT);
	make_many();
	look_up_many();
	unlink(share_path(&share, "f0"));
	share_file(&share, "f0", "other");
	inode = fs_inode_get(share.fs.inodes, ids[0]);
	assert_int_equal(fs_inode_statx(inode, &stx), -ESTALE);
	assert_int_not_equal(share_lookup(&share, FS_ROOT_ID, "f0"), ids[0]);
	fs_inode_put_ptr(&inode);
	inode = NULL;
	share_close(&share);
}

/* Neither by handle, since that takes privilege, nor by birth time, which not all have. */
static void test_number_alone_is_not_enough(void **state)
{
	struct fs_inodes *inodes;
	struct fs_inode *inode;
	uint64_t id, number;

	(void)state;
	share_open(&share, 0);
	inodes = share.fs.inodes;
	share_file(&share, "f", "old");
	id = share_lookup(&share, FS_ROOT_ID, "f");
	number = share_ino(&share, id);
	inode = fs_inode_get(inodes, id);
	inode->btime = 0;
	gw_close(&inodes->mounts[0].fd);
	fs_fdcache_evict(inodes, 10);
	assert_false(fs_fdcache_holds(inode));
	assert_int_equal(unlink(share_path(&share, "f")), 0);
	share_file(&share, "f", "new");
	if (host_ino(share_path(&share, "f")) != number)
		print_message("the file system gave another number: nothing to tell apart\n");
	assert_int_not_equal(share_lookup(&share, FS_ROOT_ID, "f"), id);
	fs_inode_put(inode);
	share_close(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number_alone_is_not_enough),
		cmocka_unit_test(test_all_are_found_again),
		cmocka_unit_test(test_look_ups_outlive_the_process_limit),
		cmocka_unit_test(test_open_files_leave_room_for_look_ups),
		cmocka_unit_test(test_another_file_of_that_name_is_not_taken_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
