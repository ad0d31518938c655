/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/attic_locks.c - does another host see the lock on an attic? */
#include <limits.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/attic.h"
#include "godwit/error.h"

/* Mount options with which locks of bytes stay on the host, on file systems that have a server. */
static const struct {
	const char *type, *option; /* the beginning of the type; the whole of the option */
} local[] = {
	{"nfs", "nolock"}, {"nfs", "local_lock=all"}, {"nfs", "local_lock=posix"},
	{"cifs", "nobrl"}, {"smb3", "nobrl"},
};

/* getmntent(3) and hasmntopt(3) do not tell "local_lock=all" from "local_lock=none". */
static bool has_option(const char *options, const char *option)
{
	size_t len = strlen(option);

	for (const char *at = options; at; at = strchr(at, ',')) {
		at += *at == ',';
		if (!strncmp(at, option, len) && (!at[len] || at[len] == ','))
			return true;
	}
	return false;
}

static bool locks_stay(const struct mntent *entry)
{
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		if (!strncmp(entry->mnt_type, local[i].type, strlen(local[i].type)) &&
		    has_option(entry->mnt_opts, local[i].option))
			return true;
	}
	return false;
}

/* Is @path at @dir or below? */
static bool is_within(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/' || dir[len - 1] == '/');
}

bool fs_attic_locks_stay(const char *share, FILE *mounts)
{
	bool inside = false, own = false;
	size_t longest = 0;
	struct mntent *entry;

	while ((entry = getmntent(mounts))) {
		bool stays = locks_stay(entry);
		size_t len = strlen(entry->mnt_dir);

		/* What is mounted last on a directory is what is seen. */
		if (is_within(share, entry->mnt_dir) && len >= longest) {
			longest = len;
			own = stays;
		} else if (is_within(entry->mnt_dir, share)) {
			inside |= stays;
		}
	}
	return own || inside;
}

bool fs_attic_locks_are_local(const char *share)
{
	GW_AUTO_FREE char *top = realpath(share, NULL);
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	bool are = top && mounts && fs_attic_locks_stay(top, mounts);

	if (mounts)
		endmntent(mounts);
	return are;
}
