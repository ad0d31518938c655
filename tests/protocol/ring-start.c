/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/ring-start.c - a ring is looked at when it starts and when it is enabled; no kick is
 * lost. */
#include "../unit/cmocka-all.h"

#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

static struct gw_frontend *make(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	ok(gw_frontend_new(&frontend, &config));
	return frontend;
}

static void signal_kick(const struct gw_frontend *frontend)
{
	uint64_t one = 1;

	assert_int_equal(write(frontend->queues[0].kick, &one, sizeof(one)), sizeof(one));
}

static void set_ring(struct gw_frontend *frontend, uint32_t request, uint32_t num)
{
	struct gw_vu_vring_state state = {.num = num};

	ok(gw_frontend_tell(
		frontend, GW_VU_ACKED,
		&(struct gw_vu_out){.request = request, .payload = &state, .len = sizeof(state)}));
}

/* As gw_frontend_start() does it, but that nobody ever kicks. */
static void start_without_kick(struct gw_frontend *frontend, int kick)
{
	ok(gw_frontend_send_features(frontend, GW_VU_ACKED));
	ok(gw_frontend_tell_memory(frontend));
	set_ring(frontend, GW_VU_SET_VRING_NUM, frontend->guest->queue_size);
	set_ring(frontend, GW_VU_SET_VRING_BASE, 0);
	ok(gw_frontend_send_ring_addr(frontend, 0));
	ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, 0, frontend->queues[0].call));
	ok(gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_KICK, 0, kick));
	set_ring(frontend, GW_VU_SET_VRING_ENABLE, 1);
}

/* What was in the ring before it started, as after a migration, needs no kick. */
static void filled_before(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer);
	echo_init(&echo, frontend);
	echo_add(&echo, frontend, 0, 1, 100, 1);
	start_without_kick(frontend, frontend->queues[0].kick);
	echo_take(frontend, 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Without a kick descriptor the ring is polled. */
static void polled(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer);
	echo_init(&echo, frontend);
	start_without_kick(frontend, -1);
	for (unsigned i = 0; i < 5; i++) {
		sleep_ms(2);
		echo_add(&echo, frontend, 0, i, 100, 1);
		echo_take(frontend, 0);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* The kick comes while the ring is disabled; the enable comes later. */
static void kick_before_enable(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer);
	echo_init(&echo, frontend);
	ok(gw_frontend_start(frontend));
	for (unsigned i = 0; i < 20; i++) {
		ok(gw_frontend_enable(frontend, 0, false));
		echo_add(&echo, frontend, 0, i, 100, 1);
		signal_kick(frontend);
		sleep_ms(i % 3);
		assert_int_equal(gw_driver_in_flight(frontend, 0), 1);
		assert_int_equal(atomic_load(&peer.script->elements), i);
		ok(gw_frontend_enable(frontend, 0, true));
		echo_take(frontend, 0);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* A ring that is started and never enabled takes nothing. */
static void never_enabled(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = make(&peer);
	echo_init(&echo, frontend);
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_enable(frontend, 0, false));
	echo_add(&echo, frontend, 0, 1, 100, 1);
	signal_kick(frontend);
	sleep_ms(20);
	assert_int_equal(atomic_load(&peer.script->elements), 0);
	ok(gw_frontend_stop(frontend));
	assert_int_equal(gw_frontend_base(frontend, 0), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filled_before),
		cmocka_unit_test(polled),
		cmocka_unit_test(kick_before_enable),
		cmocka_unit_test(never_enabled),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
