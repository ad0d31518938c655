/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/open-flags.c - how files are really opened on the host, before a move and after it. */
#include "../common/fuse_client.h"

#include <stdlib.h>

static struct fuse_client from, to;

/* A write out of the guest's page cache: at its own place, whatever the file was opened with. */
static int cached_write(struct fuse_client *client, uint64_t fh, uint64_t offset, const char *data)
{
	struct fuse_write_in in = {.fh = fh,
				   .offset = offset,
				   .size = (uint32_t)strlen(data),
				   .write_flags = FUSE_WRITE_CACHE,
				   .flags = O_WRONLY | O_APPEND};
	struct fuse_write_out out;
	int ret = fuse_call(client, &(struct fuse_call){.opcode = FUSE_WRITE,
							.arg = &in,
							.arg_len = sizeof(in),
							.data = data,
							.data_len = strlen(data),
							.answer = &out,
							.room = sizeof(out)});

	return ret < 0 ? ret : (int)out.size;
}

/* What the guest opened to write only it reads, too, where it caches what it writes. */
static void test_write_only_is_read(void **state)
{
	struct fuse_created created;
	struct fuse_open_out open;
	char data[8];

	(void)state;
	fuse_start(&from, &(struct fuse_options){.policy.writeback = true});
	assert_true(from.init.flags & FUSE_WRITEBACK_CACHE);
	assert_true(fuse_create(&from, 1, "new", O_WRONLY, 0644, &created) > 0);
	share_file(&from, "old", "content");
	assert_true(fuse_open(&from, fuse_node(&from, 1, "old"), O_WRONLY, &open) > 0);
	assert_int_equal(fuse_write(&from, created.open.fh, 0, "fresh", 5, 0), 5);
	assert_int_equal(fuse_read(&from, created.open.fh, 0, data, 8), 5);
	assert_int_equal(fuse_read(&from, open.fh, 0, data, 8), 7);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_int_equal(fuse_read(&to, created.open.fh, 0, data, 8), 5);
	assert_int_equal(fuse_read(&to, open.fh, 0, data, 8), 7);
	fuse_stop(&to);
	fuse_stop(&from);
}

static void test_write_only_is_not_read_without(void **state)
{
	struct fuse_created created;
	char data[8];

	(void)state;
	fuse_start(&from, &(struct fuse_options){0});
	assert_false(from.init.flags & FUSE_WRITEBACK_CACHE);
	assert_true(fuse_create(&from, 1, "new", O_WRONLY, 0644, &created) > 0);
	assert_int_equal(fuse_read(&from, created.open.fh, 0, data, 8), -EBADF);
	fuse_stop(&from);
}

static void test_cached_appends_have_a_place(void **state)
{
	struct fuse_created created;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.policy.writeback = true});
	assert_true(fuse_create(&from, 1, "log", O_WRONLY | O_APPEND, 0644, &created) > 0);
	assert_int_equal(cached_write(&from, created.open.fh, 0, "AAAABBBB"), 8);
	assert_int_equal(cached_write(&from, created.open.fh, 0, "CCCC"), 4);
	assert_string_equal(share_content(&from, "log"), "CCCCBBBB");
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_int_equal(cached_write(&to, created.open.fh, 4, "DDDD"), 4);
	assert_string_equal(share_content(&to, "log"), "CCCCDDDD");
	fuse_stop(&to);
	fuse_stop(&from);
}

/* Does a write that no disk would take straight go through? */
static void expect_unaligned(struct fuse_client *client, uint64_t fh, int expected)
{
	assert_int_equal(fuse_write(client, fh, 3, "odd", 3, 0), expected);
}

static void direct(bool allowed, int expected)
{
	struct fuse_created created;

	fuse_start(&from, &(struct fuse_options){.policy.direct_io = allowed});
	assert_true(fuse_create(&from, 1, "f", O_RDWR | O_DIRECT, 0644, &created) > 0);
	expect_unaligned(&from, created.open.fh, expected);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	expect_unaligned(&to, created.open.fh, expected);
	assert_true(fuse_open(&to, created.entry.nodeid, O_RDWR | O_DIRECT, &created.open) > 0);
	expect_unaligned(&to, created.open.fh, expected);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* Does the host's file system mind at all? tmpfs does not. */
static bool minds_alignment(void)
{
	char path[] = "/tmp/gw-direct.XXXXXX";
	int fd = mkostemp(path, O_DIRECT);
	bool minds = fd >= 0 && pwrite(fd, "odd", 3, 3) < 0;

	close(fd);
	unlink(path);
	return minds;
}

static void test_direct_io_only_where_allowed(void **state)
{
	(void)state;
	direct(false, 3);
	if (minds_alignment())
		direct(true, -EINVAL);
}

static time_t atime_after_read(uint32_t flags, bool preserved)
{
	const struct timespec past[] = {{.tv_sec = 1000}, {.tv_sec = 2000}};
	struct fuse_open_out open;
	struct stat st;
	char data[4];

	fuse_start(&from, &(struct fuse_options){.noatime = preserved});
	share_file(&from, "f", "text");
	assert_int_equal(utimensat(AT_FDCWD, share_path(&from, "f"), past, 0), 0);
	assert_true(fuse_open(&from, fuse_node(&from, 1, "f"), flags, &open) > 0);
	assert_int_equal(fuse_read(&from, open.fh, 0, data, 4), 4);
	assert_int_equal(stat(share_path(&from, "f"), &st), 0);
	fuse_stop(&from);
	return st.st_atim.tv_sec;
}

static void test_noatime_only_where_allowed(void **state)
{
	(void)state;
	assert_int_equal(atime_after_read(O_RDONLY | O_NOATIME, true), 1000);
	if (atime_after_read(O_RDONLY, true) != 1000) /* the host counts such times at all */
		assert_int_not_equal(atime_after_read(O_RDONLY | O_NOATIME, false), 1000);
}

static void test_flags_by_option(void **state)
{
	(void)state;
	fuse_start(&from, &(struct fuse_options){.policy = {.mmap = true, .killpriv = true},
						 .no_readdirplus = true});
	assert_true(from.init.flags2 & FUSE_DIRECT_IO_ALLOW_MMAP >> 32);
	assert_true(from.init.flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_false(from.init.flags & (FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO));
	fuse_stop(&from);
	fuse_start(&from, &(struct fuse_options){0});
	assert_false(from.init.flags2 & FUSE_DIRECT_IO_ALLOW_MMAP >> 32);
	assert_false(from.init.flags & FUSE_HANDLE_KILLPRIV_V2);
	assert_true(from.init.flags & FUSE_DO_READDIRPLUS);
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_only_is_read),
		cmocka_unit_test(test_write_only_is_not_read_without),
		cmocka_unit_test(test_cached_appends_have_a_place),
		cmocka_unit_test(test_direct_io_only_where_allowed),
		cmocka_unit_test(test_noatime_only_where_allowed),
		cmocka_unit_test(test_flags_by_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
