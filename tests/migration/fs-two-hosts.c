/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-two-hosts.c - source and destination see the same tree through mounts of their
 * own, each with its own caches.
 *
 * usage: fs-two-hosts [SOURCE DESTINATION]
 *
 * Without arguments, two bind mounts of one directory, whose caches are the same; two-nfs.py has
 * mounts whose caches are not.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/table.h"
#include "move.h"

static const char *source, *destination;
static struct share from, to;

static void open_at(struct share *share, const char *path)
{
	*share = (struct share){0};
	snprintf(share->path, sizeof(share->path), "%s", path);
	share->host.shared_dir = share->path;
	share_reopen(share);
}

static int set_up(void **state)
{
	(void)state;
	open_at(&from, source);
	from.fs.session = (struct fs_session){.initialised = true, .minor = 39};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close_tables(&to);
	share_close_tables(&from);
	return 0;
}

/* Of another host nobody knows what this one has cached: it has looked at everything before. */
static void look_there(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", destination, name);
	if (stat(path, &st))
		assert_int_equal(errno, ENOENT);
}

static void move_there(void)
{
	int stream = move_save(&from);

	open_at(&to, destination);
	if (move_load(&to, stream))
		fail_msg("load: %s", gw_last_error());
}

static void guest_write(uint64_t handle, const char *text)
{
	FS_AUTO_HANDLE struct fs_handle *open = fs_handle_get(from.fs.handles, handle);

	assert_int_equal(pwrite(open->fd, text, strlen(text), 0), strlen(text));
	open->dirty = true; /* as WRITE does */
}

static uint64_t size_of(struct share *share, uint64_t id)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(share->fs.inodes, id);
	struct statx stx;

	assert_int_equal(fs_inode_statx(inode, &stx), 0);
	return stx.stx_size;
}

static ino_t number_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static void test_what_was_written_is_there(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "written", "");
	look_there("written");
	id = share_lookup(&from, FS_ROOT_ID, "written");
	handle = guest_open(&from, id, O_RDWR);
	guest_write(handle, "acknowledged");
	move_there();
	assert_int_equal(size_of(&to, id), 12);
	assert_string_equal(guest_read(&to, handle), "acknowledged");
	assert_int_equal(unlink(share_path(&from, "written")), 0);
}

static void test_renamed_at_the_last_moment(void **state)
{
	FS_AUTO_INODE struct fs_inode *root = fs_inode_get(from.fs.inodes, FS_ROOT_ID);
	uint64_t id, handle;

	(void)state;
	share_file(&from, "before", "content");
	look_there("before");
	look_there("after"); /* and knows that it is not there */
	id = share_lookup(&from, FS_ROOT_ID, "before");
	handle = guest_open(&from, id, O_RDONLY);
	assert_int_equal(rename(share_path(&from, "before"), share_path(&from, "after")), 0);
	fs_name_moved(from.fs.inodes, root, "before", root, "after", false);
	move_there();
	assert_string_equal(guest_read(&to, handle), "content");
	assert_int_equal(share_ino(&to, id), share_ino(&from, id));
	assert_int_equal(unlink(share_path(&from, "after")), 0);
	fs_inode_put_ptr(&root);
	root = NULL;
}

/* An NFS client gives it another name, which goes with the source's last close. */
static void test_removed_and_open(void **state)
{
	uint64_t id, handle;

	(void)state;
	share_file(&from, "gone", "content");
	id = share_lookup(&from, FS_ROOT_ID, "gone");
	handle = guest_open(&from, id, O_RDWR);
	look_there("gone");
	guest_unlink(&from, FS_ROOT_ID, "gone", share_path(&from, "gone"));
	move_there();
	/* Another file, so that it does not go with that one's last close. */
	assert_int_not_equal(number_of(guest_fd(&to, handle)), number_of(guest_fd(&from, handle)));
	share_close_tables(&from);
	assert_string_equal(guest_read(&to, handle), "content");
	guest_append(&to, handle, ", more");
	assert_string_equal(guest_read(&to, handle), "content, more");
	open_at(&from, source);
}

/* Two views of one directory, on a /tmp that nobody else sees and that goes with this process. */
static void make_views(void)
{
	static const char *const views[] = {"/tmp/source", "/tmp/destination"};

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("views", "/tmp", "tmpfs", 0, "size=16m")) {
		printf("no mount namespace of its own here: %m; root can make one\n");
		exit(77);
	}
	mkdir("/tmp/tree", 0755);
	for (int i = 0; i < 2; i++) {
		if (mkdir(views[i], 0755) || mount("/tmp/tree", views[i], NULL, MS_BIND, NULL))
			exit(1);
	}
	source = views[0];
	destination = views[1];
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_written_is_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renamed_at_the_last_moment, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_removed_and_open, set_up, tear_down),
	};

	if (argc == 3) {
		source = argv[1];
		destination = argv[2];
	} else {
		make_views();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
