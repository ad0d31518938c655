/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_inflight.c - keep the back-end's in-flight region for its successor. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

static int get_region(struct gw_frontend *frontend)
{
	struct gw_vu_inflight ask = {.queues = (uint16_t)frontend->guest->queues,
				     .queue_size = (uint16_t)frontend->guest->queue_size};
	int err = gw_frontend_ask(
		frontend,
		&(struct gw_vu_out){
			.request = GW_VU_GET_INFLIGHT_FD, .payload = &ask, .len = sizeof(ask)},
		&frontend->inflight, sizeof(frontend->inflight), &frontend->inflight_fd);

	if (!err && frontend->inflight_fd < 0)
		err = gw_fail(EPROTO, "GET_INFLIGHT_FD: the answer has no descriptor");
	return err;
}

int gw_frontend_send_inflight(struct gw_frontend *frontend)
{
	int err = 0;

	if (!gw_frontend_has(frontend, GW_VU_PF(INFLIGHT_SHMFD)))
		return 0;
	if (frontend->inflight_fd < 0)
		err = get_region(frontend);
	if (err)
		return err;
	frontend->inflight.queues = (uint16_t)frontend->guest->queues;
	frontend->inflight.queue_size = (uint16_t)frontend->guest->queue_size;
	return gw_frontend_tell(frontend, GW_VU_NO_WAIT,
				&(struct gw_vu_out){.request = GW_VU_SET_INFLIGHT_FD,
						    .payload = &frontend->inflight,
						    .len = sizeof(frontend->inflight),
						    .fds = &frontend->inflight_fd,
						    .fd_count = 1});
}

/* Only after a crash: a device that was stopped has drained, or carries the rest in its state. */
int gw_frontend_share_inflight(struct gw_frontend *to, const struct gw_frontend *from)
{
	if (!from->lost || from->inflight_fd < 0)
		return 0;
	to->inflight_fd = fcntl(from->inflight_fd, F_DUPFD_CLOEXEC, 0);
	if (to->inflight_fd < 0)
		return gw_fail(errno, "in-flight region: %s", strerror(errno));
	to->inflight = from->inflight;
	return 0;
}
