/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-sealed.c - a stream in sealed memory is read where it lies; one that somebody
 * could still change is not. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"
#include "state/reader_internal.h"

#define ALL (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int memory(const void *bytes, size_t len, off_t begin, int seals)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, begin), len);
	assert_int_equal(lseek(fd, begin, SEEK_SET), begin);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static uint8_t *sample(size_t *len, const uint8_t *key)
{
	GW_AUTO_FD int fd = sample_fd("", 0);

	assert_int_equal(sample_write(fd, key, 1), 0);
	return sample_bytes(fd, len);
}

static struct gw_state_reader *reader_of(int fd, int cancel)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = cancel};
	struct gw_state_reader *reader;

	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	return reader;
}

static bool is_mapped(int fd)
{
	struct gw_state_reader *reader = reader_of(fd, -1);
	bool mapped = reader->map;

	gw_state_reader_free(reader);
	return mapped;
}

static void only_what_cannot_change(void **state)
{
	static const struct {
		int seals;
		bool mapped;
	} rows[] = {
		{0, false},
		{F_SEAL_SHRINK, false},
		{F_SEAL_WRITE, false},
		{F_SEAL_GROW | F_SEAL_WRITE, false},
		{F_SEAL_SHRINK | F_SEAL_GROW, false},
		{F_SEAL_SHRINK | F_SEAL_WRITE, true},
		{ALL, true},
		{ALL | F_SEAL_SEAL, true},
	};
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		GW_AUTO_FD int fd = memory(bytes, len, 0, rows[i].seals);
		struct sample_result result;

		assert_int_equal(is_mapped(fd), rows[i].mapped);
		lseek(fd, 0, SEEK_SET);
		assert_int_equal(sample_read(fd, NULL, &result), 0);
		assert_true(sample_is_right(&result, 1));
	}
}

static void a_plain_file_is_not(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
	char path[] = "/tmp/gw-sealed.XXXXXX";
	GW_AUTO_FD int fd = mkstemp(path);

	(void)state;
	unlink(path);
	assert_int_equal(pwrite(fd, bytes, len, 0), len);
	assert_false(is_mapped(fd));
}

static void from_its_place(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, sample_key);
	GW_AUTO_FD int fd = memory(bytes, len, 12345, ALL);
	struct sample_result result;

	(void)state;
	assert_int_equal(sample_read(fd, sample_key, &result), 0);
	assert_true(sample_is_right(&result, 1));
	lseek(fd, 12345, SEEK_SET);
	assert_true(is_mapped(fd));
}

static void damaged(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
	struct sample_result result;

	(void)state;
	for (size_t at = 0; at < len; at += 7) {
		GW_AUTO_FD int fd = -1;

		bytes[at] ^= 4;
		fd = memory(bytes, len, 0, ALL);
		assert_int_not_equal(sample_read(fd, NULL, &result), 0);
		bytes[at] ^= 4;
	}
	for (size_t cut = 0; cut < len; cut += 5) {
		GW_AUTO_FD int fd = memory(bytes, cut, 0, ALL);

		assert_int_equal(sample_read(fd, NULL, &result), -EBADMSG);
	}
}

static void too_long(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
	GW_AUTO_FREE uint8_t *longer = calloc(1, len + 1);
	GW_AUTO_FD int fd = -1;
	struct sample_result result;

	(void)state;
	memcpy(longer, bytes, len);
	fd = memory(longer, len + 1, 0, ALL);
	assert_int_equal(sample_read(fd, NULL, &result), -EBADMSG);
}

static int take(void *opaque, const void *object)
{
	return 0;
}

static const struct gw_state_handler handlers[] = {
	{&sample_thing_layout, take, take},
	{&sample_note_layout, take, take},
	{&sample_setting_layouts[0], take, take},
	{0},
};

