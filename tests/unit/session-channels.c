/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/session-channels.c - one state through each kind of channel: the same bytes in all. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "sample.h"
#include "toy.h"

#define FILLING (6 << 20) /* more than a pipe holds, or than is written before it is mapped */

/* Where it comes out, where it goes in; the same for what has a beginning. */
static void make_pipe(int ends[2])
{
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
}

static void make_sockets(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void make_file(int ends[2])
{
	char path[] = "/tmp/gw-channel.XXXXXX";

	ends[0] = mkostemp(path, O_CLOEXEC);
	assert_true(ends[0] >= 0 && !unlink(path));
	ends[1] = dup(ends[0]);
}

static void make_memory(int ends[2])
{
	ends[0] = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(ends[0] >= 0);
	ends[1] = dup(ends[0]);
}

static void make_ready(int ends[2])
{
	ends[0] = gw_state_memory_new(8 << 20);
	assert_true(ends[0] >= 0);
	ends[1] = dup(ends[0]);
}

static const struct kind {
	const char *name;
	void (*make)(int ends[2]);
	bool has_end; /* of file, by which a reader knows */
	bool own;     /* the device's own channel */
	bool seal;
	bool ready; /* longer than the state, before it is sealed */
} kinds[] = {
	{"pipe", make_pipe, .has_end = true},
	{"socketpair", make_sockets, .has_end = true},
	{"file", make_file},
	{"memfd", make_memory},
	{"sealed memfd", make_memory, .seal = true},
	{"memory made ready", make_ready, .ready = true},
	{"pipe of the device's own", make_pipe, .has_end = true, .own = true},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Until the end of file; *@fd is what came then. */
static void *collect(void *opaque)
{
	int *fd = opaque, kept = sample_fd("", 0);
	char bytes[65536];
	ssize_t n;

	while ((n = read(*fd, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(kept, bytes, (size_t)n), n);
	close(*fd);
	*fd = kept;
	return NULL;
}

struct feed {
	const uint8_t *bytes;
	size_t len;
	int fd;
};

static void *give(void *opaque)
{
	struct feed *feed = opaque;

	for (size_t at = 0; at < feed->len;) {
		ssize_t n = write(feed->fd, feed->bytes + at, feed->len - at);

		assert_true(n > 0);
		at += (size_t)n;
	}
	gw_close(&feed->fd);
	return NULL;
}

/* What the device prefers to what it is given. */
static int own_ends[2];

static int own_channel(void *dev, bool load, int *own, int *peer)
{
	*own = own_ends[load ? 0 : 1];
	*peer = own_ends[load ? 1 : 0];
	return 0;
}

static const uint8_t id[GW_STATE_ID_LEN] = {1, 2, 3, 4, 5};

static void rig_new(struct toy_rig *rig, const struct kind *kind)
{
	const struct gw_session_config config = {.transfer_id = id};

	toy_rig_new(rig, &config, GW_SHARED);
	rig->ops.channel = kind->own ? own_channel : NULL;
	toy->value = 4711;
	toy->save_bytes = FILLING;
}

/* The descriptor that the session is offered. */
static int offer(const struct kind *kind, const int ends[2], bool load)
{
	if (!kind->own)
		return ends[load ? 0 : 1];
	memcpy(own_ends, ends, sizeof(own_ends));
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static uint8_t *save(const struct kind *kind, size_t *len)
{
	struct toy_rig rig;
	pthread_t thread;
	int ends[2], own;
	uint8_t *bytes;

	rig_new(&rig, kind);
	kind->make(ends);
	assert_int_equal(gw_session_transfer(rig.session, false, GW_PHASE_STOPPED,
					     offer(kind, ends, false), &own),
			 0);
	assert_int_equal(own, kind->own ? ends[0] : -1);
	if (kind->has_end)
		assert_int_equal(pthread_create(&thread, NULL, collect, &ends[0]), 0);
	assert_int_equal(toy_check(&rig), 0);
	if (kind->has_end)
		pthread_join(thread, NULL);
	if (kind->ready)
		assert_int_equal(gw_state_memory_seal(ends[0]), 0);
	/* Of what has a beginning all is there when CHECK is answered. */
	bytes = sample_bytes(ends[0], len);
	close(ends[0]);
	toy_rig_free(&rig);
	return bytes;
}

static void load(const struct kind *kind, const uint8_t *bytes, size_t len)
{
	struct feed feed = {.bytes = bytes, .len = len};
	struct toy_rig rig;
	pthread_t thread;
	int ends[2], own;

	rig_new(&rig, kind);
	toy->value = 0;
	kind->make(ends);
	feed.fd = ends[1];
	if (kind->has_end)
		assert_int_equal(pthread_create(&thread, NULL, give, &feed), 0);
	else
		give(&feed); /* and its position is at the end from here on */
	if (kind->ready)
		assert_int_equal(gw_state_memory_seal(ends[0]), 0);
	if (kind->seal)
		assert_int_equal(
			fcntl(ends[0], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE), 0);
	assert_int_equal(gw_session_transfer(rig.session, true, GW_PHASE_STOPPED,
					     offer(kind, ends, true), &own),
			 0);
	assert_int_equal(toy_check(&rig), 0);
	if (kind->has_end)
		pthread_join(thread, NULL);
	assert_int_equal(toy->value, 4711);
	toy_rig_free(&rig);
}

static void the_same_in_all(void **state)
{
	size_t first_len;
	GW_AUTO_FREE uint8_t *first = save(&kinds[0], &first_len);

	(void)state;
	assert_true(first_len > FILLING);
	for (unsigned i = 0; i < KINDS; i++) {
		size_t len;
		GW_AUTO_FREE uint8_t *bytes = save(&kinds[i], &len);

		print_message("%s\n", kinds[i].name);
		assert_int_equal(len, first_len);
		assert_memory_equal(bytes, first, len);
		load(&kinds[i], bytes, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_in_all),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
