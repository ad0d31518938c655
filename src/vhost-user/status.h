/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/status.h - what a back-end shows of itself on the control socket. */
#ifndef GW_VHOST_USER_STATUS_H
#define GW_VHOST_USER_STATUS_H

#include <jansson.h>

#include "vhost-user/instance.h"

/* One session, its rings and its last transfer (docs/control.md, query-status); NULL: no memory. */
json_t *gw_status_of(const struct gw_instance *instance, unsigned number, const char *model);
/* The data of MIGRATION_FAILED. */
json_t *gw_status_failure(const struct gw_transfer_info *info);

#endif
