/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-locks.c - a guest that holds locks moves, or tries to. */
#include "../common/fuse_client.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>

static struct fuse_client from, to;
static struct fuse_open_out file, other;

static int lock(struct fuse_client *client, uint64_t fh, uint64_t owner, uint32_t type,
		uint64_t start, uint64_t end, uint32_t flags)
{
	const struct fuse_lk_in in = {.fh = fh,
				      .owner = owner,
				      .lk = {.start = start, .end = end, .type = type},
				      .lk_flags = flags};

	return fuse_call(client, &(struct fuse_call){
					 .opcode = FUSE_SETLK, .arg = &in, .arg_len = sizeof(in)});
}

/* Somebody else on this host, who tries; the descriptor keeps what it got. */
static int rival(short type, off_t start, off_t len)
{
	struct flock wanted = {.l_type = type, .l_start = start, .l_len = len};
	int fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	if (!fcntl(fd, F_OFD_SETLK, &wanted))
		return fd;
	close(fd);
	return -1;
}

static bool is_free(off_t start, off_t len)
{
	int fd = rival(F_WRLCK, start, len);

	close(fd);
	return fd >= 0;
}

static bool flock_is_free(void)
{
	int fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	bool is = flock(fd, LOCK_EX | LOCK_NB) == 0;

	close(fd);
	return is;
}

static void begin(void)
{
	uint64_t node;

	fuse_start(&from, &(struct fuse_options){.policy = {
							 .posix_lock = true,
							 .flock = true,
							 .lock_wait = true,
						 }});
	share_file(&from, "file", "content");
	assert_int_equal(chmod(share_path(&from, "file"), 0666), 0);
	node = fuse_node(&from, 1, "file");
	assert_true(fuse_open(&from, node, O_RDWR, &file) > 0);
	assert_true(fuse_open(&from, node, O_RDWR, &other) > 0);
	assert_int_equal(lock(&from, file.fh, 1, F_WRLCK, 0, 9, 0), 0);
	assert_int_equal(lock(&from, file.fh, 2, F_RDLCK, 20, INT64_MAX, 0), 0);
	assert_int_equal(lock(&from, other.fh, 1, F_WRLCK, 0, INT64_MAX, FUSE_LK_FLOCK), 0);
}

static void assert_held(bool held)
{
	assert_int_equal(is_free(0, 10), !held);
	assert_true(is_free(10, 10));
	assert_int_equal(is_free(20, 0), !held);
	assert_int_equal(flock_is_free(), !held);
}

static void test_move(void **state)
{
	(void)state;
	begin();
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_held(true);
	assert_int_equal(lock(&to, file.fh, 2, F_WRLCK, 9, 9, 0), -EAGAIN);
	assert_int_equal(lock(&to, file.fh, 1, F_UNLCK, 5, 9, 0), 0);
	assert_true(is_free(5, 5));
	assert_int_equal(lock(&to, file.fh, 1, F_WRLCK, 0, INT64_MAX, FUSE_LK_FLOCK), -EAGAIN);
	assert_int_equal(fuse_release(&to, FUSE_RELEASE, other.fh), 0);
	assert_true(flock_is_free());
	/* And on: nothing is left behind anywhere. */
	assert_int_equal(lock(&to, file.fh, 1, F_WRLCK, 5, 9, 0), 0);
	fuse_stop(&to);
	assert_true(is_free(0, 0));
	fuse_stop(&from);
}

static void test_refused(void **state)
{
	struct fs_host host;
	int stream = memfd_create("state", MFD_CLOEXEC);
	int fd;

	(void)state;
	begin();
	host = from.host;
	fuse_save(&from, stream);
	assert_held(false);
	fd = rival(F_RDLCK, 3, 1);
	assert_true(fd >= 0);
	assert_true(fuse_load(&to, &from, NULL, &host, stream) < 0);
	assert_true(is_free(20, 0));
	assert_true(flock_is_free());
	close(fd);
	fuse_resume(&from);
	assert_int_equal(lock(&from, file.fh, 1, F_WRLCK, 9, 10, 0), 0);
	assert_int_equal(lock(&from, file.fh, 1, F_UNLCK, 10, 10, 0), 0);
	assert_held(true);
	close(stream);
	fuse_stop(&from);
}

static int flush(struct fuse_client *client, uint64_t fh, uint64_t owner)
{
	const struct fuse_flush_in in = {.fh = fh, .lock_owner = owner};

	return fuse_call(client, &(struct fuse_call){
					 .opcode = FUSE_FLUSH, .arg = &in, .arg_len = sizeof(in)});
}

/* The one who lost it gets errors until it closes; the file's other users do not. */
static void test_lost(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	char byte;
	int fd;

	(void)state;
	begin();
	fuse_save(&from, stream);
	fd = rival(F_WRLCK, 3, 1);
	assert_true(fd >= 0);
	fuse_resume(&from);
	assert_int_equal(fuse_read(&from, file.fh, 0, &byte, 1), -EIO);
	assert_int_equal(fuse_write(&from, file.fh, 0, "x", 1, 0), -EIO);
	assert_int_equal(lock(&from, file.fh, 1, F_WRLCK, 0, 9, 0), -EIO);
	assert_int_equal(fuse_read(&from, other.fh, 0, &byte, 1), 1);
	assert_false(flock_is_free());
	assert_false(is_free(20, 0));
	close(fd);
	assert_int_equal(flush(&from, file.fh, 1), 0);
	assert_int_equal(lock(&from, other.fh, 1, F_WRLCK, 0, 9, 0), 0);
	assert_int_equal(fuse_read(&from, file.fh, 0, &byte, 1), -EIO);
	assert_int_equal(fuse_release(&from, FUSE_RELEASE, file.fh), 0);
	close(stream);
	fuse_stop(&from);
}

