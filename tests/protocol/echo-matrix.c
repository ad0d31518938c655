/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/echo-matrix.c - I/O on split and packed rings, with all that they can have. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "peer.h"
#include "vhost-user/wire.h"

#define DEPTH 16

struct variant {
	bool packed, indirect, event_idx;
};

static const struct variant variants[] = {
	{false, false, false}, {false, false, true}, {false, true, false}, {false, true, true},
	{true, false, false},  {true, false, true},  {true, true, false},  {true, true, true},
};

static struct gw_frontend *start(const struct peer *peer, const struct variant *variant)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.queues = SCRIPTED_QUEUES;
	config.queue_size = 64;
	config.packed = variant->packed;
	config.indirect = variant->indirect;
	config.memory_regions = 4;
	config.want_features = GW_VIRTIO_F_INDIRECT_DESC |
			       (variant->event_idx ? GW_VIRTIO_F_EVENT_IDX : GW_VIRTIO_F_VERSION_1);
	ok(gw_frontend_new(&frontend, &config));
	assert_int_equal(!!(gw_frontend_features(frontend) & GW_VIRTIO_F_EVENT_IDX),
			 variant->event_idx);
	ok(gw_frontend_start(frontend));
	return frontend;
}

/* Batches of all sizes and shapes on all queues, many times round the rings. */
static void exchange(const struct variant *variant, const struct script *script)
{
	struct gw_frontend *frontend;
	struct echo echoes[SCRIPTED_QUEUES][DEPTH];
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	atomic_store(&peer.script->hold_ms, atomic_load(&script->hold_ms));
	frontend = start(&peer, variant);
	for (unsigned i = 0; i < SCRIPTED_QUEUES * DEPTH; i++)
		echo_init(&echoes[i % SCRIPTED_QUEUES][i / SCRIPTED_QUEUES], frontend);
	for (unsigned round = 0; round < 40; round++) {
		unsigned queue = round % SCRIPTED_QUEUES;
		unsigned count = 1 + round % DEPTH;

		for (unsigned i = 0; i < count; i++)
			echo_add(&echoes[queue][i], frontend, queue, round + i,
				 1 + (round * 211) % 8000, round % 3 ? 1 : 2);
		ok(gw_driver_kick(frontend, queue));
		for (unsigned i = 0; i < count; i++)
			echo_take(frontend, queue);
		assert_int_equal(gw_driver_in_flight(frontend, queue), 0);
	}
	ok(gw_frontend_stop(frontend));
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
}

static void on_the_queue(void **state)
{
	struct script script = {0};

	exchange(*state, &script);
}

/* Completed out of order, by another thread. */
static void from_another_thread(void **state)
{
	struct script script = {.hold_ms = 1};

	exchange(*state, &script);
}

/* Stop and go on, with the positions kept, many times. */
static void stop_and_go(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = start(&peer, *state);
	echo_init(&echo, frontend);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < round % 4; i++)
			echo_once(&echo, frontend, 1, round);
		ok(gw_frontend_stop(frontend));
		ok(gw_frontend_start(frontend));
	}
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
}

int main(void)
{
	int failed = 0;

	gw_log_set_level(GW_LOG_OFF);
	for (unsigned i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		void *variant = (void *)&variants[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(on_the_queue, variant),
			cmocka_unit_test_prestate(from_another_thread, variant),
			cmocka_unit_test_prestate(stop_and_go, variant),
		};

		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return !!failed;
}
