/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_rings.c - rings: set up, start, enable, stop. */
#include <errno.h>
#include <inttypes.h>

#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"
#include "vhost-user/recovery.h"

static int change_ring(struct gw_dialog *dialog, struct gw_call *call,
		       const struct gw_queue_change *change)
{
	return gw_ring_change(gw_call_ring(dialog, call), change, gw_call_finish, dialog);
}

int gw_handle_set_vring_num(struct gw_dialog *dialog, struct gw_call *call)
{
	uint32_t num = call->payload->state.num;
	struct gw_queue_change change = {.what = GW_QUEUE_NUM, .num = num};

	if (!num || num > GW_QUEUE_SIZE_MAX)
		return gw_fail(EINVAL, "ring %u: %u entries, expected 1 to %d",
			       call->payload->state.index, num, GW_QUEUE_SIZE_MAX);
	return change_ring(dialog, call, &change);
}

static bool same_place(const struct gw_ring *ring, const struct gw_vu_vring_addr *addr)
{
	return ring->addr_set && ring->desc == addr->desc && ring->avail == addr->avail &&
	       ring->used == addr->used;
}

/* While a ring runs only the log flag may flip: its addresses are in use. */
static int admit_addr(const struct gw_ring *ring, const struct gw_vu_vring_addr *addr)
{
	if (addr->flags & ~GW_VU_VRING_F_LOG)
		return gw_fail(EINVAL, "ring %u: flags 0x%x, expected 0 or 1", addr->index,
			       addr->flags);
	if (gw_ring_is_started(ring) && !same_place(ring, addr))
		return gw_fail(EBUSY, "ring %u is started, its addresses can not change",
			       addr->index);
	return 0;
}

int gw_handle_set_vring_addr(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_vring_addr *addr = &call->payload->addr;
	struct gw_ring *ring = gw_call_ring(dialog, call);
	struct gw_queue_change change = {
		.what = GW_QUEUE_ADDR,
		.desc = addr->desc,
		.avail = addr->avail,
		.used = addr->used,
		.log_used = addr->flags & GW_VU_VRING_F_LOG,
		.log_gpa = addr->log,
	};
	int err = admit_addr(ring, addr);

	if (err)
		return err;
	err = gw_ring_change(ring, &change, gw_call_finish, dialog);
	if (err && err != -EINPROGRESS)
		return err;
	ring->addr_set = true;
	ring->desc = addr->desc;
	ring->avail = addr->avail;
	ring->used = addr->used;
	return err;
}

int gw_handle_set_vring_base(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_queue_change change = {.what = GW_QUEUE_BASE, .base = call->payload->state.num};

	return change_ring(dialog, call, &change);
}

static void answer_base(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_ring *ring = gw_call_ring(dialog, call);

	call->reply.state.index = ring->index;
	call->reply.state.num = gw_queue_base(ring->queue);
}

static void base_when_stopped(void *opaque, int result)
{
	struct gw_dialog *dialog = opaque;

	answer_base(dialog, &dialog->call);
	gw_call_finish(dialog, result);
}

/* The position counts only when everything in flight is done. */
int gw_handle_get_vring_base(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_ring *ring = gw_call_ring(dialog, call);
	int err = gw_ring_stop(ring, "GET_VRING_BASE", base_when_stopped, dialog);

	ring->held = false;

	if (!err)
		answer_base(dialog, call);
	return err;
}

/* The descriptor of a KICK, CALL or ERR, or -1 if the message says that there is none. */
static int ring_fd(struct gw_call *call)
{
	return call->payload->u64 & GW_VU_VRING_NO_FD ? -1 : gw_call_take_fd(call);
}

int gw_handle_set_vring_call(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_queue_change change = {.what = GW_QUEUE_CALL, .call = ring_fd(call)};

	return change_ring(dialog, call, &change);
}

int gw_handle_set_vring_err(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_queue_change change = {.what = GW_QUEUE_ERR, .err = ring_fd(call)};

	return change_ring(dialog, call, &change);
}

static int start_ring(struct gw_dialog *dialog, struct gw_call *call, struct gw_ring *ring)
{
	int err = gw_recovery_ring_starts(dialog, call, ring);

	if (err)
		return err;
	ring->held = dialog->instance->suspended;
	if (ring->held)
		return 0; /* RESUME will */
	if (gw_queue_is_enabled(ring->queue))
		err = gw_instance_ring_on(dialog->instance, ring);
	return err ? err : gw_ring_start(ring);
}

/* A ring will be both started and enabled; unless one is already, or none may be. */
static int will_run(struct gw_dialog *dialog)
{
	const struct gw_instance *instance = dialog->instance;

	return instance->running || instance->suspended ? 0
							: gw_call_yield(dialog, GW_EVENT_RING_ON);
}

/* The message that starts a ring; a new descriptor for one that runs is only that. */
int gw_handle_set_vring_kick(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_queue_change change = {.what = GW_QUEUE_KICK};
	struct gw_ring *ring = gw_call_ring(dialog, call);
	int err = gw_queue_is_enabled(ring->queue) ? will_run(dialog) : 0;

	if (err)
		return err;
	change.kick = ring_fd(call);
	err = change_ring(dialog, call, &change);
	if (err || gw_ring_is_started(ring))
		return err;
	return start_ring(dialog, call, ring);
}

int gw_handle_set_vring_enable(struct gw_dialog *dialog, struct gw_call *call)
{
	uint32_t on = call->payload->state.num;
	struct gw_queue_change change = {.what = GW_QUEUE_ENABLE, .enable = on};
	struct gw_ring *ring = gw_call_ring(dialog, call);
	bool starts = gw_queue_is_started(ring->queue) || ring->due;
	int err = 0;

	if (on > 1)
		return gw_fail(EINVAL, "ring %u: %u, expected 0 or 1", ring->index, on);
	if (on && starts)
		err = will_run(dialog);
	if (!err && on && starts)
		err = gw_instance_ring_on(dialog->instance, ring);
	return err ? err : change_ring(dialog, call, &change);
}
