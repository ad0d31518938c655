/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/state-failures.c - transfers that fail: told at CHECK, and the device is usable after.
 */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define MIB UINT64_C(0x100000)

static int new_stream(const void *bytes, size_t len)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* It runs, it stops, it can be saved and loaded: nothing is left of the failure. */
static void expect_usable(struct gw_frontend *frontend, struct echo *echo)
{
	int stream = new_stream("", 0);

	ok(gw_frontend_start(frontend));
	echo_once(echo, frontend, 0, 1);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, stream));
	lseek(stream, 0, SEEK_SET);
	ok(gw_frontend_reset_device(frontend));
	ok(gw_frontend_load(frontend, stream));
	ok(gw_frontend_start(frontend));
	echo_once(echo, frontend, 0, 2);
	ok(gw_frontend_stop(frontend));
	close(stream);
}

struct scene {
	struct peer peer;
	struct gw_frontend *frontend;
	struct echo echo;
};

static int setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	peer_start(&scene->peer, &(struct peer_options){0});
	scene->frontend = peer_frontend(&scene->peer);
	echo_init(&scene->echo, scene->frontend);
	echo_once(&scene->echo, scene->frontend, 0, 0);
	ok(gw_frontend_stop(scene->frontend));
	*state = scene;
	return 0;
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	gw_frontend_free(scene->frontend);
	assert_int_equal(peer_join(&scene->peer), 0);
	free(scene);
	return 0;
}

static char *saved(struct scene *scene, size_t *len)
{
	int stream = new_stream("", 0);
	struct stat st;
	char *bytes;

	ok(gw_frontend_save(scene->frontend, stream));
	assert_int_equal(fstat(stream, &st), 0);
	*len = (size_t)st.st_size;
	bytes = malloc(*len);
	assert_non_null(bytes);
	assert_int_equal(pread(stream, bytes, *len, 0), *len);
	close(stream);
	/* Only a fresh device is loaded into. */
	ok(gw_frontend_reset_device(scene->frontend));
	return bytes;
}

static void expect_refused(struct scene *scene, const char *bytes, size_t len)
{
	int own_fd, stream = new_stream(bytes, len);
	enum gw_transfer_reply reply;

	ok(gw_frontend_transfer_offer(scene->frontend, true, GW_PHASE_STOPPED, stream, &own_fd,
				      &reply));
	assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
	close(stream);
}

static void save_fails(void **state)
{
	struct scene *scene = *state;
	int stream = new_stream("", 0);

	atomic_store(&scene->peer.script->fail_save, ENOSPC);
	assert_int_equal(gw_frontend_save(scene->frontend, stream), -EIO);
	close(stream);
	atomic_store(&scene->peer.script->fail_save, 0);
	expect_usable(scene->frontend, &scene->echo);
}

static void load_fails(void **state)
{
	struct scene *scene = *state;
	size_t len;
	char *bytes = saved(scene, &len);

	atomic_store(&scene->peer.script->fail_load, EINVAL);
	expect_refused(scene, bytes, len);
	atomic_store(&scene->peer.script->fail_load, 0);
	free(bytes);
	expect_usable(scene->frontend, &scene->echo);
}

/* Cut at every byte: a VMM passes a cut stream on as a clean end. */
static void cut_streams(void **state)
{
	struct scene *scene = *state;
	size_t len;
	char *bytes = saved(scene, &len);

	for (size_t at = 0; at < len; at++)
		expect_refused(scene, bytes, at);
	free(bytes);
	expect_usable(scene->frontend, &scene->echo);
}

static void flipped_bits(void **state)
{
	struct scene *scene = *state;
	size_t len;
	char *bytes = saved(scene, &len);

	for (size_t at = 0; at < len; at++) {
		bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
		expect_refused(scene, bytes, len);
		bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
	}
	free(bytes);
	expect_usable(scene->frontend, &scene->echo);
}

static void garbage(void **state)
{
	struct scene *scene = *state;
	char bytes[5000];
	uint32_t x = 1;

	ok(gw_frontend_reset_device(scene->frontend));
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	expect_refused(scene, bytes, sizeof(bytes));
	expect_refused(scene, "", 0);
	expect_usable(scene->frontend, &scene->echo);
}

static void something_after_the_end(void **state)
{
	struct scene *scene = *state;
	size_t len;
	char *bytes = saved(scene, &len);
	char *longer = calloc(1, len + 1);

	assert_non_null(longer);
	for (size_t i = 0; i < len; i++)
		longer[i] = bytes[i];
	expect_refused(scene, longer, len + 1);
	free(longer);
	free(bytes);
	expect_usable(scene->frontend, &scene->echo);
}

static void check_without_transfer(void **state)
{
	struct scene *scene = *state;
	int stream = new_stream("", 0);

	assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
	ok(gw_frontend_save(scene->frontend, stream));
	/* A verdict is told once. */
	assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
	close(stream);
	expect_usable(scene->frontend, &scene->echo);
}

static void begin(struct scene *scene, bool load, int *channel)
{
	enum gw_transfer_reply reply;

	ok(gw_frontend_transfer_begin(scene->frontend, load, GW_PHASE_STOPPED, channel, &reply));
}

