/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_state.c - the device-state channel. */
#include <errno.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

/*
 * The reply goes out before the front-end reads or writes a byte, so that the transfer itself can
 * not be waited for here: the session's worker does it, and CHECK_DEVICE_STATE tells how it ended.
 */
int gw_handle_set_device_state_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_device_state *transfer = &call->payload->transfer;
	bool load = transfer->direction == GW_VU_STATE_LOAD;
	GW_AUTO_FD int own_fd = -1;
	int err;

	if (transfer->direction != GW_VU_STATE_SAVE && transfer->direction != GW_VU_STATE_LOAD)
		return gw_fail(EINVAL, "direction %u, expected 0 (save) or 1 (load)",
			       transfer->direction);
	if (transfer->phase != GW_VU_STATE_STOPPED)
		return gw_fail(EINVAL, "phase %u, expected 0 (stopped)", transfer->phase);
	err = gw_call_yield(dialog, load ? GW_EVENT_LOAD : GW_EVENT_SAVE_STOPPED);
	if (err)
		return err;
	err = gw_session_transfer(dialog->instance->session, load, GW_PHASE_STOPPED,
				  gw_call_take_fd(call), &own_fd);
	if (err)
		return err;
	call->reply.u64 = own_fd < 0 ? GW_VU_STATE_ACCEPTED : GW_VU_STATE_OWN_FD;
	call->reply_fd = gw_take_fd(&own_fd);
	return 0;
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
