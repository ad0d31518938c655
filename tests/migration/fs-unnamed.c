/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-unnamed.c - what has no name travels by content, and only that. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "move.h"

static struct share from, to;

static int set_up(void **state)
{
	(void)state;
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

static struct stat stat_of(struct share *share, uint64_t handle)
{
	struct stat st;

	assert_int_equal(fstat(guest_fd(share, handle), &st), 0);
	return st;
}

static void assert_share_is_empty(void)
{
	struct stat st;

	assert_int_equal(stat(from.path, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(rmdir(from.path), 0);
	assert_int_equal(mkdir(from.path, 0700), 0);
}

static void test_unlinked_and_open(void **state)
{
	const struct timespec times[] = {{.tv_sec = 1000, .tv_nsec = 1}, {.tv_sec = 2000}};
	uint64_t id, handle, number;
	char value[16];

	(void)state;
	share_file(&from, "f", "content");
	id = share_lookup(&from, FS_ROOT_ID, "f");
	handle = guest_open(&from, id, O_RDWR);
	number = share_ino(&from, id);
	if (setxattr(share_path(&from, "f"), "user.note", "kept", 4, 0))
		assert_int_equal(errno, EOPNOTSUPP);
	assert_int_equal(chmod(share_path(&from, "f"), 04751), 0);
	if (!geteuid())
		assert_int_equal(chown(share_path(&from, "f"), 12, 34), 0);
	assert_int_equal(chmod(share_path(&from, "f"), 04751), 0);
	assert_int_equal(utimensat(AT_FDCWD, share_path(&from, "f"), times, 0), 0);
	guest_unlink(&from, FS_ROOT_ID, "f", share_path(&from, "f"));

	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(stat_of(&to, handle).st_nlink, 0);
	assert_int_equal(stat_of(&to, handle).st_mode, S_IFREG | 04751);
	assert_int_equal(stat_of(&to, handle).st_uid, stat_of(&from, handle).st_uid);
	assert_int_equal(stat_of(&to, handle).st_gid, stat_of(&from, handle).st_gid);
	assert_int_equal(stat_of(&to, handle).st_mtim.tv_sec, 2000);
	if (fgetxattr(guest_fd(&from, handle), "user.note", value, sizeof(value)) == 4) {
		memset(value, 0, sizeof(value));
		assert_int_equal(
			fgetxattr(guest_fd(&to, handle), "user.note", value, sizeof(value)), 4);
		assert_string_equal(value, "kept");
	}
	/* Another file for the host, the same for the guest. */
	assert_int_equal(share_ino(&to, id), number);
	guest_append(&to, handle, ", more");
	assert_string_equal(guest_read(&to, handle), "content, more");
	assert_string_equal(guest_read(&from, handle), "content");
	assert_share_is_empty();
}

static void test_tmpfile(void **state)
{
	uint64_t id, handle = guest_tmpfile(&from, "never had a name", &id);

	(void)state;
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "never had a name");
	assert_int_equal(share_ino(&to, id), share_ino(&from, id));
	assert_share_is_empty();
}

static void test_holes_stay_holes(void **state)
{
	uint64_t id, handle = guest_tmpfile(&from, "begin", &id);
	int fd = guest_fd(&from, handle);
	char end[4];

	(void)state;
	/* More than may be sent, if it were all data. */
	assert_int_equal(pwrite(fd, "end", 4, (off_t)1 << 30), 4);
	move_over(&to, &from);
	assert_int_equal(stat_of(&to, handle).st_size, ((off_t)1 << 30) + 4);
	assert_true(stat_of(&to, handle).st_blocks < 1024);
	assert_int_equal(pread(guest_fd(&to, handle), end, 4, (off_t)1 << 30), 4);
	assert_string_equal(end, "end");
}

static void test_too_much_is_refused_by_name(void **state)
{
	uint64_t id;
	int fd, stream;

	(void)state;
	share_file(&from, "huge", "");
	id = share_lookup(&from, FS_ROOT_ID, "huge");
	fd = guest_fd(&from, guest_open(&from, id, O_RDWR));
	assert_int_equal(posix_fallocate(fd, 0, 65 << 20), 0);
	guest_unlink(&from, FS_ROOT_ID, "huge", share_path(&from, "huge"));
	move_twin(&to, &from);
	if (lseek(fd, 0, SEEK_DATA) < 0) {
		char mib[1 << 20] = {1};

		for (int i = 0; i < 65; i++)
			assert_int_equal(pwrite(fd, mib, sizeof(mib), (off_t)i << 20), sizeof(mib));
	}
	assert_int_equal(move_save_result(&from, &stream), -EFBIG);
	close(stream);
	assert_non_null(strstr(gw_last_error(), "huge"));
}

static void test_removed_directory(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_mkdir(&from, "d");
	id = share_lookup(&from, FS_ROOT_ID, "d");
	handle = guest_opendir(&from, id);
	assert_int_equal(chmod(share_path(&from, "d"), 0710), 0);
	guest_unlink(&from, FS_ROOT_ID, "d", share_path(&from, "d"));
	move_over(&to, &from);
	assert_int_equal(stat_of(&to, handle).st_mode, S_IFDIR | 0710);
	assert_int_equal(openat(guest_fd(&to, handle), "new", O_CREAT | O_WRONLY, 0600), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(share_ino(&to, id), share_ino(&from, id));
	assert_share_is_empty();
}

/* The guest's file was removed behind its back: it is open, and stays. */
static void test_unlinked_on_the_host(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "f", "content");
	id = share_lookup(&from, FS_ROOT_ID, "f");
	handle = guest_open(&from, id, O_RDONLY);
	assert_int_equal(unlink(share_path(&from, "f")), 0);
	move_over(&to, &from);
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(share_ino(&to, id), share_ino(&from, id));
}

static void test_links_and_pipes(void **state)
{
	FS_AUTO_INODE struct fs_inode *link = NULL;
	uint64_t fifo_id, link_id;
	struct fs_fd fd;
	char target[64] = {0};

	(void)state;
	assert_int_equal(mkfifo(share_path(&from, "fifo"), 0600), 0);
	assert_int_equal(symlink("to/there", share_path(&from, "link")), 0);
	fifo_id = share_lookup(&from, FS_ROOT_ID, "fifo");
	link_id = share_lookup(&from, FS_ROOT_ID, "link");
	guest_unlink(&from, FS_ROOT_ID, "fifo", share_path(&from, "fifo"));
	guest_unlink(&from, FS_ROOT_ID, "link", share_path(&from, "link"));
	move_over(&to, &from);
	assert_int_equal(share_ino(&to, fifo_id), share_ino(&from, fifo_id));
	link = fs_inode_get(to.fs.inodes, link_id);
	assert_int_equal(fs_inode_fd(link, &fd), 0);
	assert_int_equal(readlinkat(fd.fd, "", target, sizeof(target)), 8);
	assert_string_equal(target, "to/there");
	fs_fd_put(&fd);
	fs_inode_put_ptr(&link);
	link = NULL;
	assert_share_is_empty();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unlinked_and_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tmpfile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holes_stay_holes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_much_is_refused_by_name, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_removed_directory, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unlinked_on_the_host, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_links_and_pipes, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
