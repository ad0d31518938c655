/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/state-writer.c - what a writer takes, and that its first failure stays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"

static struct gw_state_writer *writer;
static int fd;

static void begin(unsigned number)
{
	const struct gw_state_header header = sample_header(number);

	fd = sample_fd("", 0);
	assert_int_equal(gw_state_writer_new(&writer,
					     &(struct gw_state_channel){.fd = fd, .cancel = -1},
					     &header),
			 0);
}

static void finish(void)
{
	gw_state_writer_free(writer);
	gw_close(&fd);
}

static int put(struct sample_thing thing)
{
	return gw_state_put(writer, &sample_thing_layout, &thing);
}

static void test_values_out_of_bounds(void **state)
{
	static const uint8_t big[SAMPLE_BYTES_MAX + 1];

	(void)state;
	begin(1);
	assert_int_equal(put((struct sample_thing){.u32 = 1000001}), -ERANGE);
	assert_non_null(strstr(gw_last_error(), "sample_thing_v1: u32"));
	assert_int_equal(put((struct sample_thing){0}), -ERANGE); /* it stays */
	assert_non_null(strstr(gw_last_error(), "sample_thing_v1: u32"));
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_STOPPED), -ERANGE);
	assert_int_equal(gw_state_writer_end(writer), -ERANGE);
	finish();

	begin(1);
	assert_int_equal(put((struct sample_thing){.bytes = {big, sizeof(big)}}), -E2BIG);
	finish();
	begin(1);
	assert_int_equal(put((struct sample_thing){.bytes = {big, sizeof(big) - 1}}), 0);
	finish();
}

static void test_order(void **state)
{
	(void)state;
	begin(1);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_RUNNING), 0);
	assert_int_equal(gw_state_writer_end(writer), -EINVAL);
	finish();
	begin(1);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_STOPPED), 0);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_RUNNING), -EINVAL);
	finish();
	begin(1);
	assert_int_equal(gw_state_writer_end(writer), 0); /* an empty state is a state */
	assert_int_equal(put((struct sample_thing){0}), -EINVAL);
	finish();
}

static int put_layout(const struct gw_layout *layout)
{
	struct sample_thing thing = {0};
	int err;

	begin(1);
	err = gw_state_put(writer, &sample_thing_layout, &thing);
	if (!err)
		err = gw_state_put(writer, layout, &thing);
	finish();
	return err;
}

static void test_layouts_made_wrong(void **state)
{
	const struct gw_field none[] = {{0}};
	const struct gw_field outside[] = {{.name = "f", .type = GW_FIELD_U32, .offset = 6}, {0}};
	const struct gw_field endless[] = {{.name = "f", .type = GW_FIELD_BYTES}, {0}};
	const struct gw_field untyped[] = {{.name = "f"}, {0}};
	const struct gw_field unnamed[] = {{.name = "f\n", .type = GW_FIELD_U8}, {0}};
	const struct gw_field good[] = {{.name = "f", .type = GW_FIELD_U8}, {0}};
	const struct {
		struct gw_layout layout;
		int want;
	} rows[] = {
		{{.name = "l", .type = 0x200, .size = 8, .fields = good}, 0},
		{{.name = "l", .type = 0x100, .size = 8, .fields = good}, -EINVAL}, /* taken */
		{{.name = "l", .type = 2, .size = 8, .fields = good}, -EINVAL},	    /* a frame's */
		{{.name = "", .type = 0x200, .size = 8, .fields = good}, -EINVAL},
		{{.name = NULL, .type = 0x200, .size = 8, .fields = good}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 8, .fields = none}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 8, .fields = outside}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 16, .fields = endless}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 8, .fields = untyped}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 8, .fields = unnamed}, -EINVAL},
		{{.name = "l", .type = 0x200, .size = 1 << 20, .fields = good}, -EINVAL},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (put_layout(&rows[i].layout) != rows[i].want)
			fail_msg("layout %u: %s", i, gw_last_error());
	}
}

/* Both versions of a thing are put; what is written is what the parameter says. */
static void test_state_number(void **state)
{
	(void)state;
	for (unsigned number = 1; number <= 2; number++) {
		GW_AUTO_FD int stream = sample_fd("", 0);
		GW_AUTO_FREE uint8_t *bytes = NULL;
		struct sample_result result;
		size_t len;

		assert_int_equal(sample_write(stream, NULL, number), 0);
		bytes = sample_bytes(stream, &len);
		gw_close(&stream);
		stream = sample_fd(bytes, len);
		assert_int_equal(sample_read(stream, NULL, &result), 0);
		assert_true(sample_is_right(&result, number));
	}
	begin(2);
	assert_int_equal(gw_state_number(writer), 2);
	finish();
}

static void test_headers_refused(void **state)
{
	struct gw_state_header header = sample_header(1);
	const struct gw_state_channel channel = {.fd = 1, .cancel = -1};

	(void)state;
	strcpy(header.model, "example.org/sample\nstate=many\n");
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), -EBADMSG);
	assert_null(writer);
	header = sample_header(1);
	header.mode = 0;
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), -EINVAL);
	header = sample_header(1);
	memset(header.implementation, 'x', sizeof(header.implementation));
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), -EINVAL);
	header = sample_header(1);
	assert_int_equal(gw_state_writer_new(&writer,
					     &(struct gw_state_channel){.fd = 12345, .cancel = -1},
					     &header),
			 -EBADF);
}

/* Many small objects: few records, and every delta right. */
static int count_things(void *opaque, const void *object)
{
	const struct sample_thing *thing = object;
	uint64_t *next = opaque;

	assert_int_equal(thing->id, *next * 3);
	(*next)++;
	return 0;
}

static void test_many_objects(void **state)
{
	static const struct gw_state_handler handlers[] = {
		{&sample_thing_layout, count_things, NULL}, {0}};
	struct gw_state_reader *reader;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	uint64_t next = 0;
	size_t len;

	(void)state;
	begin(1);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(put((struct sample_thing){.id = i * 3}), 0);
	assert_int_equal(gw_state_writer_end(writer), 0);
	bytes = sample_bytes(fd, &len);
	assert_int_equal(len, gw_state_written(writer));
	assert_true(len < 50000 * 16 + 4096); /* 16 bytes an object, little for the records */
	finish();
	fd = sample_fd(bytes, len);
	assert_int_equal(
		gw_state_reader_new(&reader, &(struct gw_state_channel){.fd = fd, .cancel = -1}),
		0);
	assert_int_equal(gw_state_read(reader, handlers, &next), 0);
	assert_int_equal(next, 50000);
	assert_true(gw_state_reader_is_complete(reader));
	assert_int_equal(gw_state_reader_bytes(reader), len);
	assert_int_not_equal(gw_state_read(reader, handlers, &next), 0); /* once */
	gw_state_reader_free(reader);
	gw_close(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_out_of_bounds), cmocka_unit_test(test_order),
		cmocka_unit_test(test_layouts_made_wrong),   cmocka_unit_test(test_state_number),
		cmocka_unit_test(test_headers_refused),	     cmocka_unit_test(test_many_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
