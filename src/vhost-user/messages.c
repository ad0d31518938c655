/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/messages.c - the one table of what a front-end can ask. */
#include "base/checked.h"
#include "vhost-user/handlers.h"
#include "vhost-user/messages.h"

#define NOTHING 0, 0
#define U64	8, 8
#define SIZE(s) sizeof(struct s), sizeof(struct s)
#define ANY	0, GW_VU_PAYLOAD_MAX

/* Rows without a handler are refused; their features are not offered, so that only a front-end
 * which does not negotiate will send them. */
static const struct gw_vu_row rows[GW_VU_REQUESTS] = {
	[GW_VU_GET_FEATURES] = {"GET_FEATURES", gw_handle_get_features, NOTHING,
				.reply = GW_VU_REPLY_VALUE},
	[GW_VU_SET_FEATURES] = {"SET_FEATURES", gw_handle_set_features, U64},
	[GW_VU_SET_OWNER] = {"SET_OWNER", gw_handle_set_owner, NOTHING},
	[GW_VU_RESET_OWNER] = {"RESET_OWNER", gw_handle_reset_owner, NOTHING},
	[GW_VU_SET_MEM_TABLE] = {"SET_MEM_TABLE", gw_handle_set_mem_table,
				 offsetof(struct gw_vu_mem_table, regions),
				 sizeof(struct gw_vu_mem_table), .shape = GW_VU_SHAPE_TABLE,
				 .fds_max = GW_VU_REGIONS_MAX},
	[GW_VU_SET_LOG_BASE] = {"SET_LOG_BASE", gw_handle_set_log_base, SIZE(gw_vu_log),
				.fds_min = 1, .fds_max = 1, .protocol = GW_VU_PF(LOG_SHMFD),
				.reply = GW_VU_REPLY_ACK_LOG},
	[GW_VU_SET_LOG_FD] = {"SET_LOG_FD", gw_handle_set_log_fd, 0, 8, .fds_min = 1, .fds_max = 1},
	[GW_VU_SET_VRING_NUM] = {"SET_VRING_NUM", gw_handle_set_vring_num, SIZE(gw_vu_vring_state),
				 .shape = GW_VU_SHAPE_RING_STATE, .when = GW_VU_WHEN_RING_STOPPED},
	[GW_VU_SET_VRING_ADDR] = {"SET_VRING_ADDR", gw_handle_set_vring_addr,
				  SIZE(gw_vu_vring_addr), .shape = GW_VU_SHAPE_RING_ADDR},
	[GW_VU_SET_VRING_BASE] = {"SET_VRING_BASE", gw_handle_set_vring_base,
				  SIZE(gw_vu_vring_state), .shape = GW_VU_SHAPE_RING_STATE,
				  .when = GW_VU_WHEN_RING_STOPPED},
	[GW_VU_GET_VRING_BASE] = {"GET_VRING_BASE", gw_handle_get_vring_base,
				  SIZE(gw_vu_vring_state), .shape = GW_VU_SHAPE_RING_STATE,
				  .reply = GW_VU_REPLY_STATE},
	[GW_VU_SET_VRING_KICK] = {"SET_VRING_KICK", gw_handle_set_vring_kick, U64,
				  .shape = GW_VU_SHAPE_RING_FD, .fds_max = 1},
	[GW_VU_SET_VRING_CALL] = {"SET_VRING_CALL", gw_handle_set_vring_call, U64,
				  .shape = GW_VU_SHAPE_RING_FD, .fds_max = 1},
	[GW_VU_SET_VRING_ERR] = {"SET_VRING_ERR", gw_handle_set_vring_err, U64,
				 .shape = GW_VU_SHAPE_RING_FD, .fds_max = 1},
	[GW_VU_GET_PROTOCOL_FEATURES] = {"GET_PROTOCOL_FEATURES", gw_handle_get_protocol_features,
					 NOTHING, .reply = GW_VU_REPLY_VALUE},
	[GW_VU_SET_PROTOCOL_FEATURES] = {"SET_PROTOCOL_FEATURES", gw_handle_set_protocol_features,
					 U64},
	[GW_VU_GET_QUEUE_NUM] = {"GET_QUEUE_NUM", gw_handle_get_queue_num, NOTHING,
				 .protocol = GW_VU_PF(MQ), .reply = GW_VU_REPLY_VALUE},
	[GW_VU_SET_VRING_ENABLE] = {"SET_VRING_ENABLE", gw_handle_set_vring_enable,
				    SIZE(gw_vu_vring_state), .shape = GW_VU_SHAPE_RING_STATE,
				    .virtio = GW_VIRTIO_F_PROTOCOL_FEATURES},
	[GW_VU_SEND_RARP] = {"SEND_RARP", NULL, U64, .protocol = GW_VU_PF(RARP)},
	[GW_VU_NET_SET_MTU] = {"NET_SET_MTU", NULL, U64, .protocol = GW_VU_PF(NET_MTU)},
	[GW_VU_SET_BACKEND_REQ_FD] = {"SET_BACKEND_REQ_FD", gw_handle_set_backend_req_fd, NOTHING,
				      .fds_min = 1, .fds_max = 1,
				      .protocol = GW_VU_PF(BACKEND_REQ)},
	[GW_VU_IOTLB_MSG] = {"IOTLB_MSG", NULL, SIZE(gw_vu_iotlb),
			     .virtio = GW_VIRTIO_F_ACCESS_PLATFORM, .reply = GW_VU_REPLY_VERDICT},
	[GW_VU_SET_VRING_ENDIAN] = {"SET_VRING_ENDIAN", NULL, SIZE(gw_vu_vring_state),
				    .shape = GW_VU_SHAPE_RING_STATE,
				    .protocol = GW_VU_PF(CROSS_ENDIAN)},
	[GW_VU_GET_CONFIG] = {"GET_CONFIG", gw_handle_get_config,
			      offsetof(struct gw_vu_config, data), sizeof(struct gw_vu_config),
			      .shape = GW_VU_SHAPE_CONFIG, .protocol = GW_VU_PF(CONFIG),
			      .reply = GW_VU_REPLY_CONFIG},
	[GW_VU_SET_CONFIG] = {"SET_CONFIG", gw_handle_set_config,
			      offsetof(struct gw_vu_config, data), sizeof(struct gw_vu_config),
			      .shape = GW_VU_SHAPE_CONFIG, .protocol = GW_VU_PF(CONFIG)},
	[GW_VU_CREATE_CRYPTO_SESSION] = {"CREATE_CRYPTO_SESSION", NULL, ANY,
					 .protocol = GW_VU_PF(CRYPTO_SESSION),
					 .reply = GW_VU_REPLY_SESSION},
	[GW_VU_CLOSE_CRYPTO_SESSION] = {"CLOSE_CRYPTO_SESSION", NULL, U64,
					.protocol = GW_VU_PF(CRYPTO_SESSION)},
	[GW_VU_POSTCOPY_ADVISE] = {"POSTCOPY_ADVISE", NULL, NOTHING,
				   .protocol = GW_VU_PF(PAGEFAULT), .reply = GW_VU_REPLY_FD},
	/* QEMU waits for both of these whether or not REPLY_ACK is negotiated. */
	[GW_VU_POSTCOPY_LISTEN] = {"POSTCOPY_LISTEN", NULL, NOTHING,
				   .protocol = GW_VU_PF(PAGEFAULT), .reply = GW_VU_REPLY_VERDICT},
	[GW_VU_POSTCOPY_END] = {"POSTCOPY_END", NULL, NOTHING, .protocol = GW_VU_PF(PAGEFAULT),
				.reply = GW_VU_REPLY_VERDICT},
	[GW_VU_GET_INFLIGHT_FD] = {"GET_INFLIGHT_FD", gw_handle_get_inflight_fd, GW_VU_INFLIGHT_MIN,
				   sizeof(struct gw_vu_inflight),
				   .protocol = GW_VU_PF(INFLIGHT_SHMFD),
				   .reply = GW_VU_REPLY_INFLIGHT},
	[GW_VU_SET_INFLIGHT_FD] = {"SET_INFLIGHT_FD", gw_handle_set_inflight_fd, GW_VU_INFLIGHT_MIN,
				   sizeof(struct gw_vu_inflight), .fds_min = 1, .fds_max = 1,
				   .protocol = GW_VU_PF(INFLIGHT_SHMFD),
				   .when = GW_VU_WHEN_ALL_STOPPED},
	[GW_VU_GPU_SET_SOCKET] = {"GPU_SET_SOCKET", NULL, NOTHING, .fds_min = 1, .fds_max = 1},
	[GW_VU_RESET_DEVICE] = {"RESET_DEVICE", gw_handle_reset_device, NOTHING,
				.protocol = GW_VU_PF(RESET_DEVICE)},
	[GW_VU_VRING_KICK] = {"VRING_KICK", NULL, SIZE(gw_vu_vring_state),
			      .shape = GW_VU_SHAPE_RING_STATE,
			      .protocol = GW_VU_PF(INBAND_NOTIFICATIONS)},
	[GW_VU_GET_MAX_MEM_SLOTS] = {"GET_MAX_MEM_SLOTS", gw_handle_get_max_mem_slots, NOTHING,
				     .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS),
				     .reply = GW_VU_REPLY_VALUE},
	[GW_VU_ADD_MEM_REG] = {"ADD_MEM_REG", gw_handle_add_mem_reg, SIZE(gw_vu_mem_reg),
			       .fds_min = 1, .fds_max = 1,
			       .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS)},
	/* Some front-ends send the region's descriptor here too. */
	[GW_VU_REM_MEM_REG] = {"REM_MEM_REG", gw_handle_rem_mem_reg, SIZE(gw_vu_mem_reg),
			       .fds_max = 1, .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS)},
	[GW_VU_SET_STATUS] = {"SET_STATUS", NULL, U64, .protocol = GW_VU_PF(STATUS)},
	[GW_VU_GET_STATUS] = {"GET_STATUS", NULL, NOTHING, .protocol = GW_VU_PF(STATUS),
			      .reply = GW_VU_REPLY_VALUE},
	/* QEMU forgets the payload. */
	[GW_VU_GET_SHARED_OBJECT] = {"GET_SHARED_OBJECT", NULL, 0,
				     sizeof(struct gw_vu_shared_object),
				     .protocol = GW_VU_PF(SHARED_OBJECT), .reply = GW_VU_REPLY_FD},
	[GW_VU_SET_DEVICE_STATE_FD] = {"SET_DEVICE_STATE_FD", gw_handle_set_device_state_fd,
				       SIZE(gw_vu_device_state), .fds_max = 1,
				       .protocol = GW_VU_PF(DEVICE_STATE), .when = GW_VU_WHEN_PHASE,
				       .reply = GW_VU_REPLY_TRANSFER},
	[GW_VU_CHECK_DEVICE_STATE] = {"CHECK_DEVICE_STATE", gw_handle_check_device_state, NOTHING,
				      .protocol = GW_VU_PF(DEVICE_STATE),
				      .reply = GW_VU_REPLY_VERDICT},
	[GW_VU_GET_SHMEM_CONFIG] = {"GET_SHMEM_CONFIG", NULL, NOTHING, .protocol = GW_VU_PF(SHMEM),
				    .reply = GW_VU_REPLY_SHMEM},
	[GW_VU_GET_VRING_BASE_SKIP_DRAIN] = {"GET_VRING_BASE_SKIP_DRAIN", NULL,
					     SIZE(gw_vu_vring_state),
					     .shape = GW_VU_SHAPE_RING_STATE,
					     .protocol = GW_VU_PF(GET_VRING_BASE_SKIP_DRAIN),
					     .reply = GW_VU_REPLY_STATE},
};

