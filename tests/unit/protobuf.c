/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/protobuf.c - messages as they are on the wire, to the byte, and what is none. */
#include <errno.h>
#include <string.h>

#include "cli/fleet/protobuf.h"
#include "cmocka-all.h"
#include "godwit/error.h"

static void expect_bytes(struct gw_protobuf *message, const void *bytes, size_t len)
{
	assert_false(message->failed);
	assert_int_equal(message->len, len);
	assert_memory_equal(message->bytes, bytes, len);
	gw_protobuf_free(message);
	assert_null(message->bytes);
}

/* The two examples of the encoding's own description: 150 in field 1, "testing" in field 2. */
static void test_written(void **state)
{
	struct gw_protobuf message = {0};
	static const char largest[] =
		"\xf8\xff\xff\xff\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";

	gw_protobuf_number(&message, 1, 150);
	expect_bytes(&message, "\x08\x96\x01", 3);
	gw_protobuf_bytes(&message, 2, "testing", 7);
	expect_bytes(&message, "\x12\x07testing", 9);
	gw_protobuf_number(&message, 0xfffffff, UINT64_MAX);
	expect_bytes(&message, largest, sizeof(largest) - 1);
}

static void test_nothing_is_not_written(void **state)
{
	struct gw_protobuf message = {0};

	gw_protobuf_number(&message, 1, 0);
	gw_protobuf_bytes(&message, 2, NULL, 0);
	assert_int_equal(message.len, 0);
	gw_protobuf_free(&message);
}

/* Longer than the room that it begins with, and in many pieces. */
static void test_grows(void **state)
{
	struct gw_protobuf message = {0};
	struct gw_protobuf_field field;
	struct gw_bytes rest;
	char piece[1000];

	memset(piece, 'x', sizeof(piece));
	for (unsigned i = 1; i <= 100; i++)
		gw_protobuf_bytes(&message, i, piece, sizeof(piece) - i);
	assert_false(message.failed);
	rest = (struct gw_bytes){message.bytes, message.len};
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(gw_protobuf_next(&rest, &field), 1);
		assert_true(field.is_bytes);
		assert_int_equal(field.number, i);
		assert_int_equal(field.bytes.len, sizeof(piece) - i);
		assert_memory_equal(field.bytes.at, piece, field.bytes.len);
	}
	assert_int_equal(gw_protobuf_next(&rest, &field), 0);
	gw_protobuf_free(&message);
}

static void test_read(void **state)
{
	static const uint8_t bytes[] =
		"\x08\x96\x01\x12\x02hi\x31\1\2\3\4\5\6\7\x08\x35\1\2\3\4\x18";
	struct gw_bytes rest = {bytes, sizeof(bytes)}; /* the last number is the NUL */
	struct gw_protobuf_field field;

	assert_int_equal(gw_protobuf_next(&rest, &field), 1);
	assert_true(field.number == 1 && !field.is_bytes && field.value == 150);
	assert_int_equal(gw_protobuf_next(&rest, &field), 1);
	assert_true(field.number == 2 && field.is_bytes && field.bytes.len == 2);
	assert_ptr_equal(field.bytes.at, bytes + 5);
	assert_int_equal(gw_protobuf_next(&rest, &field), 1);
	assert_true(field.number == 6 && !field.is_bytes && !field.value);
	assert_int_equal(gw_protobuf_next(&rest, &field), 1);
	assert_true(field.number == 6 && !field.is_bytes && !field.value);
	assert_int_equal(gw_protobuf_next(&rest, &field), 1);
	assert_true(field.number == 3 && !field.is_bytes && !field.value);
	assert_int_equal(gw_protobuf_next(&rest, &field), 0);
}

static void test_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} none[] = {
		{"\x08", 1},						  /* no number */
		{"\x08\xff", 2},					  /* that does not end */
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* nor in 64 bits */
		{"\x12\x03hi", 4},					  /* longer than there is */
		{"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},	  /* than there could be */
		{"\x31\0\0\0\0\0\0\0", 8},
		{"\x35\0\0\0", 4},
		{"\x13", 1}, /* a group */
		{"\x14", 1},
		{"\x0e", 1}, /* types that there are not */
		{"\x0f", 1},
		{"\x00\x00", 2},			 /* field 0 */
		{"\x80\x80\x80\x80\x80\x80\x01\x00", 8}, /* a field of more than 32 bits */
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct gw_bytes rest = {(const uint8_t *)none[i].bytes, none[i].len};
		struct gw_protobuf_field field;

		gw_set_error("nothing");
		assert_int_equal(gw_protobuf_next(&rest, &field), -EPROTO);
		assert_non_null(strstr(gw_last_error(), "no protobuf message"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written), cmocka_unit_test(test_nothing_is_not_written),
		cmocka_unit_test(test_grows),	cmocka_unit_test(test_read),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