static void made_ready(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
	GW_AUTO_FD int fd = gw_state_memory_new(3 * len);
	struct sample_result result;
	struct stat st;

	(void)state;
	assert_non_null(bytes);
	assert_true(fd >= 0);
	assert_int_equal(gw_state_memory_seal(fd), -ENODATA);
	assert_int_equal(sample_write(fd, NULL, 1), 0);
	assert_int_equal(gw_state_memory_seal(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, len); /* the rest of what was made ready is gone */
	assert_int_equal(write(fd, "", 1), -1);
	lseek(fd, 0, SEEK_SET);
	assert_true(is_mapped(fd));
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(sample_read(fd, NULL, &result), 0);
	assert_true(sample_is_right(&result, 1));
}

/* More than was asked for is no failure. */
static void made_ready_and_too_short(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
	GW_AUTO_FREE char *filling = calloc(1, 3 * 1024 * 1024);
	GW_AUTO_FD int fd = gw_state_memory_new(1);
	struct stat st;

	(void)state;
	assert_int_equal(write(fd, filling, 3 * 1024 * 1024), 3 * 1024 * 1024);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(gw_state_memory_seal(fd), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 3 * 1024 * 1024 + len);
}

static void cannot_be_made(void **state)
{
	GW_AUTO_FD int plain = sample_fd("x", 1);

	(void)state;
	assert_int_equal(gw_state_memory_new(0), -EINVAL);
	assert_int_equal(gw_state_memory_new(UINT64_MAX), -EINVAL);
	lseek(plain, 1, SEEK_SET);
	assert_true(gw_state_memory_seal(plain) < 0); /* not a memfd, or one that takes no seals */
	assert_int_equal(gw_state_memory_seal(-1), -EBADF);
}

/* Not sealed against growing: what was appended meanwhile is noticed at the end. */
static void grown_meanwhile(void **state)
{
	for (unsigned grows = 0; grows < 2; grows++) {
		size_t len;
		GW_AUTO_FREE uint8_t *bytes = sample(&len, NULL);
		GW_AUTO_FD int fd = memory(bytes, len, 0, F_SEAL_SHRINK | F_SEAL_WRITE);
		struct gw_state_reader *reader = reader_of(fd, -1);

		assert_non_null(reader->map);
		assert_int_equal(ftruncate(fd, (off_t)(len + grows)), 0);
		assert_int_equal(gw_state_read(reader, handlers, NULL), grows ? -EBADMSG : 0);
		assert_int_equal(gw_state_reader_is_complete(reader), !grows);
		gw_state_reader_free(reader);
	}
}

static void cancelled(void **state)
{
	GW_AUTO_FD int plain = sample_fd("", 0);
	GW_AUTO_FD int cancel = eventfd(0, EFD_CLOEXEC);
	GW_AUTO_FD int fd = -1;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	GW_AUTO_FREE uint8_t *filling = calloc(1, SAMPLE_BYTES_MAX);
	const struct gw_state_channel channel = {.fd = plain, .cancel = -1};
	const struct gw_state_header header = sample_header(1);
	struct gw_state_writer *writer;
	struct gw_state_reader *reader;
	size_t len;

	(void)state;
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
	for (uint64_t i = 0; i < 64; i++) {
		const struct sample_thing thing = {.id = i, .bytes = {filling, SAMPLE_BYTES_MAX}};

		assert_int_equal(gw_state_put(writer, &sample_thing_layout, &thing), 0);
	}
	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
	bytes = sample_bytes(plain, &len);
	fd = memory(bytes, len, 0, ALL);
	reader = reader_of(fd, cancel);
	assert_int_equal(eventfd_write(cancel, 1), 0);
	assert_int_equal(gw_state_read(reader, handlers, NULL), -ECANCELED);
	gw_state_reader_free(reader);
}

static void *unmap_later(void *map)
{
	usleep(50000);
	munmap(map, 4096);
	return NULL;
}

/* Somebody may have a page in hand for a moment; and somebody may keep it. */
static void sealed_when_nobody_has_a_page(void **state)
{
	int fd = gw_state_memory_new(4096);
	pthread_t thread;
	void *map;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "state", 5), 5);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(gw_state_memory_seal(fd), -EBUSY);
	assert_int_equal(pthread_create(&thread, NULL, unmap_later, map), 0);
	assert_int_equal(gw_state_memory_seal(fd), 0);
	pthread_join(thread, NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_cannot_change),
		cmocka_unit_test(a_plain_file_is_not),
		cmocka_unit_test(from_its_place),
		cmocka_unit_test(damaged),
		cmocka_unit_test(too_long),
		cmocka_unit_test(made_ready),
		cmocka_unit_test(made_ready_and_too_short),
		cmocka_unit_test(cannot_be_made),
		cmocka_unit_test(grown_meanwhile),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(sealed_when_nobody_has_a_page),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
