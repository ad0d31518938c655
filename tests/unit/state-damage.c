/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-damage.c - every flipped bit, every cut and every byte too many is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"

static int read_bytes(const uint8_t *bytes, size_t len, const uint8_t *key)
{
	GW_AUTO_FD int fd = sample_fd(bytes, len);
	struct sample_result result;

	return sample_read(fd, key, &result);
}

static uint8_t *write_sample(size_t *len, const uint8_t *key)
{
	GW_AUTO_FD int fd = sample_fd("", 0);

	assert_int_equal(sample_write(fd, key, 1), 0);
	return sample_bytes(fd, len);
}

static void flip_all(const uint8_t *key)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = write_sample(&len, key);

	assert_int_equal(read_bytes(bytes, len, key), 0);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(read_bytes(bytes, len, key), 0);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(read_bytes(bytes, len, key), 0);
}

static void test_flipped_bits(void **state)
{
	(void)state;
	flip_all(NULL);
}

static void test_flipped_bits_signed(void **state)
{
	(void)state;
	flip_all(sample_key);
}

static void test_cuts(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = write_sample(&len, NULL);

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(read_bytes(bytes, cut, NULL), -EBADMSG);
}

static void test_bytes_too_many(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = write_sample(&len, NULL);
	GW_AUTO_FREE uint8_t *more = calloc(1, 2 * len);

	(void)state;
	memcpy(more, bytes, len);
	for (unsigned byte = 0; byte < 256; byte++) {
		more[len] = (uint8_t)byte;
		assert_int_equal(read_bytes(more, len + 1, NULL), -EBADMSG);
	}
	memcpy(more + len, bytes, len); /* a whole stream behind it is not welcome either */
	assert_int_equal(read_bytes(more, 2 * len, NULL), -EBADMSG);
}

/* A record left out, put in twice, or two of them swapped: each checksum is good, their sum is not.
 */
static void test_records_moved(void **state)
{
	size_t len, at, next;
	GW_AUTO_FREE uint8_t *bytes = write_sample(&len, NULL);
	GW_AUTO_FREE uint8_t *moved = malloc(2 * len);
	uint32_t payload;
	unsigned records = 0;

	(void)state;
	/* 64 of header, then texts of 8 + 28 + 4 bytes and the checksum */
	for (at = 64 + 40 + 8; at < len; at = next) {
		memcpy(&payload, bytes + at + 4, sizeof(payload));
		next = at + 8 + (payload + 7) / 8 * 8 + 8;
		assert_true(next <= len);
		memcpy(moved, bytes, at);
		memcpy(moved + at, bytes + next, len - next);
		assert_int_not_equal(read_bytes(moved, len - (next - at), NULL), 0);
		memcpy(moved, bytes, next);
		memcpy(moved + next, bytes + at, len - at);
		assert_int_not_equal(read_bytes(moved, len + next - at, NULL), 0);
		records++;
	}
	assert_true(records >= 8);
}

static uint8_t *write_big(size_t *len)
{
	GW_AUTO_FD int fd = sample_fd("", 0);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = sample_header(1);
	GW_AUTO_FREE uint8_t *filling = malloc(SAMPLE_BYTES_MAX);
	struct gw_state_writer *writer;

	for (unsigned i = 0; i < SAMPLE_BYTES_MAX; i++)
		filling[i] = (uint8_t)(i * 37);
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
	for (unsigned i = 0; i < 40; i++) {
		struct sample_thing thing = {.id = i % SAMPLE_THINGS_MAX,
					     .bytes = {filling, i * SAMPLE_BYTES_MAX / 40}};

		assert_int_equal(gw_state_put(writer, &sample_thing_layout, &thing), 0);
	}
	assert_int_equal(gw_state_writer_end(writer), 0);
	assert_int_equal(gw_state_written(writer), lseek(fd, 0, SEEK_CUR));
	gw_state_writer_free(writer);
	return sample_bytes(fd, len);
}

static void test_big_stream(void **state)
{
	size_t len;
	GW_AUTO_FREE uint8_t *bytes = write_big(&len);
	uint32_t random = 1;

	(void)state;
	assert_true(len > 1024 * 1024);
	assert_int_equal(read_bytes(bytes, len, NULL), 0);
	for (unsigned i = 0; i < 100; i++) {
		size_t bit;

		random = random * 1664525 + 1013904223;
		bit = (size_t)random * 8 % (8 * len) + random % 8;
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(read_bytes(bytes, len, NULL), 0);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(read_bytes(bytes, random % len, NULL), -EBADMSG);
	}
	assert_int_equal(read_bytes(bytes, len, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flipped_bits),  cmocka_unit_test(test_flipped_bits_signed),
		cmocka_unit_test(test_cuts),	      cmocka_unit_test(test_bytes_too_many),
		cmocka_unit_test(test_records_moved), cmocka_unit_test(test_big_stream),
	};

	gw_log_set_level(GW_LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
