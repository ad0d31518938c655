/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks-wait.c - who waits for a lock gets it when it is free, and nobody waits for who waits.
 */
#include "../common/fuse_client.h"

#include <sys/file.h>
#include <time.h>

#define PROMPT_MS 2000 /* on a loaded machine */
#define A_WHILE	  50
#define RING	  32

static struct fuse_client client;
static uint64_t fh, other_fh, node;

/* One request at a time of its own. */
struct wish {
	struct fuse_lk_in in;
	struct fuse_call call;
};

static void begin_lock(struct wish *wish, uint32_t opcode, uint64_t handle, uint64_t owner,
		       uint32_t type, uint32_t flags)
{
	*wish = (struct wish){.in = {.fh = handle,
				     .owner = owner,
				     .lk = {.start = 0, .end = 9, .type = type},
				     .lk_flags = flags}};
	wish->call = (struct fuse_call){
		.opcode = opcode, .nodeid = node, .arg = &wish->in, .arg_len = sizeof(wish->in)};
	fuse_begin(&client, 1, &wish->call);
}

static void begin_wait(struct wish *wish, uint64_t owner)
{
	begin_lock(wish, FUSE_SETLKW, fh, owner, F_WRLCK, 0);
}

static int now(uint32_t opcode, uint64_t handle, uint64_t owner, uint32_t type, uint32_t flags)
{
	struct wish wish;

	begin_lock(&wish, opcode, handle, owner, type, flags);
	fuse_wait(&client, 1, &wish.call);
	return wish.call.result;
}

static int end_wait(struct wish *wish)
{
	fuse_wait(&client, 1, &wish->call);
	return wish->call.result;
}

static void sleep_ms(long ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Other requests are answered meanwhile. */
static void assert_waits(const struct wish *wish)
{
	struct fuse_attr attr;

	sleep_ms(A_WHILE);
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_false(wish->call.done);
}

static int rival(short type)
{
	struct flock lock = {.l_type = type, .l_len = 10};
	int fd = open(share_path(&client, "file"), O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

static void begin_with(const struct fuse_options *options)
{
	struct fuse_open_out open;

	fuse_start(&client, options);
	share_file(&client, "file", "content");
	assert_int_equal(chmod(share_path(&client, "file"), 0666), 0);
	node = fuse_node(&client, 1, "file");
	assert_true(fuse_open(&client, node, O_RDWR, &open) > 0);
	fh = open.fh;
	assert_true(fuse_open(&client, node, O_RDWR, &open) > 0);
	other_fh = open.fh;
}

static void begin(void)
{
	begin_with(&(struct fuse_options){
		.policy = {.posix_lock = true, .flock = true, .lock_wait = true}});
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int flush(uint64_t owner)
{
	const struct fuse_flush_in in = {.fh = fh, .lock_owner = owner};

	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FLUSH,
						      .nodeid = node,
						      .arg = &in,
						      .arg_len = sizeof(in)});
}

static void test_at_once(void **state)
{
	(void)state;
	begin();
	assert_int_equal(now(FUSE_SETLKW, fh, 1, F_WRLCK, 0), 0);
	assert_int_equal(now(FUSE_SETLKW, fh, 1, F_UNLCK, 0), 0);
	assert_int_equal(now(FUSE_SETLKW, 12345, 1, F_WRLCK, 0), -EBADF);
	assert_int_equal(now(FUSE_SETLKW, fh, 1, 77, 0), -EINVAL);
	fuse_stop(&client);
}

/* By an unlock, by a downgrade, by a close. */
static void test_given_back_here(void **state)
{
	struct wish one, two;

	(void)state;
	begin();
	assert_int_equal(now(FUSE_SETLK, fh, 1, F_WRLCK, 0), 0);
	begin_wait(&one, 2);
	assert_waits(&one);
	assert_int_equal(now(FUSE_SETLK, fh, 1, F_UNLCK, 0), 0);
	assert_int_equal(end_wait(&one), 0);
	begin_lock(&one, FUSE_SETLKW, fh, 3, F_RDLCK, 0);
	begin_lock(&two, FUSE_SETLKW, fh, 4, F_RDLCK, 0);
	assert_waits(&one);
	assert_waits(&two);
	assert_int_equal(now(FUSE_SETLK, fh, 2, F_RDLCK, 0), 0);
	assert_int_equal(end_wait(&one), 0);
	assert_int_equal(end_wait(&two), 0);
	begin_wait(&one, 5);
	assert_int_equal(flush(2), 0);
	assert_int_equal(flush(3), 0);
	assert_waits(&one);
	assert_int_equal(flush(4), 0);
	assert_int_equal(end_wait(&one), 0);
	fuse_stop(&client);
}

static void test_given_back_elsewhere(void **state)
{
	struct wish wish;
	double since;
	int fd;

	(void)state;
	begin();
	fd = rival(F_WRLCK);
	begin_wait(&wish, 1);
	assert_waits(&wish);
	close(fd);
	since = now_ms();
	assert_int_equal(end_wait(&wish), 0);
	assert_true(now_ms() - since < PROMPT_MS);
	fuse_stop(&client);
}

static void test_flock(void **state)
{
	struct wish wish;
	int fd;

	(void)state;
	begin();
	assert_int_equal(now(FUSE_SETLK, fh, 1, F_WRLCK, FUSE_LK_FLOCK), 0);
	begin_lock(&wish, FUSE_SETLKW, other_fh, 1, F_RDLCK, FUSE_LK_FLOCK);
	assert_waits(&wish);
	assert_int_equal(now(FUSE_SETLK, fh, 1, F_UNLCK, FUSE_LK_FLOCK), 0);
	assert_int_equal(end_wait(&wish), 0);
	/* What waits through an open file ends with it. */
	fd = open(share_path(&client, "file"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_SH), 0);
	begin_lock(&wish, FUSE_SETLKW, fh, 1, F_WRLCK, FUSE_LK_FLOCK);
	assert_waits(&wish);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, fh), 0);
	assert_int_equal(end_wait(&wish), -EBADF);
	close(fd);
	fuse_stop(&client);
}

