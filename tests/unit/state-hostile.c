/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-hostile.c - streams whose checksums are good and whose contents are not. */
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

static struct sample_result result;

static int finish(struct craft *craft)
{
	GW_AUTO_FD int fd = sample_fd(craft->bytes, craft->len);
	int err = sample_read(fd, NULL, &result);

	craft_free(craft);
	return err;
}

/* A stream with one record of things. */
static int read_things(const void *payload, size_t len)
{
	struct craft craft;

	craft_begin(&craft);
	craft_phase(&craft, 0);
	craft_thing_layout(&craft);
	craft_record(&craft, 0x100, 0, payload, len);
	craft_end(&craft);
	return finish(&craft);
}

#define GOOD_THING                             \
	"\x01\x0e\x01\x02\x03\x04\x05\x06\x01" \
	"abcdef"                               \
	"\x03xyz"

/* The craft itself is right, and so is what it says of the format. */
static void test_good(void **state)
{
	(void)state;
	assert_int_equal(read_things(GOOD_THING, sizeof(GOOD_THING) - 1), 0);
	assert_int_equal(result.count, 1);
	assert_int_equal(result.things[0].id, 7);
	assert_int_equal(result.things[0].u32, 3);
	assert_int_equal(result.things[0].i64, -3);
	assert_int_equal(result.things[0].delta, 3);
	assert_int_equal(result.bytes_sum[0], 'x' + 'y' + 'z');
}

#define CASE(name, payload)                        \
	{                                          \
		name, payload, sizeof(payload) - 1 \
	}
static const struct {
	const char *name;
	const char *payload;
	size_t len;
} bad_things[] = {
	CASE("empty record", ""),
	CASE("no such operation", "\0"
				  "\x0e\x01\x02\x03\x04\x05\x06\x01"
				  "abcdef"
				  "\x03xyz"),
	CASE("operation 3", "\x03\x0e\x01\x02\x03\x04\x05\x06\x01"
			    "abcdef"
			    "\x03xyz"),
	CASE("cut in a number", "\x01\x8e"),
	CASE("cut in fixed", "\x01\x0e\x01\x02\x03\x04\x05\x06\x01"
			     "abc"),
	CASE("cut in bytes", "\x01\x0e\x01\x02\x03\x04\x05\x06\x01"
			     "abcdef"
			     "\x03xy"),
	CASE("u8 of 256", "\x01\x0e\x80\x02\x02\x03\x04\x05\x06\x01"
			  "abcdef"
			  "\x03xyz"),
	CASE("u16 of 65536", "\x01\x0e\x01\x80\x80\x04\x03\x04\x05\x06\x01"
			     "abcdef"
			     "\x03xyz"),
	CASE("u32 above its max", "\x01\x0e\x01\x02\xc1\x84\x3d\x04\x05\x06\x01"
				  "abcdef"
				  "\x03xyz"),
	CASE("number with a zero too many", "\x01\x8e\0\x01\x02\x03\x04\x05\x06\x01"
					    "abcdef"
					    "\x03xyz"),
	CASE("number above 64 bits",
	     "\x01\x0e\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x05\x06\x01"
	     "abcdef"
	     "\x03xyz"),
	CASE("number without end",
	     "\x01\x0e\x01\x02\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x05\x06\x01"
	     "abcdef"
	     "\x03xyz"),
	CASE("bool of 2", "\x01\x0e\x01\x02\x03\x04\x05\x06\x02"
			  "abcdef"
			  "\x03xyz"),
	CASE("bytes above their max", "\x01\x0e\x01\x02\x03\x04\x05\x06\x01"
				      "abcdef"
				      "\x81\x80\x08xyz"),
	CASE("bytes of 2^64-1", "\x01\x0e\x01\x02\x03\x04\x05\x06\x01"
				"abcdef"
				"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xyz"),
	CASE("rest behind the last object", GOOD_THING "\x01"),
};

