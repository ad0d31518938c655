/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/upcalls.h - instances that a device may call. */
#ifndef GW_VHOST_USER_UPCALLS_H
#define GW_VHOST_USER_UPCALLS_H

#include "vhost-user/instance.h"

void gw_upcalls_enlist(struct gw_instance *instance);
void gw_upcalls_delist(struct gw_instance *instance);
/* Events of the device that nobody heard because there were too many at once. */
uint64_t gw_upcalls_lost(const struct gw_instance *instance);

#endif
