/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-handle.c - handles are stale once released, and close under nobody's request. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "fs-share.h"

static void test_life(void **state)
{
	struct share share;
	struct fs_inode *inode;
	struct fs_handle *handle;
	uint64_t node, id, other;
	int fd;

	(void)state;
	share_open(&share, 0);
	share_file(&share, "f", "content");
	node = share_lookup(&share, FS_ROOT_ID, "f");
	inode = fs_inode_get(share.fs.inodes, node);
	fd = fs_inode_open(inode, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fs_handle_add(share.fs.handles, inode, fd, O_RDONLY, NULL, &id), 0);
	fs_inode_put(inode);
	fs_inode_forget(share.fs.inodes, node, 1);
	assert_int_equal(fs_handles_count(share.fs.handles), 1);

	handle = fs_handle_get(share.fs.handles, id);
	assert_non_null(handle);
	assert_int_equal(fs_handle_release(share.fs.handles, id), 0);
	assert_int_equal(fs_handle_release(share.fs.handles, id), -EBADF);
	assert_true(fcntl(handle->fd, F_GETFD) >= 0); /* we still have it */
	fs_handle_put(handle);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_null(fs_handle_get(share.fs.handles, id));
	assert_null(fs_inode_get(share.fs.inodes, node));

	inode = fs_inode_get(share.fs.inodes, FS_ROOT_ID);
	fd = fs_inode_open(inode, O_RDONLY | O_DIRECTORY);
	assert_int_equal(fs_handle_add(share.fs.handles, inode, fd, O_RDONLY, NULL, &other), 0);
	assert_int_not_equal(other, id);
	assert_null(fs_handle_get(share.fs.handles, id));
	fs_inode_put(inode);
	fs_handles_clear(share.fs.handles);
	assert_int_equal(fs_handles_count(share.fs.handles), 0);
	share_close(&share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_life)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
