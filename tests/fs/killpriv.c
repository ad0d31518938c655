/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/killpriv.c - a change takes set-id bits away, from whom the guest's kernel says. */
#include "../common/fuse_client.h"

static struct fuse_client client;
static uint64_t node;
static bool killed;  /* what the guest's kernel says of its caller */
static uint32_t uid; /* who that is */

static void write_by(void)
{
	struct fuse_write_in in = {.size = 1, .write_flags = killed ? FUSE_WRITE_KILL_SUIDGID : 0};
	struct fuse_write_out out;
	struct fuse_open_out open;

	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	in.fh = open.fh;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_WRITE,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .data = "x",
							   .data_len = 1,
							   .answer = &out,
							   .room = sizeof(out)}) > 0);
}

static void truncate_by(void)
{
	const struct fuse_setattr_in in = {.valid = FATTR_SIZE | (killed ? FATTR_KILL_SUIDGID : 0)};

	assert_true(fuse_setattr(&client, node, &in, NULL) > 0);
}

static void open_by(void)
{
	struct fuse_open_in in = {.flags = O_WRONLY | O_TRUNC,
				  .open_flags = killed ? FUSE_OPEN_KILL_SUIDGID : 0};
	struct fuse_open_out open;

	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_OPEN,
							   .nodeid = node,
							   .uid = uid,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .answer = &open,
							   .room = sizeof(open)}) > 0);
}

static void allocate_by(void)
{
	struct fuse_fallocate_in in = {.length = 100};
	struct fuse_open_out open;

	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	in.fh = open.fh;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FALLOCATE,
								.nodeid = node,
								.uid = uid,
								.arg = &in,
								.arg_len = sizeof(in)}),
			 0);
}

static void copy_by(void)
{
	struct fuse_copy_file_range_in in = {.len = 1, .nodeid_out = node};
	struct fuse_open_out open;
	struct fuse_write_out out;

	share_file(&client, "other", "x");
	assert_true(fuse_open(&client, fuse_node(&client, 1, "other"), O_RDONLY, &open) > 0);
	in.fh_in = open.fh;
	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	in.fh_out = open.fh;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_COPY_FILE_RANGE,
							   .nodeid = node,
							   .uid = uid,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .answer = &out,
							   .room = sizeof(out)}) > 0);
}

typedef void change_fn(void);

/* Mode @before becomes @after. */
static void expect_of(change_fn *change, mode_t before, mode_t after)
{
	struct stat st;

	assert_int_equal(chmod(share_path(&client, "file"), before), 0);
	change();
	assert_int_equal(stat(share_path(&client, "file"), &st), 0);
	assert_int_equal(st.st_mode & 07777, after);
}

/* For each change of which the guest's kernel says for whom it is. */
static void expect(mode_t before, mode_t after)
{
	expect_of(write_by, before, after);
	expect_of(truncate_by, before, after);
	expect_of(open_by, before, after);
}

static void begin(bool agreed)
{
	fuse_start(&client, &(struct fuse_options){.policy.killpriv = agreed});
	share_file(&client, "file", "text");
	node = fuse_node(&client, 1, "file");
}

static void test_killed(void **state)
{
	(void)state;
	begin(true);
	killed = true;
	expect(06775, 0775);
	expect(04700, 0700);
	expect(02764, 02764); /* no right to execute: not what it seems */
	expect(0644, 0644);
	fuse_stop(&client);
}

static void test_caller_is_privileged(void **state)
{
	(void)state;
	begin(true);
	killed = false;
	expect(06775, 06775);
	fuse_stop(&client);
}

static void test_not_agreed_on(void **state)
{
	(void)state;
	begin(false);
	killed = true;
	expect_of(write_by, 06775, 0775); /* said of writes past the page cache, agreed on or not */
	killed = false;
	expect(06775, 06775);
	fuse_stop(&client);
}

/* What the guest's kernel says nothing about goes by the user. */
static void test_by_user(void **state)
{
	(void)state;
	begin(true);
	killed = false;
	expect_of(allocate_by, 06775, 06775);
	expect_of(copy_by, 06775, 06775);
	uid = 1000;
	expect_of(allocate_by, 06775, 0775);
	expect_of(copy_by, 06775, 0775);
	expect_of(open_by, 06775, 06775); /* of this it has said something */
	uid = 0;
	fuse_stop(&client);
}

static void test_truncation_not_agreed_on(void **state)
{
	(void)state;
	begin(false);
	uid = 1000;
	expect_of(open_by, 06775, 0775);
	expect_of(open_by, 02764, 02764);
	uid = 0;
	expect_of(open_by, 06775, 06775);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_caller_is_privileged),
		cmocka_unit_test(test_not_agreed_on),
		cmocka_unit_test(test_by_user),
		cmocka_unit_test(test_truncation_not_agreed_on),
	};

	if (geteuid() != 0) {
		printf("from other users the host's kernel takes the bits: run as root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
