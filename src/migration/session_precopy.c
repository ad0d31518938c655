/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_precopy.c - a save in phases: begun while the device runs, ended when it stands
 * still. */
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "migration/session_internal.h"

static int admit(struct gw_session *session)
{
	int err = gw_session_may_migrate(session, "save");

	if (!err)
		err = gw_lifecycle_check(&session->life, GW_EVENT_SAVE_RUNNING);
	if (!err && session->ops->save_foreign(session->dev, NULL, NULL) != -ENOENT)
		err = gw_fail(EOPNOTSUPP, "save: a stream of another make has no phases");
	return err;
}

int gw_session_precopy(struct gw_session *session, int taken, int *own_fd)
{
	GW_AUTO_FD int fd = taken;
	int err = admit(session);

	*own_fd = -1;
	if (err)
		return err;
	err = gw_session_make_way(session);
	/* The device is told first: it has to be ready when its thread asks. */
	if (!err && session->ops->iterate)
		err = session->ops->iterate(session->dev, true);
	if (err)
		return err;
	err = gw_session_begin_transfer(session, GW_EVENT_SAVE_RUNNING, true, gw_take_fd(&fd),
					own_fd);
	if (err && session->ops->iterate)
		session->ops->iterate(session->dev, false);
	return err;
}

/* What is parked is known only now. The time from here on is what the guest stands still for. */
static int stop(struct gw_session *session)
{
	struct gw_transfer *transfer = session->transfer;
	int err = gw_lifecycle_check(&session->life, GW_EVENT_SAVE_STOPPED);

	if (!err)
		err = gw_parked_copy(&transfer->parked, &session->parked);
	if (err)
		return err;
	transfer->begin_ns = gw_clock_ns();
	gw_session_note_stop(session, transfer->begin_ns);
	gw_transfer_go_on(transfer, GW_NEXT_STOP);
	return gw_lifecycle_step(&session->life, GW_EVENT_SAVE_STOPPED);
}

int gw_session_go_on(struct gw_session *session, enum gw_phase phase)
{
	if (session->life.transfer != GW_TRANSFER_PRECOPY || !session->transfer)
		return gw_fail(EBADF, "transfer: no descriptor, and no stream in phase running to "
				      "go on with");
	if (phase == GW_PHASE_STOPPED)
		return stop(session);
	gw_transfer_go_on(session->transfer, GW_NEXT_ROUND);
	return 0;
}

int gw_session_pending(struct gw_session *session, struct gw_precopy_info *info)
{
	const struct gw_transfer *transfer = session->transfer;

	if (!transfer)
		return gw_fail(ENODATA, "pending: no state is being transferred");
	if (transfer->load) {
		*info = (struct gw_precopy_info){.idle = atomic_load(&transfer->waiting),
						 .sent = atomic_load(&transfer->moved)};
		return 0;
	}
	*info = (struct gw_precopy_info){.idle = atomic_load(&transfer->idle),
					 .sent = atomic_load(&transfer->moved)};
	return session->ops->iterate ? session->ops->pending(session->dev, &info->pending) : 0;
}
