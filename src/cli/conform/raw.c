/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform/raw.c - messages as bytes, where the library would be too polite. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/conform/conform.h"
#include "godwit/error.h"

int cf_eventfd(struct cf_run *run)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	CF_EXPECT(run, fd >= 0, "eventfd: %s", strerror(errno));
	return fd;
}

int cf_memfd(struct cf_run *run, size_t size)
{
	int fd = memfd_create("godwit-conform", MFD_CLOEXEC);

	CF_EXPECT(run, fd >= 0 && !ftruncate(fd, (off_t)size), "memory of %zu bytes: %s", size,
		  strerror(errno));
	return fd;
}

uint64_t cf_tell(struct cf_run *run, struct gw_frontend *frontend, uint32_t request,
		 const void *payload, uint32_t len, const int *fds, unsigned fd_count)
{
	bool ack = gw_frontend_has(frontend, GW_VU_PF(REPLY_ACK));
	uint32_t answered = 0, flags = 0;
	uint64_t value = 0;
	GW_AUTO_FD int fd = -1;

	cf_ok(run,
	      gw_frontend_send_raw(frontend, request, GW_VU_VERSION | (ack ? GW_VU_NEED_REPLY : 0),
				   payload, len, fds, fd_count),
	      gw_frontend_request_name(request));
	if (!ack) {
		cf_answers(run, frontend);
		return 0;
	}
	cf_ok(run, gw_frontend_recv_raw(frontend, &answered, &flags, &value, sizeof(value), &fd),
	      gw_frontend_request_name(request));
	CF_EXPECT(run, answered == request, "asked %u, the answer is to %u", request, answered);
	return value;
}

uint64_t cf_get(struct cf_run *run, struct gw_frontend *frontend, uint32_t request)
{
	uint64_t value;

	cf_ok(run, gw_frontend_get_u64(frontend, request, &value),
	      request == GW_VU_GET_FEATURES ? "GET_FEATURES" : gw_frontend_request_name(request));
	return value;
}

int cf_listen(struct gw_frontend *frontend, unsigned ms, uint64_t *value)
{
	struct pollfd poller = {.fd = gw_frontend_socket(frontend), .events = POLLIN};
	uint32_t request, flags;
	GW_AUTO_FD int fd = -1;

	*value = 0;
	if (poll(&poller, 1, (int)ms) <= 0)
		return 0;
	if (gw_frontend_recv_raw(frontend, &request, &flags, value, sizeof(*value), &fd) < 0)
		return -1;
	return (int)request;
}

uint64_t cf_ring_state(struct cf_run *run, struct gw_frontend *frontend, uint32_t request,
		       unsigned queue, uint32_t num)
{
	struct gw_vu_vring_state state = {.index = queue, .num = num};

	return cf_tell(run, frontend, request, &state, sizeof(state), NULL, 0);
}
