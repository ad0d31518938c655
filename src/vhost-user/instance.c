/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/instance.c - a device instance: made, taken by a front-end, released. */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/instance.h"
#include "vhost-user/ring.h"
#include "vhost-user/upcalls.h"
#include "vhost-user/wire.h"

/* What the rings and the protocol bring, whatever the device is. */
#define LIBRARY_FEATURES                                                               \
	(GW_VIRTIO_F_VERSION_1 | GW_VIRTIO_F_LOG_ALL | GW_VIRTIO_F_PROTOCOL_FEATURES | \
	 GW_VIRTIO_F_EVENT_IDX | GW_VIRTIO_F_INDIRECT_DESC | GW_VIRTIO_F_RING_PACKED)

#define GONE "the front-end is gone"

int gw_instance_new(struct gw_instance **out, struct gw_loop *loop, struct gw_session *session)
{
	struct gw_instance *instance = calloc(1, sizeof(*instance));

	if (!instance)
		return gw_fail(ENOMEM, "device instance: no memory");
	instance->loop = loop;
	instance->session = session;
	instance->ops = gw_session_ops(session);
	instance->dev = gw_session_device(session);
	instance->log_setup = (struct gw_log_setup){.table = -1, .notify = -1};
	gw_upcalls_enlist(instance);
	*out = instance;
	return 0;
}

static void rings_free(struct gw_instance *instance)
{
	for (unsigned i = 0; i < instance->ring_count; i++)
		gw_queue_free(instance->rings[i].queue);
	free(instance->rings);
	instance->rings = NULL;
	instance->ring_count = 0;
}

static int rings_new(struct gw_instance *instance)
{
	unsigned count = GW_MIN(instance->ops->max_queues, instance->ops->queues(instance->dev));

	instance->rings = calloc(count, sizeof(*instance->rings));
	if (!instance->rings)
		return gw_fail(ENOMEM, "%s: no memory for %u rings", instance->ops->name, count);
	for (unsigned i = 0; i < count; i++) {
		int err = gw_ring_init(&instance->rings[i], instance, i);

		if (err) {
			rings_free(instance);
			return err;
		}
		instance->ring_count++;
	}
	return 0;
}

/* What the front-end set up, and the rings themselves: the next one begins with nothing. */
static void forget_front_end(struct gw_instance *instance)
{
	rings_free(instance);
	gw_mem_unref(instance->mem);
	gw_dirty_unref(instance->log);
	instance->mem = NULL;
	instance->log = NULL;
	gw_close(&instance->log_setup.table);
	gw_close(&instance->log_setup.notify);
	instance->features = 0;
	instance->negotiated = false;
	instance->running = instance->suspended = false;
}

void gw_instance_free(struct gw_instance *instance)
{
	if (!instance)
		return;
	gw_upcalls_delist(instance);
	forget_front_end(instance);
	free(instance);
}

int gw_instance_attach(struct gw_instance *instance)
{
	int err = rings_new(instance);

	if (!err)
		err = gw_session_connect(instance->session);
	if (err) {
		forget_front_end(instance);
		return err;
	}
	instance->connected = true;
	return 0;
}

uint64_t gw_instance_offered(const struct gw_instance *instance)
{
	return LIBRARY_FEATURES | instance->ops->features(instance->dev);
}

bool gw_ring_is_started(const struct gw_ring *ring)
{
	return ring->held || gw_queue_is_started(ring->queue);
}

bool gw_instance_any_started(const struct gw_instance *instance)
{
	for (unsigned i = 0; i < instance->ring_count; i++) {
		if (gw_ring_is_started(&instance->rings[i]))
			return true;
	}
	return false;
}

bool gw_instance_any_active(const struct gw_instance *instance)
{
	for (unsigned i = 0; i < instance->ring_count; i++) {
		if (gw_queue_is_started(instance->rings[i].queue))
			return true;
	}
	return false;
}

/* Stop what is free to be stopped; true when all is still. */
static bool quiesce(struct gw_instance *instance, const char *why)
{
	bool still = true;

	for (unsigned i = 0; i < instance->ring_count; i++) {
		struct gw_ring *ring = &instance->rings[i];

		if (!ring->busy && gw_queue_is_started(ring->queue))
			gw_ring_stop(ring, why, NULL, NULL);
		if (ring->busy)
			still = false;
	}
	return still;
}

