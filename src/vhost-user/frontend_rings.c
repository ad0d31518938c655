/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_rings.c - set rings up, start and stop them, and play their driver. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

int gw_frontend_make_queues(struct gw_frontend *frontend)
{
	frontend->queues = calloc(frontend->guest->queues, sizeof(*frontend->queues));
	if (!frontend->queues)
		return gw_fail(ENOMEM, "front-end: no memory");
	for (unsigned i = 0; i < frontend->guest->queues; i++) {
		struct gw_frontend_queue *queue = &frontend->queues[i];

		queue->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		queue->base = gw_driver_base(frontend->guest->drivers[i]);
		if (queue->kick < 0 || queue->call < 0 || queue->err < 0)
			return gw_fail(errno, "eventfd: %s", strerror(errno));
	}
	return 0;
}

void gw_frontend_drop_queues(struct gw_frontend *frontend)
{
	for (unsigned i = 0; frontend->queues && i < frontend->guest->queues; i++) {
		gw_close(&frontend->queues[i].kick);
		gw_close(&frontend->queues[i].call);
		gw_close(&frontend->queues[i].err);
	}
	free(frontend->queues);
	frontend->queues = NULL;
}

int gw_frontend_send_ring_fd(struct gw_frontend *frontend, uint32_t request, unsigned queue, int fd)
{
	uint64_t value = queue | (fd < 0 ? GW_VU_VRING_NO_FD : 0);

	return gw_frontend_tell(frontend, GW_VU_ACKED,
				&(struct gw_vu_out){.request = request,
						    .payload = &value,
						    .len = sizeof(value),
						    .fds = &fd,
						    .fd_count = fd < 0 ? 0 : 1});
}

static int send_ring_state(struct gw_frontend *frontend, uint32_t request, enum gw_vu_wait wait,
			   unsigned queue, uint32_t num)
{
	struct gw_vu_vring_state state = {.index = queue, .num = num};

	return gw_frontend_tell(
		frontend, wait,
		&(struct gw_vu_out){.request = request, .payload = &state, .len = sizeof(state)});
}

int gw_frontend_send_ring_addr(struct gw_frontend *frontend, unsigned queue)
{
	const struct gw_guest *guest = frontend->guest;
	uint64_t ring = (uintptr_t)guest->rings[queue];
	uint64_t desc, avail, used;
	struct gw_vu_vring_addr addr = {.index = queue};

	gw_driver_areas(guest->drivers[queue], &desc, &avail, &used);
	addr.desc = ring + desc;
	addr.avail = ring + avail;
	addr.used = ring + used;
	if (frontend->log_on) {
		addr.flags = GW_VU_VRING_F_LOG;
		/* Also of packed rings, as QEMU does: the ring itself is found by its memory. */
		addr.log = gw_guest_gpa_of(guest, guest->rings[queue], 1) + used;
	}
	return gw_frontend_tell(frontend, frontend->log_on ? GW_VU_ACKED : GW_VU_NO_WAIT,
				&(struct gw_vu_out){.request = GW_VU_SET_VRING_ADDR,
						    .payload = &addr,
						    .len = sizeof(addr)});
}

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* The only failure is a full counter, which is a signal too. */
	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

/* An error of an earlier life of the ring is none of this one's. */
static void drain_fd(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return; /* there was nothing */
}

static int start_ring(struct gw_frontend *frontend, unsigned i)
{
	struct gw_frontend_queue *queue = &frontend->queues[i];
	int err = send_ring_state(frontend, GW_VU_SET_VRING_NUM, GW_VU_NO_WAIT, i,
				  frontend->guest->queue_size);

	if (!err)
		err = send_ring_state(frontend, GW_VU_SET_VRING_BASE, GW_VU_NO_WAIT, i,
				      queue->base);
	if (!err)
		err = gw_frontend_send_ring_addr(frontend, i);
	if (!err)
		err = gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_KICK, i, queue->kick);
	if (err)
		return err;
	queue->started = true;
	drain_fd(queue->err);
	/* The guest never kicks again for what was in the ring before: older back-ends need it. */
	signal_fd(queue->kick);
	return 0;
}

int gw_frontend_enable(struct gw_frontend *frontend, unsigned queue, bool on)
{
	int err;

	if (queue >= frontend->guest->queues)
		return gw_fail(EINVAL, "front-end: ring %u of %u", queue, frontend->guest->queues);
	err = send_ring_state(frontend, GW_VU_SET_VRING_ENABLE, GW_VU_ACKED, queue, on);
	if (!err)
		frontend->queues[queue].enabled = on;
	return err;
}

/* VRING_CALL comes last, as the real interrupt of a guest does. */
static int start_rings(struct gw_frontend *frontend)
{
	unsigned queues = frontend->guest->queues;
	int err = 0;

	for (unsigned i = 0; i < queues && !err; i++)
		err = start_ring(frontend, i);
	if (!err && frontend->log_on)
		err = gw_frontend_send_log_base(frontend);
	for (unsigned i = 0; i < queues && !err; i++)
		err = gw_frontend_enable(frontend, i, true);
	for (unsigned i = 0; i < queues && !err; i++)
		err = gw_frontend_send_ring_fd(frontend, GW_VU_SET_VRING_CALL, i,
					       frontend->queues[i].call);
	return err;
}

int gw_frontend_start(struct gw_frontend *frontend)
{
	int err;

	if (frontend->started)
		return gw_fail(EBUSY, "front-end: it is started");
	err = gw_frontend_send_features(frontend, GW_VU_NO_WAIT);
	if (!err)
		err = gw_frontend_send_inflight(frontend);
	if (!err)
		err = gw_frontend_tell_memory(frontend);
	if (err)
		return err;
	frontend->started = true;
	return start_rings(frontend);
}