static void test_bad_objects(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(bad_things) / sizeof(bad_things[0]); i++) {
		if (read_things(bad_things[i].payload, bad_things[i].len) != -EBADMSG)
			fail_msg("%s", bad_things[i].name);
	}
}

/* Frames: each builds a stream that must be refused. */
static void no_phase(struct craft *c)
{
	craft_thing_layout(c);
	craft_record(c, 0x100, 0, GOOD_THING, sizeof(GOOD_THING) - 1);
	craft_phase(c, 0);
}

static void only_running(struct craft *c)
{
	craft_phase(c, 1);
}

static void no_phase_at_all(struct craft *c)
{
}

static void phase_after_the_last(struct craft *c)
{
	craft_phase(c, 0);
	craft_phase(c, 0);
}

static void unknown_phase(struct craft *c)
{
	craft_phase(c, 2);
}

static void long_phase(struct craft *c)
{
	craft_record(c, 2, 0, "123456789", 9);
}

static void unknown_flags(struct craft *c)
{
	craft_record(c, 2, 2, "\0\0\0\0\0\0\0", 8);
}

static void unknown_mandatory(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 9, 0, "?", 1);
}

static void unknown_layout(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\xff\x03\0\x01z\x01\x01n\x01\0\0", 11);
}

static void not_described(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 0x100, 0, GOOD_THING, sizeof(GOOD_THING) - 1);
}

static void described_twice(struct craft *c)
{
	craft_phase(c, 0);
	craft_thing_layout(c);
	craft_thing_layout(c);
}

static void flag_against_layout(struct craft *c)
{
	craft_phase(c, 0);
	craft_thing_layout(c);
	craft_record(c, 0x100, 1, GOOD_THING, sizeof(GOOD_THING) - 1);
}

static void other_name(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\x80\x02\0\x01z\x01\x01n\x01\0\0", 11);
}

static void name_with_escape(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\xff\x03\x01\x01\x1b\x01\x01n\x01\0\0", 11);
}

static void no_fields(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\xff\x03\x01\x01z\0", 6);
}

static void field_of_no_type(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\xff\x03\x01\x01z\x01\x01n\x0a\0\0", 11);
}

static void too_many_layouts(struct craft *c)
{
	craft_phase(c, 0);
	for (unsigned i = 0; i <= 64; i++) {
		char layout[] = "\x80\x04\x01\x01z\x01\x01n\x01\0\0";

		layout[0] = (char)(0x80 | i);
		craft_record(c, 1, 0, layout, sizeof(layout) - 1);
	}
}

static void settings_of_another_state(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\x83\x02\0\x11sample_setting_v2\x01\x05value\x03\0\0", 31);
}

static void mac_of_no_use(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 3, 0, "0123456789abcdef0123456789abcdef", 32);
	craft_thing_layout(c);
}

static void short_mac(struct craft *c)
{
	craft_record(c, 3, 0, "0123456789abcdef", 16);
	craft_phase(c, 0);
}

static void descriptor_that_did_not_come(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 5, 0, "", 0);
}

static void tombstone_where_none_may_be(struct craft *c)
{
	craft_phase(c, 0);
	craft_record(c, 1, 0, "\x82\x02\0\x11sample_setting_v1\x01\x05value\x03\0\0", 31);
	craft_record(c, 0x102, 0, "\x02", 1);
}

static void two_ends(struct craft *c)
{
	craft_phase(c, 0);
	craft_end(c);
}

static void (*const bad_frames[])(struct craft *) = {
	no_phase,
	only_running,
	no_phase_at_all,
	phase_after_the_last,
	unknown_phase,
	long_phase,
	unknown_flags,
	unknown_mandatory,
	unknown_layout,
	not_described,
	described_twice,
	flag_against_layout,
	other_name,
	name_with_escape,
	no_fields,
	field_of_no_type,
	too_many_layouts,
	settings_of_another_state,
	mac_of_no_use,
	short_mac,
	descriptor_that_did_not_come,
	tombstone_where_none_may_be,
	two_ends,
};

