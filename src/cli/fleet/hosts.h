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

struct gw_host {
	char *name;
	char *text; /* NULL: still in its file */
	size_t len;
};

struct gw_hosts {
	size_t count;
	struct gw_host *host; /* sorted by name */
	char *directory;      /* NULL: all texts are here */
};

/*
 * Who is at @where: a directory with a document NAME.json for each host (what begins with a dot is
 * passed over), or a URL of etcd's. Negative errno with a sentence: it cannot be told. To be freed
 * by gw_hosts_free(), also on failure.
 */
int gw_hosts_list(struct gw_hosts *hosts, const char *where, const struct gw_etcd_access *access);
void gw_hosts_free(struct gw_hosts *hosts);

/* The document of @host, a NUL behind it, to be freed. Any thread. */
int gw_host_read(const struct gw_hosts *hosts, const struct gw_host *host, char **text,
		 size_t *len);

/* Letters, digits, '.', '-', '_'; neither '.' first nor anything that could lead elsewhere. */
int gw_host_name_check(const char *name);

#endif