static int stop_ring(struct gw_frontend *frontend, unsigned i)
{
	struct gw_vu_vring_state ask = {.index = i}, answer;
	int err = gw_frontend_ask(frontend,
				  &(struct gw_vu_out){.request = GW_VU_GET_VRING_BASE,
						      .payload = &ask,
						      .len = sizeof(ask)},
				  &answer, sizeof(answer), NULL);

	if (!err && answer.index != i)
		err = gw_fail(EPROTO, "GET_VRING_BASE: asked for ring %u, answered for %u", i,
			      answer.index);
	if (!err)
		frontend->queues[i].base = answer.num;
	return err;
}

/* The back-end is gone: rings are where guest memory says, the rest is in the in-flight region. */
static void lose_rings(struct gw_frontend *frontend)
{
	frontend->lost = true;
	for (unsigned i = 0; i < frontend->guest->queues; i++)
		frontend->queues[i].base = gw_driver_base(frontend->guest->drivers[i]);
}

int gw_frontend_stop(struct gw_frontend *frontend)
{
	unsigned queues = frontend->guest->queues;
	int err = 0;

	if (!frontend->started)
		return 0;
	for (unsigned i = 0; i < queues && !err; i++)
		err = gw_frontend_enable(frontend, i, false);
	for (unsigned i = 0; i < queues && !err; i++)
		if (frontend->queues[i].started)
			err = stop_ring(frontend, i);
	if (err)
		lose_rings(frontend);
	for (unsigned i = 0; i < queues; i++)
		frontend->queues[i].started = frontend->queues[i].enabled = false;
	frontend->started = false;
	return err;
}

int gw_frontend_reset_device(struct gw_frontend *frontend)
{
	int err = gw_frontend_stop(frontend);

	if (err)
		return err;
	if (!gw_frontend_has(frontend, GW_VU_PF(RESET_DEVICE)))
		return gw_fail(EOPNOTSUPP, "back-end: it does not offer RESET_DEVICE");
	err = gw_frontend_tell(frontend, GW_VU_ACKED,
			       &(struct gw_vu_out){.request = GW_VU_RESET_DEVICE});
	if (err)
		return err;
	for (unsigned i = 0; i < frontend->guest->queues; i++) {
		gw_driver_reset(frontend->guest->drivers[i]);
		frontend->queues[i].base = gw_driver_base(frontend->guest->drivers[i]);
	}
	gw_close(&frontend->inflight_fd);
	return 0;
}

static int suspend_or_resume(struct gw_frontend *frontend, uint32_t request)
{
	const char *name = gw_frontend_request_name(request);
	uint64_t verdict = 0;
	int err;

	if (!gw_frontend_has(frontend, GW_VU_PF(SUSPEND)))
		return gw_fail(EOPNOTSUPP, "%s: it was not agreed on with the back-end", name);
	err = gw_frontend_get_u64(frontend, request, &verdict);
	if (!err && verdict)
		err = gw_fail(EIO, "%s: the back-end refused it (%llu)", name,
			      (unsigned long long)verdict);
	return err;
}

int gw_frontend_suspend(struct gw_frontend *frontend)
{
	return suspend_or_resume(frontend, GW_VU_SUSPEND);
}

int gw_frontend_resume(struct gw_frontend *frontend)
{
	return suspend_or_resume(frontend, GW_VU_RESUME);
}

uint32_t gw_frontend_base(const struct gw_frontend *frontend, unsigned queue)
{
	return frontend->queues[queue].base;
}

int gw_driver_add(struct gw_frontend *frontend, unsigned queue, const struct iovec *out,
		  unsigned out_count, const struct iovec *in, unsigned in_count, void *token)
{
	return gw_driver_queue_add(frontend->guest->drivers[queue], out, out_count, in, in_count,
				   token);
}

int gw_driver_kick(struct gw_frontend *frontend, unsigned queue)
{
	if (gw_driver_wants_kick(frontend->guest->drivers[queue]))
		signal_fd(frontend->queues[queue].kick);
	return 0;
}

bool gw_driver_get(struct gw_frontend *frontend, unsigned queue, void **token, uint32_t *len)
{
	return gw_driver_queue_get(frontend->guest->drivers[queue], token, len);
}

int gw_driver_wait(struct gw_frontend *frontend, unsigned queue, int timeout_ms)
{
	struct gw_driver *driver = frontend->guest->drivers[queue];
	struct pollfd pollers[] = {
		{.fd = frontend->queues[queue].call, .events = POLLIN},
		{.fd = frontend->queues[queue].err, .events = POLLIN},
		{.fd = frontend->socket}, /* for POLLHUP alone */
	};
	uint64_t count;
	int ready;

	if (gw_driver_is_broken(driver))
		return gw_fail(EPROTO, "ring %u: the back-end used what is not outstanding", queue);
	if (gw_driver_arm(driver))
		return 0;
	do
		ready = poll(pollers, 3, timeout_ms);
	while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return gw_fail(errno, "ring %u: %s", queue, strerror(errno));
	if (pollers[0].revents && read(pollers[0].fd, &count, sizeof(count)) > 0)
		return 0;
	if (pollers[1].revents)
		return gw_fail(EIO, "ring %u: the back-end signalled an error", queue);
	if (pollers[2].revents)
		return gw_fail(ECONNRESET, "ring %u: the back-end closed the connection", queue);
	return gw_fail(ETIMEDOUT, "ring %u: no notification for %d ms", queue, timeout_ms);
}

unsigned gw_driver_in_flight(const struct gw_frontend *frontend, unsigned queue)
{
	return gw_driver_outstanding(frontend->guest->drivers[queue]);
}
