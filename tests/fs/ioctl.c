/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ioctl.c - file attributes and fs-verity by IOCTL; everything else is none of the guest's. */
#include "../common/fuse_client.h"

#include <linux/fs.h>
#include <linux/fsverity.h>
#include <sys/ioctl.h>

static struct fuse_client client;
static uint64_t fh;

struct answer {
	struct fuse_ioctl_out head;
	unsigned char data[256];
};

static int control(uint64_t handle, uint32_t cmd, const void *data, size_t in, size_t out,
		   struct answer *answer)
{
	const struct fuse_ioctl_in arg = {
		.fh = handle, .cmd = cmd, .in_size = (uint32_t)in, .out_size = (uint32_t)out};

	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_IOCTL,
						      .arg = &arg,
						      .arg_len = sizeof(arg),
						      .data = data,
						      .data_len = in,
						      .answer = answer,
						      .room = sizeof(*answer)});
}

static int host_flags(unsigned *flags)
{
	int fd = open(share_path(&client, "file"), O_RDONLY);
	int ret = ioctl(fd, FS_IOC_GETFLAGS, flags);

	close(fd);
	return ret;
}

static void begin(bool readonly)
{
	struct fuse_open_out open;
	unsigned flags;

	fuse_start(&client, &(struct fuse_options){.readonly = readonly});
	share_file(&client, "file", "content");
	assert_true(fuse_open(&client, fuse_node(&client, 1, "file"), O_RDONLY, &open) > 0);
	fh = open.fh;
	if (host_flags(&flags) < 0) {
		fuse_stop(&client);
		skip(); /* the host's file system has none */
	}
}

static void test_flags(void **state)
{
	struct answer answer;
	unsigned flags;
	uint64_t dir;

	(void)state;
	begin(false);
	assert_int_equal(control(fh, FS_IOC_GETFLAGS, NULL, 0, 4, &answer), 16 + 4);
	assert_int_equal(answer.head.result, 0);
	memcpy(&flags, answer.data, sizeof(flags));
	flags |= FS_NODUMP_FL;
	assert_int_equal(control(fh, FS_IOC_SETFLAGS, &flags, 4, 0, &answer), 16);
	assert_int_equal(host_flags(&flags), 0);
	assert_true(flags & FS_NODUMP_FL);
	assert_true(fuse_opendir(&client, 1, &dir) > 0);
	assert_int_equal(control(dir, FS_IOC_GETFLAGS, NULL, 0, 4, &answer), 16 + 4);
	fuse_stop(&client);
}

/* Quotas of the host go by projects. */
static void test_projects_are_the_host_s(void **state)
{
	struct answer answer;
	struct fsxattr attr;

	(void)state;
	begin(false);
	if (control(fh, FS_IOC_FSGETXATTR, NULL, 0, sizeof(attr), &answer) < 0) {
		fuse_stop(&client);
		skip();
	}
	memcpy(&attr, answer.data, sizeof(attr));
	attr.fsx_xflags |= FS_XFLAG_NODUMP;
	assert_int_equal(control(fh, FS_IOC_FSSETXATTR, &attr, sizeof(attr), 0, &answer), 16);
	attr.fsx_projid++;
	assert_int_equal(control(fh, FS_IOC_FSSETXATTR, &attr, sizeof(attr), 0, &answer), -EPERM);
	attr.fsx_projid--;
	attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	assert_int_equal(control(fh, FS_IOC_FSSETXATTR, &attr, sizeof(attr), 0, &answer), -EPERM);
	fuse_stop(&client);
}

/* What the host says, whether its file system has it or not; never what the guest's pointers say.
 */
static void test_verity(void **state)
{
	struct {
		struct fsverity_enable_arg arg;
		char salt[4];
	} enable = {.arg = {.version = 1,
			    .hash_algorithm = FS_VERITY_HASH_ALG_SHA256,
			    .block_size = 4096,
			    .salt_size = 4,
			    .salt_ptr = UINT64_MAX}};
	struct fsverity_digest digest = {.digest_size = 32};
	struct answer answer;
	int ret;

	(void)state;
	begin(false);
	ret = control(fh, FS_IOC_ENABLE_VERITY, &enable, sizeof(enable), 0, &answer);
	assert_true(ret == 16 || ret == -EOPNOTSUPP || ret == -ENOTTY);
	if (ret == 16)
		assert_int_equal(control(fh, FS_IOC_MEASURE_VERITY, &digest, 4, 36, &answer),
				 16 + 36);
	else
		assert_int_not_equal(ret, -EFAULT);
	enable.arg.salt_size = 9; /* more than came */
	assert_int_equal(control(fh, FS_IOC_ENABLE_VERITY, &enable, sizeof(enable), 0, &answer),
			 -EINVAL);
	enable.arg.salt_size = UINT32_MAX;
	assert_int_equal(control(fh, FS_IOC_ENABLE_VERITY, &enable, sizeof(enable), 0, &answer),
			 -EMSGSIZE);
	enable.arg.salt_size = 4;
	enable.arg.sig_size = UINT32_MAX;
	assert_int_equal(control(fh, FS_IOC_ENABLE_VERITY, &enable, sizeof(enable), 0, &answer),
			 -EMSGSIZE);
	fuse_stop(&client);
}

static void test_nothing_else(void **state)
{
	struct answer answer;
	uint64_t range[2] = {0, UINT64_MAX};

	(void)state;
	begin(false);
	assert_int_equal(control(fh, FIONREAD, NULL, 0, 4, &answer), -ENOTTY);
	assert_int_equal(control(fh, FIFREEZE, NULL, 0, 0, &answer), -ENOTTY);
	assert_int_equal(control(fh, FITRIM, range, sizeof(range), 16, &answer), -ENOTTY);
	assert_int_equal(control(fh, FICLONE, NULL, 0, 0, &answer), -ENOTTY);
	assert_int_equal(control(fh + 1000, FS_IOC_GETFLAGS, NULL, 0, 4, &answer), -EBADF);
	assert_int_equal(control(fh, FS_IOC_GETFLAGS, NULL, 0, 3, &answer), -EINVAL);
	assert_int_equal(control(fh, FS_IOC_SETFLAGS, "abc", 3, 0, &answer), -EINVAL);
	fuse_stop(&client);
}

static void test_readonly(void **state)
{
	struct answer answer;
	unsigned flags = 0;

	(void)state;
	begin(true);
	assert_true(control(fh, FS_IOC_GETFLAGS, NULL, 0, 4, &answer) > 0);
	assert_int_equal(control(fh, FS_IOC_SETFLAGS, &flags, 4, 0, &answer), -EROFS);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flags),	 cmocka_unit_test(test_projects_are_the_host_s),
		cmocka_unit_test(test_verity),	 cmocka_unit_test(test_nothing_else),
		cmocka_unit_test(test_readonly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
