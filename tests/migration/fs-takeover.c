/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/fs-takeover.c - states of virtiofsd's, recorded and made up, against a share. */
#include "move.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/foreign_virtiofsd.h"
#include "fs/handle.h"
#include "fs/records.h"
#include "fs/session.h"

static struct share share;

/* As tests/interop/virtiofsd.c makes it. */
static int set_up(void **state)
{
	(void)state;
	share_open(&share, 64);
	/* What the instance has by the parameters that are adopted, whichever of them a state tells
	 * of. */
	share.fs.policy.writeback = true;
	share.fs.policy.submounts = true;
	share.fs.policy.posix_acl = FS_AUTO;
	share_file(&share, "hello", "hello, guest");
	share_mkdir(&share, "dir");
	share_mkdir(&share, "dir/inner");
	share_mkdir(&share, "many");
	share_file(&share, "dir/inner/deep", "deep down");
	share_file(&share, "link", "");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	share_close(&share);
	return 0;
}

static int recorded(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/tests/golden/virtiofsd-%s.stream", GODWIT_SOURCE, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int made_up(const char *bytes, size_t len)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}
#define MADE_UP(literal) made_up(literal, sizeof(literal) - 1)

static void loaded(struct share *to, int stream)
{
	move_twin(to, &share);
	if (move_load(to, stream))
		fail_msg("%s", gw_last_error());
}

static void refused(int stream, const char *sentence)
{
	struct share to;

	move_twin(&to, &share);
	assert_true(move_load(&to, stream) < 0);
	if (!strstr(gw_last_error(), sentence))
		fail_msg("'%s', expected: %s", gw_last_error(), sentence);
	move_twin_close(&to);
}

static void check_inode(struct share *to, uint64_t id, const char *path)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to->fs.inodes, id);
	struct statx stx;
	struct stat st;

	assert_non_null(inode);
	assert_int_equal(fs_inode_id(inode), id);
	assert_int_equal(fs_inode_statx(inode, &stx), 0);
	assert_int_equal(stat(share_path(&share, "%s", path), &st), 0);
	assert_int_equal(stx.stx_ino, st.st_ino);
}

static void test_recorded(void **state)
{
	struct share to;

	(void)state;
	loaded(&to, recorded("paths"));
	check_inode(&to, 2, "hello");
	check_inode(&to, 3, "dir");
	check_inode(&to, 5, "dir/inner/deep");
	assert_string_equal(guest_read(&to, 0), "hello, guest");
	assert_string_equal(guest_read(&to, 1), "deep down");
	assert_true(to.fs.session.initialised);
	assert_false(to.fs.session.flags & FUSE_WRITEBACK_CACHE);
	move_twin_close(&to);
}

static void test_negotiated(void **state)
{
	struct share to;

	(void)state;
	loaded(&to, recorded("writeback"));
	assert_true(to.fs.session.flags & FUSE_WRITEBACK_CACHE);
	assert_false(to.fs.session.flags & FUSE_POSIX_ACL);
	move_twin_close(&to);
	loaded(&to, recorded("acl"));
	assert_true(to.fs.session.flags & FUSE_POSIX_ACL);
	assert_true(to.fs.session.flags & FUSE_SETXATTR_EXT);
	move_twin_close(&to);
}

static void test_before_mount(void **state)
{
	struct share to;

	(void)state;
	loaded(&to, recorded("fresh"));
	assert_false(to.fs.session.initialised);
	move_twin_close(&to);
}

static void test_version_1(void **state)
{
	struct share to;

	(void)state;
	loaded(&to, MADE_UP("\0\2\1\3\0\0\2\1\1\1\5hello\0\3\0\0\0\1\0\0"));
	check_inode(&to, 2, "hello");
	move_twin_close(&to);
}

/* Inode 2^32 + 2^29 beside inode 2, handles 0 and 2^40. */
#define STRANGE UINT64_C(0x120000000)
#define FAR	(UINT64_C(1) << 40)
static const char strange[] = "\1\3\1\4\0\0\2\1\1\1\5hello\0\200\200\200\200\022\1\1\1\4link\0"
			      "\201\200\200\200\022"
			      "\2\0\200\200\200\200\022\0\0\200\200\200\200\200\040\2\0\0"
			      "\201\200\200\200\200\040\0\1\0\0\0";

static void check_strange(struct share *to)
{
	check_inode(to, STRANGE, "link");
	check_inode(to, 2, "hello");
	assert_int_equal(guest_fd(to, 0) >= 0, 1);
	assert_string_equal(guest_read(to, FAR), "hello, guest");
}

