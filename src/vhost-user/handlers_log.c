/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/handlers_log.c - where the dirty log is, and who is told of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/dispatch.h"
#include "vhost-user/handlers.h"

static int dup_fd(int fd, int *copy)
{
	*copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0 && *copy < 0)
		return gw_fail(errno, "dirty log: descriptor %d: %s", fd, strerror(errno));
	return 0;
}

static int map_log(const struct gw_log_setup *setup, struct gw_dirty **dirty)
{
	int notify;
	int err;

	*dirty = NULL;
	if (setup->table < 0)
		return 0;
	err = dup_fd(setup->notify, &notify);
	if (err)
		return err;
	err = gw_dirty_new(dirty, setup->table, setup->offset, setup->size);
	if (err)
		gw_close(&notify);
	else
		gw_dirty_set_notify(*dirty, notify);
	return err;
}

/*
 * The front-end reads the old table for the last time after the reply: until then no ring may be
 * left that writes to it. A new descriptor to tell is a new table too, over the same memory.
 */
static int use_log(struct gw_dialog *dialog, const struct gw_log_setup *setup)
{
	struct gw_instance *instance = dialog->instance;
	struct gw_queue_change change = {.what = GW_QUEUE_LOG,
					 .log_on = instance->features & GW_VIRTIO_F_LOG_ALL};
	int err = map_log(setup, &change.log);

	if (err)
		return err;
	gw_dirty_unref(instance->log);
	instance->log = change.log;
	return gw_instance_change_all(instance, &change, gw_call_finish, dialog);
}

int gw_handle_set_log_base(struct gw_dialog *dialog, struct gw_call *call)
{
	const struct gw_vu_log *log = &call->payload->log;
	struct gw_log_setup *kept = &dialog->instance->log_setup;
	struct gw_log_setup setup = {.table = call->fds[0],
				     .offset = log->offset,
				     .size = log->size,
				     .notify = kept->notify};
	int err = use_log(dialog, &setup);

	if (err && err != -EINPROGRESS)
		return err;
	gw_close(&kept->table);
	*kept = setup;
	gw_call_take_fd(call);
	return err;
}

int gw_handle_set_log_fd(struct gw_dialog *dialog, struct gw_call *call)
{
	struct gw_log_setup *kept = &dialog->instance->log_setup;
	struct gw_log_setup setup = *kept;
	int err;

	setup.notify = call->fds[0];
	err = use_log(dialog, &setup);
	if (err && err != -EINPROGRESS)
		return err;
	gw_close(&kept->notify);
	*kept = setup;
	gw_call_take_fd(call);
	return err;
}
