/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend.c - connect and negotiate, in the full order on every connection. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/socket.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

#define TIMEOUT_MS_DEFAULT 10000

/* All that this front-end implements; more is never acked, whatever is offered. */
#define PROTOCOL_FEATURES                                                                   \
	(GW_VU_PF(MQ) | GW_VU_PF(LOG_SHMFD) | GW_VU_PF(REPLY_ACK) | GW_VU_PF(BACKEND_REQ) | \
	 GW_VU_PF(CONFIG) | GW_VU_PF(INFLIGHT_SHMFD) | GW_VU_PF(RESET_DEVICE) |             \
	 GW_VU_PF(CONFIGURE_MEM_SLOTS) | GW_VU_PF(DEVICE_STATE))

/* And what only who configures it wants; an older caller's struct does not speak of it. */
static uint64_t wanted(const struct gw_frontend_config *config)
{
	uint64_t features = PROTOCOL_FEATURES & ~config->refuse_protocol_features;

	if (config->size < offsetof(struct gw_frontend_config, experimental) + sizeof(unsigned))
		return features;
	if (config->experimental & GW_EXPERIMENTAL_SUSPEND)
		features |= GW_VU_PF(SUSPEND);
	if (config->experimental & GW_EXPERIMENTAL_ITERATIVE)
		features |= GW_VU_PF(ITERATIVE);
	return features;
}

static int negotiate_protocol(struct gw_frontend *frontend, uint64_t want)
{
	int err = gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &frontend->offered);

	if (err)
		return err;
	if (!(frontend->offered & GW_VIRTIO_F_PROTOCOL_FEATURES))
		return gw_fail(EPROTO, "back-end: it has no protocol features (0x%llx)",
			       (unsigned long long)frontend->offered);
	err = gw_frontend_get_u64(frontend, GW_VU_GET_PROTOCOL_FEATURES,
				  &frontend->protocol_offered);
	if (err)
		return err;
	frontend->protocol = frontend->protocol_offered & want;
	return gw_frontend_set_u64(frontend, GW_VU_SET_PROTOCOL_FEATURES, GW_VU_NO_WAIT,
				   frontend->protocol);
}

static int ask_limits(struct gw_frontend *frontend)
{
	uint64_t queues = 1, slots = GW_VU_REGIONS_MAX;
	int err = 0;

	if (gw_frontend_has(frontend, GW_VU_PF(MQ)))
		err = gw_frontend_get_u64(frontend, GW_VU_GET_QUEUE_NUM, &queues);
	if (!err && gw_frontend_has(frontend, GW_VU_PF(CONFIGURE_MEM_SLOTS)))
		err = gw_frontend_get_u64(frontend, GW_VU_GET_MAX_MEM_SLOTS, &slots);
	frontend->max_queues = (unsigned)GW_MIN(queues, (uint64_t)GW_FRONTEND_QUEUES_MAX);
	frontend->max_slots = (unsigned)GW_MIN(slots, (uint64_t)GW_FRONTEND_REGIONS_MAX);
	return err;
}

/* Section A of a VMM's life with a back-end; strict back-ends need each step on each connection. */
static int negotiate(struct gw_frontend *frontend, uint64_t want)
{
	int err = negotiate_protocol(frontend, want);

	if (!err)
		err = ask_limits(frontend);
	if (!err && gw_frontend_has(frontend, GW_VU_PF(BACKEND_REQ)))
		err = gw_frontend_channel_open(frontend);
	if (!err)
		err = gw_frontend_tell(frontend, GW_VU_NO_WAIT,
				       &(struct gw_vu_out){.request = GW_VU_SET_OWNER});
	if (!err)
		err = gw_frontend_get_u64(frontend, GW_VU_GET_FEATURES, &frontend->offered);
	return err;
}

