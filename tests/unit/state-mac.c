/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-mac.c - signed streams: who may read them, and what is not believed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "craft.h"
#include "godwit/error.h"
#include "sample.h"

static int write_and_read(const uint8_t *write_key, const uint8_t *read_key)
{
	GW_AUTO_FD int fd = sample_fd("", 0);
	GW_AUTO_FREE uint8_t *bytes = NULL;
	GW_AUTO_FD int again = -1;
	struct sample_result result;
	size_t len;
	int err;

	assert_int_equal(sample_write(fd, write_key, 1), 0);
	bytes = sample_bytes(fd, &len);
	again = sample_fd(bytes, len);
	err = sample_read(again, read_key, &result);
	if (!err)
		assert_true(sample_is_right(&result, 1));
	return err;
}

static void test_keys(void **state)
{
	static const uint8_t other_key[GW_STATE_KEY_LEN] = "thirty-two bytes of another key.";

	(void)state;
	assert_int_equal(write_and_read(sample_key, sample_key), 0);
	assert_int_equal(write_and_read(sample_key, NULL), 0); /* read, and not called signed */
	assert_int_equal(write_and_read(sample_key, other_key), -EBADMSG);
	assert_int_equal(write_and_read(NULL, sample_key), -EBADMSG); /* a MAC can be stripped */
}

/* Checksums can be made by anyone; this is what the MAC is for. */
static void test_forgery(void **state)
{
	struct sample_result result;
	struct craft craft;
	GW_AUTO_FD int fd = -1;

	(void)state;
	craft_begin(&craft);
	craft_record(&craft, 3, 0, "0123456789abcdef0123456789abcdef", 32);
	craft_phase(&craft, 0);
	craft_record(&craft, 3, 0, "0123456789abcdef0123456789abcdef", 32);
	craft_end(&craft);
	fd = sample_fd(craft.bytes, craft.len);
	assert_int_equal(sample_read(fd, sample_key, &result), -EBADMSG);
	gw_close(&fd);
	fd = sample_fd(craft.bytes, craft.len);
	assert_int_equal(sample_read(fd, NULL, &result), 0);
	craft_free(&craft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_forgery),
	};

	gw_log_set_level(GW_LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
