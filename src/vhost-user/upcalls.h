/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/upcalls.h - instances that a device may call. */
#ifndef GW_VHOST_USER_UPCALLS_H
#define GW_VHOST_USER_UPCALLS_H

#include "vhost-user/instance.h"

void gw_upcalls_enlist(struct gw_instance *instance);
void gw_upcalls_delist(struct gw_instance *instance);
/* Each gets the other's device, and what it has said. */
void gw_upcalls_exchange(struct gw_instance *a, struct gw_instance *b);
/* Events of the device that nobody heard because there were too many at once. */
uint64_t gw_upcalls_lost(const struct gw_instance *instance);

#endif
