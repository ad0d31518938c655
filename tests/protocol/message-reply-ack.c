/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/message-reply-ack.c - NEED_REPLY is heeded with REPLY_ACK, and only then. */
#include "../unit/cmocka-all.h"

#include "provoke.h"

/* Good messages whose only answer is the acknowledgement. */
static void fill(struct provocation *message, const union gw_vu_payload *payload)
{
	const struct gw_vu_row *row = gw_vu_row(message->request);

	message->payload = payload;
	message->len = row->min;
	message->fd_count = row->fds_min;
}

static bool is_acknowledged(const struct gw_vu_row *row)
{
	return row && row->handle && row->reply == GW_VU_REPLY_ACK;
}

static void try_all(const struct peer *peer, uint64_t refuse, uint32_t flags, bool expected)
{
	for (uint32_t request = 0; request < GW_VU_REQUESTS; request++) {
		union gw_vu_payload payload = {.bytes = {0}};
		struct provocation message = {.request = request, .flags = flags};
		struct gw_frontend *frontend;
		struct provoked provoked;

		if (!is_acknowledged(gw_vu_row(request)))
			continue;
		/* These say for themselves what is negotiated afterwards. */
		if (request == GW_VU_SET_PROTOCOL_FEATURES)
			payload.u64 = refuse ? 0 : GW_VU_PF(REPLY_ACK);
		frontend = connect_negotiated(peer, refuse);
		fill(&message, &payload);
		provoked = provoke(frontend, &message);
		if (provoked.answer != (expected ? ANSWER_GIVEN : ANSWER_NONE))
			fail_msg("%s: answer %d", gw_vu_row(request)->name, provoked.answer);
		if (expected)
			assert_int_equal(provoked.size, 8);
		gw_frontend_free(frontend);
	}
}

static void acknowledged(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	try_all(&peer, 0, GW_VU_NEED_REPLY, true);
	peer_stop(&peer);
}

static void not_asked_for(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	try_all(&peer, 0, 0, false);
	peer_stop(&peer);
}

static void not_negotiated(void **state)
{
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	try_all(&peer, GW_VU_PF(REPLY_ACK), GW_VU_NEED_REPLY, false);
	peer_stop(&peer);
}

/* And a whole session works without it. */
static void session_without_it(void **state)
{
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	config = peer_config(&peer);
	config.refuse_protocol_features = GW_VU_PF(REPLY_ACK);
	ok(gw_frontend_new(&frontend, &config));
	ok(gw_frontend_start(frontend));
	ok(gw_frontend_log(frontend, true));
	ok(gw_frontend_log(frontend, false));
	ok(gw_frontend_stop(frontend));
	gw_frontend_free(frontend);
	assert_int_equal(peer_join(&peer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged),
		cmocka_unit_test(not_asked_for),
		cmocka_unit_test(not_negotiated),
		cmocka_unit_test(session_without_it),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
