/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-channel.c - pipes, sockets, files: cancel, silence, hang-ups, descriptors. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"

static void make_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static void make_socketpair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void (*const make[])(int ends[2]) = {make_pipe, make_socketpair};

static int put_much(int fd, int cancel, int idle_ms, _Atomic uint64_t *moved)
{
	static const uint8_t filling[64 * 1024];
	const struct gw_state_channel channel = {
		.fd = fd, .cancel = cancel, .idle_ms = idle_ms, .moved = moved};
	const struct gw_state_header header = sample_header(1);
	struct gw_state_writer *writer = NULL;
	int err = gw_state_writer_new(&writer, &channel, &header);

	for (uint64_t i = 0; i < 256 && !err; i++) {
		const struct sample_thing thing = {.id = i % SAMPLE_THINGS_MAX,
						   .bytes = {filling, sizeof(filling)}};

		err = gw_state_put(writer, &sample_thing_layout, &thing);
	}
	if (!err)
		err = gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	return err;
}

static void *writer_main(void *opaque)
{
	int *fd = opaque;
	intptr_t err = put_much(*fd, -1, 0, NULL);

	gw_close(fd);
	return (void *)err;
}

static void test_through(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct sample_result result;
		pthread_t thread;
		void *written;
		int ends[2];

		make[i](ends);
		assert_int_equal(pthread_create(&thread, NULL, writer_main, &ends[1]), 0);
		assert_int_equal(sample_read(ends[0], NULL, &result), 0);
		pthread_join(thread, &written);
		assert_null(written);
		assert_int_equal(result.count, SAMPLE_THINGS_MAX);
		gw_close(&ends[0]);
	}
}

static void test_cancelled(void **state)
{
	GW_AUTO_FD int cancel = eventfd(1, EFD_CLOEXEC);
	struct gw_state_reader *reader;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_state_channel channel = {.cancel = cancel};
		int ends[2];

		make[i](ends);
		channel.fd = ends[0];
		assert_int_equal(put_much(ends[1], cancel, 0, NULL), -ECANCELED);
		assert_int_equal(gw_state_reader_new(&reader, &channel), -ECANCELED);
		gw_close(&ends[0]);
		gw_close(&ends[1]);
	}
}

static void test_silence(void **state)
{
	struct gw_state_reader *reader;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct gw_state_channel channel = {.cancel = -1, .idle_ms = 20};
		_Atomic uint64_t moved = 0;
		int ends[2];

		make[i](ends);
		channel.fd = ends[0];
		assert_int_equal(gw_state_reader_new(&reader, &channel), -ETIMEDOUT);
		assert_int_equal(put_much(ends[1], -1, 20, &moved), -ETIMEDOUT);
		assert_true(atomic_load(&moved) > 4096);
		gw_close(&ends[0]);
		gw_close(&ends[1]);
	}
}

/* No signal ends this process, although none is blocked. */
static void test_reader_gone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int ends[2];

		make[i](ends);
		gw_close(&ends[0]);
		assert_int_equal(put_much(ends[1], -1, 0, NULL), -EPIPE);
		gw_close(&ends[1]);
	}
}

static void test_flags_are_put_back(void **state)
{
	struct gw_state_reader *reader;
	int ends[2], before;

	(void)state;
	make_pipe(ends);
	before = fcntl(ends[0], F_GETFL);
	gw_close(&ends[1]);
	assert_int_equal(gw_state_reader_new(
				 &reader, &(struct gw_state_channel){.fd = ends[0], .cancel = -1}),
			 -EBADMSG);
	assert_int_equal(fcntl(ends[0], F_GETFL), before);
	gw_close(&ends[0]);
}

static void test_wrong_direction(void **state)
{
	struct gw_state_reader *reader;
	int ends[2];

	(void)state;
	make_pipe(ends);
	assert_int_equal(put_much(ends[0], -1, 0, NULL), -EBADF);
	assert_int_equal(gw_state_reader_new(
				 &reader, &(struct gw_state_channel){.fd = ends[1], .cancel = -1}),
			 -EBADF);
	gw_close(&ends[0]);
	gw_close(&ends[1]);
}

/* Descriptors: one before each thing. */
static int write_with_fds(int fd, unsigned count)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = sample_header(1);
	struct gw_state_writer *writer;
	int err = gw_state_writer_new(&writer, &channel, &header);

	for (unsigned i = 0; i < count && !err; i++) {
		GW_AUTO_FD int passed = sample_fd(&i, sizeof(i));

		err = gw_state_put_fd(writer, passed);
		if (!err)
			err = gw_state_put(writer, &sample_thing_layout,
					   &(struct sample_thing){.id = i});
	}
	if (!err)
		err = gw_state_writer_end(writer);
	gw_state_writer_free(writer);
	return err;
}

struct fd_check {
	struct gw_state_reader *reader;
	unsigned count;
};

static int check_fd(void *opaque, const void *object)
{
	struct fd_check *check = opaque;
	GW_AUTO_FD int fd = gw_state_take_fd(check->reader);
	unsigned content;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &content, sizeof(content), 0), sizeof(content));
	assert_int_equal(content, ((const struct sample_thing *)object)->id);
	assert_int_equal(gw_state_take_fd(check->reader), -ENOENT);
	check->count++;
	return 0;
}

static void test_descriptors_travel(void **state)
{
	static const struct gw_state_handler handlers[] = {{&sample_thing_layout, check_fd, NULL},
							   {0}};
	struct fd_check check = {0};
	int ends[2];

	(void)state;
	make_socketpair(ends);
	assert_int_equal(write_with_fds(ends[1], 10), 0);
	gw_close(&ends[1]);
	assert_int_equal(
		gw_state_reader_new(&check.reader,
				    &(struct gw_state_channel){.fd = ends[0], .cancel = -1}),
		0);
	assert_int_equal(gw_state_read(check.reader, handlers, &check), 0);
	assert_int_equal(check.count, 10);
	gw_state_reader_free(check.reader);
	gw_close(&ends[0]);
	make_pipe(ends);
	assert_int_equal(write_with_fds(ends[1], 1), -EOPNOTSUPP);
	gw_close(&ends[0]);
	gw_close(&ends[1]);
}

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

/* Who takes no descriptors keeps none open. */
static void test_descriptors_not_taken(void **state)
{
	unsigned before = open_descriptors();
	struct sample_result result;
	int ends[2];

	(void)state;
	make_socketpair(ends);
	assert_int_equal(write_with_fds(ends[1], 10), 0);
	gw_close(&ends[1]);
	assert_int_equal(sample_read(ends[0], NULL, &result), 0);
	gw_close(&ends[0]);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_through),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_reader_gone),
		cmocka_unit_test(test_flags_are_put_back),
		cmocka_unit_test(test_wrong_direction),
		cmocka_unit_test(test_descriptors_travel),
		cmocka_unit_test(test_descriptors_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
