/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/landlock.h - the kernel's own rule that a process stays below a directory. */
#ifndef GW_DAEMON_LANDLOCK_H
#define GW_DAEMON_LANDLOCK_H

#include <stdbool.h>

/* Can this process open files by handle? Asked by trying, so with the privileges that it keeps. */
bool gw_handles_open(int root_fd);

/*
 * This thread, and those it will make, may open, make, move and remove files beneath @root_fd and
 * nowhere else, and execute none. Needs Linux 5.19 (ABI 2, the first that allows to move files
 * between directories); a kernel that has less is no error, there are the other walls.
 */
int gw_landlock_restrict(int root_fd);

#endif
