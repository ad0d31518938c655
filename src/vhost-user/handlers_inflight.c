/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_inflight.c - the region that remembers what is in flight. */
#include <errno.h>

#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

static int admit_inflight(const struct gw_instance *instance, const struct gw_vu_inflight *inflight)
{
	if (!inflight->queues || inflight->queues > instance->ring_count)
		return gw_fail(EINVAL, "%u rings, expected 1 to %u", inflight->queues,
			       instance->ring_count);
	if (!inflight->queue_size || inflight->queue_size > GW_QUEUE_SIZE_MAX)
		return gw_fail(EINVAL, "rings of %u entries, expected 1 to %d",
			       inflight->queue_size, GW_QUEUE_SIZE_MAX);
	return 0;
}

static bool is_packed(const struct gw_instance *instance)
{
	return instance->features & GW_VIRTIO_F_RING_PACKED;
}

/* Made here, kept by the front-end: we use it only when it comes back with SET_INFLIGHT_FD. */
int gw_handle_get_inflight_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_inflight *asked = &call->payload->inflight;
	struct gw_instance *instance = dialog->instance;
	struct gw_inflight *inflight;
	int err = admit_inflight(instance, asked);

	if (!err)
		err = gw_inflight_create(&inflight, is_packed(instance), asked->queues,
					 asked->queue_size, &call->reply_fd);
	if (err)
		return err;
	gw_inflight_unref(inflight);
	call->reply.inflight.size =
		gw_inflight_size(is_packed(instance), asked->queues, asked->queue_size);
	call->reply.inflight.queues = asked->queues;
	call->reply.inflight.queue_size = asked->queue_size;
	return 0;
}

int gw_handle_set_inflight_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_inflight *given = &call->payload->inflight;
	struct gw_instance *instance = dialog->instance;
	struct gw_queue_change change = {.what = GW_QUEUE_INFLIGHT};
	int err = admit_inflight(instance, given);

	if (!err)
		err = gw_inflight_map(&change.inflight, call->fds[0], given->offset, given->size,
				      is_packed(instance), given->queues, given->queue_size);
	if (err)
		return err;
	err = gw_instance_change_all(instance, &change, gw_call_finish, dialog);
	gw_inflight_unref(change.inflight);
	return err;
}
