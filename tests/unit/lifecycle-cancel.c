/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/lifecycle-cancel.c - transfers that end early: cancel, reset, disconnect, free,
 * silence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "toy.h"

static int told;

static void on_told(void *opaque, int verdict)
{
	(void)opaque;
	told = verdict;
}

/* A save that fills the pipe and waits for a reader. */
static void begin_stuck_save(struct toy_rig *rig, int *fd)
{
	toy->save_bytes = 64 * 1024 * 1024;
	assert_int_equal(toy_begin(rig, false, fd), 0);
	assert_int_equal(gw_session_transfer_state(rig->session), GW_TRANSFER_SAVING);
}

static void test_cancel_tells_who_waits(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FD int fd = -1;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	told = 0;
	assert_int_equal(gw_session_check(rig.session, on_told, NULL), -EINPROGRESS);
	assert_int_equal(gw_session_check(rig.session, on_told, NULL), -EBUSY);
	gw_session_cancel(rig.session);
	assert_int_equal(told, -ECANCELED);
	assert_int_equal(rig.failures, 1);
	gw_session_cancel(rig.session); /* nothing is under way */
	assert_int_equal(rig.failures, 1);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	toy_rig_free(&rig);
}

static void test_second_request_ends_the_first(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FD int fd = -1;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	toy->save_bytes = 0;
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	assert_int_equal(rig.failures, 1);
	toy_rig_free(&rig);
}

static void test_ring_ends_a_save(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FD int fd = -1;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(gw_session_transfer_state(rig.session), GW_TRANSFER_IDLE);
	assert_int_equal(toy->runs, 1);
	assert_int_equal(toy->outcome, GW_OUTCOME_FAILED);
	assert_int_equal(toy->outcomes, 1);
	toy_rig_free(&rig);
}

static void test_reset_and_disconnect(void **state)
{
	struct toy_rig rig;
	int fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	assert_false(gw_session_may_end(rig.session));
	assert_int_equal(gw_session_reset(rig.session), 0);
	gw_close(&fd);
	begin_stuck_save(&rig, &fd);
	gw_session_check(rig.session, on_told, NULL);
	gw_session_check_abandon(rig.session, &rig); /* another one's */
	gw_session_check_abandon(rig.session, NULL);
	told = 0;
	gw_session_disconnect(rig.session);
	assert_int_equal(told, 0);
	assert_true(gw_session_may_end(rig.session));
	assert_int_equal(gw_session_connect(rig.session), 0);
	assert_int_equal(gw_session_check(rig.session, on_told, NULL), -ENODATA);
	gw_close(&fd);
	toy_rig_free(&rig);
}

static void test_free_with_a_transfer_under_way(void **state)
{
	struct toy_rig rig;
	int fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	toy_rig_free(&rig);
	gw_close(&fd);

	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_begin(&rig, true, &fd), 0);
	assert_int_equal(gw_session_ring_on(rig.session), -EBUSY);
	toy_rig_free(&rig);
	gw_close(&fd);
}

/* The worker waits for the control thread to adopt, which never turns to it. */
static void test_cancel_before_adoption(void **state)
{
	const struct timespec moment = {.tv_nsec = 20000000};
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;
	int fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(toy_begin(&rig, true, &fd), 0);
		assert_int_equal(write(fd, bytes, len), len);
		gw_close(&fd);
		if (i)
			nanosleep(&moment, NULL);
		gw_session_cancel(rig.session);
		assert_int_equal(gw_session_check(rig.session, NULL, NULL), -ECANCELED);
	}
	assert_int_equal(toy->adopts, 0);
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	toy_rig_free(&rig);
}

