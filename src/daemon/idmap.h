/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/idmap.h - a user namespace of one's own, and which ids there are in it. */
#ifndef GW_DAEMON_IDMAP_H
#define GW_DAEMON_IDMAP_H

#include <stdint.h>

/* @count ids from @inside on are those from @outside on. */
struct gw_idmap {
	uint32_t inside, outside, count;
};

/* ":inside:outside:count:", where any other character may stand for the colon. @option is named in
 * the sentence. */
int gw_idmap_parse(struct gw_idmap *map, const char *text, const char *option);

/*
 * Goes into a new user namespace. NULL: this process's own id, as itself; that needs no privilege,
 * everything else goes through newuidmap and newgidmap.
 */
int gw_idmap_enter(const struct gw_idmap *uids, const struct gw_idmap *gids);
/* Becomes the first user and group of the maps that were given, without other groups. */
int gw_idmap_become(const struct gw_idmap *uids, const struct gw_idmap *gids);

#endif
