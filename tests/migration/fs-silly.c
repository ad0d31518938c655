/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-silly.c - the name that an NFS client gives to what is removed and open is as
 * good as none. */
#include <fcntl.h>
#include <stdio.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "move.h"

#define SILLY_NAME ".nfs000000000001e24000000007"

static struct share from, to;
static bool is_nfs;

/* Found by the linker before the C library's: what file system it is, is all that makes the
 * difference. */
int fstatfs(int fd, struct statfs *sfs)
{
	(void)fd;
	*sfs = (struct statfs){.f_type = is_nfs ? NFS_SUPER_MAGIC : EXT4_SUPER_MAGIC};
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	is_nfs = true;
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

static uint64_t open_file(uint64_t *id)
{
	share_file(&from, "f", "content");
	*id = share_lookup(&from, FS_ROOT_ID, "f");
	return guest_open(&from, *id, O_RDWR);
}

/* What UNLINK does there: the name is another one, and the file has a link. */
static void remove_as_nfs_does(void)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	struct fs_victim victim;

	fs_name_removing(from.fs.inodes, root, "f", &victim);
	assert_int_equal(rename(share_path(&from, "f"), share_path(&from, SILLY_NAME)), 0);
	fs_name_removed(&victim, true);
}

/* The destination must not rely on it: the source's last close takes it away. */
static void move_and_read(uint64_t handle, const char *expected)
{
	int stream = move_save(&from);

	assert_int_equal(unlink(share_path(&from, SILLY_NAME)), 0);
	move_twin(&to, &from);
	if (move_load(&to, stream))
		fail_msg("load: %s", gw_last_error());
	assert_string_equal(guest_read(&to, handle), expected);
}

static void test_removed_by_the_guest(void **state)
{
	uint64_t id, handle = open_file(&id);

	(void)state;
	remove_as_nfs_does();
	move_and_read(handle, "content");
	assert_int_equal(share_ino(&to, id), share_ino(&from, id));
}

/* The guest has met the name, in a listing say. */
static void test_looked_up(void **state)
{
	uint64_t id, handle = open_file(&id);

	(void)state;
	remove_as_nfs_does();
	assert_int_equal(share_lookup(&from, FS_ROOT_ID, SILLY_NAME), id);
	move_and_read(handle, "content");
}

/* Another name is one, whatever the other is. */
static void test_has_another_name(void **state)
{
	uint64_t id, handle = open_file(&id);

	(void)state;
	assert_int_equal(link(share_path(&from, "f"), share_path(&from, "g")), 0);
	assert_int_equal(share_lookup(&from, FS_ROOT_ID, "g"), id);
	remove_as_nfs_does();
	assert_int_equal(share_lookup(&from, FS_ROOT_ID, SILLY_NAME), id);
	move_and_read(handle, "content");
	assert_int_equal(share_ino(&to, id), host_ino(share_path(&from, "g")));
	assert_int_equal(share_lookup(&to, FS_ROOT_ID, "g"), id);
	guest_append(&to, handle, ", more");
	assert_string_equal(guest_read(&from, handle), "content, more");
}

/* Elsewhere it is a name like any. */
static void test_on_another_file_system(void **state)
{
	uint64_t id, handle = open_file(&id);

	(void)state;
	is_nfs = false;
	remove_as_nfs_does();
	move_over(&to, &from);
	guest_append(&to, handle, ", more");
	assert_string_equal(guest_read(&from, handle), "content, more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_removed_by_the_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_looked_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_has_another_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_on_another_file_system, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
