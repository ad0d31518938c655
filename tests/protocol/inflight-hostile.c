/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/inflight-hostile.c - an in-flight region is shared memory: nothing in it is believed. */
#include "../unit/cmocka-all.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "provoke.h"
#include "vhost-user/frontend_internal.h"

static struct gw_frontend *make(const struct peer *peer, bool packed)
{
	struct gw_frontend_config config = peer_config(peer);
	struct gw_frontend *frontend;

	config.packed = packed;
	config.queue_size = 64;
	ok(gw_frontend_new(&frontend, &config));
	/* Another guest than the last one: what the session still keeps open is none of its. */
	ok(gw_frontend_reset_device(frontend));
	return frontend;
}

/* The region as the back-end made it, then overwritten by garbage that differs with @seed. */
static void spoil(struct gw_frontend *frontend, uint32_t seed)
{
	size_t size = frontend->inflight.size;
	uint8_t *region = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			       frontend->inflight_fd, (off_t)frontend->inflight.offset);
	uint32_t x = seed;

	assert_ptr_not_equal(region, MAP_FAILED);
	/* The header's first fields are kept now and then, so that what is behind is looked at. */
	for (size_t i = seed % 3 * 8; i < size; i++)
		region[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
	munmap(region, size);
}

/* Whatever it says: the start is refused, or the ring breaks, or it works; the process lives. */
static void garbage(void **state)
{
	struct gw_frontend *frontend;
	struct echo echo;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (uint32_t seed = 0; seed < 60; seed++) {
		frontend = make(&peer, *state);
		echo_init(&echo, frontend);
		ok(gw_frontend_start(frontend));
		echo_once(&echo, frontend, 0, seed);
		ok(gw_frontend_stop(frontend));
		spoil(frontend, seed);
		if (!gw_frontend_start(frontend)) {
			echo_add(&echo, frontend, 0, seed, 100, 1);
			gw_driver_kick(frontend, 0);
			gw_driver_wait(frontend, 0, 2);
			ok(gw_frontend_stop(frontend));
		}
		gw_frontend_free(frontend);
	}
	frontend = make(&peer, *state);
	echo_init(&echo, frontend);
	ok(gw_frontend_start(frontend));
	echo_once(&echo, frontend, 0, 1);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* Sizes and offsets that the file does not have. */
static void wrong_sizes(void **state)
{
	static const struct gw_vu_inflight wrong[] = {
		{.size = 0, .queues = 1, .queue_size = 64},
		{.size = 16, .queues = 1, .queue_size = 64},
		{.size = 1 << 16, .offset = 1 << 20, .queues = 1, .queue_size = 64},
		{.size = 1 << 16, .offset = (1 << 20) - 64, .queues = 1, .queue_size = 64},
		{.size = 1 << 16, .offset = UINT64_MAX - 4095, .queues = 1, .queue_size = 64},
		{.size = 1 << 16, .queues = 0, .queue_size = 64},
		{.size = 1 << 16, .queues = 1, .queue_size = 0},
		{.size = 1 << 16, .queues = 65535, .queue_size = 65535},
	};
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct provoked provoked =
			provoke(frontend, &(struct provocation){.request = GW_VU_SET_INFLIGHT_FD,
								.flags = GW_VU_NEED_REPLY,
								.payload = &wrong[i],
								.len = sizeof(wrong[i]),
								.fd_count = 1});

		if (!provoked.payload.u64)
			fail_msg("region %u was taken", i);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Asked for more than anyone has rings. */
static void wrong_demands(void **state)
{
	static const uint16_t demands[][2] = {{0, 64}, {1, 0}, {65535, 65535}, {1, 65535}};
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
		struct gw_vu_inflight ask = {.queues = demands[i][0], .queue_size = demands[i][1]};
		struct provoked provoked =
			provoke(frontend, &(struct provocation){.request = GW_VU_GET_INFLIGHT_FD,
								.payload = &ask,
								.len = sizeof(ask)});

		assert_int_equal(provoked.answer, ANSWER_GIVEN);
		assert_false(provoked.with_fd);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	static char packed;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage),
		cmocka_unit_test_prestate(garbage, &packed),
		cmocka_unit_test(wrong_sizes),
		cmocka_unit_test(wrong_demands),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
