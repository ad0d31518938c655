/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/users.c - a name for whose files a daemon can make, that two hosts compare. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "daemon/caps.h"
#include "daemon/users.h"
#include "godwit/error.h"

/* Without one of these a guest is told other owners than it gave, or refused what it could do. The
 * others (device nodes, file capabilities, set-id bits) are looked at where they are used. */
#define CAPS_OF_ALL                                                                               \
	(GW_CAP(CAP_CHOWN) | GW_CAP(CAP_DAC_OVERRIDE) | GW_CAP(CAP_FOWNER) | GW_CAP(CAP_FSETID) | \
	 GW_CAP(CAP_SETGID) | GW_CAP(CAP_SETUID))

/* user_namespaces(7): what stands there for who is in none. A host has few lines, a container's
 * engine at most 340. */
#define MAP_OF_ALL "0 0 4294967295"
#define MAP_MAX	   (16 * 1024)

static void mix(XXH64_hash_t *hash, const void *bytes, size_t len)
{
	*hash = XXH3_64bits_withSeed(bytes, len, *hash);
}

/* Which ids of the host there are for this process, before it shuts itself in. */
static bool mix_map(XXH64_hash_t *hash, const char *path)
{
	char map[MAP_MAX];
	char *word, *rest = map;
	char plain[MAP_MAX] = "";
	FILE *file = fopen(path, "re");
	size_t len = file ? fread(map, 1, sizeof(map) - 1, file) : 0, at = 0;

	if (file)
		fclose(file);
	map[len] = '\0';
	while ((word = strsep(&rest, " \n")))
		if (*word)
			at += (size_t)snprintf(plain + at, sizeof(plain) - at, "%s%s",
					       at ? " " : "", word);
	mix(hash, plain, at);
	/* A kernel without user namespaces has no such file. */
	return !*plain || !strcmp(plain, MAP_OF_ALL);
}

int gw_users_name(char word[GW_USERS_MAX], uint64_t caps, bool inside, const char *uid_map,
		  const char *gid_map)
{
	const uint32_t own[] = {geteuid(), getegid()};
	XXH64_hash_t hash = 0;
	bool all = mix_map(&hash, "/proc/self/uid_map");

	all &= mix_map(&hash, "/proc/self/gid_map");
	if (gw_caps_held(&caps))
		return -EIO;
	caps &= CAPS_OF_ALL;
	if (all && !inside && caps == CAPS_OF_ALL) {
		snprintf(word, GW_USERS_MAX, "users:all");
		return 0;
	}
	mix(&hash, own, sizeof(own));
	mix(&hash, &caps, sizeof(caps));
	mix(&hash, uid_map ? uid_map : "", uid_map ? strlen(uid_map) : 0);
	mix(&hash, gid_map ? gid_map : "", gid_map ? strlen(gid_map) : 0);
	snprintf(word, GW_USERS_MAX, "users:%08" PRIx32, (uint32_t)hash);
	return 0;
}
