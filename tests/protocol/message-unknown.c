/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/message-unknown.c - numbers that no protocol has, flags that make no sense. */
#include "../unit/cmocka-all.h"

#include <errno.h>

#include "provoke.h"

static const uint8_t zeros[64];
static const uint32_t unknown[] = {0, GW_VU_REQUESTS, 46, 99, 1000, 0x7fffffff, 0xffffffff};

static void unknown_numbers(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		for (unsigned fds = 0; fds < 3; fds++) {
			struct provocation message = {.request = unknown[i],
						      .payload = zeros,
						      .len = 8 * fds,
						      .fd_count = fds};
			struct provoked provoked = provoke(frontend, &message);

			assert_int_equal(provoked.answer, ANSWER_NONE);
			message.flags = GW_VU_NEED_REPLY;
			provoked = provoke(frontend, &message);
			assert_int_equal(provoked.answer, ANSWER_GIVEN);
			assert_int_equal(provoked.size, 8);
			assert_true(provoked.payload.u64);
		}
	}
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* Another version of the protocol is none that we could read: framing itself may differ. */
static void other_versions(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (uint32_t version = 0; version < 4; version++) {
		struct gw_frontend *frontend = peer_connect(&peer);
		uint32_t request, flags;
		uint64_t value;
		int fd, got;

		ok(gw_frontend_send_raw(frontend, GW_VU_GET_FEATURES, version, NULL, 0, NULL, 0));
		got = gw_frontend_recv_raw(frontend, &request, &flags, &value, sizeof(value), &fd);
		assert_int_equal(got, version == GW_VU_VERSION ? 8 : -ECONNRESET);
		gw_frontend_free(frontend);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* A message that says to be a reply answers nothing that was asked. */
static void reply_as_request(void **state)
{
	struct gw_frontend *frontend;
	struct provoked provoked;
	struct peer peer;
	uint64_t value = 0;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = connect_negotiated(&peer, 0);
	provoked = provoke(frontend, &(struct provocation){.request = GW_VU_SET_FEATURES,
							   .flags = GW_VU_REPLY | GW_VU_NEED_REPLY,
							   .payload = &value,
							   .len = sizeof(value)});
	if (provoked.answer == ANSWER_GIVEN)
		assert_true(provoked.payload.u64);
	gw_frontend_free(frontend);
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_numbers),
		cmocka_unit_test(other_versions),
		cmocka_unit_test(reply_as_request),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
