/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_state.c - a stopped device's state, without its front-end: save and load. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

/* An answer that is owed until a transfer has ended. */
struct transfer {
	struct gw_later *later;
	struct gw_session *session;
};

/* A front-end's transfer is not disturbed, nor its verdict taken away from it. */
static int may_transfer(const struct gw_seat *seat)
{
	enum gw_transfer_state transfer = gw_session_transfer_state(seat->session);

	if (seat->releasing || (seat->dialog && gw_instance_any_started(seat->instance)))
		return gw_fail(EBUSY, "the device runs: its front-end must stop all rings first");
	if (seat->dialog && transfer != GW_TRANSFER_IDLE)
		return gw_fail(EBUSY, "a transfer of the front-end's is %s",
			       gw_transfer_state_name(transfer));
	return 0;
}

static void transfer_done(void *opaque, int verdict)
{
	struct transfer *transfer = opaque;
	struct gw_transfer_info info;
	json_t *result = NULL;

	gw_session_last_transfer(transfer->session, &info);
	if (verdict)
		gw_fail(-verdict, "%s", info.reason);
	else
		result = json_pack("{s:s, s:I}", "id", info.id, "bytes", (json_int_t)info.bytes);
	gw_control_answer(transfer->later, verdict, result);
	free(transfer);
}

static int begin(struct gw_session *session, bool load, int fd)
{
	int own_fd;
	int err = gw_session_transfer(session, load, GW_PHASE_STOPPED, fd, &own_fd);

	if (!err && own_fd >= 0) {
		close(own_fd);
		gw_session_cancel(session);
		err = gw_fail(ENOTSUP, "the device takes no descriptor but one of its own");
	}
	return err;
}

/* Begins it on @fd, which is taken over; the answer comes with the verdict. */
static int run(struct gw_backend *backend, struct gw_session *session, bool load, int taken)
{
	GW_AUTO_FD int fd = taken;
	GW_AUTO_FREE struct transfer *transfer = calloc(1, sizeof(*transfer));
	int err;

	if (!transfer)
		return gw_fail(ENOMEM, "no memory");
	transfer->session = session;
	transfer->later = gw_control_later(backend->control);
	if (!transfer->later)
		return gw_fail(ENOMEM, "no memory");
	err = begin(session, load, gw_take_fd(&fd));
	if (!err)
		err = gw_session_check(session, transfer_done, transfer);
	if (err != -EINPROGRESS)
		return err;
	gw_take_ptr(transfer);
	return GW_CONTROL_LATER;
}

static int command(struct gw_backend *backend, const json_t *arguments, bool load)
{
	GW_AUTO_FD int fd = gw_control_take_fd(backend->control);
	struct gw_seat *seat;
	int err;

	if (fd < 0)
		return gw_fail(EBADF, "no descriptor came with the request");
	err = gw_backend_find_seat(backend, arguments, &seat);
	if (!err)
		err = may_transfer(seat);
	return err ? err : run(backend, seat->session, load, gw_take_fd(&fd));
}

int gw_backend_save_state(void *opaque, const json_t *arguments, json_t **result)
{
	return command(opaque, arguments, false);
}

int gw_backend_load_state(void *opaque, const json_t *arguments, json_t **result)
{
	return command(opaque, arguments, true);
}
