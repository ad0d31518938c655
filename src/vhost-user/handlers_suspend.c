/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_suspend.c - SUSPEND and RESUME: silence with all rings set up. */
#include <errno.h>

#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

/* It has, or will have when its last request is back. */
static int has_failed(const struct gw_instance *instance)
{
	return instance->failing ? gw_fail(EIO, "the device has failed") : 0;
}

/* Silent only once nothing is in flight: the answer waits for the drain. Who cannot be silent goes
 * on as if it had not been asked. */
static int settle(struct gw_dialog *dialog)
{
	struct gw_instance *instance = dialog->instance;
	int err = has_failed(instance);

	if (err)
		return err;
	err = gw_session_suspend(instance->session);
	if (err && gw_instance_resume(instance))
		gw_error("vhost-user: after SUSPEND, which failed: %s", gw_last_error());
	return err;
}

static void suspended(void *opaque, int result)
{
	struct gw_dialog *dialog = opaque;

	gw_call_finish(dialog, result ? result : settle(dialog));
}

int gw_handle_suspend(struct gw_dialog *dialog, struct gw_call *call)
{
	int err = has_failed(dialog->instance);

	if (!err)
		err = gw_session_check_event(dialog->instance->session, GW_EVENT_SUSPEND);
	if (!err)
		err = gw_instance_suspend(dialog->instance, suspended, dialog);
	return err ? err : settle(dialog);
}

int gw_handle_resume(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_instance *instance = dialog->instance;
	int err = 0;

	if (!instance->suspended)
		return 0;
	/* What a start may not interrupt, RESUME may not either: a load. What it ends is a save. */
	if (gw_instance_any_started(instance)) {
		err = gw_session_check_event(instance->session, GW_EVENT_RESUME);
		if (!err)
			err = gw_call_yield(dialog, GW_EVENT_RESUME);
	}
	return err ? err : gw_instance_resume(instance);
}
