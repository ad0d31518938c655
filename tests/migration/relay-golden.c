/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-golden.c - a relay's state that was once written is loaded for ever, and written
 * alike. */
#include "../unit/cmocka-all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../common/load.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "relay/relay.h"
#include "state/stream.h"

/*
 * relay-golden DIR          load DIR/relay-1.stream, save it again, and compare
 * relay-golden --write DIR  make it if it is not there
 *
 * If it fails after a change of the code it is the change that is wrong.
 */
#define STREAM_MAX 4096

static const char *dir;
static bool writes;
static struct relay_host host = {.on_unsavable = RELAY_UNSAVABLE_DROP};

/* As the source would: one connection in each of the ways that it can be known in. */
struct known {
	uint32_t id, taken, credit;
	bool told, closing, ended;
	struct gw_bytes unsent;
};
static const struct known known[] = {
	{.id = 3, .taken = 9, .credit = 2, .told = true, .ended = true, .unsent = {"hello", 5}},
	{.id = 4, .ended = true},
	{.id = 0xfffffffe, .told = true, .closing = true, .ended = true},
};
struct first {
	uint32_t last_id;
};

static struct gw_state_writer *write_to(int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_header header = {.implementation = "godwit-relay 1",
					 .mode = GW_MODE_STATEFUL,
					 .model = "godwit-project.org/relay\n"};
	struct gw_state_writer *writer = NULL;

	for (unsigned i = 0; i < sizeof(header.id); i++)
		header.id[i] = (uint8_t)(0x10 + i);
	assert_int_equal(gw_state_writer_new(&writer, &channel, &header), 0);
	assert_int_equal(gw_state_writer_phase(writer, GW_PHASE_STOPPED), 0);
	return writer;
}

static void end(struct gw_state_writer *writer)
{
	assert_int_equal(gw_state_writer_end(writer), 0);
	gw_state_writer_free(writer);
}

static void make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	const struct first first = {.last_id = 0xffffffff};
	struct gw_state_writer *writer;

	assert_true(fd >= 0);
	writer = write_to(fd);
	assert_int_equal(gw_state_put(writer, &gw_relay_v1, &first), 0);
	for (unsigned i = 0; i < GW_ARRAY_LEN(known); i++)
		assert_int_equal(gw_state_put(writer, &gw_relay_conn_v1, &known[i]), 0);
	end(writer);
	close(fd);
}

static size_t read_all(int fd, uint8_t bytes[STREAM_MAX])
{
	ssize_t len = pread(fd, bytes, STREAM_MAX, 0);

	assert_true(len > 0 && len < STREAM_MAX);
	return (size_t)len;
}

static void test_loaded_and_written_alike(void **state)
{
	uint8_t want[STREAM_MAX], got[STREAM_MAX];
	int fd, again = memfd_create("state", MFD_CLOEXEC);
	struct gw_state_writer *writer;
	void *dev = NULL;
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/relay-1.stream", dir);
	if (writes && access(path, F_OK))
		make(path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(relay_host_listen(&host, "127.0.0.1:0"), 0);
	assert_int_equal(relay_device_ops.create(&dev, NULL, &host), 0);
	assert_int_equal(load_device(&relay_device_ops, dev, fd), 0);
	writer = write_to(again);
	assert_int_equal(relay_device_ops.save(dev, writer, GW_PHASE_STOPPED, SIZE_MAX), 0);
	end(writer);
	assert_int_equal(read_all(again, got), read_all(fd, want));
	assert_memory_equal(got, want, read_all(fd, want));
	relay_device_ops.destroy(dev);
	close(again);
	close(fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loaded_and_written_alike),
	};

	if (argc < 2)
		return 1;
	writes = !strcmp(argv[1], "--write");
	dir = argv[argc - 1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
