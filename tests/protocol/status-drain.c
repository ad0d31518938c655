/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/status-drain.c - while a stop waits, the control socket answers and says what for. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "operator.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

#define HELD	3
#define WAIT_MS 60

static struct gw_frontend *start(const struct peer *peer)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = 2;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	return frontend;
}

/* The device keeps what it is given, on ring 1. */
static void fill(const struct peer *peer, struct gw_frontend *frontend, struct echo *echoes)
{
	atomic_store(&peer->script->hold, true);
	for (unsigned i = 0; i < HELD; i++) {
		echo_init(&echoes[i], frontend);
		echo_add(&echoes[i], frontend, 1, i, 100, 1);
	}
	ok(gw_driver_kick(frontend, 1));
	wait_until(&peer->script->elements, HELD);
}

static void ask_base(struct gw_frontend *frontend, unsigned ring)
{
	struct gw_vu_vring_state ask = {.index = ring};

	ok(gw_frontend_send_raw(frontend, GW_VU_GET_VRING_BASE, GW_VU_VERSION, &ask, sizeof(ask),
				NULL, 0));
}

static void take_base(struct gw_frontend *frontend)
{
	struct gw_vu_vring_state base;
	uint32_t request, flags;
	int fd;

	assert_int_equal(gw_frontend_recv_raw(frontend, &request, &flags, &base, sizeof(base), &fd),
			 sizeof(base));
	assert_int_equal(request, GW_VU_GET_VRING_BASE);
}

/* The stop of ring 1; NULL if it is not stopping. The session is the caller's to release. */
static const json_t *look(struct operator* operator, json_t ** session)
{
	const json_t *stops;

	*session = operator_session(operator);
	stops = operator_at(*session, "stopping");
	for (size_t i = 0; i < json_array_size(stops); i++) {
		const json_t *stop = json_array_get(stops, i);

		if (json_integer_value(operator_at(stop, "ring")) == 1)
			return stop;
	}
	return NULL;
}

static json_int_t expect_stop(struct operator* operator)
{
	const json_t *stop;
	json_t *session;
	json_int_t ms;

	/* The message may still be on its way. */
	while (!(stop = look(operator, & session))) {
		json_decref(session);
		sleep_ms(1);
	}
	assert_string_equal(json_string_value(operator_at(stop, "for")), "GET_VRING_BASE");
	assert_int_equal(json_integer_value(operator_at(stop, "in_flight")), HELD);
	ms = json_integer_value(operator_at(stop, "ms"));
	json_decref(session);
	return ms;
}

static void a_long_drain_is_seen(void **state)
{
	struct gw_frontend *frontend;
	struct echo echoes[HELD];
	struct operator operator;
	struct peer peer;
	json_t *session;

	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	frontend = start(&peer);
	fill(&peer, frontend, echoes);
	assert_null(look(&operator, & session));
	json_decref(session);
	ask_base(frontend, 1);
	expect_stop(&operator);
	sleep_ms(WAIT_MS);
	assert_true(expect_stop(&operator) >= WAIT_MS);
	atomic_store(&peer.script->hold, false);
	take_base(frontend);
	assert_null(look(&operator, & session));
	json_decref(session);
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
}

/* The front-end leaves instead of waiting: the drain goes on, and is still accounted for. */
static void also_when_nobody_asks_any_more(void **state)
{
	struct gw_frontend *frontend;
	struct echo echoes[HELD];
	struct operator operator;
	struct peer peer;
	json_t *session;
	const json_t *stop;

	peer_start(&peer, &(struct peer_options){.control = true, .reconnect = true});
	operator_open(&operator, peer.control);
	frontend = start(&peer);
	fill(&peer, frontend, echoes);
	gw_frontend_free(frontend);
	while (!(stop = look(&operator, & session))) {
		json_decref(session);
		sleep_ms(1);
	}
	assert_int_equal(json_integer_value(operator_at(stop, "in_flight")), HELD);
	json_decref(session);
	atomic_store(&peer.script->hold, false);
	while (look(&operator, & session)) {
		json_decref(session);
		sleep_ms(1);
	}
	json_decref(session);
	operator_close(&operator);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_drain_is_seen),
		cmocka_unit_test(also_when_nobody_asks_any_more),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