/* A second request cancels the first, whatever either is. */
static void second_cancels_first(void **state)
{
	struct scene *scene = *state;
	int first, stream = new_stream("", 0);

	ok(gw_frontend_reset_device(scene->frontend));
	atomic_store(&scene->peer.script->bulk_bytes, MIB);
	for (unsigned i = 0; i < 4; i++) {
		begin(scene, i % 2, &first);
		ok(gw_frontend_save(scene->frontend, stream));
		close(first);
	}
	close(stream);
	expect_usable(scene->frontend, &scene->echo);
}

/* The front-end closes its end in the middle and never asks for the verdict. */
static void cancelled_by_closing(void **state)
{
	struct scene *scene = *state;
	int channel;
	char piece[100];

	ok(gw_frontend_reset_device(scene->frontend));
	atomic_store(&scene->peer.script->bulk_bytes, MIB);
	for (unsigned i = 0; i < 4; i++) {
		bool load = !(i % 2); /* no ring may start while it loads: a save is last */

		begin(scene, load, &channel);
		if (!load)
			while (read(channel, piece, sizeof(piece)) < 0 && errno == EAGAIN)
				sleep_ms(1);
		close(channel);
	}
	expect_usable(scene->frontend, &scene->echo);
}

/* And if it asks: it failed. */
static void cancelled_and_checked(void **state)
{
	struct scene *scene = *state;
	int channel;

	ok(gw_frontend_reset_device(scene->frontend));
	atomic_store(&scene->peer.script->bulk_bytes, MIB);
	begin(scene, false, &channel);
	close(channel);
	assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
	begin(scene, true, &channel);
	close(channel);
	assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
	expect_usable(scene->frontend, &scene->echo);
}

/* The guest goes on while a save that nobody reads is still open: it is cancelled. */
static void start_during_save(void **state)
{
	struct scene *scene = *state;
	int channel;

	atomic_store(&scene->peer.script->bulk_bytes, MIB);
	begin(scene, false, &channel);
	if (!gw_frontend_start(scene->frontend)) {
		echo_once(&scene->echo, scene->frontend, 0, 5);
		ok(gw_frontend_stop(scene->frontend));
	}
	close(channel);
	expect_usable(scene->frontend, &scene->echo);
}

static void reset_during_transfer(void **state)
{
	struct scene *scene = *state;
	int channel;

	atomic_store(&scene->peer.script->bulk_bytes, MIB);
	ok(gw_frontend_reset_device(scene->frontend));
	for (unsigned i = 0; i < 2; i++) {
		begin(scene, i, &channel);
		ok(gw_frontend_reset_device(scene->frontend));
		assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
		close(channel);
	}
	expect_usable(scene->frontend, &scene->echo);
}

static void refused_while_running(void **state)
{
	struct scene *scene = *state;
	enum gw_transfer_reply reply;
	int channel;

	ok(gw_frontend_start(scene->frontend));
	for (int load = 0; load < 2; load++) {
		assert_int_equal(gw_frontend_transfer_begin(scene->frontend, load, GW_PHASE_STOPPED,
							    &channel, &reply),
				 -EIO);
		assert_int_equal(reply, GW_REPLY_REFUSED);
	}
	echo_once(&scene->echo, scene->frontend, 0, 3);
	ok(gw_frontend_stop(scene->frontend));
	expect_usable(scene->frontend, &scene->echo);
}

/* Every other direction and phase is refused by a reply, not by dying. */
static void unknown_direction_or_phase(void **state)
{
	static const struct gw_vu_device_state wrong[] = {{2, 0}, {UINT32_MAX, 0}, {0, 1},
							  {1, 1}, {0, UINT32_MAX}, {256, 0}};
	struct scene *scene = *state;

	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct provoked provoked = provoke(
			scene->frontend, &(struct provocation){.request = GW_VU_SET_DEVICE_STATE_FD,
							       .payload = &wrong[i],
							       .len = sizeof(wrong[i]),
							       .fd_count = 1});

		assert_int_equal(provoked.answer, ANSWER_GIVEN);
		assert_true(provoked.payload.u64 & GW_VU_STATE_ERROR_MASK);
		assert_true(provoked.payload.u64 & GW_VU_STATE_NO_FD);
		assert_false(provoked.with_fd);
	}
	expect_usable(scene->frontend, &scene->echo);
}

/* A channel that cannot be written, or read. */
static void wrong_end(void **state)
{
	struct scene *scene = *state;
	enum gw_transfer_reply reply;
	int ends[2], own_fd;

	ok(gw_frontend_reset_device(scene->frontend));
	for (int load = 0; load < 2; load++) {
		assert_int_equal(pipe(ends), 0);
		if (!gw_frontend_transfer_offer(scene->frontend, load, GW_PHASE_STOPPED,
						ends[load ? 1 : 0], &own_fd, &reply))
			assert_int_equal(gw_frontend_transfer_check(scene->frontend), -EIO);
		close(ends[0]);
		close(ends[1]);
	}
	expect_usable(scene->frontend, &scene->echo);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(save_fails),
		TEST(load_fails),
		TEST(cut_streams),
		TEST(flipped_bits),
		TEST(garbage),
		TEST(something_after_the_end),
		TEST(check_without_transfer),
		TEST(second_cancels_first),
		TEST(cancelled_by_closing),
		TEST(cancelled_and_checked),
		TEST(start_during_save),
		TEST(reset_during_transfer),
		TEST(refused_while_running),
		TEST(unknown_direction_or_phase),
		TEST(wrong_end),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