/* Numbers that cannot be ours stay the guest's, here and wherever it goes. */
static void test_strange_ids(void **state)
{
	struct share to, further;

	(void)state;
	loaded(&to, MADE_UP(strange));
	check_strange(&to);
	move_over(&further, &to);
	check_strange(&further);
	/* Nothing that is found or opened now gets an id that virtiofsd could have given out. */
	assert_true(share_lookup(&further, FS_ROOT_ID, "dir") > STRANGE);
	assert_true(guest_open(&further, 2, O_RDONLY) > FAR);
	assert_int_equal(share_lookup(&further, FS_ROOT_ID, "link"), STRANGE);
	assert_int_equal(fs_handle_release(further.fs.handles, 0), 0);
	assert_int_equal(fs_handle_release(further.fs.handles, 0), -EBADF);
	fs_inode_forget(further.fs.inodes, STRANGE, 2);
	assert_null(fs_inode_get(further.fs.inodes, STRANGE));
	move_twin_close(&further);
	move_twin_close(&to);
}

static void set_queues(struct share *to, struct gw_params **params, unsigned queues)
{
	assert_int_equal(gw_params_new(params, &fs_model), 0);
	assert_int_equal(gw_params_set(*params, "num-request-queues", queues, NULL), 0);
	to->fs.params = *params;
	to->host.state_format = FS_STATE_VIRTIOFSD_V2;
}

/* What virtiofsd said is what is said to it, to the byte. */
static void test_said_again(void **state)
{
	static const char *const names[] = {"fresh", "lookup", "paths", "writeback", "acl"};
	char expected[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct gw_params *params;
		int fd = recorded(names[i]);
		size_t len;
		void *bytes;
		struct share to;

		assert_true(read(fd, expected, sizeof(expected)) > 0);
		lseek(fd, 0, SEEK_SET);
		loaded(&to, fd);
		set_queues(&to, &params, 1);
		assert_int_equal(fs_save_foreign(&to.fs, &bytes, &len), 0);
		assert_memory_equal(bytes, expected, len);
		free(bytes);
		gw_params_free(params);
		move_twin_close(&to);
	}
}

static bool says(const void *bytes, size_t len, uint64_t id, enum fs_virtiofsd_kind kind)
{
	struct fs_virtiofsd parsed;
	bool found = false;

	assert_int_equal(fs_virtiofsd_parse(&parsed, bytes, len), 0);
	for (uint32_t i = 0; i < parsed.inode_count; i++)
		found |= parsed.inodes[i].id == id && parsed.inodes[i].kind == kind;
	fs_virtiofsd_clear(&parsed);
	return found;
}

static void test_what_cannot_be_said(void **state)
{
	struct gw_params *params;
	uint64_t bytes_name, gone;
	void *bytes;
	size_t len;

	(void)state;
	share_file(&share, "\xff", "");
	share_file(&share, "gone", "");
	bytes_name = share_lookup(&share, FS_ROOT_ID, "\xff");
	gone = share_lookup(&share, FS_ROOT_ID, "gone");
	guest_unlink(&share, FS_ROOT_ID, "gone", share_path(&share, "gone"));
	share.fs.session.initialised = true;
	set_queues(&share, &params, 1);
	assert_int_equal(fs_save_foreign(&share.fs, &bytes, &len), 0);
	assert_true(says(bytes, len, bytes_name, FS_VIRTIOFSD_INVALID));
	assert_true(says(bytes, len, gone, FS_VIRTIOFSD_INVALID));
	free(bytes);
	gw_params_free(params);
	set_queues(&share, &params, 2);
	assert_int_equal(fs_save_foreign(&share.fs, &bytes, &len), -EINVAL);
	share.host.state_format = FS_STATE_GODWIT;
	assert_int_equal(fs_save_foreign(&share.fs, &bytes, &len), -ENOENT);
	gw_params_free(params);
	share.fs.params = NULL;
}

static void test_refused(void **state)
{
	(void)state;
	refused(recorded("handles"), "--migration-mode=file-handles");
	refused(recorded("gone"), "lost by the source");
	refused(MADE_UP("\1\2\1\3\0\0\2\1\1\1\4nope\0\3\0\0\0\1\0\0\0"), "/nope");
	/* A directory where a file is now. */
	refused(MADE_UP("\1\3\1\3\0\0\2\2\1\1\5hello\0\3\1\1\2\1x\0\4\0\0\0\1\0\0\0"), "/hello");
	/* One file under two ids. */
	refused(MADE_UP("\1\3\1\4\0\0\2\1\1\1\5hello\0\3\1\1\1\5hello\0\4\0\0\0\1\0\0\0"),
		"the same file");
	/* A handle of the root that is none of this file system's. */
	refused(MADE_UP("\1\1\1\2\0\1\33\2\10********\2\0\0\0\1\0\0\0"), "not the one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_recorded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_negotiated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_before_mount, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_version_1, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_strange_ids, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_said_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