static bool failure_is_settled(struct gw_instance *instance)
{
	if (!instance->failing)
		return true;
	if (!quiesce(instance, "the device has failed"))
		return false;
	instance->failing = false;
	gw_session_device_failed(instance->session);
	return true;
}

void gw_instance_fail(struct gw_instance *instance)
{
	gw_error("%s: the device has failed", instance->ops->name);
	instance->failing = true;
	for (unsigned i = 0; i < instance->ring_count; i++)
		gw_queue_give_up(instance->rings[i].queue);
	failure_is_settled(instance);
}

static void finish_release(struct gw_instance *instance)
{
	if (instance->features & GW_VIRTIO_F_LOG_ALL)
		gw_session_prepare(instance->session, false);
	forget_front_end(instance);
	instance->connected = false;
	gw_session_disconnect(instance->session);
}

void gw_instance_ring_free(struct gw_instance *instance)
{
	gw_instance_done *done = instance->released;

	if (!failure_is_settled(instance) || !done || !quiesce(instance, GONE) ||
	    instance->yielding)
		return;
	instance->released = NULL;
	finish_release(instance);
	done(instance->released_opaque, 0);
}

static void on_yielded(void *opaque, int result)
{
	struct gw_instance *instance = opaque;

	instance->yielding = false;
	gw_instance_ring_free(instance);
}

int gw_instance_release(struct gw_instance *instance, gw_instance_done *done, void *opaque)
{
	if (!instance->connected)
		return 0;
	instance->op_done = NULL;
	instance->listener = NULL;
	gw_session_check_abandon(instance->session, instance->listener_opaque);
	instance->yielding = gw_session_yield(instance->session, GW_EVENT_DISCONNECT, on_yielded,
					      instance) == -EINPROGRESS;
	if (quiesce(instance, GONE) && !instance->yielding) {
		failure_is_settled(instance);
		finish_release(instance);
		return 0;
	}
	instance->released = done;
	instance->released_opaque = opaque;
	return -EINPROGRESS;
}

void gw_instance_exchange(struct gw_instance *a, struct gw_instance *b)
{
	struct gw_session *session = a->session;

	a->session = b->session;
	b->session = session;
	gw_upcalls_exchange(a, b);
	/* Devices of one kind, but what one was told the other does not know. */
	a->negotiated = b->negotiated = false;
}

/* The device runs here; for those that waited for it that is as if they were started now. */
static void start_due(struct gw_instance *instance)
{
	for (unsigned i = 0; i < instance->ring_count; i++) {
		struct gw_ring *ring = &instance->rings[i];

		if (!ring->due)
			continue;
		ring->due = false;
		if (gw_ring_start(ring))
			gw_error("%s: ring %u: %s", instance->ops->name, i, gw_last_error());
	}
}

static int begin_running(struct gw_instance *instance)
{
	int err = gw_session_take_over(instance->session);

	if (!err)
		err = gw_session_ring_on(instance->session);
	return err;
}

int gw_instance_ring_on(struct gw_instance *instance, const struct gw_ring *ring)
{
	int err;

	if (instance->running && !instance->failing)
		return 0;
	err = instance->failing ? gw_fail(EIO, "the device has failed") : begin_running(instance);
	if (err) {
		/* Front-ends only note that a start failed, and the guest hangs. */
		gw_error("%s: ring %u may not run: %s", instance->ops->name, ring->index,
			 gw_last_error());
		return err;
	}
	instance->running = true;
	start_due(instance);
	return 0;
}

int gw_instance_all_on(struct gw_instance *instance)
{
	for (unsigned i = 0; i < instance->ring_count; i++) {
		if (gw_queue_is_started(instance->rings[i].queue) || instance->rings[i].due)
			return gw_instance_ring_on(instance, &instance->rings[i]);
	}
	return 0;
}

int gw_instance_reset(struct gw_instance *instance)
{
	struct gw_queue_change change = {.what = GW_QUEUE_ENABLE, .enable = false};
	int err = gw_session_reset(instance->session);

	if (err)
		return err;
	instance->negotiated = instance->failing = instance->suspended = false;
	for (unsigned i = 0; i < instance->ring_count; i++)
		instance->rings[i].held = false;
	/* The guest that a region says waits for something has been reset, too. */
	for (unsigned i = 0; i < instance->ring_count; i++)
		gw_queue_reset(instance->rings[i].queue);
	/* All are stopped, so that this is done at once. */
	return gw_instance_change_all(instance, &change, NULL, NULL);
}
