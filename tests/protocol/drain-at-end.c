/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/drain-at-end.c - a front-end leaves requests behind: the next one waits, nothing else
 * does. */
#include "../unit/cmocka-all.h"

#include <poll.h>

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

/* A front-end that goes while the device holds its request. */
static void leave_one_behind(struct peer *peer)
{
	struct gw_frontend *frontend = peer_frontend(peer);
	struct echo echo;

	atomic_store(&peer->script->hold, true);
	echo_init(&echo, frontend);
	echo_add(&echo, frontend, 0, 0, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer->script->elements, 1);
	gw_frontend_free(frontend);
}

static bool has_answer(struct gw_frontend *frontend, int timeout_ms)
{
	struct pollfd answer = {.fd = gw_frontend_socket(frontend), .events = POLLIN};

	return poll(&answer, 1, timeout_ms) == 1;
}

static void the_next_one_waits(void **state)
{
	struct gw_frontend *next;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	leave_one_behind(&peer);
	next = peer_connect(&peer);
	ok(gw_frontend_send_raw(next, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, NULL, 0));
	assert_false(has_answer(next, 50));
	atomic_store(&peer.script->hold, false);
	assert_true(has_answer(next, 5000));
	gw_frontend_free(next);
	peer_stop(&peer);
}

/* And may lose patience. */
static void the_next_one_leaves_too(void **state)
{
	struct gw_frontend *next;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	leave_one_behind(&peer);
	next = peer_connect(&peer);
	ok(gw_frontend_send_raw(next, GW_VU_GET_FEATURES, GW_VU_VERSION, NULL, 0, NULL, 0));
	assert_false(has_answer(next, 20));
	gw_frontend_free(next);
	atomic_store(&peer.script->hold, false);
	next = peer_frontend(&peer);
	gw_frontend_free(next);
	peer_stop(&peer);
}

/* The back-end's end waits for what is held, and not for ever (its test would not end). */
static void the_end_waits_a_moment(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;
	int64_t began;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	atomic_store(&peer.script->hold_ms, 200);
	frontend = peer_frontend(&peer);
	echo_init(&echo, frontend);
	echo_add(&echo, frontend, 0, 0, 100, 1);
	ok(gw_driver_kick(frontend, 0));
	wait_until(&peer.script->elements, 1);
	began = gw_now_ms();
	peer_stop(&peer);
	assert_true(gw_now_ms() - began < 900);
	gw_frontend_free(frontend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_one_waits),
		cmocka_unit_test(the_next_one_leaves_too),
		cmocka_unit_test(the_end_waits_a_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
