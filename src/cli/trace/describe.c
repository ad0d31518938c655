/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace/describe.c - what a message is called, and what it says. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "cli/trace/trace.h"
#include "vhost-user/messages.h"

static const char *const backend_names[GW_VU_BACKEND_REQUESTS] = {
	[GW_VU_BACKEND_IOTLB_MSG] = "BACKEND_IOTLB_MSG",
	[GW_VU_BACKEND_CONFIG_CHANGE_MSG] = "BACKEND_CONFIG_CHANGE_MSG",
	[GW_VU_BACKEND_VRING_HOST_NOTIFIER_MSG] = "BACKEND_VRING_HOST_NOTIFIER_MSG",
	[GW_VU_BACKEND_VRING_CALL] = "BACKEND_VRING_CALL",
	[GW_VU_BACKEND_VRING_ERR] = "BACKEND_VRING_ERR",
	[GW_VU_BACKEND_SHARED_OBJECT_ADD] = "BACKEND_SHARED_OBJECT_ADD",
	[GW_VU_BACKEND_SHARED_OBJECT_REMOVE] = "BACKEND_SHARED_OBJECT_REMOVE",
	[GW_VU_BACKEND_SHARED_OBJECT_LOOKUP] = "BACKEND_SHARED_OBJECT_LOOKUP",
	[GW_VU_BACKEND_SHMEM_MAP] = "BACKEND_SHMEM_MAP",
	[GW_VU_BACKEND_SHMEM_UNMAP] = "BACKEND_SHMEM_UNMAP",
};

uint64_t tr_number(const struct tr_message *message)
{
	uint64_t value;

	memcpy(&value, message->payload, sizeof(value));
	return value;
}

const char *tr_name(const struct tr_message *message)
{
	const struct gw_vu_row *row;

	if (message->channel == TR_BACK)
		return message->request < GW_VU_BACKEND_REQUESTS && backend_names[message->request]
			       ? backend_names[message->request]
			       : "unknown";
	row = gw_vu_row(message->request);
	return row ? row->name : "unknown";
}

static void say_features(const struct tr_message *message, char *text)
{
	uint64_t value = tr_number(message);

	snprintf(text, TR_DETAIL_MAX, "0x%" PRIx64 "%s", value,
		 value & GW_VIRTIO_F_LOG_ALL && message->flags & GW_VU_VERSION &&
				 !tr_is_reply(message)
			 ? ", LOG_ALL"
			 : "");
}

static void say_protocol_features(const struct tr_message *message, char *text)
{
	uint64_t value = tr_number(message);
	size_t len = 0;

	for (unsigned bit = 0; bit < GW_VU_PF_END && len < TR_DETAIL_MAX; bit++)
		if (value & UINT64_C(1) << bit && gw_vu_protocol_feature_name(bit))
			len += (size_t)snprintf(text + len, TR_DETAIL_MAX - len, "%s%s",
						len ? " " : "", gw_vu_protocol_feature_name(bit));
}

static void say_ring_state(const struct tr_message *message, char *text)
{
	struct gw_vu_vring_state state;

	memcpy(&state, message->payload, sizeof(state));
	snprintf(text, TR_DETAIL_MAX, "ring %u: %u", state.index, state.num);
}

static void say_ring_fd(const struct tr_message *message, char *text)
{
	uint64_t value = tr_number(message);

	snprintf(text, TR_DETAIL_MAX, "ring %u%s", (unsigned)(value & GW_VU_VRING_INDEX_MASK),
		 value & GW_VU_VRING_NO_FD ? ", no descriptor" : "");
}

static void say_ring_addr(const struct tr_message *message, char *text)
{
	struct gw_vu_vring_addr addr;

	memcpy(&addr, message->payload, sizeof(addr));
	snprintf(text, TR_DETAIL_MAX, "ring %u%s", addr.index,
		 addr.flags & GW_VU_VRING_F_LOG ? ", logged" : "");
}

static void say_table(const struct tr_message *message, char *text)
{
	snprintf(text, TR_DETAIL_MAX, "%u regions", (unsigned)tr_number(message));
}

static void say_region(const struct tr_message *message, char *text)
{
	struct gw_vu_mem_reg reg;

	memcpy(&reg, message->payload, sizeof(reg));
	snprintf(text, TR_DETAIL_MAX, "0x%" PRIx64 ", %" PRIu64 " bytes", reg.region.gpa,
		 reg.region.size);
}

static void say_transfer(const struct tr_message *message, char *text)
{
	struct gw_vu_device_state state;

	memcpy(&state, message->payload, sizeof(state));
	snprintf(text, TR_DETAIL_MAX, "%s, phase %u",
		 state.direction == GW_VU_STATE_SAVE   ? "save"
		 : state.direction == GW_VU_STATE_LOAD ? "load"
						       : "unknown direction",
		 state.phase);
}

static void say_number(const struct tr_message *message, char *text)
{
	snprintf(text, TR_DETAIL_MAX, "%" PRIu64, tr_number(message));
}

typedef void say_fn(const struct tr_message *message, char *text);

/* Those whose payload is worth a word: of the request, and of the reply. */
static const struct {
	uint32_t request;
	uint16_t least; /* bytes, so that nothing is told that was not said */
	say_fn *asked, *answered;
} says[] = {
	{GW_VU_GET_FEATURES, 8, NULL, say_features},
	{GW_VU_SET_FEATURES, 8, say_features, say_number},
	{GW_VU_GET_PROTOCOL_FEATURES, 8, NULL, say_protocol_features},
	{GW_VU_SET_PROTOCOL_FEATURES, 8, say_protocol_features, say_number},
	{GW_VU_GET_QUEUE_NUM, 8, NULL, say_number},
	{GW_VU_GET_MAX_MEM_SLOTS, 8, NULL, say_number},
	{GW_VU_SET_MEM_TABLE, 8, say_table, say_number},
	{GW_VU_ADD_MEM_REG, 8, say_region, say_number},
	{GW_VU_REM_MEM_REG, 8, say_region, say_number},
	{GW_VU_SET_VRING_NUM, 8, say_ring_state, say_number},
	{GW_VU_SET_VRING_BASE, 8, say_ring_state, say_number},
	{GW_VU_GET_VRING_BASE, 8, say_ring_state, say_ring_state},
	{GW_VU_SET_VRING_ENABLE, 8, say_ring_state, say_number},
	{GW_VU_SET_VRING_ADDR, 8, say_ring_addr, say_number},
	{GW_VU_SET_VRING_KICK, 8, say_ring_fd, say_number},
	{GW_VU_SET_VRING_CALL, 8, say_ring_fd, say_number},
	{GW_VU_SET_VRING_ERR, 8, say_ring_fd, say_number},
	{GW_VU_SET_LOG_BASE, 8, say_number, NULL},
	{GW_VU_SET_DEVICE_STATE_FD, 8, say_transfer, say_features},
	{GW_VU_CHECK_DEVICE_STATE, 8, NULL, say_number},
	{GW_VU_SET_STATUS, 8, say_number, say_number},
	{GW_VU_GET_STATUS, 8, NULL, say_number},
};

void tr_detail(const struct tr_message *message, char text[TR_DETAIL_MAX])
{
	text[0] = 0;
	for (size_t i = 0; message->channel == TR_MAIN && i < GW_ARRAY_LEN(says); i++) {
		say_fn *say = tr_is_reply(message) ? says[i].answered : says[i].asked;

		if (says[i].request == message->request && message->size >= says[i].least && say)
			say(message, text);
	}
}
