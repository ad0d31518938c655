/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/watch_open.c - fanotify is asked for changes on the file systems of the share. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>

#include "base/cleanup.h"
#include "fs/watch.h"
#include "godwit/error.h"

/* Names, attributes, content. Where it can be helped only objects are told of, not their names:
 * what happens elsewhere on the file system is nobody's business in here. */
#define CHANGES                                                                      \
	(FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_DELETE_SELF | \
	 FAN_MOVE_SELF | FAN_ATTRIB | FAN_MODIFY | FAN_ONDIR)
#define REPORTS (FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID | FAN_REPORT_DIR_FID)

static const char *hint(int error)
{
	switch (error) {
	case EPERM:
		return ": it takes CAP_SYS_ADMIN, and not that of a user namespace";
	case EINVAL:
		return ": it takes Linux 5.9";
	case ENODEV:
	case EXDEV:
	case EOPNOTSUPP:
		return ": this file system has no file handles that fanotify could report";
	default:
		return "";
	}
}

static int refused(const char *where)
{
	return gw_fail(errno, "--watch: changes in %s cannot be watched: %s%s", where,
		       strerror(errno), hint(errno));
}

/* The whole file system: a mark on a mount does not tell of names, and one on each directory would
 * have to be made whenever the guest finds one. */
static int mark(int fd, const char *path)
{
	return fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, CHANGES, AT_FDCWD, path) < 0
		       ? refused(path)
		       : 0;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	return !strncmp(path, top, len) && (path[len] == '/' || top[len - 1] == '/');
}

/* What is mounted inside; where that cannot be watched, it is as it is without --watch. */
static void mark_submounts(int fd, const char *top)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;

	while (mounts && (entry = getmntent(mounts))) {
		if (is_below(entry->mnt_dir, top) && mark(fd, entry->mnt_dir) < 0)
			gw_warn("%s", gw_last_error());
	}
	if (mounts)
		endmntent(mounts);
}

int fs_watch_open(const char *share, bool names)
{
	GW_AUTO_FREE char *top = realpath(share, NULL);
	GW_AUTO_FD int fd = -1;
	int err;

	if (!top)
		return refused(share);
	fd = fanotify_init(REPORTS | (names ? FAN_REPORT_NAME : 0), O_RDONLY);
	if (fd < 0)
		return refused(top);
	err = mark(fd, top);
	if (err)
		return err;
	mark_submounts(fd, top);
	return gw_take_fd(&fd);
}