static void test_bad_frames(void **state)
{
	struct craft craft;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad_frames) / sizeof(bad_frames[0]); i++) {
		craft_begin(&craft);
		bad_frames[i](&craft);
		craft_end(&craft);
		if (finish(&craft) != -EBADMSG)
			fail_msg("frame %u", i);
	}
}

static void test_unknown_optional(void **state)
{
	struct craft craft;

	(void)state;
	craft_begin(&craft);
	craft_record(&craft, 8, 1, "whatever", 8);
	craft_phase(&craft, 0);
	craft_note_layout(&craft);
	craft_record(&craft, 0x101, 1, "not looked at", 13);
	craft_end(&craft);
	assert_int_equal(finish(&craft), 0);
}

static int read_raw(const uint8_t *bytes, size_t len)
{
	GW_AUTO_FD int fd = sample_fd(bytes, len);

	return sample_read(fd, NULL, &result);
}

/* Refused by its number, before the bytes are waited for or room is made for them. */
static void test_huge_record(void **state)
{
	const uint32_t lengths[] = {320 * 1024 + 1, UINT32_MAX, UINT32_MAX - 6, 1u << 31};
	struct craft craft;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		craft_begin(&craft);
		craft_phase(&craft, 0);
		memcpy(craft.bytes + craft.len - 24 + 4, &lengths[i], 4);
		assert_int_equal(read_raw(craft.bytes, craft.len), -EBADMSG);
		assert_non_null(strstr(gw_last_error(), "at most 327680"));
		craft_free(&craft);
	}
}

static void test_padding(void **state)
{
	struct craft craft;
	size_t begin;

	(void)state;
	craft_begin(&craft);
	craft_phase(&craft, 0);
	begin = craft.len;
	craft_record(&craft, 8, 1, "1234567", 7);
	craft.bytes[begin + 8 + 7] = 1;
	craft_rehash(&craft, begin);
	craft_end(&craft);
	assert_int_equal(finish(&craft), -EBADMSG);
	assert_non_null(strstr(gw_last_error(), "padding"));
}

/* The header, with one field changed and a good checksum around it. */
static int read_header_with(size_t at, uint8_t value)
{
	struct craft craft;

	craft_begin(&craft);
	craft.bytes[at] = value;
	craft_rehash(&craft, 0);
	craft_phase(&craft, 0);
	craft_end(&craft);
	return finish(&craft);
}

static void test_headers(void **state)
{
	const struct {
		size_t at;
		uint8_t value;
		int want;
	} rows[] = {
		{60, 0, 0},	    /* nothing changed */
		{0, 'G', -EBADMSG}, /* another magic */
		{8, 0, -EBADMSG},   /* format 0 */
		{10, 0, -EBADMSG},
		{10, 2, -EBADMSG}, /* oldest reader: none, later than format */
		{8, 2, 0},	   /* a later format that says that this one can read it */
		{12, 72, -EBADMSG},
		{12, 8, -EBADMSG},
		{13, 255, -EBADMSG}, /* where texts begin */
		{14, 0, -EBADMSG},
		{14, 3, -EBADMSG}, /* mode */
		{48, 128, -EBADMSG},
		{50, 128, -EBADMSG},
		{54, 1, -EBADMSG},
		{55, 255, -EBADMSG},
		{60, 1, -EBADMSG}, /* reserved */
		{64, 27, -EBADMSG},
		{72, 7, -EBADMSG}, /* bytes that are no text */
		{64, '\n', -EBADMSG},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (read_header_with(rows[i].at, rows[i].value) != rows[i].want)
			fail_msg("header byte %zu = %u", rows[i].at, rows[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	    cmocka_unit_test(test_bad_objects),
		cmocka_unit_test(test_bad_frames),  cmocka_unit_test(test_unknown_optional),
		cmocka_unit_test(test_huge_record), cmocka_unit_test(test_padding),
		cmocka_unit_test(test_headers),
	};

	gw_log_set_level(GW_LOG_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
