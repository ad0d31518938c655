/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/ring.c - the rings of an instance: start, change and stop, side by side. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "godwit/error.h"
#include "vhost-user/ring.h"

/*
 * Queue events to the device; on the queue's thread.
 */
static int on_start(void *opaque, struct gw_queue *queue)
{
	struct gw_instance *instance = ((struct gw_ring *)opaque)->instance;

	return instance->ops->queue_start(instance->dev, queue);
}

static void on_ready(void *opaque, struct gw_queue *queue)
{
	struct gw_instance *instance = ((struct gw_ring *)opaque)->instance;

	instance->ops->queue_ready(instance->dev, queue);
}

static void on_stop(void *opaque, struct gw_queue *queue)
{
	struct gw_instance *instance = ((struct gw_ring *)opaque)->instance;

	instance->ops->queue_stop(instance->dev, queue);
}

static const struct gw_queue_ops queue_ops = {
	.start = on_start, .ready = on_ready, .stop = on_stop};
/* A device that does not need to hear of a stop: only its elements are waited for. */
static const struct gw_queue_ops queue_ops_without_stop = {.start = on_start, .ready = on_ready};

int gw_ring_init(struct gw_ring *ring, struct gw_instance *instance, unsigned index)
{
	*ring = (struct gw_ring){.instance = instance, .index = index};
	return gw_queue_new(&ring->queue, instance->loop,
			    instance->ops->queue_stop ? &queue_ops : &queue_ops_without_stop, ring,
			    index);
}

/*
 * Operations.
 */
static void op_begin(struct gw_instance *instance, gw_instance_done *done, void *opaque)
{
	instance->op_waiting = 1;
	instance->op_result = 0;
	instance->op_done = done;
	instance->op_opaque = opaque;
}

static void op_note(struct gw_instance *instance, int result)
{
	if (result && !instance->op_result)
		instance->op_result = result;
}

/* All rings have been asked. */
static int op_end(struct gw_instance *instance)
{
	return --instance->op_waiting ? -EINPROGRESS : instance->op_result;
}

/* A ring's queue answered. */
static void ring_answered(struct gw_ring *ring, int result)
{
	struct gw_instance *instance = ring->instance;
	gw_instance_done *done = NULL;

	ring->busy = false;
	if (ring->in_op) {
		ring->in_op = false;
		op_note(instance, result);
		if (!--instance->op_waiting)
			done = instance->op_done;
	}
	if (done) {
		instance->op_done = NULL;
		done(instance->op_opaque, instance->op_result);
	}
	gw_instance_ring_free(instance);
}

static void on_changed(void *opaque, int result)
{
	struct gw_ring *ring = opaque;

	/* The sentence stayed with the queue's thread. */
	if (result)
		gw_fail(-result, "ring %u: %s", ring->index, strerror(-result));
	ring_answered(ring, result);
}

static void change_one(struct gw_ring *ring, const struct gw_queue_change *change)
{
	struct gw_instance *instance = ring->instance;
	int result = gw_queue_change(ring->queue, change, on_changed, ring);

	if (result == -EINPROGRESS) {
		ring->busy = ring->in_op = true;
		instance->op_waiting++;
	} else {
		op_note(instance, result);
	}
}

int gw_ring_change(struct gw_ring *ring, const struct gw_queue_change *change,
		   gw_instance_done *done, void *opaque)
{
	op_begin(ring->instance, done, opaque);
	change_one(ring, change);
	return op_end(ring->instance);
}

int gw_instance_change_all(struct gw_instance *instance, const struct gw_queue_change *change,
			   gw_instance_done *done, void *opaque)
{
	op_begin(instance, done, opaque);
	for (unsigned i = 0; i < instance->ring_count; i++)
		change_one(&instance->rings[i], change);
	return op_end(instance);
}

/*
 * Stop.
 */
static void park_in_session(struct gw_ring *ring)
{
	unsigned count = gw_queue_parked_count(ring->queue);
	struct gw_parked parked;

	for (unsigned i = 0; i < count; i++) {
		if (gw_queue_parked_get(ring->queue, i, &parked) ||
		    gw_session_park(ring->instance->session, ring->index, &parked))
			gw_error("ring %u: a parked request is lost: %s", ring->index,
				 gw_last_error());
	}
	gw_queue_parked_clear(ring->queue);
}

