/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_none.c - what is said where this was built without libcurl. */
#include "cli/fleet/etcd_grpc.h"
#include "godwit/error.h"

int gw_etcd_grpc_open(struct gw_etcd_grpc **grpc, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access)
{
	return gw_fail(ENOSYS, "etcd: this godwit was built without libcurl; a directory of "
			       "documents can be used instead");
}

void gw_etcd_grpc_close(struct gw_etcd_grpc *grpc)
{
}

int gw_etcd_grpc_authorize(struct gw_etcd_grpc *grpc, const void *token, size_t len)
{
	return -ENOSYS;
}

int gw_etcd_grpc_call(struct gw_etcd_grpc *grpc, const char *method,
		      const struct gw_protobuf *request, struct gw_bytes *answer, unsigned *status)
{
	return -ENOSYS;
}
