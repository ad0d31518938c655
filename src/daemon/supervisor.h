/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/supervisor.h - the process of --recover: keeps descriptors, starts the daemon again. */
#ifndef GW_DAEMON_SUPERVISOR_H
#define GW_DAEMON_SUPERVISOR_H

/*
 * Runs this program again with the same @argv as a child, and is to it what systemd is to a service
 * with a descriptor store (base/fdstore.h). When the child dies, by whatever, it is started again
 * with what it had put into the store; when it ends by itself, so does this process, with its exit
 * code. One that dies before it has said READY=1 is tried a few times. SIGTERM and SIGINT are
 * passed on. Returns the exit code.
 *
 * SIGUSR2: the program that lies now where this one was started from takes over, as after a crash,
 * if it says that it can (base/fdstore.h, GW_FDSTORE_CHECK_ENV). If it does not get ready after all
 * the one before goes on. base/upgrade.h has how to hear of it.
 *
 * It stays as privileged as it was started, since the child shuts itself in each time. It reads
 * nothing but its own child's datagrams.
 */
int gw_supervise(char **argv);

/* Is this process such a child? */
int gw_is_supervised(void);

#endif
