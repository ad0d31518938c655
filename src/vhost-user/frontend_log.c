/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_log.c - dirty logging as a VMM drives it around a live migration. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

#define LOG_PAGES_A_WORD UINT64_C(64)
#define LOG_PAGE	 UINT64_C(4096)

static size_t log_bytes_for(const struct gw_guest *guest)
{
	return 8 * (gw_guest_last_gpa(guest) / (LOG_PAGE * LOG_PAGES_A_WORD) + 1);
}

void gw_frontend_drop_log(struct gw_frontend *frontend)
{
	if (frontend->log)
		munmap(frontend->log, frontend->log_bytes);
	frontend->log = NULL;
	frontend->log_bytes = 0;
	gw_close(&frontend->log_fd);
}

/* A new table in place of the one that there is, which the caller drops. */
static int make_log(struct gw_frontend *frontend)
{
	GW_AUTO_FD int fd = memfd_create("gw-log", MFD_CLOEXEC);
	size_t bytes = log_bytes_for(frontend->guest);
	void *mapping;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return gw_fail(errno, "dirty log of %zu bytes: %s", bytes, strerror(errno));
	mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapping == MAP_FAILED)
		return gw_fail(errno, "dirty log of %zu bytes: %s", bytes, strerror(errno));
	frontend->log = mapping;
	frontend->log_bytes = bytes;
	frontend->log_fd = gw_take_fd(&fd);
	return 0;
}

int gw_frontend_send_features(struct gw_frontend *frontend, enum gw_vu_wait wait)
{
	return gw_frontend_set_u64(frontend, GW_VU_SET_FEATURES, wait,
				   frontend->acked | (frontend->log_on ? GW_VIRTIO_F_LOG_ALL : 0));
}

int gw_frontend_send_log_base(struct gw_frontend *frontend)
{
	struct gw_vu_log log = {.size = frontend->log_bytes};
	struct gw_vu_log echo;

	/* What the answer says differs between back-ends; QEMU looks at its number alone. */
	return gw_frontend_ask(frontend,
			       &(struct gw_vu_out){.request = GW_VU_SET_LOG_BASE,
						   .payload = &log,
						   .len = sizeof(log),
						   .fds = &frontend->log_fd,
						   .fd_count = 1,
						   .any_length = true},
			       &echo, sizeof(echo), NULL);
}

int gw_frontend_grow_log(struct gw_frontend *frontend)
{
	uint8_t *old = frontend->log;
	size_t old_bytes = frontend->log_bytes;
	int old_fd = frontend->log_fd;
	int err;

	if (!old || log_bytes_for(frontend->guest) <= old_bytes)
		return 0;
	err = make_log(frontend);
	if (err)
		return err;
	if (frontend->log_on && frontend->started)
		err = gw_frontend_send_log_base(frontend);
	/* The device writes to the old table until it has answered. */
	for (size_t i = 0; i < old_bytes; i++)
		__atomic_fetch_or(&frontend->log[i], old[i], __ATOMIC_RELAXED);
	munmap(old, old_bytes);
	gw_close(&old_fd);
	return err;
}

/* Log base, features, rings: in this order (a log that is on needs its table). */
static int log_start(struct gw_frontend *frontend)
{
	int err = gw_frontend_send_log_base(frontend);

	if (!err)
		err = gw_frontend_send_features(frontend, GW_VU_ACKED);
	for (unsigned i = 0; i < frontend->guest->queues && !err; i++)
		err = gw_frontend_send_ring_addr(frontend, i);
	return err;
}

static int log_stop(struct gw_frontend *frontend)
{
	int err = gw_frontend_send_features(frontend, GW_VU_NO_WAIT);

	for (unsigned i = 0; i < frontend->guest->queues && !err; i++)
		err = gw_frontend_send_ring_addr(frontend, i);
	return err;
}

int gw_frontend_log(struct gw_frontend *frontend, bool on)
{
	int err;

	if (on && (!gw_frontend_has(frontend, GW_VU_PF(LOG_SHMFD)) ||
		   !(frontend->offered & GW_VIRTIO_F_LOG_ALL)))
		return gw_fail(EOPNOTSUPP, "back-end: it does not offer dirty logging");
	if (on) {
		gw_frontend_drop_log(frontend);
		err = make_log(frontend);
		if (err)
			return err;
	}
	frontend->log_on = on;
	if (!frontend->started)
		return 0; /* the next start carries it */
	return on ? log_start(frontend) : log_stop(frontend);
}

const uint8_t *gw_frontend_log_table(const struct gw_frontend *frontend, size_t *bytes)
{
	if (bytes)
		*bytes = frontend->log_bytes;
	return frontend->log;
}
