/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/bell.h - a peer's descriptor that is written to, to tell it something. */
#ifndef GW_VIRTIO_BELL_H
#define GW_VIRTIO_BELL_H

#include <stdbool.h>

/* Usually an eventfd; it may be anything, and it may block. */
struct gw_bell {
	int fd; /* -1: none */
	bool nonblock;
};

/* Closes the one before; takes @fd over. */
void gw_bell_set(struct gw_bell *bell, int fd);
/* True if there is a descriptor. One that takes no more has been rung already. Never waits. */
bool gw_bell_ring(const struct gw_bell *bell);

#endif
