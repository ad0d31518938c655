/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/backend-refusals.c - each row of the message table refuses what does not fit it. */
#include <fcntl.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "godwit/error.h"

#include "backend-server.h"

static struct server server;
static int client = -1;

static int set_up(void **state)
{
	gw_log_set_level(GW_LOG_OFF);
	return server_start(&server, true);
}

static int tear_down(void **state)
{
	gw_close(&client);
	server_stop(&server, false);
	return 0;
}

static void connect_anew(bool negotiate)
{
	gw_close(&client);
	client = server_connect(&server);
	assert_true(client >= 0);
	if (negotiate)
		assert_true(client_negotiate(client));
}

/* How this message must fail, by the row's kind of reply. */
static void assert_refused(uint32_t request, const struct gw_vu_row *row)
{
	struct gw_vu_header header;
	union gw_vu_payload reply;
	bool answered = client_recv(client, &header, &reply);

	switch (row->reply) {
	case GW_VU_REPLY_VALUE:
	case GW_VU_REPLY_STATE:
	case GW_VU_REPLY_SESSION:
		assert_false(answered);
		return;
	case GW_VU_REPLY_ACK:
	case GW_VU_REPLY_ACK_LOG:
	case GW_VU_REPLY_VERDICT:
		assert_int_equal(header.size, 8);
		assert_int_equal(reply.u64, 1);
		break;
	case GW_VU_REPLY_TRANSFER:
		assert_int_equal(header.size, 8);
		assert_int_equal(reply.u64, 0x101);
		break;
	case GW_VU_REPLY_INFLIGHT:
		assert_int_equal(reply.inflight.size, 0);
		break;
	case GW_VU_REPLY_SHMEM:
		assert_int_equal(header.size, 2056);
		assert_int_equal(reply.shmem.count, 0);
		break;
	default:
		assert_int_equal(header.size, 0);
	}
	assert_true(answered);
	assert_int_equal(header.request, request);
	assert_int_equal(header.flags, 5);
}

/* It lives, and a connection that was not to be closed is still served. */
static void assert_alive(const struct gw_vu_row *row)
{
	union gw_vu_payload reply;

	if (row->reply == GW_VU_REPLY_VALUE || row->reply == GW_VU_REPLY_STATE ||
	    row->reply == GW_VU_REPLY_SESSION)
		connect_anew(true);
	assert_true(client_ask(client, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
}

static void refused(uint32_t request, const void *payload, uint32_t size, const int *fds,
		    unsigned count)
{
	const struct gw_vu_row *row = gw_vu_row(request);

	assert_true(client_send(client, request, GW_VU_NEED_REPLY, payload, size, fds, count));
	assert_refused(request, row);
	assert_alive(row);
}

static void test_what_is_not_implemented(void **state)
{
	uint8_t zeros[GW_VU_PAYLOAD_MAX] = {0};

	connect_anew(true);
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		if (!gw_vu_row(id)->handle)
			refused(id, zeros, gw_vu_row(id)->min, NULL, 0);
	}
}

static void test_wrong_sizes(void **state)
{
	uint8_t zeros[GW_VU_PAYLOAD_MAX] = {0};
	int fd = eventfd(0, EFD_CLOEXEC);

	connect_anew(true);
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);

		if (!row->handle)
			continue;
		if (row->min)
			refused(id, zeros, row->min - 1U, &fd, row->fds_min);
		refused(id, zeros, row->max + 1U, &fd, row->fds_min);
		refused(id, zeros, GW_VU_PAYLOAD_MAX, &fd, row->fds_min);
	}
	close(fd);
}

static void test_missing_descriptors(void **state)
{
	uint8_t zeros[GW_VU_PAYLOAD_MAX] = {0};

	connect_anew(true);
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		if (gw_vu_row(id)->handle && gw_vu_row(id)->fds_min)
			refused(id, zeros, gw_vu_row(id)->max, NULL, 0);
	}
	/* Where a flag may say that there is none. */
	refused(GW_VU_SET_VRING_KICK, zeros, 8, NULL, 0);
	refused(GW_VU_SET_VRING_CALL, zeros, 8, NULL, 0);
	refused(GW_VU_SET_VRING_ERR, zeros, 8, NULL, 0);
}

static void test_rings_that_are_not_there(void **state)
{
	static const uint32_t requests[] = {
		GW_VU_SET_VRING_NUM,  GW_VU_SET_VRING_ADDR,   GW_VU_SET_VRING_BASE,
		GW_VU_GET_VRING_BASE, GW_VU_SET_VRING_KICK,   GW_VU_SET_VRING_CALL,
		GW_VU_SET_VRING_ERR,  GW_VU_SET_VRING_ENABLE,
	};
	struct gw_vu_vring_addr payload = {.index = 1};
	int fd = eventfd(0, EFD_CLOEXEC);

	connect_anew(true);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		const struct gw_vu_row *row = gw_vu_row(requests[i]);

		payload.index = 1;
		refused(requests[i], &payload, row->max, &fd, row->fds_max);
		payload.index = row->shape == GW_VU_SHAPE_RING_FD ? 255 : UINT32_MAX;
		refused(requests[i], &payload, row->max, &fd, row->fds_max);
	}
	close(fd);
}

