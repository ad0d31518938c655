/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/users.h - a name for whose files a daemon can make, that two hosts compare. */
#ifndef GW_DAEMON_USERS_H
#define GW_DAEMON_USERS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * "users:all" into @word where the process acts as any of the host's users, else "users:HASH" of
 * who it is and of the ids that it has: a guest that moves between the two would be told other
 * owners of its files, or be refused what it could do. @caps are those that it keeps of what it has
 * now;
 * @inside: it goes on in a user namespace of its own, with @uid_map and @gid_map as on the command
 * line, or NULL.
 *
 * Looks at /proc/self: before the sandbox. -EIO: capabilities cannot be read.
 */
#define GW_USERS_MAX 16
int gw_users_name(char word[GW_USERS_MAX], uint64_t caps, bool inside, const char *uid_map,
		  const char *gid_map);

#endif