#define OWN(number) [number - GW_VU_EXPERIMENTAL]
static const struct gw_vu_row experimental_rows[GW_VU_EXPERIMENTAL_END - GW_VU_EXPERIMENTAL] = {
	OWN(GW_VU_SUSPEND) = {"SUSPEND", gw_handle_suspend, NOTHING, .protocol = GW_VU_PF(SUSPEND),
			      .reply = GW_VU_REPLY_VERDICT},
	OWN(GW_VU_RESUME) = {"RESUME", gw_handle_resume, NOTHING, .protocol = GW_VU_PF(SUSPEND),
			     .reply = GW_VU_REPLY_VERDICT},
	OWN(GW_VU_GET_DEVICE_STATE_PENDING) = {"GET_DEVICE_STATE_PENDING",
					       gw_handle_get_device_state_pending, NOTHING,
					       .protocol = GW_VU_PF(ITERATIVE),
					       .reply = GW_VU_REPLY_PENDING},
	OWN(GW_VU_CANCEL_DEVICE_STATE) = {"CANCEL_DEVICE_STATE", gw_handle_cancel_device_state,
					  NOTHING, .protocol = GW_VU_PF(ITERATIVE),
					  .reply = GW_VU_REPLY_VERDICT},
};

static const struct gw_vu_row *row_in(const struct gw_vu_row *table, size_t count, uint32_t at)
{
	return at < count && table[at].name ? &table[at] : NULL;
}