/* What must be there beyond what the back-end's word on features says. */
static int check_limits(const struct gw_frontend *frontend)
{
	const struct gw_guest *guest = frontend->guest;
	unsigned regions = 0;

	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++)
		regions += guest->regions[i].in_use;
	if (guest->queues > frontend->max_queues && gw_frontend_has(frontend, GW_VU_PF(MQ)))
		return gw_fail(EINVAL, "back-end: it has %u queues, %u are needed",
			       frontend->max_queues, guest->queues);
	if (regions > frontend->max_slots)
		return gw_fail(EINVAL, "back-end: it has %u memory slots, %u are needed",
			       frontend->max_slots, regions);
	return 0;
}

static int require(const struct gw_frontend *frontend, uint64_t features)
{
	uint64_t missing = features & ~frontend->offered;

	if (missing)
		return gw_fail(EOPNOTSUPP, "back-end: it does not offer virtio features 0x%llx",
			       (unsigned long long)missing);
	return 0;
}

static int choose_features(struct gw_frontend *frontend, const struct gw_frontend_config *config)
{
	uint64_t want = config->want_features ? config->want_features
					      : GW_VIRTIO_F_EVENT_IDX | GW_VIRTIO_F_INDIRECT_DESC;
	uint64_t need = GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_PROTOCOL_FEATURES |
			(config->packed ? GW_VIRTIO_F_RING_PACKED : 0) |
			(config->indirect ? GW_VIRTIO_F_INDIRECT_DESC : 0);
	int err = require(frontend, need);

	/* Logging has a switch of its own. */
	frontend->acked = ((want & frontend->offered) | need) & ~GW_VIRTIO_F_LOG_ALL;
	return err;
}

/* QEMU's masked notifiers: call and err descriptors are there from the beginning. */
static int send_notifiers(struct gw_frontend *frontend)
{
	int err = 0;

	for (unsigned i = 0; i < frontend->guest->queues && !err; i++) {
		err = gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, i,
					       frontend->queues[i].call);
		if (!err)
			err = gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_ERR, i,
						       frontend->queues[i].err);
	}
	return err;
}

int gw_frontend_connect(struct gw_frontend **out, const struct gw_frontend_config *config)
{
	struct gw_frontend *frontend = calloc(1, sizeof(*frontend));
	int err = 0;

	*out = frontend;
	if (!frontend)
		return gw_fail(ENOMEM, "front-end: no memory");
	frontend->log_fd = frontend->inflight_fd = frontend->channel = -1;
	frontend->timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS_DEFAULT;
	if (config->socket_path)
		err = gw_socket_connect(&frontend->socket, config->socket_path,
					frontend->timeout_ms);
	else
		frontend->socket = config->fd;
	if (err)
		frontend->socket = -1;
	return err;
}

/* A negotiated front-end that has no guest yet; to be freed, whatever is returned. */
static int open_frontend(struct gw_frontend **out, const struct gw_frontend_config *config)
{
	int err = gw_frontend_connect(out, config);

	return err ? err : negotiate(*out, wanted(config));
}

static int fill_new(struct gw_frontend *frontend, const struct gw_frontend_config *config)
{
	int err = choose_features(frontend, config);

	if (!err)
		err = gw_guest_new(&frontend->guest, config);
	if (!err)
		err = check_limits(frontend);
	if (!err)
		err = gw_guest_make_rings(frontend->guest, frontend->acked, config->indirect);
	if (!err)
		err = gw_frontend_make_queues(frontend);
	return err ? err : send_notifiers(frontend);
}

int gw_frontend_new(struct gw_frontend **out, const struct gw_frontend_config *config)
{
	struct gw_frontend *frontend;
	int err = open_frontend(&frontend, config);

	if (!err)
		err = fill_new(frontend, config);
	if (err) {
		gw_frontend_free(frontend);
		return err;
	}
	*out = frontend;
	return 0;
}

static int fill_migrated(struct gw_frontend *frontend, const struct gw_frontend *from)
{
	int err;

	frontend->guest = gw_guest_ref(from->guest);
	frontend->acked = from->guest->features;
	err = require(frontend, frontend->acked);
	if (!err)
		err = check_limits(frontend);
	if (!err)
		err = gw_frontend_make_queues(frontend);
	return err ? err : send_notifiers(frontend);
}