static void interrupt(uint64_t unique)
{
	const struct fuse_interrupt_in in = {.unique = unique};

	assert_int_equal(fuse_call_on(&client, 0,
				      &(struct fuse_call){.opcode = FUSE_INTERRUPT,
							  .arg = &in,
							  .arg_len = sizeof(in)}),
			 FUSE_NO_ANSWER);
}

static void test_interrupted(void **state)
{
	struct wish one, two;
	uint64_t unique;
	int fd;

	(void)state;
	begin();
	fd = rival(F_WRLCK);
	unique = client.unique + 2;
	begin_wait(&one, 1);
	begin_wait(&two, 2);
	assert_waits(&one);
	interrupt(12345);
	interrupt(unique);
	assert_int_equal(end_wait(&one), -EINTR);
	assert_waits(&two);
	close(fd);
	assert_int_equal(end_wait(&two), 0);
	fuse_stop(&client);
}

static void begin_range(struct wish *wish, uint32_t opcode, uint64_t owner, uint64_t start)
{
	*wish = (struct wish){.in = {.fh = fh,
				     .owner = owner,
				     .lk = {.start = start, .end = start, .type = F_WRLCK}}};
	wish->call = (struct fuse_call){
		.opcode = opcode, .nodeid = node, .arg = &wish->in, .arg_len = sizeof(wish->in)};
	fuse_begin(&client, 1, &wish->call);
}

/* Each holds one byte and waits for the next one's; the last would wait for ever. */
static void test_circle(void **state)
{
	struct wish wishes[3], last;

	(void)state;
	begin();
	for (uint64_t i = 0; i < 4; i++) {
		begin_range(&last, FUSE_SETLK, i, i);
		assert_int_equal(end_wait(&last), 0);
	}
	for (uint64_t i = 0; i < 3; i++)
		begin_range(&wishes[i], FUSE_SETLKW, i, i + 1);
	assert_waits(&wishes[0]);
	begin_range(&last, FUSE_SETLKW, 3, 1);
	assert_int_equal(end_wait(&last), -EDEADLK);
	/* Somebody else may wait for one of them, and they go on when they can. */
	begin_range(&last, FUSE_SETLKW, 5, 0);
	assert_waits(&last);
	assert_int_equal(flush(3), 0);
	for (uint64_t i = 3; i--;) {
		assert_int_equal(end_wait(&wishes[i]), 0);
		assert_int_equal(flush(i), 0);
	}
	assert_int_equal(end_wait(&last), 0);
	fuse_stop(&client);
}

/* Who has it gives it back; how many had it. */
static int give_back_all(struct wish *wishes)
{
	int count = 0;

	for (unsigned i = 0; i < RING / 4; i++) {
		if (!wishes[i].call.done)
			continue;
		assert_int_equal(wishes[i].call.result, 0);
		wishes[i].call.done = false;
		assert_int_equal(flush(i), 0);
		count++;
	}
	return count;
}

/* However many would wait, there is room on the ring for who gives back. */
static void test_room(void **state)
{
	struct wish wishes[RING / 4];
	int left = RING / 4;

	(void)state;
	begin_with(&(struct fuse_options){
		.policy = {.posix_lock = true, .lock_wait = true}, .threads = 2, .ring = RING});
	assert_int_equal(now(FUSE_SETLK, fh, 1000, F_WRLCK, 0), 0);
	for (unsigned i = 0; i < RING / 4; i++)
		begin_wait(&wishes[i], i);
	assert_waits(&wishes[0]);
	assert_int_equal(now(FUSE_SETLKW, fh, 1001, F_WRLCK, 0), -ENOLCK);
	assert_int_equal(now(FUSE_SETLKW, fh, 1000, F_WRLCK, 0), 0);
	assert_int_equal(flush(1000), 0);
	while (left) {
		int given = give_back_all(wishes);

		left -= given;
		if (!given)
			fuse_wait(&client, 1, NULL);
	}
	fuse_stop(&client);
}

/* A guest that stops and goes on notices nothing, however often. */
static void test_stop(void **state)
{
	struct wish wish;
	double since;
	int fd;

	(void)state;
	begin();
	fd = rival(F_WRLCK);
	begin_wait(&wish, 1);
	for (int i = 0; i < 5; i++) {
		since = now_ms();
		assert_int_equal(gw_frontend_stop(client.frontend), 0);
		assert_true(now_ms() - since < PROMPT_MS);
		fuse_resume(&client);
		assert_waits(&wish);
	}
	assert_int_equal(gw_frontend_stop(client.frontend), 0);
	close(fd);
	fuse_resume(&client);
	assert_int_equal(end_wait(&wish), 0);
	fuse_stop(&client);
}

/* A session that ends takes them along; and so does a front-end that goes. */
static void test_ends(void **state)
{
	struct wish one, two;
	int fd;

	(void)state;
	begin();
	fd = rival(F_WRLCK);
	begin_wait(&one, 1);
	assert_waits(&one);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_DESTROY}), 0);
	assert_int_equal(end_wait(&one), -ECONNABORTED);
	fuse_stop(&client);
	close(fd);
	begin();
	fd = rival(F_WRLCK);
	begin_wait(&two, 1);
	assert_waits(&two);
	fuse_stop(&client);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_given_back_here),
		cmocka_unit_test(test_given_back_elsewhere),
		cmocka_unit_test(test_flock),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
