/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_grpc.h - one call to one of several endpoints. */
#ifndef GW_CLI_FLEET_ETCD_GRPC_H
#define GW_CLI_FLEET_ETCD_GRPC_H

#include "cli/fleet/etcd.h"
#include "cli/fleet/protobuf.h"

/* What became of a call, as gRPC numbers it; of those only what is asked for here. */
#define GW_GRPC_UNAUTHENTICATED 16

struct gw_etcd_grpc;

/* @endpoints: HOST:PORT[,HOST:PORT...], copied; @access is borrowed. */
int gw_etcd_grpc_open(struct gw_etcd_grpc **grpc, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access);
void gw_etcd_grpc_close(struct gw_etcd_grpc *grpc); /* NULL is allowed */
/* From here on each call says that it is allowed; NULL: no more. @token of @len bytes is copied. */
int gw_etcd_grpc_authorize(struct gw_etcd_grpc *grpc, const void *token, size_t len);

/*
 * Send @request to @method ("KV/Range") and wait for the one message that answers it, which lives
 * in *@answer until the next call. -EREMOTEIO with etcd's own words if it refuses; why is in
 * *@status, which is 0 otherwise.
 */
int gw_etcd_grpc_call(struct gw_etcd_grpc *grpc, const char *method,
		      const struct gw_protobuf *request, struct gw_bytes *answer, unsigned *status);

#endif
