/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/proc.h - /proc/self/fd, held before /proc is gone. */
#ifndef GW_DAEMON_PROC_H
#define GW_DAEMON_PROC_H

/*
 * O_PATH of this process's /proc/self/fd, and of nothing else of /proc where the kernel lets us cut
 * it out. Where /proc is missing or covered, out of a proc of our own. The descriptor is above
 * standard error.
 */
int gw_proc_take(int *proc_fd);

#endif
