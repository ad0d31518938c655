/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-foreign.c - a stream of another make comes whole to who knows it, and to nobody
 * else. */
#include "cmocka-all.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "godwit/error.h"
#include "state/stream.h"

static bool begins(const uint8_t *first, size_t len)
{
	assert_true(len >= 8);
	return first[0] == 'x';
}

static int check(const void *bytes, size_t len)
{
	const char *text = bytes;

	return text[len - 1] == 'x' ? 0 : gw_fail(EBADMSG, "it does not end in x");
}

static const struct gw_foreign_format formats[] = {
	{.name = "other", .begins = begins, .check = check},
	{.name = NULL},
};

static int open_stream(struct gw_state_reader **reader, const char *text, off_t len,
		       const uint8_t *key)
{
	struct gw_state_channel channel = {.cancel = -1, .foreign = formats, .key = key};
	int err;

	channel.fd = memfd_create("stream", MFD_CLOEXEC);
	assert_int_equal(write(channel.fd, text, strlen(text)), strlen(text));
	assert_int_equal(ftruncate(channel.fd, len), 0);
	lseek(channel.fd, 0, SEEK_SET);
	err = gw_state_reader_new(reader, &channel);
	close(channel.fd);
	return err;
}

static void refused(const char *text, off_t len, const uint8_t *key, const char *sentence)
{
	struct gw_state_reader *reader;

	assert_int_equal(open_stream(&reader, text, len, key), -EBADMSG);
	assert_null(reader);
	if (!strstr(gw_last_error(), sentence))
		fail_msg("'%s', expected: %s", gw_last_error(), sentence);
}

static void test_whole(void **state)
{
	const struct gw_foreign_format *format;
	struct gw_state_reader *reader;
	struct gw_bytes bytes;

	assert_int_equal(open_stream(&reader, "x and more x", 12, NULL), 0);
	assert_string_equal(gw_state_reader_header(reader)->implementation, "other");
	/* Who has not asked for the bytes has not loaded it. */
	assert_false(gw_state_reader_is_complete(reader));
	assert_int_equal(gw_state_read_foreign(reader, &format, &bytes), 0);
	assert_ptr_equal(format, &formats[0]);
	assert_int_equal(bytes.len, 12);
	assert_memory_equal(bytes.data, "x and more x", 12);
	assert_true(gw_state_reader_is_complete(reader));
	assert_false(gw_state_reader_is_signed(reader));
	gw_state_reader_free(reader);
}

static void test_no_records(void **state)
{
	const struct gw_state_handler nothing = {0};
	struct gw_state_reader *reader;

	assert_int_equal(open_stream(&reader, "x and more x", 12, NULL), 0);
	assert_int_equal(gw_state_read(reader, &nothing, NULL), -EBADMSG);
	assert_false(gw_state_reader_is_complete(reader));
	gw_state_reader_free(reader);
}

static void test_refused(void **state)
{
	static const uint8_t key[GW_STATE_KEY_LEN];

	refused("x and more y", 12, NULL, "does not end in x");
	refused("y and more x", 12, NULL, "no format");
	refused("x and x", 7, NULL, "cut after 7 bytes");
	refused("x and more x", 12, key, "a key is set");
	refused("x", (off_t)GW_FOREIGN_MAX + 1, NULL, "more than");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_no_records),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
