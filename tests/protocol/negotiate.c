/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/negotiate.c - what is offered, what may be acked, and that each connection starts anew.
 */
#include "../unit/cmocka-all.h"

#include "provoke.h"
#include "vhost-user/frontend_internal.h"

#define BIT(n) (UINT64_C(1) << (n))

/*
 * What is implemented, and nothing that is not: QEMU acks all that it has heard of. The features of
 * virtio are those of every build that was released: a guest that has negotiated one can only go
 * where it is offered, so one more needs a parameter of the models, off for those that have not
 * (docs/compatibility.md), and none may go.
 */
static void offers(void **state)
{
	static const uint64_t offered = GW_VU_PF(MQ) | GW_VU_PF(LOG_SHMFD) | GW_VU_PF(REPLY_ACK) |
					GW_VU_PF(BACKEND_REQ) | GW_VU_PF(CONFIG) |
					GW_VU_PF(INFLIGHT_SHMFD) | GW_VU_PF(RESET_DEVICE) |
					GW_VU_PF(CONFIGURE_MEM_SLOTS) | GW_VU_PF(DEVICE_STATE);
	static const uint64_t virtio = GW_VIRTIO_F_LOG_ALL | GW_VIRTIO_F_INDIRECT_DESC |
				       GW_VIRTIO_F_EVENT_IDX | GW_VIRTIO_F_PROTOCOL_FEATURES |
				       GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_RING_PACKED;
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t value;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_connect(&peer);
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &value));
	assert_int_equal(value, virtio);
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_PROTOCOL_FEATURES, &value));
	assert_int_equal(value & offered, offered);
	assert_int_equal(value & ~(offered | GW_VU_PF(BACKEND_SEND_FD)), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void limits(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t value;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_QUEUE_NUM, &value));
	assert_int_equal(value, SCRIPTED_QUEUES);
	ok(gw_frontend_get_u64(frontend, GW_VU_GET_MAX_MEM_SLOTS, &value));
	assert_true(value >= 8);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Every single bit that is not offered is refused, and changes nothing. */
static void not_offered(void **state, uint32_t get, uint32_t set)
{
	struct gw_frontend *frontend;
	struct peer peer;
	uint64_t offered;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = connect_negotiated(&peer, 0);
	ok(gw_frontend_get_u64(frontend, get, &offered));
	for (unsigned bit = 0; bit < 64; bit++) {
		uint64_t value = offered | BIT(bit);
		struct provocation message = {.request = set,
					      .flags = GW_VU_NEED_REPLY,
					      .payload = &value,
					      .len = sizeof(value)};
		struct provoked provoked;

		if (offered & BIT(bit))
			continue;
		provoked = provoke(frontend, &message);
		assert_int_equal(provoked.answer, ANSWER_GIVEN);
		assert_true(provoked.payload.u64);
	}
	gw_frontend_free(frontend);
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

static void features_not_offered(void **state)
{
	not_offered(state, GW_VU_GET_FEATURES, GW_VU_SET_FEATURES);
}

static void protocol_features_not_offered(void **state)
{
	not_offered(state, GW_VU_GET_PROTOCOL_FEATURES, GW_VU_SET_PROTOCOL_FEATURES);
}

static void device_is_told(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = peer_frontend(&peer);
	assert_int_equal(atomic_load(&peer.script->features) & gw_frontend_features(frontend) &
				 ~GW_VIRTIO_F_PROTOCOL_FEATURES,
			 gw_frontend_features(frontend) & ~GW_VIRTIO_F_PROTOCOL_FEATURES);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

static void device_refuses(void **state)
{
	struct gw_frontend *frontend;
	struct provoked provoked;
	struct peer peer;
	uint64_t value = GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_PROTOCOL_FEATURES;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	frontend = connect_negotiated(&peer, 0);
	atomic_store(&peer.script->no_negotiate, true);
	provoked = provoke(frontend, &(struct provocation){.request = GW_VU_SET_FEATURES,
							   .flags = GW_VU_NEED_REPLY,
							   .payload = &value,
							   .len = sizeof(value)});
	assert_int_equal(provoked.answer, ANSWER_GIVEN);
	assert_true(provoked.payload.u64);
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

/* What one connection acked is nothing to the next one. */
static void anew(void **state)
{
	struct gw_frontend *frontend;
	struct provoked provoked;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	gw_frontend_free(connect_negotiated(&peer, 0));
	frontend = peer_connect(&peer);
	provoked = provoke(frontend, &(struct provocation){.request = GW_VU_SET_OWNER,
							   .flags = GW_VU_NEED_REPLY});
	assert_int_equal(provoked.answer, ANSWER_NONE); /* REPLY_ACK is not negotiated */
	gw_frontend_free(frontend);
	peer_stop(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(offers),
		cmocka_unit_test(limits),
		cmocka_unit_test(features_not_offered),
		cmocka_unit_test(protocol_features_not_offered),
		cmocka_unit_test(device_is_told),
		cmocka_unit_test(device_refuses),
		cmocka_unit_test(anew),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
