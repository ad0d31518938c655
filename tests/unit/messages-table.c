/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/messages-table.c - the message table is whole: every request has a row that makes
 * sense. */
#include "base/checked.h"
#include "cmocka-all.h"
#include "vhost-user/messages.h"

/* What we do not do, and so never offer. */
#define NOT_OFFERED                                                                               \
	(GW_VU_PF(RARP) | GW_VU_PF(NET_MTU) | GW_VU_PF(CROSS_ENDIAN) | GW_VU_PF(CRYPTO_SESSION) | \
	 GW_VU_PF(PAGEFAULT) | GW_VU_PF(INBAND_NOTIFICATIONS) | GW_VU_PF(STATUS) |                \
	 GW_VU_PF(SHARED_OBJECT) | GW_VU_PF(SHMEM) | GW_VU_PF(GET_VRING_BASE_SKIP_DRAIN))

/* Number by number, as the specification lists them. */
static const char *const names[] = {
	[1] = "GET_FEATURES",
	[2] = "SET_FEATURES",
	[3] = "SET_OWNER",
	[4] = "RESET_OWNER",
	[5] = "SET_MEM_TABLE",
	[6] = "SET_LOG_BASE",
	[7] = "SET_LOG_FD",
	[8] = "SET_VRING_NUM",
	[9] = "SET_VRING_ADDR",
	[10] = "SET_VRING_BASE",
	[11] = "GET_VRING_BASE",
	[12] = "SET_VRING_KICK",
	[13] = "SET_VRING_CALL",
	[14] = "SET_VRING_ERR",
	[15] = "GET_PROTOCOL_FEATURES",
	[16] = "SET_PROTOCOL_FEATURES",
	[17] = "GET_QUEUE_NUM",
	[18] = "SET_VRING_ENABLE",
	[19] = "SEND_RARP",
	[20] = "NET_SET_MTU",
	[21] = "SET_BACKEND_REQ_FD",
	[22] = "IOTLB_MSG",
	[23] = "SET_VRING_ENDIAN",
	[24] = "GET_CONFIG",
	[25] = "SET_CONFIG",
	[26] = "CREATE_CRYPTO_SESSION",
	[27] = "CLOSE_CRYPTO_SESSION",
	[28] = "POSTCOPY_ADVISE",
	[29] = "POSTCOPY_LISTEN",
	[30] = "POSTCOPY_END",
	[31] = "GET_INFLIGHT_FD",
	[32] = "SET_INFLIGHT_FD",
	[33] = "GPU_SET_SOCKET",
	[34] = "RESET_DEVICE",
	[35] = "VRING_KICK",
	[36] = "GET_MAX_MEM_SLOTS",
	[37] = "ADD_MEM_REG",
	[38] = "REM_MEM_REG",
	[39] = "SET_STATUS",
	[40] = "GET_STATUS",
	[41] = "GET_SHARED_OBJECT",
	[42] = "SET_DEVICE_STATE_FD",
	[43] = "CHECK_DEVICE_STATE",
	[44] = "GET_SHMEM_CONFIG",
	[45] = "GET_VRING_BASE_SKIP_DRAIN",
};

static void test_every_request_has_its_row(void **state)
{
	assert_int_equal(GW_ARRAY_LEN(names), GW_VU_REQUESTS);
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		assert_non_null(gw_vu_row(id));
		assert_string_equal(gw_vu_row(id)->name, names[id]);
	}
}

static void test_nothing_else_has_one(void **state)
{
	assert_null(gw_vu_row(0));
	assert_null(gw_vu_row(GW_VU_REQUESTS));
	assert_null(gw_vu_row(1000));
	assert_null(gw_vu_row(UINT32_MAX));
	assert_null(gw_vu_row(GW_VU_EXPERIMENTAL));
	assert_null(gw_vu_row(GW_VU_EXPERIMENTAL_END));
}

static void test_bounds_make_sense(void **state)
{
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);

		assert_true(row->min <= row->max);
		assert_true(row->max <= GW_VU_PAYLOAD_MAX);
		assert_true(row->fds_min <= row->fds_max);
		assert_true(row->fds_max <= GW_VU_FDS_MAX);
		assert_true(row->shape < GW_VU_SHAPES);
		assert_true(row->reply < GW_VU_REPLIES);
	}
}

static void test_shapes_lie_within_the_bounds(void **state)
{
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);

		if (row->shape == GW_VU_SHAPE_RING_STATE || row->shape == GW_VU_SHAPE_RING_FD)
			assert_int_equal(row->min, 8);
		if (row->shape == GW_VU_SHAPE_RING_ADDR)
			assert_int_equal(row->min, sizeof(struct gw_vu_vring_addr));
		if (row->shape == GW_VU_SHAPE_TABLE)
			assert_int_equal(row->min, 8);
		if (row->shape == GW_VU_SHAPE_CONFIG)
			assert_int_equal(row->min, 12);
		if (row->when == GW_VU_WHEN_RING_STOPPED)
			assert_int_not_equal(row->shape, GW_VU_SHAPE_ANY);
	}
}

/* Those of our own need a feature of our own, and always say how it went. */
static void test_experimental_rows(void **state)
{
	for (uint32_t id = GW_VU_EXPERIMENTAL + 1; id < GW_VU_EXPERIMENTAL_END; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);

		assert_non_null(row);
		assert_non_null(row->handle);
		assert_true(row->protocol >> GW_VU_PROTOCOL_FEATURES);
		assert_int_not_equal(row->reply, GW_VU_REPLY_ACK);
	}
}

/* What needs a feature that is never offered is refused, and what is refused needs one: a front-end
 * that keeps to what was negotiated never meets a refusal. */
static void test_refused_is_what_is_not_offered(void **state)
{
	for (uint32_t id = 1; id < GW_VU_REQUESTS; id++) {
		const struct gw_vu_row *row = gw_vu_row(id);
		bool offered = !(row->protocol & NOT_OFFERED) &&
			       !(row->virtio & GW_VIRTIO_F_ACCESS_PLATFORM);

		if (id != GW_VU_GPU_SET_SOCKET) /* a GPU's alone: no feature stands for it */
			assert_int_equal(row->handle != NULL, offered);
	}
}

/* QEMU waits for the answer to these without having negotiated that there is one. */
static void test_some_are_always_answered(void **state)
{
	assert_int_equal(gw_vu_row(GW_VU_IOTLB_MSG)->reply, GW_VU_REPLY_VERDICT);
	assert_int_equal(gw_vu_row(GW_VU_POSTCOPY_LISTEN)->reply, GW_VU_REPLY_VERDICT);
	assert_int_equal(gw_vu_row(GW_VU_POSTCOPY_END)->reply, GW_VU_REPLY_VERDICT);
	assert_int_equal(gw_vu_row(GW_VU_CHECK_DEVICE_STATE)->reply, GW_VU_REPLY_VERDICT);
}

static void test_protocol_features_have_names(void **state)
{
	for (unsigned bit = 0; bit < GW_VU_PROTOCOL_FEATURES; bit++)
		assert_non_null(gw_vu_protocol_feature_name(bit));
	assert_null(gw_vu_protocol_feature_name(GW_VU_PROTOCOL_FEATURES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_request_has_its_row),
		cmocka_unit_test(test_nothing_else_has_one),
		cmocka_unit_test(test_bounds_make_sense),
		cmocka_unit_test(test_experimental_rows),
		cmocka_unit_test(test_shapes_lie_within_the_bounds),
		cmocka_unit_test(test_refused_is_what_is_not_offered),
		cmocka_unit_test(test_some_are_always_answered),
		cmocka_unit_test(test_protocol_features_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
