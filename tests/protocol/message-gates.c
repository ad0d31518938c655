/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/message-gates.c - a message whose feature is not negotiated is refused. */
#include "../unit/cmocka-all.h"

#include "provoke.h"

static const uint8_t zeros[GW_VU_PAYLOAD_MAX];

static struct provoked send_row(struct gw_frontend *frontend, uint32_t request, uint32_t flags)
{
	const struct gw_vu_row *row = gw_vu_row(request);

	return provoke(frontend, &(struct provocation){.request = request,
						       .flags = flags,
						       .payload = zeros,
						       .len = row ? row->min : 0,
						       .fd_count = row ? row->fds_min : 0});
}

static void each_protocol_gate(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (uint32_t request = 0; request < GW_VU_REQUESTS; request++) {
		const struct gw_vu_row *row = gw_vu_row(request);
		struct gw_frontend *frontend;
		struct provoked provoked;

		if (!row || !row->protocol)
			continue;
		frontend = connect_negotiated(&peer, row->protocol);
		provoked = send_row(frontend, request, GW_VU_NEED_REPLY);
		/* What log acknowledgements hang on is just what is refused here. */
		if (!says_error(row, &provoked))
			fail_msg("%s was served without its feature", row->name);
		gw_frontend_free(frontend);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* The first thing ever said on a connection: everything is survived. */
static void before_negotiation(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (uint32_t request = 0; request < GW_VU_REQUESTS; request++) {
		struct gw_frontend *frontend = peer_connect(&peer);

		send_row(frontend, request, GW_VU_NEED_REPLY);
		gw_frontend_free(frontend);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* ENABLE needs SET_FEATURES with bit 30. */
static void enable_before_features(void **state)
{
	struct gw_frontend *frontend;
	struct provoked provoked;
	struct peer peer;
	uint64_t reply_ack = GW_VU_PF(REPLY_ACK);

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = peer_connect(&peer);
	provoke(frontend, &(struct provocation){.request = GW_VU_SET_PROTOCOL_FEATURES,
						.payload = &reply_ack,
						.len = sizeof(reply_ack)});
	provoked = send_row(frontend, GW_VU_SET_VRING_ENABLE, GW_VU_NEED_REPLY);
	assert_true(says_error(gw_vu_row(GW_VU_SET_VRING_ENABLE), &provoked));
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_protocol_gate),
		cmocka_unit_test(before_negotiation),
		cmocka_unit_test(enable_before_features),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
