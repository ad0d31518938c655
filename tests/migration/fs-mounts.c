/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-mounts.c - mounts inside the share: numbers stay unique, and inodes are found.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/model.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"

static struct share from, to;

/* Two file systems of the same kind, whose inode numbers are the same. */
static void mount_two(void)
{
	share_mkdir(&from, "a");
	share_mkdir(&from, "b");
	assert_int_equal(mount("a", share_path(&from, "a"), "tmpfs", 0, "size=1m"), 0);
	assert_int_equal(mount("b", share_path(&from, "b"), "tmpfs", 0, "size=1m"), 0);
	share_file(&from, "a/f", "of a");
	share_file(&from, "b/f", "of b");
}

static void unmount_two(void)
{
	umount2(share_path(&from, "a"), MNT_DETACH);
	umount2(share_path(&from, "b"), MNT_DETACH);
}

static dev_t device_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_dev;
}

static uint64_t guest_tmpfile_in(struct share *share, uint64_t dir, const char *path)
{
	FS_AUTO_INODE struct fs_inode *parent = fs_inode_get(share->fs.inodes, dir);
	int fd = open(path, O_TMPFILE | O_RDWR, 0600);
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;
	uint64_t id, handle;

	assert_true(fd >= 0);
	assert_int_equal(fs_inode_lookup_fd(share->fs.inodes, parent, NULL, fd, &id, &stx), 0);
	inode = fs_inode_get(share->fs.inodes, id);
	assert_int_equal(fs_handle_add(share->fs.handles, inode, fd, O_RDWR, NULL, &handle), 0);
	return handle;
}

/* What is made anew on a mount can get a name there and nowhere else. */
static void test_unnamed_are_born_on_their_own(void **state)
{
	uint64_t a, deep, ha, hb;
	char fd[32];

	(void)state;
	move_source(&from);
	mount_two();
	share_mkdir(&from, "b/deep");
	a = share_lookup(&from, FS_ROOT_ID, "a");
	ha = guest_tmpfile_in(&from, a, share_path(&from, "a"));
	deep = share_lookup(&from, share_lookup(&from, FS_ROOT_ID, "b"), "deep");
	hb = guest_tmpfile_in(&from, deep, share_path(&from, "b"));

	move_over(&to, &from);
	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", guest_fd(&to, ha));
	assert_int_equal(
		linkat(AT_FDCWD, fd, AT_FDCWD, share_path(&from, "b/new"), AT_SYMLINK_FOLLOW), -1);
	assert_int_equal(errno, EXDEV);
	assert_int_equal(
		linkat(AT_FDCWD, fd, AT_FDCWD, share_path(&from, "a/new"), AT_SYMLINK_FOLLOW), 0);
	snprintf(fd, sizeof(fd), "/proc/self/fd/%d", guest_fd(&to, hb));
	assert_int_equal(
		linkat(AT_FDCWD, fd, AT_FDCWD, share_path(&from, "b/deep/new"), AT_SYMLINK_FOLLOW),
		0);
	move_twin_close(&to);
	unmount_two();
	share_close(&from);
}

static void test_mounts(void **state)
{
	uint64_t a, b, fa, fb, ha, hb, unnamed;

	(void)state;
	move_source(&from);
	mount_two();
	a = share_lookup(&from, FS_ROOT_ID, "a");
	b = share_lookup(&from, FS_ROOT_ID, "b");
	fa = share_lookup(&from, a, "f");
	fb = share_lookup(&from, b, "f");
	assert_int_equal(host_ino(share_path(&from, "a/f")), host_ino(share_path(&from, "b/f")));
	assert_int_not_equal(fa, fb);
	assert_int_not_equal(share_ino(&from, fa), share_ino(&from, fb));
	assert_int_not_equal(share_ino(&from, a), share_ino(&from, b));
	ha = guest_open(&from, fa, O_RDONLY);
	hb = guest_open(&from, fb, O_RDONLY);
	guest_unlink(&from, b, "f", share_path(&from, "b/f"));
	unnamed = share_ino(&from, fb);

	move_over(&to, &from);
	assert_string_equal(guest_read(&to, ha), "of a");
	assert_string_equal(guest_read(&to, hb), "of b");
	assert_int_equal(share_ino(&to, fa), share_ino(&from, fa));
	assert_int_equal(share_ino(&to, fb), unnamed);
	assert_int_equal(device_of(guest_fd(&to, hb)), device_of(guest_fd(&from, hb)));
	assert_int_equal(share_lookup(&to, share_lookup(&to, FS_ROOT_ID, "a"), "f"), fa);
	/* A newcomer has a number of its own. */
	share_file(&from, "b/g", "");
	assert_int_not_equal(share_ino(&to, share_lookup(&to, b, "g")), unnamed);
	move_twin_close(&to);
	unmount_two();
	share_close(&from);
}

static unsigned mount_of(uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to.fs.inodes, id);

	assert_non_null(inode);
	return inode->mount;
}

/* In a state of another make's, which says nothing of mounts: they are found with what is on them.
 */
static void test_taken_over(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	uint64_t a, b, fa, ga, fb;
	GW_AUTO_FREE void *bytes = NULL;
	struct gw_params *params;
	size_t len;

	(void)state;
	assert_int_equal(gw_params_new(&params, &fs_model), 0);
	assert_int_equal(gw_params_set(params, "num-request-queues", 1, NULL), 0);
	move_source(&from);
	from.fs.policy.submounts = true;
	from.host.state_format = FS_STATE_VIRTIOFSD_V2;
	from.fs.params = params;
	mount_two();
	share_file(&from, "a/g", "also of a");
	a = share_lookup(&from, FS_ROOT_ID, "a");
	b = share_lookup(&from, FS_ROOT_ID, "b");
	fa = share_lookup(&from, a, "f");
	ga = share_lookup(&from, a, "g");
	fb = share_lookup(&from, b, "f");
	if (fs_save_foreign(&from.fs, &bytes, &len))
		fail_msg("%s", gw_last_error());
	assert_int_equal(write(stream, bytes, len), len);
	lseek(stream, 0, SEEK_SET);
	move_twin(&to, &from);
	to.fs.params = params;
	if (move_load(&to, stream))
		fail_msg("%s", gw_last_error());
	assert_int_equal(mount_of(fa), mount_of(a));
	assert_int_equal(mount_of(ga), mount_of(a));
	assert_int_equal(mount_of(fb), mount_of(b));
	assert_int_not_equal(mount_of(a), mount_of(b));
	assert_int_equal(share_lookup(&to, share_lookup(&to, FS_ROOT_ID, "a"), "g"), ga);
	move_twin_close(&to);
	unmount_two();
	share_close(&from);
	gw_params_free(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mounts),
					   cmocka_unit_test(test_taken_over),
					   cmocka_unit_test(test_unnamed_are_born_on_their_own)};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		printf("no mount namespace of its own here: %m\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
