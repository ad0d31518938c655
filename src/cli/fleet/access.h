/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/access.h - the options of commands that speak to etcd, named as etcdctl's. */
#ifndef GW_CLI_FLEET_ACCESS_H
#define GW_CLI_FLEET_ACCESS_H

#include "base/options.h"
#include "cli/fleet/etcd.h"

/* Into a struct gw_etcd_access that begins as gw_etcd_access_default. */
extern const struct gw_option gw_etcd_options[];
extern const struct gw_etcd_access gw_etcd_access_default;

#endif
