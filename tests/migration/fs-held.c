/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-held.c - after a load an open file is the way to its inode, until the inode's
 * descriptor is held; then that is, whatever becomes of the names on the host. That is so where
 * files are opened by their names, which is where no device can be: as in the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fs/handles.h"
#include "fs/table.h"
#include "move.h"

static char mount_point[] = "/tmp/gw-held.XXXXXX";
static struct share from, to;
static uint64_t file_id, handle, ino;

static int set_up(void **state)
{
	(void)state;
	share_open_in(&from, mount_point, 0);
	/* Or it would be found by its file handle. */
	from.host.handles = FS_HANDLES_NEVER;
	share_close_tables(&from);
	share_reopen(&from);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	share_file(&from, "file", "right");
	file_id = share_lookup(&from, FS_ROOT_ID, "file");
	ino = share_ino(&from, file_id);
	handle = guest_open(&from, file_id, O_RDONLY);
	move_over(&to, &from);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	move_twin_close(&to);
	share_close(&from);
	return 0;
}

/* What a GETATTR without a handle needs. */
static int find(uint64_t id, struct statx *stx)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to.fs.inodes, id);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err;

	assert_non_null(inode);
	err = fs_inode_fd(inode, &fd);
	return err ? err : statx(fd.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, stx);
}

static void assert_found(void)
{
	struct statx stx = {0};

	assert_int_equal(find(file_id, &stx), 0);
	assert_int_equal(stx.stx_ino, ino);
	assert_int_equal(stx.stx_nlink, 0);
	assert_string_equal(guest_read(&to, handle), "right");
}

static void hold_all(void)
{
	uint32_t at = 0;

	assert_true(atomic_load(&to.fs.handles->unheld));
	while (fs_handles_hold(to.fs.handles, &at, 1))
		;
	assert_false(atomic_load(&to.fs.handles->unheld));
}

static void test_removed_before_it_is_held(void **state)
{
	(void)state;
	assert_int_equal(unlink(share_path(&to, "file")), 0);
	assert_found();
}

static void test_replaced_before_it_is_held(void **state)
{
	(void)state;
	share_file(&to, "new", "wrong");
	assert_int_equal(rename(share_path(&to, "new"), share_path(&to, "file")), 0);
	assert_found();
}

static void test_removed_when_it_is_held(void **state)
{
	(void)state;
	hold_all();
	assert_int_equal(unlink(share_path(&to, "file")), 0);
	assert_found();
}

/* Once: later there is nobody that a handle would have to be looked for for. */
static void test_of_what_is_closed(void **state)
{
	struct statx stx = {0};

	(void)state;
	assert_int_equal(fs_handle_release(to.fs.handles, handle), 0);
	assert_int_equal(unlink(share_path(&to, "file")), 0);
	assert_int_equal(find(file_id, &stx), -ESTALE);
	hold_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_removed_before_it_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_replaced_before_it_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_when_it_is_held, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_what_is_closed, set_up, tear_down),
	};

	int result;

	if (!mkdtemp(mount_point))
		return 1;
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", mount_point, "tmpfs", MS_NODEV, NULL) < 0) {
		printf("no mount of its own here: %m; root can make one\n");
		rmdir(mount_point);
		return 77;
	}
	result = cmocka_run_group_tests(tests, NULL, NULL);
	umount2(mount_point, MNT_DETACH);
	rmdir(mount_point);
	return result;
}