static void if_last_off(struct gw_instance *instance)
{
	if (gw_instance_any_active(instance))
		return;
	if (instance->listener)
		instance->listener->activity(instance->listener_opaque, false);
	if (instance->running) {
		instance->running = false;
		gw_session_last_ring_off(instance->session);
	}
}

static void now_stopped(struct gw_ring *ring)
{
	ring->stop_reason = NULL;
	park_in_session(ring);
	if_last_off(ring->instance);
}

static void on_stopped(void *opaque, int result)
{
	now_stopped(opaque);
	ring_answered(opaque, result);
}

static int stop_one(struct gw_ring *ring, const char *why)
{
	int result;

	ring->due = false;
	if (!gw_queue_is_started(ring->queue))
		return 0;
	if (!ring->stop_reason)
		ring->stop_ns = gw_clock_ns();
	if (ring->instance->running)
		gw_session_ring_stopping(ring->instance->session, true);
	/* It may be stopping already, because the device has failed. */
	result = ring->stop_reason ? -EINPROGRESS : gw_queue_stop(ring->queue, on_stopped, ring);
	if (!ring->stop_reason)
		ring->stop_reason = why;
	if (result == -EINPROGRESS)
		ring->busy = true;
	else
		now_stopped(ring);
	return result;
}

static void stop_in_op(struct gw_ring *ring, const char *why)
{
	int result = stop_one(ring, why);

	if (result == -EINPROGRESS) {
		ring->in_op = true;
		ring->instance->op_waiting++;
	} else {
		op_note(ring->instance, result);
	}
}

int gw_ring_stop(struct gw_ring *ring, const char *why, gw_instance_done *done, void *opaque)
{
	if (!done)
		return stop_one(ring, why);
	op_begin(ring->instance, done, opaque);
	stop_in_op(ring, why);
	return op_end(ring->instance);
}

int gw_instance_stop_all(struct gw_instance *instance, const char *why, gw_instance_done *done,
			 void *opaque)
{
	op_begin(instance, done, opaque);
	for (unsigned i = 0; i < instance->ring_count; i++)
		stop_in_op(&instance->rings[i], why);
	return op_end(instance);
}

/*
 * Start.
 */
static int hand_back(void *opaque, const struct gw_parked *parked)
{
	return gw_queue_parked_add(opaque, parked);
}

/* What can be wrong with it is said now. */
static int start_later(struct gw_ring *ring)
{
	int err = gw_queue_check(ring->queue);

	ring->due = !err;
	return err;
}

int gw_ring_start(struct gw_ring *ring)
{
	struct gw_instance *instance = ring->instance;
	bool first = !gw_instance_any_active(instance);
	int err;

	if (gw_session_claimed(instance->session))
		return start_later(ring);
	gw_session_keep(instance->session);
	err = gw_session_unpark(instance->session, ring->index, hand_back, ring->queue);

	if (!err)
		err = gw_queue_start(ring->queue);
	if (err) {
		park_in_session(ring);
		if_last_off(instance);
		return err;
	}
	if (instance->running)
		gw_session_ring_stopping(instance->session, false);
	if (first && instance->listener)
		instance->listener->activity(instance->listener_opaque, true);
	return 0;
}

/*
 * Suspend. Rings are stopped as they always are, which is all that makes a device silent; that they
 * are held is only remembered.
 */
int gw_instance_suspend(struct gw_instance *instance, gw_instance_done *done, void *opaque)
{
	instance->suspended = true;
	for (unsigned i = 0; i < instance->ring_count; i++)
		instance->rings[i].held |=
			instance->rings[i].due || gw_queue_is_started(instance->rings[i].queue);
	return gw_instance_stop_all(instance, "SUSPEND", done, opaque);
}

static int resume_ring(struct gw_ring *ring)
{
	int err = 0;

	if (gw_queue_is_enabled(ring->queue))
		err = gw_instance_ring_on(ring->instance, ring);
	return err ? err : gw_ring_start(ring);
}

int gw_instance_resume(struct gw_instance *instance)
{
	int err = 0;

	instance->suspended = false;
	for (unsigned i = 0; i < instance->ring_count; i++) {
		struct gw_ring *ring = &instance->rings[i];
		int ring_err = ring->held ? resume_ring(ring) : 0;

		ring->held = false;
		if (!err)
			err = ring_err;
	}
	return err;
}
