/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/inflight.c - what a back-end had taken when it died, its successor is given again. */
#include "../unit/cmocka-all.h"

#include <unistd.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"
#include "vhost-user/wire.h"

#define DEPTH 8

struct variant {
	bool packed, indirect;
};

static struct gw_frontend *start(const struct peer *peer, const struct variant *variant)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.packed = variant->packed;
	config.indirect = variant->indirect;
	config.queue_size = 64;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	return frontend;
}

/* Some done, some in flight, killed: another process answers just those that were open. */
static void taken_up(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *first, *second;
	struct echo echoes[DEPTH], extra;
	struct peer a, b;

	peer_start(&a, &(struct peer_options){.fork = true});
	peer_start(&b, &(struct peer_options){.fork = true});
	first = start(&a, *state);
	echo_init(&extra, first);
	for (unsigned i = 0; i < 50; i++)
		echo_once(&extra, first, 0, i);
	atomic_store(&a.script->hold, true);
	for (unsigned i = 0; i < DEPTH; i++) {
		echo_init(&echoes[i], first);
		echo_add(&echoes[i], first, 0, i, 500, 2);
	}
	ok(gw_driver_kick(first, 0));
	wait_until(&a.script->elements, 50 + DEPTH);
	peer_kill(&a);
	assert_true(gw_frontend_stop(first) < 0);

	config = peer_config(&b);
	ok(gw_frontend_migrate(&second, first, &config));
	gw_frontend_free(first);
	ok(gw_frontend_start(second));
	for (unsigned i = 0; i < DEPTH; i++)
		echo_take(second, 0);
	assert_int_equal(atomic_load(&b.script->again), DEPTH);
	assert_int_equal(atomic_load(&b.script->elements), DEPTH);
	for (unsigned i = 0; i < 100; i++)
		echo_once(&extra, second, 0, i);
	gw_frontend_free(second);
	peer_stop(&a);
	peer_join(&b);
}

/* Some of what was taken is answered, out of order, before it dies. */
static void half_done(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *first, *second;
	struct echo echoes[DEPTH];
	struct peer a, b;
	unsigned left;

	peer_start(&a, &(struct peer_options){.fork = true});
	peer_start(&b, &(struct peer_options){.fork = true});
	first = start(&a, *state);
	for (unsigned i = 0; i < DEPTH; i++)
		echo_init(&echoes[i], first);
	atomic_store(&a.script->hold, true);
	for (unsigned i = 0; i < DEPTH / 2; i++)
		echo_add(&echoes[i], first, 0, i, 500, 1);
	ok(gw_driver_kick(first, 0));
	wait_until(&a.script->elements, DEPTH / 2);
	/* The later ones come back at once; the earlier ones are still held. */
	atomic_store(&a.script->hold_ms, 1);
	for (unsigned i = DEPTH / 2; i < DEPTH; i++)
		echo_add(&echoes[i], first, 0, i, 500, 1);
	ok(gw_driver_kick(first, 0));
	for (unsigned i = DEPTH / 2; i < DEPTH; i++)
		echo_take(first, 0);
	left = gw_driver_in_flight(first, 0);
	assert_int_equal(left, DEPTH / 2);
	peer_kill(&a);
	assert_true(gw_frontend_stop(first) < 0);

	config = peer_config(&b);
	ok(gw_frontend_migrate(&second, first, &config));
	gw_frontend_free(first);
	ok(gw_frontend_start(second));
	for (unsigned i = 0; i < left; i++)
		echo_take(second, 0);
	assert_int_equal(atomic_load(&b.script->again), left);
	gw_frontend_free(second);
	peer_stop(&a);
	peer_join(&b);
}

/* After a clean stop nothing is in flight, and the same region serves the next start. */
static void nothing_after_stop(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	for (unsigned i = 0; i < 20; i++) {
		echo_once(&echo, frontend, 0, i);
		ok(gw_frontend_stop(frontend));
		ok(gw_frontend_start(frontend));
	}
	assert_int_equal(atomic_load(&peer.script->again), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* The guest is reset while requests are parked: its next life is not given those of the last. */
static void nothing_after_reset(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	int region;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	atomic_store(&peer.script->hold, true);
	atomic_store(&peer.script->park, true);
	echo_add(&echo, frontend, 0, 1, 500, 2);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer.script->elements, 1);
	ok(gw_frontend_stop(frontend));
	assert_int_equal(atomic_load(&peer.script->parked), 1);
	/* A front-end may go on with the region that it has. */
	region = ok(dup(frontend->inflight_fd));
	ok(gw_frontend_reset_device(frontend));
	assert_int_equal(frontend->inflight_fd, -1);
	frontend->inflight_fd = region;
	atomic_store(&peer.script->hold, false);
	ok(gw_frontend_start(frontend));
	sleep_ms(50);
	assert_int_equal(atomic_load(&peer.script->again), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static const struct variant variants[] = {
	{false, false},
	{false, true},
	{true, false},
	{true, true},
};

int main(void)
{
	int failed = 0;

	gw_log_set_level(GW_LOG_OFF);
	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		void *variant = (void *)&variants[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(taken_up, variant),
			cmocka_unit_test_prestate(half_done, variant),
			cmocka_unit_test_prestate(nothing_after_stop, variant),
			cmocka_unit_test_prestate(nothing_after_reset, variant),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
