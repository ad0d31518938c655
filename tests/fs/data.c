/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/data.c - READ and WRITE move exactly what they say; holes, copies and allocation. */
#include "../common/fuse_client.h"

#include <stdlib.h>

#define MIB (1024 * 1024)

static struct fuse_client client;
static struct fuse_open_out file;
static char *big;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	share_file(&client, "file", "0123456789");
	assert_true(fuse_open(&client, fuse_node(&client, 1, "file"), O_RDWR, &file) > 0);
	big = malloc(MIB);
	for (size_t i = 0; i < MIB; i++)
		big[i] = (char)(i * 7 + i / 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(big);
	fuse_stop(&client);
	return 0;
}

/* A buffer that is larger than `size` is not filled beyond it. */
static void test_read_is_trimmed(void **state)
{
	struct fuse_read_in in = {.fh = file.fh, .offset = 2, .size = 3};
	char data[100] = "";

	(void)state;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_READ,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = data,
								.room = sizeof(data)}),
			 3);
	assert_string_equal(data, "234");
	assert_int_equal((unsigned char)client.slots[1][1].in[16 + 3], 0xa5);
	/* One that is smaller gets nothing. */
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_READ,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = data,
								.room = 2}),
			 -EINVAL);
	in.offset = UINT64_MAX - 1;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_READ,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = data,
								.room = 3}),
			 -EINVAL);
}

static void test_write_is_trimmed(void **state)
{
	struct fuse_write_in in = {.fh = file.fh, .offset = 1, .size = 2};
	struct fuse_write_out out;
	struct fuse_call call = {.opcode = FUSE_WRITE,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .data = "abcdef",
				 .data_len = 6,
				 .answer = &out,
				 .room = sizeof(out)};

	(void)state;
	assert_int_equal(fuse_call(&client, &call), sizeof(out));
	assert_int_equal(out.size, 2);
	assert_string_equal(share_content(&client, "file"), "0ab3456789");
	in.size = 7;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	in.size = 1;
	in.offset = INT64_MAX;
	assert_int_equal(fuse_call(&client, &call), -EFBIG);
	in.size = 0;
	in.offset = 0;
	assert_int_equal(fuse_call(&client, &call), sizeof(out));
	assert_int_equal(out.size, 0);
}

static void test_megabytes(void **state)
{
	char *back = malloc(MIB);
	struct fuse_read_in in = {.fh = file.fh, .size = MIB};

	(void)state;
	assert_int_equal(fuse_write(&client, file.fh, 0, big, MIB, 0), MIB);
	assert_int_equal(fuse_read(&client, file.fh, 0, back, MIB), MIB);
	assert_memory_equal(back, big, MIB);
	memset(back, 0, MIB);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_READ,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = back,
								.room = MIB,
								.segments = 60}),
			 MIB);
	assert_memory_equal(back, big, MIB);
	free(back);
}

/* What is not in the page cache is read too, by the pool, and the queue goes on meanwhile. */
static void test_cold_read(void **state)
{
	char *back = malloc(MIB);
	int fd = open(share_path(&client, "file"), O_RDWR);

	(void)state;
	assert_int_equal(fuse_write(&client, file.fh, 0, big, MIB, 0), MIB);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
	assert_int_equal(fuse_read(&client, file.fh, 4096, back, MIB), MIB - 4096);
	assert_memory_equal(back, big + 4096, MIB - 4096);
	free(back);
}

static int seek(uint64_t offset, uint32_t whence, uint64_t *result)
{
	struct fuse_lseek_in in = {.fh = file.fh, .offset = offset, .whence = whence};
	struct fuse_lseek_out out = {0};
	int ret = fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LSEEK,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .answer = &out,
							 .room = sizeof(out)});

	*result = out.offset;
	return ret;
}

static int allocate(uint64_t offset, uint64_t len, uint32_t mode)
{
	struct fuse_fallocate_in in = {
		.fh = file.fh, .offset = offset, .length = len, .mode = mode};

	return fuse_call(
		&client,
		&(struct fuse_call){.opcode = FUSE_FALLOCATE, .arg = &in, .arg_len = sizeof(in)});
}

static void test_seek_and_allocate(void **state)
{
	struct stat st;
	uint64_t at;

	(void)state;
	assert_int_equal(fuse_write(&client, file.fh, MIB, "x", 1, 0), 1);
	assert_true(seek(0, SEEK_DATA, &at) > 0);
	assert_int_equal(at, 0);
	assert_int_equal(seek(0, SEEK_SET, &at), -EINVAL);
	assert_int_equal(seek(2 * MIB, SEEK_DATA, &at), -ENXIO);
	assert_int_equal(allocate(0, 2 * MIB, 0), 0);
	assert_int_equal(stat(share_path(&client, "file"), &st), 0);
	assert_int_equal(st.st_size, 2 * MIB);
	assert_int_equal(allocate(0, 0, 0), -EINVAL);
	assert_int_equal(allocate(INT64_MAX, 2, 0), -EFBIG);
}

static void test_copy(void **state)
{
	struct fuse_created to;
	struct fuse_copy_file_range_in in = {.fh_in = file.fh, .off_in = 2, .len = 5};
	struct fuse_copy_file_range_out out64;
	struct fuse_write_out out;

	(void)state;
	assert_true(fuse_create(&client, 1, "copy", O_RDWR, 0600, &to) > 0);
	in.fh_out = to.open.fh;
	in.nodeid_out = to.entry.nodeid;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_COPY_FILE_RANGE,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .answer = &out,
							   .room = sizeof(out)}) > 0);
	assert_int_equal(out.size, 5);
	assert_string_equal(share_content(&client, "copy"), "23456");
	in.len = UINT64_MAX;
	in.off_out = 5;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_COPY_FILE_RANGE_64,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .answer = &out64,
							   .room = sizeof(out64)}) > 0);
	assert_int_equal(out64.bytes_copied, 8);
	assert_string_equal(share_content(&client, "copy"), "2345623456789");
	in.fh_out = 31337;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_COPY_FILE_RANGE_64,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = &out64,
								.room = sizeof(out64)}),
			 -EBADF);
}

static void test_syncfs(void **state)
{
	struct fuse_syncfs_in in = {0};

	(void)state;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYNCFS,
								.arg = &in,
								.arg_len = sizeof(in)}),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read_is_trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_is_trimmed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_megabytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cold_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seek_and_allocate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_syncfs, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