static void test_what_was_not_negotiated(void **state)
{
	uint8_t zeros[GW_VU_PAYLOAD_MAX] = {0};
	int fd = eventfd(0, EFD_CLOEXEC);

	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);
		uint64_t ack_only = GW_VU_PF(REPLY_ACK);
		union gw_vu_payload reply;

		if (!row->protocol && !row->virtio)
			continue;
		connect_anew(false);
		assert_true(client_ask(client, GW_VU_SET_PROTOCOL_FEATURES, GW_VU_NEED_REPLY,
				       &ack_only, 8, &reply));
		assert_true(client_send(client, id, GW_VU_NEED_REPLY, zeros, row->min, &fd,
					row->fds_min));
		assert_refused(id, row);
	}
	close(fd);
}

static void test_unknown_numbers(void **state)
{
	static const uint32_t numbers[] = {0, GW_VU_REQUESTS, 99, 1000, UINT32_MAX};
	union gw_vu_payload reply;

	connect_anew(false);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		/* Asked for an answer there is one; without, it is as if nothing had come. */
		assert_true(client_send(client, numbers[i], 0, NULL, 0, NULL, 0));
		assert_true(client_ask(client, numbers[i], GW_VU_NEED_REPLY, NULL, 0, &reply));
		assert_int_equal(reply.u64, 1);
	}
	assert_true(client_ask(client, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
}

static void test_no_answer_where_none_is_asked(void **state)
{
	union gw_vu_payload reply;
	uint64_t all = UINT64_MAX;

	connect_anew(true);
	assert_true(client_send(client, GW_VU_SET_FEATURES, 0, &all, 8, NULL, 0));
	assert_true(client_send(client, GW_VU_SET_VRING_NUM, 0, NULL, 0, NULL, 0));
	assert_true(client_ask(client, GW_VU_GET_FEATURES, 0, NULL, 0, &reply));
}

static void test_bits_that_were_not_offered(void **state)
{
	union gw_vu_payload reply;
	uint64_t stranger = GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_ACCESS_PLATFORM;
	uint64_t status = GW_VU_PF(STATUS);

	connect_anew(true);
	refused(GW_VU_SET_FEATURES, &stranger, 8, NULL, 0);
	refused(GW_VU_SET_PROTOCOL_FEATURES, &status, 8, NULL, 0);
	assert_true(client_ask(client, GW_VU_GET_QUEUE_NUM, 0, NULL, 0, &reply));
}

static void test_strays_are_closed_and_the_message_served(void **state)
{
	int fds[8];
	union gw_vu_payload reply;
	struct gw_vu_header header;

	for (int i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	connect_anew(true);
	assert_true(client_send(client, GW_VU_GET_QUEUE_NUM, 0, NULL, 0, fds, 8));
	assert_true(client_recv(client, &header, &reply));
	assert_int_equal(reply.u64, 1);
	for (int i = 0; i < 8; i++)
		close(fds[i]);
}

static void test_configuration_outside_its_space(void **state)
{
	struct gw_vu_config config = {.offset = 4, .size = 8};

	connect_anew(true);
	refused(GW_VU_GET_CONFIG, &config, 20, NULL, 0);
	refused(GW_VU_SET_CONFIG, &config, 20, NULL, 0);
	config.offset = UINT32_MAX;
	refused(GW_VU_GET_CONFIG, &config, 20, NULL, 0);
	/* What it says of its own size is not true. */
	config = (struct gw_vu_config){.size = 4};
	refused(GW_VU_GET_CONFIG, &config, 20, NULL, 0);
	config.size = UINT32_MAX;
	refused(GW_VU_SET_CONFIG, &config, 20, NULL, 0);
}

static void test_counts_of_regions(void **state)
{
	struct gw_vu_mem_table table = {.count = 9};
	int fd = eventfd(0, EFD_CLOEXEC);
	int fds[2] = {fd, fd};

	connect_anew(true);
	refused(GW_VU_SET_MEM_TABLE, &table, 8, NULL, 0);
	refused(GW_VU_SET_MEM_TABLE, &table, sizeof(table), &fd, 1);
	table.count = 2;
	refused(GW_VU_SET_MEM_TABLE, &table, 8 + 32, fds, 2);
	refused(GW_VU_SET_MEM_TABLE, &table, 8 + 64, fds, 1);
	close(fd);
}

static void test_transfers_that_make_no_sense(void **state)
{
	struct gw_vu_device_state transfer = {.direction = 2};
	int fd = eventfd(0, EFD_CLOEXEC);

	connect_anew(true);
	refused(GW_VU_SET_DEVICE_STATE_FD, &transfer, 8, &fd, 1);
	transfer = (struct gw_vu_device_state){.phase = 1};
	refused(GW_VU_SET_DEVICE_STATE_FD, &transfer, 8, &fd, 1);
	/* Nothing was transferred. */
	refused(GW_VU_CHECK_DEVICE_STATE, NULL, 0, NULL, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_implemented),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_missing_descriptors),
		cmocka_unit_test(test_rings_that_are_not_there),
		cmocka_unit_test(test_what_was_not_negotiated),
		cmocka_unit_test(test_unknown_numbers),
		cmocka_unit_test(test_no_answer_where_none_is_asked),
		cmocka_unit_test(test_bits_that_were_not_offered),
		cmocka_unit_test(test_strays_are_closed_and_the_message_served),
		cmocka_unit_test(test_configuration_outside_its_space),
		cmocka_unit_test(test_counts_of_regions),
		cmocka_unit_test(test_transfers_that_make_no_sense),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