const struct gw_vu_row *gw_vu_row(uint32_t request)
{
	if (request < GW_VU_EXPERIMENTAL)
		return row_in(rows, GW_ARRAY_LEN(rows), request);
	return row_in(experimental_rows, GW_ARRAY_LEN(experimental_rows),
		      request - GW_VU_EXPERIMENTAL);
}

bool gw_vu_brings_fds(const struct gw_vu_header *header, const union gw_vu_payload *payload)
{
	const struct gw_vu_row *row = gw_vu_row(header->request);

	if (!row || !row->fds_max)
		return false;
	return row->shape != GW_VU_SHAPE_RING_FD || !(payload->u64 & GW_VU_VRING_NO_FD);
}

static const char *const protocol_feature_names[GW_VU_PF_END] = {
	[GW_VU_PF_MQ] = "MQ",
	[GW_VU_PF_LOG_SHMFD] = "LOG_SHMFD",
	[GW_VU_PF_RARP] = "RARP",
	[GW_VU_PF_REPLY_ACK] = "REPLY_ACK",
	[GW_VU_PF_NET_MTU] = "NET_MTU",
	[GW_VU_PF_BACKEND_REQ] = "BACKEND_REQ",
	[GW_VU_PF_CROSS_ENDIAN] = "CROSS_ENDIAN",
	[GW_VU_PF_CRYPTO_SESSION] = "CRYPTO_SESSION",
	[GW_VU_PF_PAGEFAULT] = "PAGEFAULT",
	[GW_VU_PF_CONFIG] = "CONFIG",
	[GW_VU_PF_BACKEND_SEND_FD] = "BACKEND_SEND_FD",
	[GW_VU_PF_HOST_NOTIFIER] = "HOST_NOTIFIER",
	[GW_VU_PF_INFLIGHT_SHMFD] = "INFLIGHT_SHMFD",
	[GW_VU_PF_RESET_DEVICE] = "RESET_DEVICE",
	[GW_VU_PF_INBAND_NOTIFICATIONS] = "INBAND_NOTIFICATIONS",
	[GW_VU_PF_CONFIGURE_MEM_SLOTS] = "CONFIGURE_MEM_SLOTS",
	[GW_VU_PF_STATUS] = "STATUS",
	[GW_VU_PF_XEN_MMAP] = "XEN_MMAP",
	[GW_VU_PF_SHARED_OBJECT] = "SHARED_OBJECT",
	[GW_VU_PF_DEVICE_STATE] = "DEVICE_STATE",
	[GW_VU_PF_GET_VRING_BASE_INFLIGHT] = "GET_VRING_BASE_INFLIGHT",
	[GW_VU_PF_GPA_ADDRESSES] = "GPA_ADDRESSES",
	[GW_VU_PF_SHMEM] = "SHMEM",
	[GW_VU_PF_GET_VRING_BASE_SKIP_DRAIN] = "GET_VRING_BASE_SKIP_DRAIN",
	[GW_VU_PF_SUSPEND] = "SUSPEND",
	[GW_VU_PF_ITERATIVE] = "ITERATIVE",
};

const char *gw_vu_protocol_feature_name(unsigned bit)
{
	return bit < GW_ARRAY_LEN(protocol_feature_names) ? protocol_feature_names[bit] : NULL;
}
