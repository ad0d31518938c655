/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attr.c - GETATTR, SETATTR and STATX tell and change what the host has. */
#include "../common/fuse_client.h"

static struct fuse_client client;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	share_file(&client, "file", "12345");
	assert_int_equal(chmod(share_path(&client, "file"), 0640), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static struct stat host_stat(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(share_path(&client, name), &st), 0);
	return st;
}

static void test_getattr(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct stat st = host_stat("file");
	struct fuse_attr attr;

	(void)state;
	assert_true(fuse_getattr(&client, node, &attr) > 0);
	assert_int_equal(attr.ino, st.st_ino);
	assert_int_equal(attr.size, 5);
	assert_int_equal(attr.mode, S_IFREG | 0640);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(attr.uid, st.st_uid);
	assert_int_equal(attr.mtime, st.st_mtim.tv_sec);
	assert_int_equal(attr.mtimensec, st.st_mtim.tv_nsec);
	assert_int_equal(fuse_getattr(&client, 0x7777777777, &attr), -ESTALE);
}

static void test_statx(void **state)
{
	struct fuse_statx_in in = {.sx_mask = STATX_BASIC_STATS | STATX_BTIME};
	struct fuse_statx_out out;
	struct statx stx;

	(void)state;
	assert_int_equal(statx(AT_FDCWD, share_path(&client, "file"), 0,
			       STATX_BASIC_STATS | STATX_BTIME, &stx),
			 0);
	assert_int_equal(
		fuse_call(&client, &(struct fuse_call){.opcode = FUSE_STATX,
						       .nodeid = fuse_node(&client, 1, "file"),
						       .arg = &in,
						       .arg_len = sizeof(in),
						       .answer = &out,
						       .room = sizeof(out)}),
		sizeof(out));
	assert_int_equal(out.stat.ino, stx.stx_ino);
	assert_int_equal(out.stat.size, 5);
	assert_int_equal(out.stat.mask & STATX_BTIME, stx.stx_mask & STATX_BTIME);
	assert_int_equal(out.stat.btime.tv_sec, stx.stx_btime.tv_sec);
	assert_int_equal(out.stat.btime.tv_nsec, stx.stx_btime.tv_nsec);
	assert_int_equal(out.stat.dev_minor, 0);
}

static void test_set_mode_and_size(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_attr attr;

	(void)state;
	assert_true(fuse_setattr(&client, node,
				 &(struct fuse_setattr_in){.valid = FATTR_MODE | FATTR_SIZE,
							   .mode = S_IFREG | 0604,
							   .size = 3},
				 &attr) > 0);
	assert_int_equal(attr.mode, S_IFREG | 0604);
	assert_int_equal(attr.size, 3);
	assert_string_equal(share_content(&client, "file"), "123");
	assert_int_equal(
		fuse_setattr(&client, node,
			     &(struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX},
			     NULL),
		-EFBIG);
	assert_true(fuse_setattr(&client, 1, &(struct fuse_setattr_in){.valid = FATTR_SIZE}, NULL) <
		    0);
}

/* By the open file, also when its mode would not let it be opened. */
static void test_set_size_by_handle(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;
	struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_FH, .size = 1};
	struct fuse_attr attr;

	(void)state;
	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	in.fh = open.fh;
	assert_int_equal(chmod(share_path(&client, "file"), 0), 0);
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_int_equal(attr.size, 1);
	in.fh = 0x123456789;
	assert_int_equal(fuse_setattr(&client, node, &in, NULL), -EBADF);
	/* A handle of another inode is none of this one. */
	in.fh = open.fh;
	share_file(&client, "other", "x");
	assert_int_equal(fuse_setattr(&client, fuse_node(&client, 1, "other"), &in, NULL), -EBADF);
}

static void test_set_times(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_setattr_in in = {.valid = FATTR_MTIME | FATTR_ATIME,
				     .atime = 1000,
				     .atimensec = 7,
				     .mtime = 2000,
				     .mtimensec = 8};
	struct fuse_attr attr;

	(void)state;
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_int_equal(attr.atime, 1000);
	assert_int_equal(attr.atimensec, 7);
	assert_int_equal(attr.mtime, 2000);
	assert_int_equal(attr.mtimensec, 8);
	/* UTIME_NOW in the nanoseconds is not for the guest to say. */
	in.mtimensec = UTIME_NOW;
	assert_int_equal(fuse_setattr(&client, node, &in, NULL), -EINVAL);
	in = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_true(attr.mtime > 1000000);
	assert_int_equal(attr.atime, 1000);
}

/* A link's own times and owner, not those of what it points to. */
static void test_symlink_itself(void **state)
{
	struct fuse_setattr_in in = {.valid = FATTR_MTIME, .mtime = 5000};
	struct fuse_attr attr;
	uint64_t node;

	(void)state;
	assert_int_equal(symlink("file", share_path(&client, "link")), 0);
	node = fuse_node(&client, 1, "link");
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_int_equal(attr.mtime, 5000);
	assert_true(S_ISLNK(attr.mode));
	assert_int_not_equal(host_stat("file").st_mtim.tv_sec, 5000);
}

static void test_set_owner(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID | FATTR_MODE,
				     .uid = 1234,
				     .gid = 4321,
				     .mode = 04755};
	struct fuse_attr attr;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_int_equal(attr.uid, 1234);
	assert_int_equal(attr.gid, 4321);
	assert_int_equal(attr.mode, S_IFREG | 04755);
	/* A change of owner alone takes the set-id bit, as on the host. */
	in.valid = FATTR_GID;
	assert_true(fuse_setattr(&client, node, &in, &attr) > 0);
	assert_int_equal(attr.mode, S_IFREG | 0755);
}

/* chown(path, -1, -1) */
static void test_set_nothing(void **state)
{
	const struct fuse_setattr_in in = {0};
	uint64_t node = fuse_node(&client, 1, "file");
	struct stat before, after;

	(void)state;
	assert_int_equal(chmod(share_path(&client, "file"), 06755), 0);
	before = host_stat("file");
	usleep(20000); /* more than a tick of the clock that file systems look at */
	assert_true(fuse_setattr(&client, node, &in, NULL) > 0);
	after = host_stat("file");
	assert_true(after.st_ctim.tv_sec > before.st_ctim.tv_sec ||
		    after.st_ctim.tv_nsec > before.st_ctim.tv_nsec);
	assert_int_equal(after.st_mode & 07777, 0755);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void test_access(void **state)
{
	struct fuse_access_in in = {.mask = R_OK};
	struct fuse_call call = {.opcode = FUSE_ACCESS, .arg = &in, .arg_len = sizeof(in)};

	(void)state;
	call.nodeid = fuse_node(&client, 1, "file");
	assert_int_equal(fuse_call(&client, &call), 0);
	in.mask = 0xff;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	if (geteuid() != 0)
		skip();
	in.mask = W_OK;
	call.uid = call.gid = 1000;
	assert_int_equal(fuse_call(&client, &call), -EACCES);
	call.uid = call.gid = 0;
	assert_int_equal(fuse_call(&client, &call), 0);
}

static void test_statfs(void **state)
{
	struct fuse_statfs_out out;

	(void)state;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_STATFS,
								.answer = &out,
								.room = sizeof(out)}),
			 sizeof(out));
	assert_true(out.st.bsize > 0 && out.st.blocks > 0 && out.st.namelen >= 255);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_getattr, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_mode_and_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_size_by_handle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_times, setup, teardown),
		cmocka_unit_test_setup_teardown(test_symlink_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_statfs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
