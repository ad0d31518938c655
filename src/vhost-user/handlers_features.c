/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_features.c - what is offered and agreed; owner, reset, back-end channel. */
#include <errno.h>
#include <inttypes.h>

#include "godwit/error.h"
#include "godwit/experimental.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

/* May change while rings run; everything else decides how a ring is laid out or used. */
#define FLIPS_WHILE_RUNNING (GW_VIRTIO_F_LOG_ALL | GW_VIRTIO_F_PROTOCOL_FEATURES)

int gw_handle_get_features(struct gw_dialog *dialog, struct gw_call *call)
{
	call->reply.u64 = gw_instance_offered(dialog->instance);
	return 0;
}

static int admit_features(const struct gw_instance *instance, uint64_t features)
{
	uint64_t offered = gw_instance_offered(instance);
	uint64_t changed = features ^ instance->features;

	if (features & ~offered)
		return gw_fail(EINVAL, "0x%" PRIx64 " has bits 0x%" PRIx64 " that are not offered",
			       features, features & ~offered);
	if (changed & ~FLIPS_WHILE_RUNNING && gw_instance_any_started(instance))
		return gw_fail(EBUSY, "bits 0x%" PRIx64 " can not change while a ring is started",
			       changed & ~FLIPS_WHILE_RUNNING);
	return 0;
}

/* Tell the device, unless only what is the library's own changed. */
static int tell_device(struct gw_instance *instance, uint64_t features)
{
	int err;

	if (instance->negotiated && !((features ^ instance->features) & ~FLIPS_WHILE_RUNNING))
		return 0;
	err = instance->ops->negotiated(instance->dev, features);
	instance->negotiated = !err;
	return err;
}

static int apply_features(struct gw_dialog *dialog, uint64_t features)
{
	struct gw_instance *instance = dialog->instance;
	bool log_flips = (features ^ instance->features) & GW_VIRTIO_F_LOG_ALL;
	struct gw_queue_change change = {
		.what = GW_QUEUE_FEATURES | GW_QUEUE_LOG,
		.features = features,
		.log = instance->log,
		.log_on = features & GW_VIRTIO_F_LOG_ALL,
	};

	instance->features = features;
	if (log_flips)
		gw_session_prepare(instance->session, features & GW_VIRTIO_F_LOG_ALL);
	/* Without this bit there is no SET_VRING_ENABLE: rings are born enabled. */
	if (!(features & GW_VIRTIO_F_PROTOCOL_FEATURES)) {
		change.what |= GW_QUEUE_ENABLE;
		change.enable = true;
	}
	return gw_instance_change_all(instance, &change, gw_call_finish, dialog);
}

int gw_handle_set_features(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_instance *instance = dialog->instance;
	uint64_t features = call->payload->u64;
	bool enables_all = !(features & GW_VIRTIO_F_PROTOCOL_FEATURES);
	int err = admit_features(instance, features);

	if (!err && enables_all && gw_instance_any_active(instance))
		err = gw_call_yield(dialog, GW_EVENT_RING_ON);
	if (!err)
		err = tell_device(instance, features);
	if (!err && enables_all)
		err = gw_instance_all_on(instance);
	return err ? err : apply_features(dialog, features);
}

static bool has_config(const struct gw_instance *instance)
{
	uint8_t nothing;

	return instance->ops->config_len &&
	       instance->ops->config_get(instance->dev, 0, &nothing, 0) != -ENOTSUP;
}

uint64_t gw_instance_offered_protocol(const struct gw_instance *instance)
{
	uint64_t offered = GW_VU_PF(MQ) | GW_VU_PF(REPLY_ACK) | GW_VU_PF(BACKEND_REQ) |
			   GW_VU_PF(RESET_DEVICE) | GW_VU_PF(CONFIGURE_MEM_SLOTS);

	/* Without them a front-end knows at once that the guest has to stay. */
	if (gw_session_migration(instance->session) != GW_MIGRATION_NONE)
		offered |= GW_VU_PF(LOG_SHMFD) | GW_VU_PF(DEVICE_STATE);
	if (has_config(instance))
		offered |= GW_VU_PF(CONFIG);
	if (instance->ops->flags & GW_DEVICE_REPEATABLE)
		offered |= GW_VU_PF(INFLIGHT_SHMFD);
	if (instance->experimental & GW_EXPERIMENTAL_SUSPEND)
		offered |= GW_VU_PF(SUSPEND);
	if (instance->experimental & GW_EXPERIMENTAL_ITERATIVE && offered & GW_VU_PF(DEVICE_STATE))
		offered |= GW_VU_PF(ITERATIVE);
	/* Not STATUS: with it QEMU writes status 0, which is a reset, on every stop, before it
	 * asks for the device's state. */
	return offered;
}

int gw_handle_get_protocol_features(struct gw_dialog *dialog, struct gw_call *call)
{
	call->reply.u64 = dialog->offered_features;
	return 0;
}

int gw_handle_set_protocol_features(struct gw_dialog *dialog, struct gw_call *call)
{
	uint64_t features = call->payload->u64;
	uint64_t strange = features & ~dialog->offered_features;

	if (strange)
		return gw_fail(EINVAL, "0x%" PRIx64 " has bits 0x%" PRIx64 " that are not offered",
			       features, strange);
	dialog->protocol_features = features;
	return 0;
}

int gw_handle_get_queue_num(struct gw_dialog *dialog, struct gw_call *call)
{
	call->reply.u64 = dialog->instance->ring_count;
	return 0;
}

/* Whoever holds the connection owns the device: nothing to do. */
int gw_handle_set_owner(struct gw_dialog *dialog, struct gw_call *call)
{
	return 0;
}

int gw_handle_reset_owner(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_queue_change change = {.what = GW_QUEUE_ENABLE, .enable = false};

	return gw_instance_change_all(dialog->instance, &change, gw_call_finish, dialog);
}

static void reset_when_stopped(void *opaque, int result)
{
	struct gw_dialog *dialog = opaque;

	gw_call_finish(dialog, result ? result : gw_instance_reset(dialog->instance));
}

int gw_handle_reset_device(struct gw_dialog *dialog, struct gw_call *call)
{
	int err = gw_call_yield(dialog, GW_EVENT_RESET);

	if (!err)
		err = gw_instance_stop_all(dialog->instance, "RESET_DEVICE", reset_when_stopped,
					   dialog);
	return err ? err : gw_instance_reset(dialog->instance);
}

int gw_handle_set_backend_req_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_backend_req *req;
	int err = gw_backend_req_new(&req, dialog->loop, gw_call_take_fd(call),
				     dialog->protocol_features & GW_VU_PF(REPLY_ACK));

	if (err)
		return err;
	gw_backend_req_free(dialog->backend_req);
	dialog->backend_req = req;
	gw_backend_req_allow(req, gw_instance_any_active(dialog->instance));
	return 0;
}