static void *drain(void *opaque)
{
	char buf[4096];

	while (read(*(int *)opaque, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

/* At a moment that differs each time: before, during, after. */
static void test_cancel_at_any_moment(void **state)
{
	struct toy_rig rig;
	pthread_t reader;

	(void)state;
	for (long us = 0; us < 2000; us += 50) {
		const struct timespec moment = {.tv_nsec = us * 1000};
		int fd;

		toy_rig_new(&rig, NULL, GW_SHARED);
		toy->save_bytes = 1024 * 1024;
		assert_int_equal(toy_begin(&rig, false, &fd), 0);
		assert_int_equal(pthread_create(&reader, NULL, drain, &fd), 0);
		nanosleep(&moment, NULL);
		gw_session_cancel(rig.session);
		assert_int_equal(gw_session_check(rig.session, NULL, NULL), -ECANCELED);
		pthread_join(reader, NULL); /* the worker has closed its end */
		toy_rig_free(&rig);
		gw_close(&fd);
	}
}

/* A load that had come to its end, and was cancelled before anyone noticed, did not happen. */
static void test_cancel_undoes_a_load(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;
	int fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	toy->value = 9;
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	toy->value = 0;
	assert_int_equal(toy_begin(&rig, true, &fd), 0);
	assert_int_equal(write(fd, bytes, len / 2), len / 2);
	for (int i = 0; i < 500 && toy->limit != 8; i++)
		toy_wait(&rig, 20); /* until it is adopted */
	assert_int_equal(toy->limit, 8);
	assert_int_equal(write(fd, bytes + len / 2, len - len / 2), len - len / 2);
	gw_close(&fd);
	while (toy->value != 9)
		usleep(1000);
	usleep(10000);
	gw_session_cancel(rig.session);
	assert_int_equal(gw_session_device_state(rig.session), GW_DEVICE_FRESH);
	assert_int_equal(toy->value, 0);
	assert_int_equal(toy->limit, 0);
	toy_rig_free(&rig);
}

static void test_silent_peer(void **state)
{
	const struct gw_session_config config = {.idle_timeout_ms = 50};
	struct toy_rig rig;
	GW_AUTO_FD int fd = -1;

	(void)state;
	toy_rig_new(&rig, &config, GW_SHARED);
	assert_int_equal(toy_begin(&rig, true, &fd), 0);
	assert_int_equal(toy_check(&rig), -ETIMEDOUT);
	toy_rig_free(&rig);
}

static void test_reader_goes_away(void **state)
{
	struct toy_rig rig;
	int fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	begin_stuck_save(&rig, &fd);
	gw_close(&fd);
	assert_int_equal(toy_check(&rig), -EPIPE);
	assert_int_equal(rig.failure.result, -EPIPE);
	toy_rig_free(&rig);
}

static int given[2];

static int own_channel(void *dev, bool load, int *ours, int *theirs)
{
	(void)dev;
	(void)load;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, given), 0);
	*ours = given[0];
	*theirs = given[1];
	return 0;
}

static void test_own_channel(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FD int own_fd = -1;
	int ends[2];
	char magic[8];

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	rig.ops.channel = own_channel;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(gw_session_transfer(rig.session, false, 0, ends[1], &own_fd), 0);
	assert_int_equal(own_fd, given[1]);
	assert_int_equal(read(ends[0], magic, 1), 0); /* the front-end's own was closed, unused */
	assert_int_equal(toy_check(&rig), 0);
	assert_int_equal(recv(own_fd, magic, sizeof(magic), MSG_WAITALL), 8);
	assert_memory_equal(magic + 1, "GODWIT", 6);
	gw_close(&ends[0]);
	toy_rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancel_tells_who_waits),
		cmocka_unit_test(test_second_request_ends_the_first),
		cmocka_unit_test(test_ring_ends_a_save),
		cmocka_unit_test(test_reset_and_disconnect),
		cmocka_unit_test(test_free_with_a_transfer_under_way),
		cmocka_unit_test(test_cancel_before_adoption),
		cmocka_unit_test(test_cancel_at_any_moment),
		cmocka_unit_test(test_cancel_undoes_a_load),
		cmocka_unit_test(test_silent_peer),
		cmocka_unit_test(test_reader_goes_away),
		cmocka_unit_test(test_own_channel),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
