/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/session-ahead.c - what goes ahead of a session's state: what a device does with it is
 * not believed, nor what stands at its front. */
#include "cmocka-all.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "state/stream.h"
#include "toy.h"

static struct toy_rig rig;
static int verdict, precopy_result, load_result; /* told; and what the device is to return */
static bool reads_nothing;
static unsigned begun, ended, dropped;
static size_t rounds; /* of save(), before it has said all */

static int on_precopy(void *dev, bool on)
{
	if (on && precopy_result)
		return gw_fail(-precopy_result, "told not to");
	*(on ? &begun : &ended) += 1;
	return 0;
}

static int (*save_state)(void *dev, struct gw_state_writer *writer, enum gw_phase phase,
			 size_t budget);
static int (*load_state)(void *dev, struct gw_state_reader *reader);

static int on_save(void *dev, struct gw_state_writer *writer, enum gw_phase phase, size_t budget)
{
	int err = save_state(dev, writer, phase, budget);

	return err ? err : phase == GW_PHASE_RUNNING && rounds && rounds-- > 1;
}

static int on_load(void *dev, struct gw_state_reader *reader)
{
	if (!reader) {
		dropped++;
		return 0;
	}
	if (!reads_nothing && !load_result)
		return load_state(dev, reader);
	return load_result < 0 ? gw_fail(-load_result, "told to fail") : load_result;
}

static int setup(void **state)
{
	toy_rig_new(&rig, NULL, GW_SHARED);
	save_state = rig.ops.save;
	load_state = rig.ops.load;
	rig.ops.save = on_save;
	rig.ops.precopy = on_precopy;
	rig.ops.precopy_load = on_load;
	precopy_result = load_result = 0;
	reads_nothing = false;
	begun = ended = dropped = 0;
	rounds = 0;
	return 0;
}

static int teardown(void **state)
{
	toy_rig_free(&rig);
	return 0;
}

static void on_done(void *opaque, int result, uint64_t bytes)
{
	verdict = result;
	*(uint64_t *)opaque = bytes;
	gw_loop_quit(rig.loop, 0);
}

static int make(uint64_t *bytes)
{
	int err = gw_session_ahead_save(rig.session, on_done, bytes);

	if (err)
		return err;
	gw_loop_run(rig.loop);
	return verdict;
}

static int keep(void)
{
	uint64_t bytes;
	int err = gw_session_ahead_load(rig.session, on_done, &bytes);

	if (err)
		return err;
	gw_loop_run(rig.loop);
	return verdict;
}

/* What is made here is written here: the device is fresh. */
static size_t bring(void)
{
	uint8_t bytes[4096];
	uint64_t made;
	ssize_t n;

	assert_int_equal(make(&made), 0);
	n = gw_session_ahead_read(rig.session, 0, bytes, sizeof(bytes));
	assert_int_equal(n, made);
	assert_int_equal(gw_session_ahead_write(rig.session, 0, bytes, (size_t)n), 0);
	return (size_t)n;
}

static void says(const char *part)
{
	if (!strstr(gw_last_error(), part))
		fail_msg("'%s' has no '%s'", gw_last_error(), part);
}

static void good(void **state)
{
	bring();
	assert_int_equal(keep(), 0);
	assert_int_equal(begun, 1);
	assert_int_equal(ended, 1);
	assert_int_equal(dropped, 0);
}

/* Each call that says that there is more is followed by another. */
static void in_several_calls(void **state)
{
	uint64_t one, ten;

	assert_int_equal(make(&one), 0);
	rounds = 10;
	assert_int_equal(make(&ten), 0);
	assert_int_equal(rounds, 0);
	assert_true(ten > one);
}

static void a_device_that_refuses(void **state)
{
	uint64_t bytes;

	precopy_result = -ENOSPC;
	assert_int_equal(make(&bytes), -ENOSPC);
	assert_int_equal(begun, 0);
	assert_int_equal(ended, 0);
	precopy_result = 0;
	toy->save_result = -EIO;
	assert_int_equal(make(&bytes), -EIO);
	says("told to fail");
	assert_int_equal(ended, 1);
	/* Nothing was made. */
	assert_int_equal(gw_session_ahead_read(rig.session, 0, &bytes, sizeof(bytes)), -ENODATA);
}

static void a_device_that_lies(void **state)
{
	bring();
	reads_nothing = true;
	assert_int_equal(keep(), -EBADMSG);
	says("not read to its end");
	assert_int_equal(dropped, 1);
	bring();
	load_result = 1;
	assert_int_equal(keep(), -EPROTO);
	says("returned 1");
	bring();
	load_result = -ENOMEM;
	assert_int_equal(keep(), -ENOMEM);
	assert_int_equal(dropped, 3);
}

static void more_than_is_taken(void **state)
{
	uint8_t byte = 0;
	size_t len = bring();

	/* It is refused before it is looked at. */
	assert_int_equal(gw_session_ahead_write(rig.session, 0, &byte, GW_AHEAD_MAX + 1), -EFBIG);
	assert_int_equal(gw_session_ahead_write(rig.session, len, &byte, GW_AHEAD_MAX), -EFBIG);
	assert_int_equal(gw_session_ahead_write(rig.session, len, &byte, SIZE_MAX), -EFBIG);
	/* And what was there is. */
	assert_int_equal(keep(), 0);
}

/* A stream that is as it should be, but for its header. */
static void write_stream(const struct gw_state_header *header)
{
	GW_AUTO_FD int fd = memfd_create("stream", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_writer *writer;
	uint8_t bytes[4096];
	ssize_t n;

	assert_int_equal(gw_state_writer_new(&writer, &channel, header), 0);
	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
	n = pread(fd, bytes, sizeof(bytes), 0);
	assert_true(n > 0);
	assert_int_equal(gw_session_ahead_write(rig.session, 0, bytes, (size_t)n), 0);
}

static void not_this_devices(void **state)
{
	struct gw_state_header header = {.mode = GW_MODE_STATELESS};

	strcpy(header.model, "example.org/toy\n");
	write_stream(&header);
	assert_int_equal(keep(), -EINVAL);
	says("a ticket in place of a state");
	header.mode = GW_MODE_STATEFUL;
	write_stream(&header);
	assert_int_equal(keep(), 0);
	strcpy(header.model, "example.org/toys\n");
	write_stream(&header);
	assert_int_equal(keep(), -EINVAL);
	says("of model 'example.org/toys'");
	strcpy(header.model, "example.org/to\n");
	write_stream(&header);
	assert_int_equal(keep(), -EINVAL);
	*header.model = 0;
	write_stream(&header);
	assert_int_equal(keep(), -EINVAL);
}

/* It comes as if nothing had been. */
static void then_the_state(void **state)
{
	uint8_t *bytes;
	size_t len;

	toy->value = 7;
	bring();
	assert_int_equal(keep(), 0);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	assert_int_equal(gw_session_reset(rig.session), 0);
	assert_int_equal(dropped, 0);
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	assert_int_equal(toy->value, 7);
	/* Nothing more goes ahead of it. */
	assert_int_equal(gw_session_ahead_write(rig.session, 0, bytes, len), -EBUSY);
	assert_int_equal(gw_session_reset(rig.session), 0);
	assert_int_equal(dropped, 1);
	free(bytes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good),
		TEST(in_several_calls),
		TEST(a_device_that_refuses),
		TEST(a_device_that_lies),
		TEST(more_than_is_taken),
		TEST(not_this_devices),
		TEST(then_the_state),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
