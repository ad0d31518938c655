/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/checks_features.c - negotiation: features, protocol features, limits, config space.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"

/* A bit that no device has: between the ring's features and the reserved ones. */
#define UNKNOWN_FEATURE (UINT64_C(1) << 63)

static void features_stable(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);
	uint64_t first = cf_get(run, frontend, GW_VU_GET_FEATURES);
	uint64_t second = cf_get(run, frontend, GW_VU_GET_FEATURES);

	CF_EXPECT(run, first == second, "first 0x%llx, then 0x%llx", (unsigned long long)first,
		  (unsigned long long)second);
}

static void offers(struct cf_run *run, uint64_t bit, const char *name)
{
	CF_EXPECT(run, run->virtio & bit, "virtio features 0x%llx are without %s",
		  (unsigned long long)run->virtio, name);
}

static void features_protocol(struct cf_run *run)
{
	offers(run, GW_VIRTIO_F_PROTOCOL_FEATURES, "VHOST_USER_F_PROTOCOL_FEATURES");
}

static void features_version_1(struct cf_run *run)
{
	offers(run, GW_VIRTIO_F_VERSION_1, "VIRTIO_F_VERSION_1");
}

static void features_log_all(struct cf_run *run)
{
	offers(run, GW_VIRTIO_F_LOG_ALL, "VHOST_F_LOG_ALL");
	CF_EXPECT(run, run->protocol & GW_VU_PF(LOG_SHMFD), "LOG_SHMFD is not offered");
}

static void features_device_state(struct cf_run *run)
{
	CF_EXPECT(run, run->protocol & GW_VU_PF(DEVICE_STATE), "DEVICE_STATE is not offered");
}

static void features_inband(struct cf_run *run)
{
	uint64_t needed = GW_VU_PF(REPLY_ACK) | GW_VU_PF(BACKEND_REQ);

	CF_EXPECT(run, (run->protocol & needed) == needed,
		  "INBAND_NOTIFICATIONS without REPLY_ACK and BACKEND_REQ");
}

static void features_status(struct cf_run *run)
{
	CF_EXPECT(
		run, !(run->protocol & GW_VU_PF(DEVICE_STATE)),
		"STATUS and DEVICE_STATE together: front-ends send SET_STATUS(0) between stop and "
		"SAVE, which by VIRTIO is a reset");
}

static void features_skip_drain(struct cf_run *run)
{
	uint64_t needed = GW_VU_PF(INFLIGHT_SHMFD) | GW_VU_PF(GET_VRING_BASE_INFLIGHT);

	CF_EXPECT(run, (run->protocol & needed) == needed,
		  "GET_VRING_BASE_SKIP_DRAIN without INFLIGHT_SHMFD and GET_VRING_BASE_INFLIGHT");
}

static void protocol_early(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);

	cf_get(run, frontend, GW_VU_GET_FEATURES);
	cf_get(run, frontend, GW_VU_GET_PROTOCOL_FEATURES);
}

static void protocol_set_early(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);

	cf_get(run, frontend, GW_VU_GET_FEATURES);
	cf_ok(run,
	      gw_frontend_set_u64(frontend, GW_VU_SET_PROTOCOL_FEATURES, GW_VU_NO_WAIT,
				  run->protocol & GW_VU_PF(REPLY_ACK)),
	      "SET_PROTOCOL_FEATURES");
	cf_answers(run, frontend);
}

static void protocol_none(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	config.refuse_protocol_features = UINT64_MAX;
	config.queues = 1;
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate without protocol features");
	cf_answers(run, frontend);
}

static void features_unknown(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t value = gw_frontend_features(frontend) | UNKNOWN_FEATURE;

	if (run->virtio & UNKNOWN_FEATURE)
		cf_skip(run, "the feature is offered");
	value = cf_tell(run, frontend, GW_VU_SET_FEATURES, &value, sizeof(value), NULL, 0);
	CF_EXPECT(run, value, "SET_FEATURES with bit 63, which is not offered, was acknowledged");
}

static void owner(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_connect(run, &backend);

	cf_get(run, frontend, GW_VU_GET_FEATURES);
	cf_ok(run, gw_frontend_send_raw(frontend, GW_VU_SET_OWNER, GW_VU_VERSION, NULL, 0, NULL, 0),
	      "SET_OWNER");
	cf_answers(run, frontend);
}

static void queue_num(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t queues = cf_get(run, frontend, GW_VU_GET_QUEUE_NUM);

	CF_EXPECT(run, queues >= run->target->work->queues && queues <= 1024,
		  "%llu queues, a driver needs %u", (unsigned long long)queues,
		  run->target->work->queues);
}

static void mem_slots(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	uint64_t slots = cf_get(run, frontend, GW_VU_GET_MAX_MEM_SLOTS);

	CF_EXPECT(run, slots >= GW_VU_REGIONS_MAX, "%llu slots, SET_MEM_TABLE alone has %d",
		  (unsigned long long)slots, GW_VU_REGIONS_MAX);
}

