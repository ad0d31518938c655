/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/state.c - device states: taken, given, moved. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

void cf_save(struct cf_run *run, struct gw_frontend *frontend, struct cf_blob *blob)
{
	GW_AUTO_FD int fd = cf_memfd(run, 0);
	struct stat st;

	cf_ok(run, gw_frontend_save(frontend, fd), "save");
	CF_EXPECT(run, !fstat(fd, &st), "memory: %s", strerror(errno));
	blob->len = (size_t)st.st_size;
	blob->bytes = malloc(blob->len + 1);
	CF_EXPECT(run, blob->bytes && pread(fd, blob->bytes, blob->len, 0) == st.st_size,
		  "no memory for a state of %zu bytes", blob->len);
}

int cf_try_load(struct cf_run *run, struct gw_frontend *frontend, const void *bytes, size_t len)
{
	GW_AUTO_FD int fd = cf_memfd(run, 0);

	CF_EXPECT(run, pwrite(fd, bytes, len, 0) == (ssize_t)len, "no memory for a state");
	return gw_frontend_load(frontend, fd);
}

void cf_load(struct cf_run *run, struct gw_frontend *frontend, const struct cf_blob *blob)
{
	cf_ok(run, cf_try_load(run, frontend, blob->bytes, blob->len), "load");
}

uint64_t cf_begin(struct cf_run *run, struct gw_frontend *frontend, uint32_t direction,
		  uint32_t phase, int fd, int *own)
{
	struct gw_vu_device_state state = {.direction = direction, .phase = phase};
	uint32_t request = 0, flags = 0;
	uint64_t value = 0;

	cf_ok(run,
	      gw_frontend_send_raw(frontend, GW_VU_SET_DEVICE_STATE_FD, GW_VU_VERSION, &state,
				   sizeof(state), &fd, fd < 0 ? 0 : 1),
	      "SET_DEVICE_STATE_FD");
	cf_ok(run, gw_frontend_recv_raw(frontend, &request, &flags, &value, sizeof(value), own),
	      "reply to SET_DEVICE_STATE_FD");
	CF_EXPECT(run, request == GW_VU_SET_DEVICE_STATE_FD, "the reply is to request %u", request);
	return value;
}

uint64_t cf_verdict(struct cf_run *run, struct gw_frontend *frontend)
{
	uint64_t verdict;

	cf_ok(run, gw_frontend_get_u64(frontend, GW_VU_CHECK_DEVICE_STATE, &verdict),
	      "CHECK_DEVICE_STATE");
	return verdict;
}

struct gw_frontend *cf_destination(struct cf_run *run, struct gw_frontend *from,
				   struct cf_backend *to)
{
	struct gw_frontend_config config;
	struct gw_frontend *there;

	cf_backend_start(run, to);
	config = cf_config(run, to);
	cf_ok(run, gw_frontend_migrate(&there, from, &config), "negotiate with the destination");
	return there;
}

struct gw_frontend *cf_move_stopped(struct cf_guest *guest, struct cf_backend *to)
{
	struct cf_run *run = guest->run;
	struct gw_frontend *there;
	struct cf_blob blob;

	cf_ok(run, gw_frontend_stop(guest->frontend), "stop the rings");
	cf_save(run, guest->frontend, &blob);
	there = cf_destination(run, guest->frontend, to);
	cf_load(run, there, &blob);
	free(blob.bytes);
	return there;
}

void cf_move(struct cf_guest *guest, struct cf_backend *to)
{
	guest->frontend = cf_move_stopped(guest, to);
	cf_guest_begin(guest);
}
