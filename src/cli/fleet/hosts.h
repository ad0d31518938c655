/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fleet/hosts.h - documents of many hosts: files of a directory, or keys of etcd. */
#ifndef GW_CLI_FLEET_HOSTS_H
#define GW_CLI_FLEET_HOSTS_H

#include <stddef.h>

#include "cli/fleet/etcd.h"

#define GW_HOSTS_MAX	 100000
#define GW_HOST_NAME_MAX 253 /* of DNS */
#define GW_HOST_SUFFIX	 ".json"
#define GW_HOSTS_OF_ETCD "/hosts/" /* PREFIX/hosts/NAME/info */
#define GW_HOST_INFO	 "/info"

/*
 * Who is at @where: a directory with a document NAME.json for each host (what begins with a dot is
 * passed over), or a URL of etcd's. @fn is called for each as it becomes known, in no order. @text
 * of @len bytes is the host's document, its to free; NULL: it is still in its file, for
 * gw_host_read(). The first error that @fn returns ends it. Negative errno with a sentence: it
 * cannot be told who is there, whatever @fn was called for.
 */
typedef int gw_host_fn(void *opaque, const char *name, char *text, size_t len);
int gw_hosts_each(const char *where, const struct gw_etcd_access *access, gw_host_fn *fn,
		  void *opaque);

/* The document of the host @name in the directory @where, to be freed. Any thread. */
int gw_host_read(const char *where, const char *name, char **text, size_t *len);

/* Letters, digits, '.', '-', '_'; neither '.' first nor anything that could lead elsewhere. */
int gw_host_name_check(const char *name);

#endif
