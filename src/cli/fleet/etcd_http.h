/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd_http.h - one request to one of several endpoints. */
#ifndef GW_CLI_FLEET_ETCD_HTTP_H
#define GW_CLI_FLEET_ETCD_HTTP_H

#include <jansson.h>

#include "cli/fleet/etcd.h"

struct gw_etcd_http;

/* @endpoints: HOST:PORT[,HOST:PORT...], copied. */
int gw_etcd_http_open(struct gw_etcd_http **http, const char *endpoints, bool tls,
		      const struct gw_etcd_access *access);
void gw_etcd_http_close(struct gw_etcd_http *http);
/* From here on each request says that it is allowed; NULL: no more. Copied. */
int gw_etcd_http_authorize(struct gw_etcd_http *http, const char *token);

/*
 * POST @body, which is taken over, to @path; *@answer is an object (a new reference). The answer's
 * HTTP status is in *@status if it is not 200, and -EREMOTEIO with etcd's own words.
 */
int gw_etcd_http_post(struct gw_etcd_http *http, const char *path, json_t *body, json_t **answer,
		      long *status);

#endif
