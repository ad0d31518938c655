/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks.c - locks of the guest on the host: by owner, by open file, never waited for. */
#include "../common/fuse_client.h"

#include <sys/file.h>

static struct fuse_client client;
static uint64_t fh, other_fh;

static int lock(uint32_t opcode, uint64_t handle, uint64_t owner, uint32_t type, uint64_t start,
		uint64_t end, uint32_t flags, struct fuse_lk_out *out)
{
	const struct fuse_lk_in in = {.fh = handle,
				      .owner = owner,
				      .lk = {.start = start, .end = end, .type = type},
				      .lk_flags = flags};

	return fuse_call(&client, &(struct fuse_call){.opcode = opcode,
						      .arg = &in,
						      .arg_len = sizeof(in),
						      .answer = out,
						      .room = out ? sizeof(*out) : 0});
}

static int set(uint64_t owner, uint32_t type, uint64_t start, uint64_t end)
{
	return lock(FUSE_SETLK, fh, owner, type, start, end, 0, NULL);
}

static int set_flock(uint64_t handle, uint32_t type)
{
	return lock(FUSE_SETLK, handle, 1, type, 0, INT64_MAX, FUSE_LK_FLOCK, NULL);
}

static void flush(uint64_t owner)
{
	const struct fuse_flush_in in = {.fh = fh, .lock_owner = owner};

	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FLUSH,
								.arg = &in,
								.arg_len = sizeof(in)}),
			 0);
}

/* Could somebody on the host lock these bytes to write? */
static bool is_free(off_t start, off_t len)
{
	struct flock probe = {.l_type = F_WRLCK, .l_start = start, .l_len = len};
	int fd = open(share_path(&client, "file"), O_RDWR);

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &probe), 0);
	close(fd);
	return probe.l_type == F_UNLCK;
}

static bool flock_is_free(void)
{
	int fd = open(share_path(&client, "file"), O_RDWR);
	bool is = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is;
}

static void begin(bool on)
{
	struct fuse_open_out open;
	uint64_t node;

	fuse_start(&client, &(struct fuse_options){.policy = {.posix_lock = on, .flock = on}});
	share_file(&client, "file", "content");
	node = fuse_node(&client, 1, "file");
	assert_true(fuse_open(&client, node, O_RDWR, &open) > 0);
	fh = open.fh;
	assert_true(fuse_open(&client, node, O_RDWR, &open) > 0);
	other_fh = open.fh;
}

static void test_owners(void **state)
{
	struct fuse_lk_out out;

	(void)state;
	begin(true);
	assert_int_equal(set(1, F_WRLCK, 0, 9), 0);
	assert_false(is_free(9, 1));
	assert_true(is_free(10, 1));
	/* The same owner may, through any open file; another may not. */
	assert_int_equal(lock(FUSE_SETLK, other_fh, 1, F_WRLCK, 5, 19, 0, NULL), 0);
	assert_int_equal(set(2, F_RDLCK, 19, 30), -EAGAIN);
	assert_int_equal(set(2, F_RDLCK, 20, INT64_MAX), 0);
	assert_true(lock(FUSE_GETLK, fh, 2, F_RDLCK, 0, INT64_MAX, 0, &out) > 0);
	assert_int_equal(out.lk.type, F_WRLCK);
	assert_int_equal(out.lk.start, 0);
	assert_int_equal(out.lk.end, 19);
	assert_true(lock(FUSE_GETLK, fh, 3, F_WRLCK, 25, 25, 0, &out) > 0);
	assert_int_equal(out.lk.type, F_RDLCK);
	assert_int_equal(out.lk.end, INT64_MAX);
	assert_true(lock(FUSE_GETLK, fh, 1, F_WRLCK, 0, 19, 0, &out) > 0);
	assert_int_equal(out.lk.type, F_UNLCK);
	/* In part, and by the first close. */
	assert_int_equal(set(1, F_UNLCK, 0, 4), 0);
	assert_true(is_free(0, 5));
	assert_false(is_free(5, 1));
	flush(1);
	assert_true(is_free(0, 20));
	assert_false(is_free(20, 1));
	assert_int_equal(set(2, F_UNLCK, 0, INT64_MAX), 0);
	assert_true(is_free(0, 0));
	fuse_stop(&client);
}

static void test_flock(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(set_flock(fh, F_WRLCK), 0);
	assert_false(flock_is_free());
	assert_int_equal(set_flock(other_fh, F_RDLCK), -EAGAIN);
	assert_int_equal(set_flock(fh, F_RDLCK), 0);
	assert_int_equal(set_flock(other_fh, F_RDLCK), 0);
	assert_int_equal(set_flock(fh, F_UNLCK), 0);
	assert_false(flock_is_free());
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, other_fh), 0);
	assert_true(flock_is_free());
	fuse_stop(&client);
}

/* Linux tells of the end of an open file description only by its RELEASE: no owner says FLUSH for
 * the locks that were its own. */
static void test_descriptions(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(set(1, F_WRLCK, 0, 9), 0);
	assert_int_equal(lock(FUSE_SETLK, other_fh, 2, F_WRLCK, 20, 29, 0, NULL), 0);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, other_fh), 0);
	assert_true(is_free(20, 10));
	assert_false(is_free(0, 10));
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, fh), 0);
	assert_true(is_free(0, 0));
	fuse_stop(&client);
}

static void test_nothing_waits(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(lock(FUSE_SETLKW, fh, 1, F_WRLCK, 0, 9, 0, NULL), -EOPNOTSUPP);
	assert_int_equal(lock(FUSE_SETLKW, fh, 1, F_UNLCK, 0, 9, 0, NULL), 0);
	fuse_stop(&client);
}

static void test_nonsense(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(set(1, F_WRLCK, 9, 0), -EINVAL);
	assert_int_equal(set(1, F_WRLCK, 0, UINT64_MAX), -EINVAL);
	assert_int_equal(set(1, 77, 0, 9), -EINVAL);
	assert_int_equal(set_flock(fh, 77), -EINVAL);
	assert_int_equal(lock(FUSE_SETLK, 12345, 1, F_WRLCK, 0, 9, 0, NULL), -EBADF);
	fuse_stop(&client);
}

static void test_off(void **state)
{
	(void)state;
	begin(false);
	assert_false(client.init.flags & (FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS));
	assert_int_equal(set(1, F_WRLCK, 0, 9), -ENOSYS);
	assert_int_equal(set_flock(fh, F_WRLCK), -ENOSYS);
	fuse_stop(&client);
}

/* Whoever ends without a word leaves no lock. */
static void test_session_ends(void **state)
{
	(void)state;
	begin(true);
	assert_int_equal(set(1, F_WRLCK, 0, 9), 0);
	assert_int_equal(set_flock(fh, F_WRLCK), 0);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_DESTROY}), 0);
	assert_true(is_free(0, 0));
	assert_true(flock_is_free());
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),	     cmocka_unit_test(test_flock),
		cmocka_unit_test(test_descriptions), cmocka_unit_test(test_nothing_waits),
		cmocka_unit_test(test_nonsense),     cmocka_unit_test(test_off),
		cmocka_unit_test(test_session_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
