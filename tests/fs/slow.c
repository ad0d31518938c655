/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/slow.c - what takes long keeps nobody else waiting, and ends early at a stop. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <time.h>

#define LENGTH (UINT64_C(256) << 20)
#define PIECE  (UINT64_C(4) << 20) /* a stop waits for one of these */

static struct fuse_client client;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* A file with content, so that a copy has something to do. */
static void make_source(void)
{
	static char block[1 << 20];
	int fd = open(share_path(&client, "from"), O_CREAT | O_WRONLY, 0600);

	memset(block, 'x', sizeof(block));
	for (uint64_t i = 0; i < LENGTH; i += sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	close(fd);
}

static void begin_copy(struct fuse_call *call, struct fuse_copy_file_range_in *in)
{
	struct fuse_created to;
	struct fuse_open_out from;

	assert_true(fuse_open(&client, fuse_node(&client, 1, "from"), O_RDONLY, &from) > 0);
	assert_true(fuse_create(&client, 1, "to", O_RDWR, 0600, &to) > 0);
	*in = (struct fuse_copy_file_range_in){
		.fh_in = from.fh, .fh_out = to.open.fh, .len = LENGTH};
	call->opcode = FUSE_COPY_FILE_RANGE_64;
	call->arg = in;
	call->arg_len = sizeof(*in);
	fuse_begin(&client, 1, call);
}

/* Other requests of the same queue are answered while the copy runs. */
static void test_others_go_on(void **state)
{
	struct fuse_copy_file_range_out out;
	struct fuse_call copy = {.answer = &out, .room = sizeof(out)};
	struct fuse_copy_file_range_in in;
	struct fuse_attr attr;
	unsigned before = 0;

	(void)state;
	begin_copy(&copy, &in);
	while (!copy.done && before < 3) {
		assert_true(fuse_getattr(&client, 1, &attr) > 0);
		if (!copy.done)
			before++;
	}
	assert_int_equal(before, 3);
	fuse_wait(&client, 1, &copy);
	assert_int_equal(copy.result, sizeof(out));
	assert_int_equal(out.bytes_copied, LENGTH);
}

/* With one thread in the pool, and that busy, what belongs there does not get done, and what does
 * not does. */
static void test_what_may_block_waits_for_the_pool(void **state)
{
	struct fuse_copy_file_range_out copied;
	struct fuse_copy_file_range_in in;
	struct fuse_call copy = {.answer = &copied, .room = sizeof(copied)};
	struct fuse_open_out sync;
	struct fuse_write_in write_in = {.size = 1};
	struct fuse_write_out written;
	struct fuse_call write = {.opcode = FUSE_WRITE,
				  .arg = &write_in,
				  .arg_len = sizeof(write_in),
				  .data = "x",
				  .data_len = 1,
				  .answer = &written,
				  .room = sizeof(written)};
	struct fuse_create_in create_in = {.flags = O_RDWR | O_TRUNC, .mode = 0600};
	struct fuse_created created;
	struct fuse_call create = {.opcode = FUSE_CREATE,
				   .arg = &create_in,
				   .arg_len = sizeof(create_in),
				   .name = "big",
				   .answer = &created,
				   .room = sizeof(created)};
	struct fuse_attr attr;

	(void)state;
	share_file(&client, "big", "to be cut");
	share_file(&client, "log", "");
	assert_true(fuse_open(&client, fuse_node(&client, 1, "log"), O_WRONLY | O_DSYNC, &sync) >
		    0);
	write_in.fh = sync.fh;
	begin_copy(&copy, &in);
	fuse_begin(&client, 1, &write);
	fuse_begin(&client, 1, &create);
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_false(copy.done);
	assert_false(write.done);
	assert_false(create.done);
	fuse_wait(&client, 1, &copy);
	fuse_wait(&client, 1, &write);
	fuse_wait(&client, 1, &create);
	assert_int_equal(written.size, 1);
	assert_int_equal(create.result, sizeof(created));
	assert_int_equal(created.entry.attr.size, 0);
}

static void interrupt(uint64_t unique)
{
	const struct fuse_interrupt_in in = {.unique = unique};

	assert_int_equal(fuse_call_on(&client, 0,
				      &(struct fuse_call){.opcode = FUSE_INTERRUPT,
							  .arg = &in,
							  .arg_len = sizeof(in),
							  .room = 16}),
			 FUSE_NO_ANSWER);
}

/* What waits for a thread can be called back; what runs goes on, and what is unknown is nothing. */
static void test_interrupted(void **state)
{
	struct fuse_copy_file_range_out copied;
	struct fuse_copy_file_range_in in;
	struct fuse_call copy = {.answer = &copied, .room = sizeof(copied)};
	struct fuse_fsync_in sync_in = {0};
	struct fuse_call sync = {.opcode = FUSE_FSYNC, .arg = &sync_in, .arg_len = sizeof(sync_in)};
	struct fuse_attr attr;
	uint64_t unique;

	(void)state;
	begin_copy(&copy, &in);
	assert_true(fuse_getattr(&client, 1, &attr) > 0); /* the copy runs by now, or is next */
	sync_in.fh = in.fh_out;
	fuse_begin(&client, 1, &sync);
	unique = client.unique;
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	interrupt(client.unique); /* the GETATTR, long done */
	assert_false(sync.done);
	interrupt(unique);
	fuse_wait(&client, 1, &sync);
	assert_int_equal(sync.result, -EINTR);
	assert_false(copy.done);
	fuse_wait(&client, 1, &copy);
	assert_int_equal(copied.bytes_copied, LENGTH);
}

/* A stop is answered soon, and the guest told how far the copy came. */
static void test_stop_cuts_it_short(void **state)
{
	struct fuse_copy_file_range_out out;
	struct fuse_call copy = {.answer = &out, .room = sizeof(out)};
	struct fuse_copy_file_range_in in;
	struct fuse_attr attr;
	struct stat st;
	double start;

	(void)state;
	begin_copy(&copy, &in);
	/* The copy is in the pool when a later request was answered. */
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_false(copy.done);
	start = now_ms();
	assert_int_equal(gw_frontend_stop(client.frontend), 0);
	print_message("stopped after %.1f ms\n", now_ms() - start);
	fuse_wait(&client, 1, &copy);
	assert_int_equal(copy.result, sizeof(out));
	assert_true(out.bytes_copied > 0 && out.bytes_copied < LENGTH);
	assert_int_equal(out.bytes_copied % PIECE, 0);
	assert_int_equal(stat(share_path(&client, "to"), &st), 0);
	assert_int_equal(st.st_size, out.bytes_copied);
	assert_int_equal(gw_frontend_start(client.frontend), 0);
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
}

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){.threads = 1});
	make_source();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_others_go_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_may_block_waits_for_the_pool, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_interrupted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_cuts_it_short, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
