/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/null-rounds.c - the smallest device sends its state in rounds: what changed comes
 * again, what did not does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "null/null.h"
#include "state/stream.h"

static const struct gw_device_ops *const ops = &gw_null_ops;
static struct gw_state_writer *writer;

static void *make(uint64_t served)
{
	void *dev;

	assert_int_equal(ops->create(&dev, NULL, NULL), 0);
	assert_int_equal(ops->config_set(dev, 0, &served, sizeof(served)), 0);
	return dev;
}

static void serve_until(void *dev, uint64_t served)
{
	assert_int_equal(ops->config_set(dev, 0, &served, sizeof(served)), 0);
}

static uint64_t served_by(void *dev)
{
	uint64_t served;

	assert_int_equal(ops->config_get(dev, 0, &served, sizeof(served)), 0);
	return served;
}

static int begin(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_header header = {.implementation = "test", .mode = GW_MODE_STATEFUL};

	snprintf(header.model, sizeof(header.model), "%s\n", ops->models[0]->name);
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
	return fd;
}

/* What the stream gets longer by, besides the mark. */
static uint64_t save(void *dev, enum gw_phase phase)
{
	uint64_t before;

	assert_int_equal(gw_state_writer_phase(writer, phase), 0);
	before = gw_state_written(writer);
	assert_int_equal(ops->save(dev, writer, phase, 1), 0);
	assert_int_equal(gw_state_flush(writer), 0);
	return gw_state_written(writer) - before;
}

static void assert_pending(void *dev, bool initial, bool dirty)
{
	struct gw_pending pending;

	assert_int_equal(ops->pending(dev, &pending), 0);
	assert_int_equal(pending.initial > 0, initial);
	assert_int_equal(pending.dirty > 0, dirty);
}

static void arrives(int fd, uint64_t served)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1, .from_start = true};
	struct gw_state_reader *reader;
	void *dev = make(0);

	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	assert_int_equal(ops->load(dev, reader), 0);
	gw_state_reader_free(reader);
	assert_int_equal(served_by(dev), served);
	ops->destroy(dev);
	close(fd);
}

static void changes_come_again(void **state)
{
	void *dev = make(5);
	int fd = begin();

	(void)state;
	assert_int_equal(ops->iterate(dev, true), 0);
	assert_pending(dev, true, false);
	assert_true(save(dev, GW_PHASE_RUNNING) > 0);
	assert_pending(dev, false, false);
	assert_int_equal(save(dev, GW_PHASE_RUNNING), 0);
	serve_until(dev, 9);
	assert_pending(dev, false, true);
	assert_true(save(dev, GW_PHASE_RUNNING) > 0);
	serve_until(dev, 10);
	assert_true(save(dev, GW_PHASE_STOPPED) > 0);
	assert_int_equal(ops->iterate(dev, false), 0);
	arrives(fd, 10);
	assert_int_equal(served_by(dev), 10);
	ops->destroy(dev);
}

static void nothing_is_left_for_the_end(void **state)
{
	void *dev = make(5);
	int fd = begin();

	(void)state;
	assert_int_equal(ops->iterate(dev, true), 0);
	save(dev, GW_PHASE_RUNNING);
	assert_int_equal(save(dev, GW_PHASE_STOPPED), 0);
	assert_int_equal(ops->iterate(dev, false), 0);
	arrives(fd, 5);
	ops->destroy(dev);
}

/* What one stream was told another has not heard, whether the first was cancelled or not. */
static void each_stream_is_whole(void **state)
{
	void *dev = make(5);

	(void)state;
	for (unsigned rounds = 0; rounds < 3; rounds++) {
		int fd = begin();

		assert_int_equal(ops->iterate(dev, true), 0);
		for (unsigned i = 0; i < rounds; i++)
			save(dev, GW_PHASE_RUNNING);
		assert_int_equal(ops->iterate(dev, false), 0); /* cancelled */
		gw_state_writer_free(writer);
		close(fd);
		fd = begin();
		assert_true(save(dev, GW_PHASE_STOPPED) > 0);
		arrives(fd, 5);
	}
	ops->destroy(dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_come_again),
		cmocka_unit_test(nothing_is_left_for_the_end),
		cmocka_unit_test(each_stream_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
