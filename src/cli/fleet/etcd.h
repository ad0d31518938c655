/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/etcd.h - the little of etcd that keeps documents: range, put, leases. */
#ifndef GW_CLI_FLEET_ETCD_H
#define GW_CLI_FLEET_ETCD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GW_ETCD_SCHEME	   "etcd://"
#define GW_ETCD_TLS_SCHEME "etcds://"

/* How to get in; what is NULL is not used. Names as etcdctl's. */
struct gw_etcd_access {
	const char *cacert, *cert, *key; /* files in PEM; the system's authorities if no cacert */
	const char *user;
	const char *password_file; /* its first line */
	unsigned timeout;	   /* seconds for each request */
};

/*
 * etcd's version 3 interface (gRPC). One thread at a time. All functions fail with a
 * sentence that names the endpoint: -ECONNREFUSED if none answers, -EACCES if it lets nobody in,
 * -EPROTO if it does not answer as etcd does, -EREMOTEIO with its own words if it refuses.
 */
struct gw_etcd;

/* Is @where a URL of etcd's? */
bool gw_etcd_is_url(const char *where);
/*
 * @url is etcd://HOST:PORT[,HOST:PORT...][/PREFIX], or etcds:// for TLS; endpoints are tried in
 * turn. Connects to nobody yet. @access is borrowed. -EINVAL if the URL is none, -ENOSYS if this
 * program was built without libcurl.
 */
int gw_etcd_open(struct gw_etcd **etcd, const char *url, const struct gw_etcd_access *access);
void gw_etcd_close(struct gw_etcd *etcd); /* NULL is allowed */
/* "/PREFIX", "/godwit" if the URL has none. */
const char *gw_etcd_prefix(const struct gw_etcd *etcd);

/* Calls @fn for each key, which begins with @prefix, all of one moment; ends at the first that it
 * returns an error for. The key has a NUL behind it; both live until @fn returns. */
typedef int gw_etcd_fn(void *opaque, const char *key, const void *value, size_t len);
int gw_etcd_each(struct gw_etcd *etcd, const char *prefix, gw_etcd_fn *fn, void *opaque);

/* @lease 0: for ever. */
int gw_etcd_put(struct gw_etcd *etcd, const char *key, const char *value, size_t len,
		int64_t lease);
int gw_etcd_lease_grant(struct gw_etcd *etcd, unsigned ttl, int64_t *lease);
/* -ENOENT: it has run out, and all that was under it is gone. */
int gw_etcd_lease_keep(struct gw_etcd *etcd, int64_t lease);
/* With all that is under it. */
int gw_etcd_lease_revoke(struct gw_etcd *etcd, int64_t lease);

#endif
