/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/ring.h - between instance.c and ring.c: one ring of an instance. */
#ifndef GW_VHOST_USER_RING_H
#define GW_VHOST_USER_RING_H

#include "vhost-user/instance.h"

int gw_ring_init(struct gw_ring *ring, struct gw_instance *instance, unsigned index);
/* A ring is not busy any more; goes on with a release. The instance may be gone afterwards. */
void gw_instance_ring_free(struct gw_instance *instance);

#endif