int gw_frontend_await(struct gw_frontend **to, struct gw_frontend *from,
		      const struct gw_frontend_config *config)
{
	struct gw_frontend *frontend;
	int err = open_frontend(&frontend, config);

	if (!err)
		err = fill_migrated(frontend, from);
	if (err) {
		gw_frontend_free(frontend);
		return err;
	}
	*to = frontend;
	return 0;
}

int gw_frontend_take_over(struct gw_frontend *to, struct gw_frontend *from)
{
	if (from->started)
		return gw_fail(EBUSY, "front-end: the source is not stopped");
	if (to->guest != from->guest)
		return gw_fail(EINVAL, "front-end: it awaits another guest");
	for (unsigned i = 0; i < from->guest->queues; i++)
		to->queues[i].base = from->queues[i].base;
	return gw_frontend_share_inflight(to, from);
}

int gw_frontend_migrate(struct gw_frontend **to, struct gw_frontend *from,
			const struct gw_frontend_config *config)
{
	struct gw_frontend *frontend;
	int err;

	if (from->started)
		return gw_fail(EBUSY, "front-end: the source is not stopped");
	err = gw_frontend_await(&frontend, from, config);
	if (err)
		return err;
	err = gw_frontend_take_over(frontend, from);
	if (err) {
		gw_frontend_free(frontend);
		return err;
	}
	*to = frontend;
	return 0;
}

void gw_frontend_free(struct gw_frontend *frontend)
{
	if (!frontend)
		return;
	gw_frontend_channel_close(frontend);
	gw_close(&frontend->socket);
	gw_frontend_drop_log(frontend);
	gw_close(&frontend->inflight_fd);
	gw_frontend_drop_queues(frontend);
	gw_guest_unref(frontend->guest);
	free(frontend);
}

uint64_t gw_frontend_features(const struct gw_frontend *frontend)
{
	return frontend->acked;
}

uint64_t gw_frontend_protocol_features(const struct gw_frontend *frontend)
{
	return frontend->protocol;
}

unsigned gw_frontend_max_queues(const struct gw_frontend *frontend)
{
	return frontend->max_queues;
}

int gw_frontend_socket(const struct gw_frontend *frontend)
{
	return frontend->socket;
}

static int fill_config(struct gw_vu_config *config, size_t offset, size_t len, uint32_t flags)
{
	if (offset > UINT32_MAX || len > GW_VU_CONFIG_MAX)
		return gw_fail(EINVAL, "front-end: %zu bytes of configuration at %zu, at most %d",
			       len, offset, GW_VU_CONFIG_MAX);
	*config = (struct gw_vu_config){
		.offset = (uint32_t)offset, .size = (uint32_t)len, .flags = flags};
	return 0;
}

int gw_frontend_get_config(struct gw_frontend *frontend, size_t offset, void *buf, size_t len)
{
	struct gw_vu_config config, answer;
	uint32_t bytes = (uint32_t)(offsetof(struct gw_vu_config, data) + len);
	int err = fill_config(&config, offset, len, 0);

	if (!err)
		err = gw_frontend_ask(frontend,
				      &(struct gw_vu_out){.request = GW_VU_GET_CONFIG,
							  .payload = &config,
							  .len = bytes},
				      &answer, bytes, NULL);
	if (!err)
		memcpy(buf, answer.data, len);
	return err;
}

int gw_frontend_set_config(struct gw_frontend *frontend, size_t offset, const void *buf, size_t len,
			   bool migration)
{
	struct gw_vu_config config;
	int err = fill_config(&config, offset, len,
			      migration ? GW_VU_CONFIG_MIGRATION : GW_VU_CONFIG_WRITABLE);

	if (err)
		return err;
	memcpy(config.data, buf, len);
	return gw_frontend_tell(
		frontend, GW_VU_ACKED,
		&(struct gw_vu_out){.request = GW_VU_SET_CONFIG,
				    .payload = &config,
				    .len = (uint32_t)(offsetof(struct gw_vu_config, data) + len)});
}
