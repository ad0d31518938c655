/* SPDX-License-Identifier: BSD-3-Clause */
/* common/watched.c - a share that is watched, and somebody else on the host who changes it. */
#include "watched.h"

#include "../unit/cmocka-all.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/watch.h"
#include "godwit/error.h"

#define SKIPPED 77

static bool can_watch(const char *path, bool names)
{
	int fd;

	if (geteuid() != 0 || mount("gw-watched", path, "tmpfs", 0, NULL) < 0) {
		printf("skipped: only root can mount a file system to watch\n");
		return false;
	}
	fd = fs_watch_open(path, names);
	if (fd < 0) {
		printf("skipped: %s\n", gw_last_error());
		umount2(path, MNT_DETACH);
		return false;
	}
	close(fd);
	return true;
}

int watched_make(char *path, bool names)
{
	if (!mkdtemp(path) || setenv("GW_SHARE", path, 1) < 0)
		return 1;
	if (can_watch(path, names))
		return 0;
	rmdir(path);
	return SKIPPED;
}

void watched_remove(const char *path)
{
	umount2(path, MNT_DETACH);
	rmdir(path);
}

void watched_others(const char *command)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
