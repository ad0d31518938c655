/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/ring-stop.c - GET_VRING_BASE drains, ENABLE(0) waits for nothing, all drain side by
 * side. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"

#define PER_QUEUE 4

static struct gw_frontend *start(const struct peer *peer, bool packed)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = SCRIPTED_QUEUES;
	config.packed = packed;
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	return frontend;
}

static void fill(struct gw_frontend *frontend, struct echo *echoes, unsigned queue)
{
	for (unsigned i = 0; i < PER_QUEUE; i++) {
		echo_init(&echoes[i], frontend);
		echo_add(&echoes[i], frontend, queue, i, 100, 1);
	}
	ok(gw_driver_kick(frontend, queue));
}

/* The position answered counts what came back, and all came back before the answer. */
static bool drains(bool packed, unsigned ms)
{
	bool in_time;
	struct gw_frontend *frontend;
	struct echo echoes[PER_QUEUE];
	struct peer peer;
	int64_t began;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold_ms, ms);
	frontend = start(&peer, packed);
	fill(frontend, echoes, 0);
	wait_until(&peer.script->elements, PER_QUEUE);
	began = gw_now_ms();
	ok(gw_frontend_stop(frontend));
	in_time = gw_now_ms() - began >= ms / 3;
	for (unsigned i = 0; i < PER_QUEUE; i++) {
		void *token;

		assert_true(gw_driver_get(frontend, 0, &token, NULL));
	}
	if (!packed)
		assert_int_equal(gw_frontend_base(frontend, 0), PER_QUEUE);
	assert_int_equal(gw_frontend_base(frontend, 0),
			 gw_driver_base(frontend->guest->drivers[0]));
	gw_frontend_free(frontend);
	peer_join(&peer);
	return in_time;
}

/* Four rings of @ms each: one after the other would be four times that. */
static bool side_by_side(bool packed, unsigned ms)
{
	bool in_time;
	struct gw_frontend *frontend;
	struct echo echoes[SCRIPTED_QUEUES][PER_QUEUE];
	struct peer peer;
	int64_t began;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold_ms, ms);
	frontend = start(&peer, packed);
	for (unsigned i = 0; i < SCRIPTED_QUEUES; i++)
		fill(frontend, echoes[i], i);
	wait_until(&peer.script->elements, SCRIPTED_QUEUES * PER_QUEUE);
	began = gw_now_ms();
	for (unsigned i = 0; i < SCRIPTED_QUEUES; i++)
		ok(gw_frontend_enable(frontend, i, false));
	in_time = gw_now_ms() - began < ms * 4 / 5;
	ok(gw_frontend_stop(frontend));
	in_time = in_time && gw_now_ms() - began < ms * 3;
	gw_frontend_free(frontend);
	peer_join(&peer);
	return in_time;
}

/* Busy on the queue's own thread: a disable still answers at once, and takes nothing more. */
static bool disable_while_busy(bool packed, unsigned ms)
{
	bool in_time;
	struct gw_frontend *frontend;
	struct echo echoes[PER_QUEUE];
	struct peer peer;
	int64_t began;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->busy_ms, ms);
	frontend = start(&peer, packed);
	fill(frontend, echoes, 0);
	wait_until(&peer.script->elements, 1);
	began = gw_now_ms();
	for (unsigned i = 0; i < SCRIPTED_QUEUES; i++)
		ok(gw_frontend_enable(frontend, i, false));
	in_time = gw_now_ms() - began < ms * 3 / 4;
	ok(gw_frontend_stop(frontend));
	in_time = in_time && atomic_load(&peer.script->elements) < PER_QUEUE;
	/* What was not taken is still there for the next start. */
	atomic_store(&peer.script->busy_ms, 0);
	ok(gw_frontend_start(frontend));
	for (unsigned i = 0; i < PER_QUEUE; i++)
		echo_take(frontend, 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
	return in_time;
}

/* While one front-end waits for its drain, another one is served. */
static bool others_are_served(bool packed, unsigned ms)
{
	bool in_time;
	struct gw_frontend *frontend, *other;
	struct echo echoes[PER_QUEUE];
	struct gw_vu_vring_state ask = {0};
	struct peer peer;
	int64_t began;
	uint32_t request, flags;
	int fd;

	peer_start(&peer, &(struct peer_options){.connections = 2});
	atomic_store(&peer.script->hold_ms, ms);
	frontend = start(&peer, packed);
	fill(frontend, echoes, 0);
	wait_until(&peer.script->elements, PER_QUEUE);
	ok(gw_frontend_send_raw(frontend, GW_VU_GET_VRING_BASE, GW_VU_VERSION, &ask, sizeof(ask),
				NULL, 0));
	began = gw_now_ms();
	other = start(&peer, packed);
	ok(gw_frontend_stop(other));
	in_time = gw_now_ms() - began < ms * 5 / 6;
	assert_int_equal(gw_frontend_recv_raw(frontend, &request, &flags, &ask, sizeof(ask), &fd),
			 sizeof(ask));
	gw_frontend_free(other);
	gw_frontend_free(frontend);
	peer_join(&peer);
	return in_time;
}

/* What a device parks is not waited for, and is handed out again at the next start. */
static void parked(void **state)
{
	struct gw_frontend *frontend;
	struct echo echoes[PER_QUEUE];
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold, true);
	atomic_store(&peer.script->park, true);
	frontend = start(&peer, *state);
	fill(frontend, echoes, 0);
	wait_until(&peer.script->elements, PER_QUEUE);
	ok(gw_frontend_stop(frontend));
	assert_int_equal(atomic_load(&peer.script->parked), PER_QUEUE);
	assert_int_equal(gw_driver_in_flight(frontend, 0), PER_QUEUE);
	ok(gw_frontend_start(frontend));
	wait_until(&peer.script->again, PER_QUEUE);
	atomic_store(&peer.script->hold, false);
	for (unsigned i = 0; i < PER_QUEUE; i++)
		echo_take(frontend, 0);
	for (unsigned i = 0; i < 40; i++)
		echo_once(&echoes[0], frontend, 0, i);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/*
 * What takes its time here is slowed down to @ms, so that it can be told from what must not wait
 * for it. On a busy machine everything is slow: then it is tried again with more.
 */
struct timed {
	bool (*holds)(bool packed, unsigned ms);
	unsigned ms;
	bool packed;
};

static void holds_in_time(void **state)
{
	const struct timed *timed = *state;
	unsigned ms = timed->ms;

	while (!timed->holds(timed->packed, ms)) {
		ms *= 2;
		assert_true(ms <= 16 * timed->ms);
	}
}

int main(void)
{
	static char packed;
	int failed = 0;

	gw_log_set_level(GW_LOG_OFF);
	for (int i = 0; i < 2; i++) {
		void *state = i ? &packed : NULL;
		struct timed timed[] = {
			{drains, 60, i},
			{side_by_side, 150, i},
			{disable_while_busy, 200, i},
			{others_are_served, 300, i},
		};
		const struct CMUnitTest tests[] = {
			{"drains", holds_in_time, NULL, NULL, &timed[0]},
			{"side_by_side", holds_in_time, NULL, NULL, &timed[1]},
			{"disable_while_busy", holds_in_time, NULL, NULL, &timed[2]},
			{"others_are_served", holds_in_time, NULL, NULL, &timed[3]},
			cmocka_unit_test_prestate(parked, state),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
