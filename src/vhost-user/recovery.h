/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery.h - a connection that goes on in the next process when this one dies. */
#ifndef GW_VHOST_USER_RECOVERY_H
#define GW_VHOST_USER_RECOVERY_H

#include "base/fdstore.h"
#include "vhost-user/dispatch.h"

/*
 * Everything that the front-end gave, and what says how far each of its messages was dealt with,
 * lies in memory and descriptors that somebody else keeps (base/fdstore.h, ledger.h): the socket,
 * guest memory, the rings' descriptors, the dirty log, and a region of our own that remembers
 * what is in flight. One connection at a time. Control thread only.
 */
struct gw_recovery;

/* @store is borrowed. Waits for the process before this one to have ended, should it still be about
 * to. */
int gw_recovery_new(struct gw_recovery **recovery, struct gw_fdstore *store);
void gw_recovery_free(struct gw_recovery *recovery); /* NULL is allowed */

/* Could this build go on with what @store has? Nothing is taken or changed; its process may live.
 * -ENOENT or -ENODATA: there is nothing. */
int gw_recovery_check(const struct gw_fdstore *store);

/* The process is about to end, and nobody is to go on. NULL is allowed. */
void gw_recovery_clear(struct gw_recovery *recovery);

/* May that request (struct gw_elem.serial) come again? @recovery is a struct gw_recovery; before
 * the replay. */
bool gw_recovery_is_unanswered(void *recovery, unsigned queue, uint64_t serial);

/* The connection that the process before this one left: the caller's, or -1. */
int gw_recovery_take_connection(struct gw_recovery *recovery);
/* A front-end has come, on @fd (borrowed): nothing of one before is remembered. */
int gw_recovery_begin(struct gw_recovery *recovery, struct gw_dialog *dialog, int fd);
/* The same with @dialog on the connection that was left: nothing is read before the replay. */
void gw_recovery_attach(struct gw_recovery *recovery, struct gw_dialog *dialog, bool left);
/* Now that it has an instance: everything is set up again, rings go on, and reading where the other
 * process was. */
int gw_recovery_replay(struct gw_recovery *recovery, struct gw_dialog *dialog);
/* The front-end of @dialog has gone; another one may have come already. */
void gw_recovery_end(struct gw_recovery *recovery, const struct gw_dialog *dialog);

/* A stopped ring of @dialog is about to start by its @call: from here on a next process would go
 * on with it. */
int gw_recovery_ring_starts(struct gw_dialog *dialog, struct gw_call *call, struct gw_ring *ring);
/* @call is about to be handled, by a handler that may close its descriptors. */
void gw_recovery_call(struct gw_dialog *dialog, const struct gw_call *call);

#endif
