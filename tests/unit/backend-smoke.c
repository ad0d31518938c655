/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/backend-smoke.c - a back-end is reached, answers, and ends when it should. */
#include "base/cleanup.h"
#include "cmocka-all.h"
#include "godwit/error.h"

#include "backend-server.h"

#define OFFERED_VIRTIO                                                                 \
	(GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_LOG_ALL | GW_VIRTIO_F_PROTOCOL_FEATURES | \
	 GW_VIRTIO_F_EVENT_IDX | GW_VIRTIO_F_INDIRECT_DESC | GW_VIRTIO_F_RING_PACKED)
#define OFFERED_PROTOCOL                                                                    \
	(GW_VU_PF(MQ) | GW_VU_PF(LOG_SHMFD) | GW_VU_PF(REPLY_ACK) | GW_VU_PF(BACKEND_REQ) | \
	 GW_VU_PF(CONFIG) | GW_VU_PF(INFLIGHT_SHMFD) | GW_VU_PF(RESET_DEVICE) |             \
	 GW_VU_PF(CONFIGURE_MEM_SLOTS) | GW_VU_PF(DEVICE_STATE))

static struct server server;

static int set_up(void **state)
{
	gw_log_set_level(GW_LOG_OFF);
	return server_start(&server, false);
}

static void test_offers_what_it_implements(void **state)
{
	GW_AUTO_FD int fd = server_connect(&server);
	union gw_vu_payload reply;

	assert_true(client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
	assert_int_equal(reply.u64, OFFERED_VIRTIO);
	assert_true(client_ask(fd, GW_VU_GET_PROTOCOL_FEATURES, 0, NULL, 0, &reply));
	assert_int_equal(reply.u64, OFFERED_PROTOCOL);
	gw_close(&fd);
	server_stop(&server, true);
	assert_int_equal(server.code, 0);
}

static void test_getters_answer(void **state)
{
	struct gw_vu_config config = {.offset = 0, .size = 8};
	GW_AUTO_FD int fd = server_connect(&server);
	union gw_vu_payload reply;

	assert_true(client_negotiate(fd));
	assert_true(client_ask(fd, GW_VU_GET_QUEUE_NUM, 0, NULL, 0, &reply));
	assert_int_equal(reply.u64, 1);
	assert_true(client_ask(fd, GW_VU_GET_MAX_MEM_SLOTS, 0, NULL, 0, &reply));
	assert_int_equal(reply.u64, 509);
	assert_true(client_ask(fd, GW_VU_GET_CONFIG, 0, &config, 20, &reply));
	assert_int_equal(reply.config.size, 8);
	gw_close(&fd);
	server_stop(&server, true);
}

static void test_config_is_written_and_read(void **state)
{
	struct gw_vu_config config = {.offset = 0, .size = 8, .data = {1, 2, 3, 4, 5, 6, 7, 8}};
	GW_AUTO_FD int fd = server_connect(&server);
	union gw_vu_payload reply;

	assert_true(client_negotiate(fd));
	assert_true(client_ask(fd, GW_VU_SET_CONFIG, GW_VU_NEED_REPLY, &config, 20, &reply));
	assert_int_equal(reply.u64, 0);
	config.offset = 2;
	config.size = 3;
	assert_true(client_ask(fd, GW_VU_GET_CONFIG, 0, &config, 15, &reply));
	assert_int_equal(reply.config.offset, 2);
	assert_memory_equal(reply.config.data, "\3\4\5", 3);
	gw_close(&fd);
	server_stop(&server, true);
}

/* A second front-end is let in and out again; the first does not notice. */
static void test_one_connection_only(void **state)
{
	GW_AUTO_FD int fd = server_connect(&server);
	GW_AUTO_FD int second = -1;
	union gw_vu_payload reply;
	char byte;

	assert_true(client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
	second = server_connect(&server);
	assert_true(second >= 0);
	assert_int_equal(read(second, &byte, 1), 0);
	assert_true(client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
	gw_close(&fd);
	server_stop(&server, true);
}

static void test_a_stop_from_outside_ends_connections(void **state)
{
	GW_AUTO_FD int fd = server_connect(&server);
	union gw_vu_payload reply;
	char byte;

	assert_true(client_ask(fd, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
	server_stop(&server, false);
	assert_int_equal(read(fd, &byte, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_offers_what_it_implements, set_up),
		cmocka_unit_test_setup(test_getters_answer, set_up),
		cmocka_unit_test_setup(test_config_is_written_and_read, set_up),
		cmocka_unit_test_setup(test_one_connection_only, set_up),
		cmocka_unit_test_setup(test_a_stop_from_outside_ends_connections, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
