/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/malformed.c - every operation at every wrong length: an errno, and life goes on. */
#include "../common/fuse_client.h"

#include <stdio.h>

#include "fs/ops.h"

static struct fuse_client client;

static int setup(void **state)
{
	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.policy.xattr = true});
	share_file(&client, "file", "x");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static void assert_alive(void)
{
	struct fuse_attr attr;

	assert_true(fuse_getattr(&client, 1, &attr) > 0);
}

/* An argument of all lengths from none to one byte too little. */
static void test_short_arguments(void **state)
{
	static const char zeros[FS_ARG_MAX];

	(void)state;
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		const struct fs_op *op = fs_op_find(opcode);
		size_t least = op ? (op->arg_min ? op->arg_min : op->arg_size) : 0;

		for (size_t len = 0; len < least; len++) {
			struct fuse_call call = {
				.opcode = opcode, .arg = zeros, .arg_len = len, .room = 4096};
			unsigned queue = op->flags & FS_OP_HIPRIO ? 0 : 1;
			int ret = fuse_call_on(&client, queue, &call);

			assert_int_equal(ret, op->flags & FS_OP_MUTE ? FUSE_NO_ANSWER : -EINVAL);
		}
	}
	assert_alive();
}

/* Names that are missing or have no end. */
static void test_missing_names(void **state)
{
	static const char zeros[FS_ARG_MAX];

	(void)state;
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		const struct fs_op *op = fs_op_find(opcode);

		for (unsigned names = 0; op && names < op->names; names++) {
			struct fuse_call call = {
				.opcode = opcode,
				.arg = zeros,
				.arg_len = op->flags & FS_OP_LONG_ARG ? op->arg_min : op->arg_size,
				.name = names ? "name" : NULL,
				.room = 4096};

			assert_int_equal(fuse_call(&client, &call), -EINVAL);
			call.data = "open end";
			call.data_len = 8;
			assert_int_equal(fuse_call(&client, &call), -EINVAL);
		}
	}
	assert_alive();
}

/* Too little room for the answer: nothing is done, nothing is written beyond it. */
static void test_small_answers(void **state)
{
	static const char zeros[FS_ARG_MAX];

	(void)state;
	for (uint32_t opcode = 0; opcode < 64; opcode++) {
		const struct fs_op *op = fs_op_find(opcode);
		struct fuse_call call = {.opcode = opcode, .arg = zeros, .room = 0};

		if (!op || !op->answer)
			continue;
		call.arg_len = op->arg_size;
		call.name = op->names > 0 ? "made" : NULL;
		call.name2 = op->names > 1 ? "made2" : NULL;
		for (size_t room = 16; room < 16u + op->answer; room += 7) {
			call.in_room = room;
			assert_int_equal(fuse_call(&client, &call), -EINVAL);
		}
		call.in_room = 15;
		assert_int_equal(fuse_call(&client, &call), FUSE_NO_ANSWER);
	}
	assert_int_equal(access(share_path(&client, "made"), F_OK), -1);
	assert_alive();
}

static void test_headers(void **state)
{
	struct fuse_getattr_in in = {0};
	struct fuse_call call = {
		.opcode = FUSE_GETATTR, .arg = &in, .arg_len = sizeof(in), .room = 104};

	(void)state;
	for (size_t cut = 1; cut < 40; cut++) {
		call.cut = cut;
		assert_int_equal(fuse_call(&client, &call), FUSE_NO_ANSWER);
	}
	call.cut = 0;
	call.len = 57; /* one more than there is */
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	call.len = UINT32_MAX;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	call.len = 39;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	call.len = 55; /* less: the rest is not looked at */
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	assert_alive();
}

static void test_unknown(void **state)
{
	static const uint32_t unknown[] = {0,  7,    FUSE_BMAP, FUSE_POLL, FUSE_SETUPMAPPING,
					   54, 4096, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_int_equal(
			fuse_call(&client, &(struct fuse_call){.opcode = unknown[i], .room = 100}),
			-ENOSYS);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_INTERRUPT,
								.arg = "12345678",
								.arg_len = 8,
								.room = 100}),
			 FUSE_NO_ANSWER);
	assert_alive();
}

/* The high-priority queue has few uses; FORGETs that mean nothing are passed over. */
static void test_hiprio(void **state)
{
	struct fuse_getattr_in in = {0};
	struct {
		struct fuse_batch_forget_in head;
		struct fuse_forget_one one[100];
	} batch = {.head = {.count = 100}};
	struct fuse_call call = {
		.opcode = FUSE_BATCH_FORGET, .arg = &batch, .arg_len = sizeof(batch)};
	struct fuse_attr attr;
	uint64_t node = fuse_node(&client, 1, "file");

	(void)state;
	assert_int_equal(fuse_call_on(&client, 0,
				      &(struct fuse_call){.opcode = FUSE_GETATTR,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .room = 104}),
			 -EINVAL);
	fuse_forget(&client, 1, 1000);
	fuse_forget(&client, 123456789, 1);
	fuse_forget(&client, UINT64_MAX, UINT64_MAX);
	assert_alive();
	batch.one[99] = (struct fuse_forget_one){.nodeid = node, .nlookup = 1};
	assert_int_equal(fuse_call_on(&client, 0, &call), FUSE_NO_ANSWER);
	assert_int_equal(fuse_getattr(&client, node, &attr), -ESTALE);
	/* It says that it has more than there are. */
	batch.head.count = UINT32_MAX;
	assert_int_equal(fuse_call_on(&client, 0, &call), FUSE_NO_ANSWER);
	call.arg_len = sizeof(batch.head);
	assert_int_equal(fuse_call_on(&client, 0, &call), FUSE_NO_ANSWER);
	assert_alive();
}

/* Lines of the log that speak of a guest's request. */
static atomic_uint lines;
static char last_line[256];

static void keep_line(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	if (level != GW_LOG_WARN || !strstr(line, "guest: "))
		return;
	if (!strstr(line, "left out"))
		snprintf(last_line, sizeof(last_line), "%s", line);
	lines++;
}

/* Who reads the log learns which request, from where, and what was wrong; not each time. */
static void test_said_in_the_log(void **state)
{
	static const struct fuse_open_in in;

	(void)state;
	/* What may be said in this second has been said by the tests before. */
	usleep(1100000);
	gw_log_set_level(GW_LOG_WARN);
	gw_log_set_sink(keep_line, NULL);
	for (int i = 0; i < 1000; i++) {
		struct fuse_call call = {
			.opcode = FUSE_OPEN, .nodeid = 7, .arg = &in, .arg_len = 3, .room = 64};

		assert_int_equal(fuse_call(&client, &call), -EINVAL);
	}
	gw_log_set_sink(NULL, NULL);
	assert_non_null(strstr(last_line, "OPEN"));
	assert_non_null(strstr(last_line, "queue 1, node 0x7"));
	assert_non_null(strstr(last_line, "3 bytes of argument, expected 8"));
	/* Of one second or, on a busy machine, of a few. */
	assert_in_range(lines, 1, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_short_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hiprio, setup, teardown),
		cmocka_unit_test_setup_teardown(test_said_in_the_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
