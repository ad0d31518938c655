/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_none.c - what is said where this was built without libcurl. */
#include "cli/fleet/etcd_http.h"
#include "godwit/error.h"

int gw_etcd_http_open(struct gw_etcd_http **http, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access)
{
	return gw_fail(ENOSYS, "etcd: this godwit was built without libcurl; a directory of "
			       "documents can be used instead");
}

void gw_etcd_http_close(struct gw_etcd_http *http)
{
}

int gw_etcd_http_authorize(struct gw_etcd_http *http, const char *token)
{
	return -ENOSYS;
}

int gw_etcd_http_post(struct gw_etcd_http *http, const char *path, json_t *body, json_t **answer,
		      long *status)
{
	json_decref(body);
	return -ENOSYS;
}
