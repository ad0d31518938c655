/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-dump.c - a stream as text, with and without knowing its layouts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "craft.h"
#include "godwit/error.h"
#include "sample.h"

/* What is shown of the first @cut bytes of the sample (0: of all); to free(). */
static char *dump(const struct gw_layout *const *layouts, const uint8_t *key, size_t cut, int want)
{
	GW_AUTO_FD int fd = sample_fd("", 0);
	GW_AUTO_FREE uint8_t *bytes = NULL;
	GW_AUTO_FD int again = -1;
	char *text = NULL;
	size_t len, text_len;
	FILE *out = open_memstream(&text, &text_len);

	assert_int_equal(sample_write(fd, key, 1), 0);
	bytes = sample_bytes(fd, &len);
	again = sample_fd(bytes, cut ? cut : len);
	assert_int_equal(gw_state_dump(again, layouts, out), want);
	fclose(out);
	return text;
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("not shown: %s", part);
}

static void test_without_layouts(void **state)
{
	GW_AUTO_FREE char *text = dump(NULL, sample_key, 0, 0);

	(void)state;
	assert_has(text, "implementation: sample 1\n");
	assert_has(text, "transfer: a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\n");
	assert_has(text, "mode: stateful\nmodel: example.org/sample\n  queues=4\n");
	assert_has(text, "mac, not verified\nphase running\n");
	assert_has(text, "layout 0x101 sample_note_v1, optional: *number:u32 text:bytes\n");
	assert_has(text, "sample_note_v1 number=1 text=\"to skip\"\n");
	assert_has(text, "u64=18446744073709551615 i64=-9223372036854775808 ");
	assert_has(text, "flag=1 fixed=000000000000 bytes=61206e616d6520ff00");
	assert_has(text, "sample_thing_v1 deleted id=7\n");
	assert_has(text, "end, complete: ");
	assert_null(strstr(text, "not known here"));
}

static void test_with_layouts(void **state)
{
	struct gw_layout renamed = sample_note_layout;
	const struct gw_layout *const layouts[] = {&sample_thing_layout, &renamed, NULL};
	char *text;

	(void)state;
	text = dump(layouts, NULL, 0, 0);
	assert_has(text, "layout 0x102 sample_setting_v1, not known here:");
	assert_has(text, "layout 0x101 sample_note_v1, optional:");
	free(text);
	renamed.name = "sample_note_v2";
	text = dump(layouts, NULL, 0, 0);
	assert_has(text, "layout 0x101 sample_note_v1, optional, DIFFERS HERE:");
	free(text);
}

static void test_damaged(void **state)
{
	GW_AUTO_FREE char *text = dump(NULL, NULL, 400, -EBADMSG);

	(void)state;
	assert_has(text, "phase running\n");
	assert_null(strstr(text, "complete"));
}

/* What a stream says reaches the terminal only as what it is. */
static void test_control_bytes(void **state)
{
	static const char payload[] = "\x01\x01\x06\x1b[2J\"\\";
	struct craft craft;
	GW_AUTO_FD int fd = -1;
	GW_AUTO_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	craft_begin(&craft);
	craft_phase(&craft, 0);
	craft_note_layout(&craft);
	craft_record(&craft, 0x101, 1, payload, sizeof(payload) - 1);
	craft_end(&craft);
	fd = sample_fd(craft.bytes, craft.len);
	assert_int_equal(gw_state_dump(fd, NULL, out), 0);
	fclose(out);
	assert_null(strchr(text, 0x1b));
	craft_free(&craft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_layouts),
		cmocka_unit_test(test_with_layouts),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_control_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
