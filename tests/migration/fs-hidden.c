/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-hidden.c - what a state may say is hidden. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/attic.h"
#include "fs/hidden.h"
#include "fs/records.h"
#include "move.h"

#define ATTIC FS_ATTIC_PREFIX "0123456789abcdef"

static struct share share;
/* Of the stream: how often the guest has looked the directory up, and what is in it. */
static uint64_t lookups;
static uint16_t type;
static uint64_t dir_ino, file_ino; /* 0: any */

static void put_hidden(struct gw_state_writer *writer)
{
	const struct gw_fs_session_v1 session = {.initialised = false};
	const struct gw_fs_inode_v1 inodes[] = {
		{.id = FS_ROOT_ID, .type = DT_DIR},
		{.id = 7, .type = DT_DIR, .ino = dir_ino ? dir_ino : 7, .lookups = lookups},
		{.id = 8, .type = type, .ino = file_ino ? file_ino : 8, .lookups = 1},
	};
	const struct gw_fs_name_v1 names[] = {
		{.parent = FS_ROOT_ID,
		 .name = {.data = FS_ATTIC_PREFIX "0123456789abcdef", .len = FS_ATTIC_NAME_LEN},
		 .inode = 7},
		{.parent = 7, .name = {.data = "8", .len = 1}, .inode = 8},
	};

	assert_int_equal(gw_state_put(writer, &gw_fs_session_v1, &session), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(gw_state_put(writer, &gw_fs_inode_v1, &inodes[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(gw_state_put(writer, &gw_fs_name_v1, &names[i]), 0);
}

static int load(uint64_t known, uint16_t what)
{
	int err;

	lookups = known;
	type = what;
	share_open(&share, 0);
	share.host.verify = FS_VERIFY_NONE;
	err = move_load(&share, move_stream(put_hidden));
	return err;
}

static void test_a_file(void **state)
{
	(void)state;
	assert_int_equal(load(0, DT_REG), 0);
	assert_int_equal(fs_hidden_count(share.fs.hidden), 1);
	share_close(&share);
}

static void test_not_a_directory(void **state)
{
	(void)state;
	assert_int_equal(load(0, DT_DIR), -EINVAL);
	assert_int_equal(fs_hidden_count(share.fs.hidden), 0);
	share_close(&share);
}

/* Or a guest could reach what another one has hidden. */
static void test_not_where_the_guest_has_been(void **state)
{
	(void)state;
	assert_int_equal(load(1, DT_REG), -EINVAL);
	assert_non_null(strstr(gw_last_error(), "cannot be hidden"));
	share_close(&share);
}

/* An attic that a saved state needs, with file 8, which the state says is open no more. */
static void keep_file(void)
{
	static const char attic[] = ATTIC;
	char path[64];

	share_mkdir(&share, attic);
	snprintf(path, sizeof(path), "%s/saved", attic);
	share_file(&share, path, "");
	snprintf(path, sizeof(path), "%s/8", attic);
	share_file(&share, path, "hidden");
	dir_ino = host_ino(share_path(&share, "%s", attic));
	file_ino = host_ino(share_path(&share, "%s", path));
}

static bool is_there(const char *name)
{
	return !access(share_path(&share, ATTIC "/%s", name), F_OK);
}

static void run_and_close(bool readonly)
{
	share_open(&share, 0);
	share.host.verify = FS_VERIFY_NONE;
	share.host.readonly = readonly;
	lookups = 0;
	type = DT_REG;
	keep_file();
	assert_int_equal(move_load(&share, move_stream(put_hidden)), 0);
	dir_ino = file_ino = 0;
	fs_hidden_run(share.fs.hidden);
	{
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share.fs.inodes, 8);

		fs_hidden_closed(inode);
	}
}

static void test_removed_by_who_runs(void **state)
{
	(void)state;
	run_and_close(false);
	assert_true(is_there("lock"));
	assert_false(is_there("8"));
	share_close(&share);
}

static void test_left_by_who_may_not_write(void **state)
{
	(void)state;
	run_and_close(true);
	assert_true(is_there("saved"));
	assert_true(is_there("8"));
	share_close(&share);
}

/* What lies there may be a living guest's of another host. */
static void leave_alone(bool locks_are_local)
{
	static const char attic[] = ATTIC;

	share_open(&share, 0);
	share_close_tables(&share);
	share_mkdir(&share, attic);
	share_file(&share, ATTIC "/lock", "");
	share_file(&share, ATTIC "/8", "whose?");
	share.host.orphans = FS_ORPHANS_HIDE;
	share.host.locks_are_local = locks_are_local;
	share_reopen(&share);
	assert_int_equal(is_there("8"), locks_are_local);
	share_close(&share);
}

static void test_swept_where_locks_are_seen(void **state)
{
	(void)state;
	leave_alone(false);
}

static void test_left_where_locks_are_not_seen(void **state)
{
	(void)state;
	leave_alone(true);
}

/* Who runs the guest removes what it has hidden; who has saved it does not. */
static void test_who_runs_where_locks_are_not_seen(void **state)
{
	(void)state;
	for (int saved = 0; saved < 2; saved++) {
		share_open(&share, 0);
		share.host.verify = FS_VERIFY_NONE;
		share.host.locks_are_local = true;
		lookups = 0;
		type = DT_REG;
		keep_file();
		assert_int_equal(move_load(&share, move_stream(put_hidden)), 0);
		dir_ino = file_ino = 0;
		fs_hidden_run(share.fs.hidden);
		if (saved)
			assert_int_equal(fs_hidden_save(share.fs.hidden), 0);
		if (saved) /* and somebody else has begun to run */
			assert_int_equal(rename(share_path(&share, ATTIC "/saved"),
						share_path(&share, ATTIC "/lock")),
					 0);
		fs_hidden_end(share.fs.hidden);
		assert_int_equal(is_there("8"), saved);
		share_close(&share);
	}
}

/* As /proc/self/mounts is; the share is /srv/vm. */
static void test_mounts(void **state)
{
	static const struct {
		bool stay;
		const char *mounts;
	} cases[] = {
		{false, "/dev/sda1 / ext4 rw 0 0\n"},
		{false, "h:/e /srv nfs4 rw,vers=4.2,local_lock=none,addr=10.0.0.1 0 0\n"},
		{true, "h:/e /srv nfs rw,vers=3,nolock,addr=10.0.0.1 0 0\n"},
		{true, "h:/e /srv/vm nfs4 rw,local_lock=all 0 0\n"},
		{true, "h:/e /srv/vm nfs4 local_lock=posix,rw 0 0\n"},
		{false, "h:/e /srv/vm nfs4 rw,local_lock=flock 0 0\n"},
		{true, "//h/e /srv/vm cifs rw,nobrl,vers=3.1 0 0\n"},
		{false, "h:/e / nfs rw,nolock 0 0\n/dev/sda1 /srv ext4 rw 0 0\n"},
		{false, "h:/e /srv nfs rw,nolock 0 0\n/dev/sda1 /srv ext4 rw 0 0\n"},
		{true, "/dev/sda1 /srv ext4 rw 0 0\nh:/e /srv/vm/data nfs rw,nolock 0 0\n"},
		{false, "/dev/sda1 /srv ext4 rw 0 0\nh:/e /srv/vm2 nfs rw,nolock 0 0\n"},
		{false, "/dev/sda1 /srv ext4 rw,nolock 0 0\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		FILE *mounts =
			fmemopen((void *)(uintptr_t)cases[i].mounts, strlen(cases[i].mounts), "r");

		if (fs_attic_locks_stay("/srv/vm", mounts) != cases[i].stay)
			fail_msg("%s", cases[i].mounts);
		fclose(mounts);
	}
}

static void test_names(void **state)
{
	static const char *const no[] = {
		".godwit-hidden-0123456789abcde",  ".godwit-hidden-0123456789abcdef0",
		".godwit-hidden-0123456789ABCDEF", ".godwit-hidden-0123456789abcdeg",
		".godwit-hiddem-0123456789abcdef", "",
	};

	(void)state;
	assert_true(fs_attic_is_name(FS_ATTIC_PREFIX "0123456789abcdef", FS_ATTIC_NAME_LEN));
	for (unsigned i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(fs_attic_is_name(no[i], strlen(no[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file),
		cmocka_unit_test(test_not_a_directory),
		cmocka_unit_test(test_not_where_the_guest_has_been),
		cmocka_unit_test(test_removed_by_who_runs),
		cmocka_unit_test(test_left_by_who_may_not_write),
		cmocka_unit_test(test_swept_where_locks_are_seen),
		cmocka_unit_test(test_left_where_locks_are_not_seen),
		cmocka_unit_test(test_who_runs_where_locks_are_not_seen),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
