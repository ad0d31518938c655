/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_state.c - the device-state channel. */
#include <errno.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

static int admit_transfer(const struct gw_dialog *dialog, const struct gw_vu_device_state *transfer)
{
	bool phases = dialog->protocol_features & GW_VU_PF(ITERATIVE);

	if (transfer->direction != GW_VU_STATE_SAVE && transfer->direction != GW_VU_STATE_LOAD)
		return gw_fail(EINVAL, "direction %u, expected 0 (save) or 1 (load)",
			       transfer->direction);
	if (transfer->phase == GW_VU_STATE_STOPPED)
		return 0;
	if (transfer->phase != GW_VU_STATE_RUNNING || !phases)
		return gw_fail(EINVAL, "phase %u, expected 0 (stopped)", transfer->phase);
	/* Who loads does not run; in which phase what it gets was written, the stream says. */
	if (transfer->direction == GW_VU_STATE_LOAD)
		return gw_fail(EINVAL, "phase 1 (running) of a load, expected 0 (stopped)");
	return 0;
}

static int begin(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_session *session = dialog->instance->session;
	bool load = call->payload->transfer.direction == GW_VU_STATE_LOAD;
	bool running = call->payload->transfer.phase == GW_VU_STATE_RUNNING;
	GW_AUTO_FD int own_fd = -1;
	int err = gw_call_yield(dialog, load	  ? GW_EVENT_LOAD
					: running ? GW_EVENT_SAVE_RUNNING
						  : GW_EVENT_SAVE_STOPPED);

	if (err)
		return err;
	if (running)
		err = gw_session_precopy(session, gw_call_take_fd(call), &own_fd);
	else
		err = gw_session_transfer(session, load, GW_PHASE_STOPPED, gw_call_take_fd(call),
					  &own_fd);
	call->reply.u64 = own_fd < 0 ? GW_VU_STATE_ACCEPTED : GW_VU_STATE_OWN_FD;
	call->reply_fd = gw_take_fd(&own_fd);
	return err;
}

/*
 * The reply goes out before the front-end reads or writes a byte, so that the transfer itself can
 * not be waited for here: the session's worker does it, and CHECK_DEVICE_STATE tells how it ended.
 * A save without a descriptor goes on with the one that phase RUNNING began with.
 */
int gw_handle_set_device_state_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_device_state *transfer = &call->payload->transfer;
	int err = admit_transfer(dialog, transfer);

	if (err || call->fd_count)
		return err ? err : begin(dialog, call);
	if (transfer->direction == GW_VU_STATE_LOAD)
		return gw_fail(EBADF, "no descriptor came");
	call->reply.u64 = GW_VU_STATE_ACCEPTED;
	return gw_session_go_on(dialog->instance->session, (enum gw_phase)transfer->phase);
}

static void check_done(void *opaque, int verdict)
{
	struct gw_dialog *dialog = opaque;
	struct gw_transfer_info info;

	/* The sentence stayed with the worker. */
	if (verdict) {
		gw_session_last_transfer(dialog->instance->session, &info);
		gw_fail(-verdict, "%s", info.reason);
	}
	gw_call_finish(dialog, verdict);
}

int gw_handle_check_device_state(struct gw_dialog *dialog, struct gw_call *call)
{
	return gw_session_check(dialog->instance->session, check_done, dialog);
}

int gw_handle_get_device_state_pending(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_precopy_info info;
	int err = gw_session_pending(dialog->instance->session, &info);

	if (!err)
		call->reply.pending =
			(struct gw_vu_pending){.initial = info.pending.initial,
					       .dirty = info.pending.dirty,
					       .sent = info.sent,
					       .flags = info.idle ? GW_VU_PENDING_IDLE : 0};
	return err;
}

/* What it leaves is a transfer that failed, which CHECK tells once. */
int gw_handle_cancel_device_state(struct gw_dialog *dialog, struct gw_call *call)
{
	return gw_call_yield(dialog, GW_EVENT_CANCEL);
}