static void channel_accepted(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend_config config;
	struct gw_frontend *frontend;
	GW_AUTO_FD int ours = -1;
	int ends[2];
	uint64_t value;

	cf_backend_start(run, &backend);
	config = cf_config(run, &backend);
	cf_ok(run, gw_frontend_new(&frontend, &config), "negotiate");
	CF_EXPECT(run, !socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "no sockets");
	ours = ends[0];
	value = cf_tell(run, frontend, GW_VU_SET_BACKEND_REQ_FD, NULL, 0, &ends[1], 1);
	close(ends[1]);
	CF_EXPECT(run, !value, "a second back-end channel was refused (%llu)",
		  (unsigned long long)value);
}

static void config_read(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	char first;

	cf_ok(run, gw_frontend_get_config(frontend, 0, &first, sizeof(first)),
	      "GET_CONFIG of one byte at 0");
}

static void config_range(struct cf_run *run)
{
	struct cf_backend backend = {0};
	struct gw_frontend *frontend = cf_negotiate(run, &backend);
	const struct gw_vu_config asked = {.offset = 0xfffffff0, .size = 64};
	uint32_t request = 0, flags = 0;
	char answer[sizeof(struct gw_vu_config)];
	GW_AUTO_FD int fd = -1;
	int got;

	cf_ok(run,
	      gw_frontend_send_raw(frontend, GW_VU_GET_CONFIG, GW_VU_VERSION, &asked,
				   offsetof(struct gw_vu_config, data) + 64, NULL, 0),
	      "GET_CONFIG");
	got = cf_ok(run,
		    gw_frontend_recv_raw(frontend, &request, &flags, answer, sizeof(answer), &fd),
		    "reply to GET_CONFIG far behind the end");
	CF_EXPECT(run, !got, "the reply to GET_CONFIG far behind the end has %d bytes", got);
	cf_answers(run, frontend);
}

#define GENERAL "Front-end message types"
const struct cf_check cf_checks_features[] = {
	{"features-stable", "GET_FEATURES says the same twice", GENERAL, CF_MUST,
	 .run = features_stable},
	{"features-protocol", "protocol features can be negotiated", "Protocol features", CF_SHOULD,
	 .run = features_protocol},
	{"features-version-1", "VERSION_1 is offered", "VIRTIO, 6.1: Driver requirements",
	 CF_SHOULD, .run = features_version_1},
	{"features-log-all", "dirty pages can be logged: no live migration without", "Migration",
	 CF_SHOULD, .run = features_log_all},
	{"features-device-state", "the inner state can be transferred", "Migrating back-end state",
	 CF_SHOULD, .run = features_device_state},
	{"features-inband", "INBAND_NOTIFICATIONS come with what they need",
	 "In-band notifications", CF_MUST, .protocol = GW_VU_PF(INBAND_NOTIFICATIONS),
	 .run = features_inband},
	{"features-status", "STATUS does not stand beside DEVICE_STATE", "Migrating back-end state",
	 CF_SHOULD, .protocol = GW_VU_PF(STATUS), .run = features_status},
	{"features-skip-drain", "GET_VRING_BASE_SKIP_DRAIN comes with what it needs",
	 "Protocol features", CF_MUST, .protocol = GW_VU_PF(GET_VRING_BASE_SKIP_DRAIN),
	 .run = features_skip_drain},
	{"features-unknown", "features that were not offered are refused", GENERAL, CF_SHOULD,
	 .protocol = GW_VU_PF(REPLY_ACK), .run = features_unknown},
	{"protocol-early", "GET_PROTOCOL_FEATURES is answered before SET_FEATURES", GENERAL,
	 CF_MUST, .virtio = GW_VIRTIO_F_PROTOCOL_FEATURES, .run = protocol_early},
	{"protocol-set-early", "SET_PROTOCOL_FEATURES is taken before SET_FEATURES", GENERAL,
	 CF_MUST, .virtio = GW_VIRTIO_F_PROTOCOL_FEATURES, .run = protocol_set_early},
	{"protocol-none", "a front-end may acknowledge no protocol feature", "Protocol features",
	 CF_MUST, .run = protocol_none},
	{"owner", "SET_OWNER is taken", GENERAL, CF_MUST, .run = owner},
	{"queue-num", "there are as many queues as a driver needs", "Multiple queue support",
	 CF_MUST, .protocol = GW_VU_PF(MQ), .run = queue_num},
	{"mem-slots", "there are at least as many memory slots as SET_MEM_TABLE has", GENERAL,
	 CF_SHOULD, .protocol = GW_VU_PF(CONFIGURE_MEM_SLOTS), .run = mem_slots},
	{"channel-again", "a new back-end channel takes the place of the old one",
	 "Back-end communication", CF_SHOULD, .protocol = GW_VU_PF(BACKEND_REQ),
	 .run = channel_accepted},
	{"config-read", "configuration space is read with the size that was asked for", GENERAL,
	 CF_MUST, .protocol = GW_VU_PF(CONFIG), .run = config_read},
	{"config-range", "reading behind the end of configuration space gets an empty reply",
	 GENERAL, CF_MUST, .protocol = GW_VU_PF(CONFIG), .run = config_range},
	{NULL},
};