/* A state that cannot be written to its end leaves them where they are, at once. */
static void save_into(size_t room)
{
	const struct rlimit limit = {.rlim_cur = room, .rlim_max = RLIM_INFINITY};
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
	int stream = memfd_create("state", MFD_CLOEXEC), own;
	enum gw_transfer_reply reply;

	assert_int_equal(gw_frontend_stop(from.frontend), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(gw_frontend_transfer_offer(from.frontend, false, GW_PHASE_STOPPED, stream,
						    &own, &reply),
			 0);
	assert_int_not_equal(gw_frontend_transfer_check(from.frontend), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(lseek(stream, 0, SEEK_END), room);
	close(stream);
	assert_held(true);
	fuse_resume(&from);
	assert_held(true);
}

static void test_no_room(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	size_t len;

	(void)state;
	if (getenv(FUSE_PROGRAM)) /* the limit is this process's */
		skip();
	signal(SIGXFSZ, SIG_IGN);
	begin();
	fuse_save(&from, stream);
	len = (size_t)lseek(stream, 0, SEEK_END);
	fuse_resume(&from);
	for (size_t room = 0; room < len; room += room + 64 < len ? 13 : 1)
		save_into(room);
	close(stream);
	fuse_stop(&from);
}

/* Nobody reads, and then the front-end goes on. */
static void test_cancelled(void **state)
{
	char garbage[4096] = {0};
	enum gw_transfer_reply reply;
	int ends[2], own;

	(void)state;
	begin();
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(ends[1], garbage, sizeof(garbage)) > 0)
		;
	assert_int_equal(gw_frontend_stop(from.frontend), 0);
	assert_int_equal(gw_frontend_transfer_offer(from.frontend, false, GW_PHASE_STOPPED, ends[1],
						    &own, &reply),
			 0);
	fuse_resume(&from);
	assert_held(true);
	close(ends[0]);
	close(ends[1]);
	fuse_stop(&from);
}

struct wish {
	struct fuse_lk_in in;
	struct fuse_call call;
};

static void begin_wait(struct wish *wish, uint64_t fh, uint64_t owner, uint32_t flags)
{
	*wish = (struct wish){.in = {.fh = fh,
				     .owner = owner,
				     .lk = {.start = 0, .end = 9, .type = F_WRLCK},
				     .lk_flags = flags}};
	wish->call = (struct fuse_call){
		.opcode = FUSE_SETLKW, .arg = &wish->in, .arg_len = sizeof(wish->in)};
	fuse_begin(&from, 1, &wish->call);
}

static int end_wait(struct fuse_client *client, struct wish *wish)
{
	fuse_wait(client, 1, &wish->call);
	return wish->call.result;
}

static void assert_waits(struct fuse_client *client, const struct wish *wish)
{
	struct fuse_attr attr;

	usleep(20000);
	assert_true(fuse_getattr(client, 1, &attr) > 0);
	assert_false(wish->call.done);
}

/* Who waits goes on waiting there: for somebody who moved along, and for somebody else. */
static void test_waits_move(void **state)
{
	struct wish posix, whole, third;
	int fd;

	(void)state;
	begin();
	fd = open(share_path(&from, "file"), O_RDWR | O_CLOEXEC);
	assert_int_equal(lock(&from, other.fh, 1, F_UNLCK, 0, INT64_MAX, FUSE_LK_FLOCK), 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	begin_wait(&posix, file.fh, 3, 0);
	begin_wait(&whole, other.fh, 1, FUSE_LK_FLOCK);
	begin_wait(&third, file.fh, 4, 0);
	assert_waits(&from, &posix);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_waits(&to, &posix);
	assert_waits(&to, &whole);
	close(fd);
	assert_int_equal(end_wait(&to, &whole), 0);
	assert_false(posix.call.done || third.call.done);
	assert_int_equal(lock(&to, file.fh, 1, F_UNLCK, 0, 9, 0), 0);
	while (!posix.call.done && !third.call.done)
		fuse_wait(&to, 1, NULL);
	assert_waits(&to, posix.call.done ? &third : &posix);
	assert_int_equal(lock(&to, file.fh, posix.call.done ? 3 : 4, F_UNLCK, 0, 9, 0), 0);
	assert_int_equal(end_wait(&to, &posix), 0);
	assert_int_equal(end_wait(&to, &third), 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* And here, if there it is refused. */
static void test_waits_stay(void **state)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fs_host host;
	struct wish wish;
	int fd;

	(void)state;
	begin();
	host = from.host;
	begin_wait(&wish, file.fh, 3, 0);
	assert_waits(&from, &wish);
	fuse_save(&from, stream);
	fd = rival(F_WRLCK, 30, 1);
	assert_true(fd >= 0);
	assert_true(fuse_load(&to, &from, NULL, &host, stream) < 0);
	close(fd);
	fuse_resume(&from);
	assert_waits(&from, &wish);
	assert_held(true);
	assert_int_equal(flush(&from, file.fh, 1), 0);
	assert_int_equal(end_wait(&from, &wish), 0);
	close(stream);
	fuse_stop(&from);
}

/* Loaded, and not wanted. */
static void test_reset_after_load(void **state)
{
	(void)state;
	begin();
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_int_equal(gw_frontend_stop(to.frontend), 0);
	assert_held(true);
	assert_int_equal(gw_frontend_reset_device(to.frontend), 0);
	assert_held(false);
	fuse_stop(&to);
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_move),	   cmocka_unit_test(test_refused),
		cmocka_unit_test(test_lost),	   cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_cancelled),  cmocka_unit_test(test_reset_after_load),
		cmocka_unit_test(test_waits_move), cmocka_unit_test(test_waits_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
