/* SPDX-License-Identifier: BSD-3-Clause */
/* base/fdstore.h - descriptors that outlive the process: systemd's protocol, spoken by whoever
 * keeps them. */
#ifndef GW_BASE_FDSTORE_H
#define GW_BASE_FDSTORE_H

#include <stdbool.h>

/*
 * sd_notify(3), sd_pid_notify_with_fds(3): what is put into the store is given back to the next
 * process at its start, as LISTEN_FDS under the names of LISTEN_FDNAMES. The keeper is systemd
 * ($NOTIFY_SOCKET, a service with FileDescriptorStoreMax=), or the process that --recover starts
 * (daemon/supervisor.h), which inherits a socket in GW_FDSTORE_ENV. One thread at a time.
 */
struct gw_fdstore;

#define GW_FDSTORE_ENV "GODWIT_FDSTORE"
/* Set: only say, by the exit code, whether what is kept could be gone on with. The process that it
 * belongs to lives. */
#define GW_FDSTORE_CHECK_ENV "GODWIT_FDSTORE_CHECK"
/* Set: another process, of another build, goes on if this one ends before it says READY=1, with
 * what was kept when this one began. */
#define GW_FDSTORE_TRIAL_ENV "GODWIT_FDSTORE_TRIAL"
/* A memfd that is kept is called so, and after that as it is in the store: who may look at a
 * process finds it there by that (proc(5), /proc/PID/fd). */
#define GW_FDSTORE_MEMORY   "godwit-"
#define GW_FDSTORE_NAME_MAX 63
#define GW_FDSTORE_FDS_MAX  4096

/* GW_FDSTORE_CHECK_ENV */
bool gw_fdstore_is_check(void);

/* Before threads are started and before a sandbox hides the socket. *@store is NULL where nobody
 * keeps anything. */
int gw_fdstore_open(struct gw_fdstore **store);
void gw_fdstore_free(struct gw_fdstore *store); /* closes what was not taken; NULL is allowed */

/* What an earlier process left under @name: a descriptor, the caller's from now on, or -1. */
int gw_fdstore_take(struct gw_fdstore *store, const char *name);
/* The same, and it stays to be taken: borrowed. */
int gw_fdstore_look(const struct gw_fdstore *store, const char *name);
/* Under @prefix and a number: that number, and its descriptor. False: there are no more. */
bool gw_fdstore_take_any(struct gw_fdstore *store, const char *prefix, unsigned long long *number,
			 int *fd);

/* @fd is borrowed. In order; they are there for sure only after gw_fdstore_sync(). */
int gw_fdstore_put(struct gw_fdstore *store, const char *name, int fd);
int gw_fdstore_remove(struct gw_fdstore *store, const char *name);
/* All that an earlier process left and nobody has taken yet. */
int gw_fdstore_drop(struct gw_fdstore *store);
/* All of the above has reached the keeper. Waits for that, five seconds at most. */
int gw_fdstore_sync(struct gw_fdstore *store);
/* "READY=1" and the like. */
int gw_fdstore_tell(struct gw_fdstore *store, const char *state);
/* GW_FDSTORE_TRIAL_ENV, and not ready: nothing that is kept may be given up. */
bool gw_fdstore_is_trial(const struct gw_fdstore *store);

#endif
