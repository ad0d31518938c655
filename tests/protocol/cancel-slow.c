/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/cancel-slow.c - a device that is slow to come back from save(): whatever cancels the
 * transfer waits for it, and nobody else does. */
#include "../unit/cmocka-all.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define SLOW_MS	  600
#define PROMPT_MS 300

static unsigned now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* The device sleeps in save(), not in the stream. */
static struct gw_frontend *slow_save(const struct peer *peer, int *channel)
{
	struct gw_frontend_config config = peer_config(peer);
	unsigned saves = atomic_load(&peer->script->saves);
	enum gw_transfer_reply reply;
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_transfer_begin(frontend, false, GW_PHASE_STOPPED, channel, &reply));
	wait_until(&peer->script->saves, saves + 1);
	sleep_ms(20);
	return frontend;
}

/* Another front-end is answered at once, again and again. */
static void expect_prompt(struct gw_frontend *other)
{
	for (unsigned i = 0; i < 5; i++) {
		unsigned begin = now_ms();

		provoke(other, &(struct provocation){.request = GW_VU_GET_FEATURES});
		assert_in_range(now_ms() - begin, 0, PROMPT_MS);
		sleep_ms(10);
	}
}

static void send_request(struct gw_frontend *frontend, uint32_t request, const void *payload,
			 uint32_t len, const int *fd)
{
	ok(gw_frontend_send_raw(frontend, request, GW_VU_VERSION | GW_VU_NEED_REPLY, payload, len,
				fd, !!fd));
}

static uint64_t answer_to(struct gw_frontend *frontend, uint32_t request)
{
	uint64_t value = 0;
	uint32_t got, flags;
	int fd;

	assert_int_equal(
		ok(gw_frontend_recv_raw(frontend, &got, &flags, &value, sizeof(value), &fd)),
		sizeof(value));
	assert_int_equal(got, request);
	return value;
}

static void second_save(struct gw_frontend *frontend)
{
	const struct gw_vu_device_state save = {.direction = GW_VU_STATE_SAVE};
	int fd = memfd_create("state", MFD_CLOEXEC);

	send_request(frontend, GW_VU_SET_DEVICE_STATE_FD, &save, sizeof(save), &fd);
	close(fd);
}

static void then_saved(struct gw_frontend *frontend)
{
	assert_int_equal(answer_to(frontend, GW_VU_SET_DEVICE_STATE_FD), GW_VU_STATE_ACCEPTED);
	send_request(frontend, GW_VU_CHECK_DEVICE_STATE, NULL, 0, NULL);
	assert_int_equal(answer_to(frontend, GW_VU_CHECK_DEVICE_STATE), 0);
}

static void reset(struct gw_frontend *frontend)
{
	send_request(frontend, GW_VU_RESET_DEVICE, NULL, 0, NULL);
}

static void then_reset(struct gw_frontend *frontend)
{
	assert_int_equal(answer_to(frontend, GW_VU_RESET_DEVICE), 0);
	ok(gw_frontend_start(frontend));
}

struct way {
	void (*ask)(struct gw_frontend *frontend);
	void (*then)(struct gw_frontend *frontend);
};

static void cancelled_by(void **state)
{
	const struct way *way = *state;
	struct gw_frontend *frontend, *other;
	struct peer peer;
	int channel;

	peer_start(&peer, &(struct peer_options){.connections = 2, .reconnect = true});
	atomic_store(&peer.script->bulk_bytes, 100);
	atomic_store(&peer.script->save_pause_ms, SLOW_MS);
	other = peer_connect(&peer);
	frontend = slow_save(&peer, &channel);
	way->ask(frontend);
	atomic_store(&peer.script->save_pause_ms, 0);
	expect_prompt(other);
	way->then(frontend);
	gw_frontend_free(frontend);
	gw_frontend_free(other);
	peer_stop(&peer);
	close(channel);
}

/* The front-end goes away, also while something it asked for waits already. */
static void disconnected(void **state)
{
	const struct way *way = *state;
	struct gw_frontend *frontend, *other;
	struct peer peer;
	int channel;

	peer_start(&peer, &(struct peer_options){.connections = 2, .reconnect = true});
	atomic_store(&peer.script->bulk_bytes, 100);
	atomic_store(&peer.script->save_pause_ms, SLOW_MS);
	other = peer_connect(&peer);
	frontend = slow_save(&peer, &channel);
	if (way)
		way->ask(frontend);
	gw_frontend_free(frontend);
	expect_prompt(other);
	atomic_store(&peer.script->save_pause_ms, 0);
	/* The seat is free when the device has come back. */
	gw_frontend_free(peer_frontend(&peer));
	gw_frontend_free(other);
	peer_stop(&peer);
	close(channel);
}

/* A ring that starts here says that the save is not wanted any more. */
static void started(void **state)
{
	struct gw_frontend *frontend, *other;
	struct peer peer;
	unsigned begin;
	int channel;

	(void)state;
	peer_start(&peer, &(struct peer_options){.connections = 2, .reconnect = true});
	atomic_store(&peer.script->bulk_bytes, 100);
	atomic_store(&peer.script->save_pause_ms, SLOW_MS);
	other = peer_connect(&peer);
	frontend = slow_save(&peer, &channel);
	begin = now_ms();
	ok(gw_frontend_start(frontend));
	assert_in_range(now_ms() - begin, SLOW_MS / 2, 10 * SLOW_MS);
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 1);
	gw_frontend_free(frontend);
	gw_frontend_free(other);
	peer_stop(&peer);
	close(channel);
}

int main(void)
{
	static struct way save_again = {second_save, then_saved}, resets = {reset, then_reset};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(cancelled_by, &save_again),
		cmocka_unit_test_prestate(cancelled_by, &resets),
		cmocka_unit_test(disconnected),
		cmocka_unit_test_prestate(disconnected, &resets),
		cmocka_unit_test(started),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
