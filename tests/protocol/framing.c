/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/framing.c - messages may come in pieces of any size, and several at once. */
#include "../unit/cmocka-all.h"

#include <string.h>
#include <sys/socket.h>

#include "provoke.h"

struct packet {
	struct gw_vu_header header;
	uint64_t value;
} __attribute__((packed));

static void send_bytes(struct gw_frontend *frontend, const void *bytes, size_t len)
{
	assert_int_equal(send(gw_frontend_socket(frontend), bytes, len, 0), len);
}

static uint64_t expect_reply(struct gw_frontend *frontend, uint32_t expected)
{
	uint32_t request, flags;
	uint64_t value;
	int fd;

	assert_int_equal(
		gw_frontend_recv_raw(frontend, &request, &flags, &value, sizeof(value), &fd), 8);
	assert_int_equal(request, expected);
	return value;
}

static struct packet config_packet(uint32_t flags)
{
	return (struct packet){.header = {.request = GW_VU_SET_PROTOCOL_FEATURES,
					  .flags = GW_VU_VERSION | flags,
					  .size = 8},
			       .value = GW_VU_PF(REPLY_ACK) | GW_VU_PF(MQ)};
}

static void byte_by_byte(void **state)
{
	struct packet packet = config_packet(GW_VU_NEED_REPLY);
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < sizeof(packet); i++) {
		send_bytes(frontend, (char *)&packet + i, 1);
		sleep_ms(1);
	}
	assert_int_equal(expect_reply(frontend, GW_VU_SET_PROTOCOL_FEATURES), 0);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

static void cut_anywhere(void **state)
{
	struct packet packet = config_packet(GW_VU_NEED_REPLY);
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned at = 1; at < sizeof(packet); at++) {
		send_bytes(frontend, &packet, at);
		sleep_ms(1);
		send_bytes(frontend, (char *)&packet + at, sizeof(packet) - at);
		assert_int_equal(expect_reply(frontend, GW_VU_SET_PROTOCOL_FEATURES), 0);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* Each answered, in order. */
static void many_at_once(void **state)
{
	struct {
		struct packet set;
		struct gw_vu_header get;
	} __attribute__((packed)) batch[50];
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned i = 0; i < 50; i++) {
		batch[i].set = config_packet(GW_VU_NEED_REPLY);
		batch[i].get = (struct gw_vu_header){.request = GW_VU_GET_QUEUE_NUM,
						     .flags = GW_VU_VERSION};
	}
	send_bytes(frontend, batch, sizeof(batch));
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(expect_reply(frontend, GW_VU_SET_PROTOCOL_FEATURES), 0);
		assert_int_equal(expect_reply(frontend, GW_VU_GET_QUEUE_NUM), SCRIPTED_QUEUES);
	}
	gw_frontend_free(frontend);
	peer_join(&peer);
}

/* The end in the middle of a message is an end. */
static void cut_off(void **state)
{
	struct packet packet = config_packet(0);
	struct peer peer;

	peer_start(&peer, &(struct peer_options){.reconnect = true});
	for (unsigned at = 1; at < sizeof(packet); at++) {
		struct gw_frontend *frontend = peer_connect(&peer);

		send_bytes(frontend, &packet, at);
		gw_frontend_free(frontend);
	}
	gw_frontend_free(peer_frontend(&peer));
	peer_stop(&peer);
}

/* Who sends and never reads: the back-end waits for room, and serves again when there is some. */
static void never_reads(void **state)
{
	struct gw_vu_header get = {.request = GW_VU_GET_FEATURES, .flags = GW_VU_VERSION};
	struct gw_frontend *frontend;
	unsigned sent = 0;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = connect_negotiated(&peer, 0);
	for (unsigned full = 0; full < 20; sleep_ms(1)) {
		while (send(gw_frontend_socket(frontend), &get, sizeof(get), MSG_DONTWAIT) > 0) {
			sent++;
			full = 0;
		}
		full++;
	}
	for (unsigned i = 0; i < sent; i++)
		expect_reply(frontend, GW_VU_GET_FEATURES);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(byte_by_byte), cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(many_at_once), cmocka_unit_test(cut_off),
		cmocka_unit_test(never_reads),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
