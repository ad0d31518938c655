/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/bell.c - a peer's descriptor that is written to, to tell it something. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "virtio/bell.h"

void gw_bell_set(struct gw_bell *bell, int fd)
{
	gw_close(&bell->fd);
	bell->fd = fd;
	/* The flag is shared with the peer, who may rely on it being clear: only looked at. */
	bell->nonblock = fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK);
}

bool gw_bell_ring(const struct gw_bell *bell)
{
	struct pollfd ready = {.fd = bell->fd, .events = POLLOUT};
	uint64_t one = 1;

	if (bell->fd < 0)
		return false;
	if (!bell->nonblock && (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT)))
		return true;
	if (write(bell->fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		gw_debug("fd %d cannot be signalled: %s", bell->fd, strerror(errno));
	return true;
}
