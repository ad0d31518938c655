/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery_internal.h - what recovery*.c have in common. */
#ifndef GW_VHOST_USER_RECOVERY_INTERNAL_H
#define GW_VHOST_USER_RECOVERY_INTERNAL_H

#include "vhost-user/ledger.h"
#include "vhost-user/recovery.h"

#define GW_RECOVERY_INFLIGHT "inflight" /* its name in the store */

/* A descriptor that the front-end gave. The store may hold what is open only once. */
struct gw_given {
	uint64_t number;
	unsigned uses;
	int fd;
};

#define GW_RECOVERY_QUEUES (GW_VU_VRING_INDEX_MASK + 1)

/* Requests of a queue that may be in flight, by serial, in order. */
struct gw_unanswered_of {
	uint64_t *serials;
	unsigned count;
};

struct gw_recovery {
	struct gw_fdstore *store;
	struct gw_ledger *ledger;
	int ledger_fd; /* its lock says that this process is alive: never closed before the end */
	int pipe[2];
	bool replaying;
	uint64_t sequence;
	struct gw_dialog *dialog;     /* whose connection it is; NULL: none */
	struct gw_inflight *inflight; /* of our own; NULL: no ring was started yet */
	bool packed;		      /* what it was made for */
	/* By ring: what the region says counts at the next start, too. Its queue was stopped when
	 * the process before this one died, which knew what it had parked. */
	bool left[GW_RECOVERY_QUEUES];
	unsigned given_count, given_room;
	struct gw_given *given;
	int call_fds[GW_VU_FDS_MAX]; /* copies of those of the call at hand */
	unsigned call_fd_count;
	bool unanswered_known;
	struct gw_unanswered_of unanswered[GW_RECOVERY_QUEUES];
};

/*
 * Descriptors that the front-end gave (recovery_given.c), each under its number.
 */
struct gw_given *gw_given_find(struct gw_recovery *recovery, uint64_t number);
/* One user more of what @fd (borrowed) refers to. */
int gw_given_keep(struct gw_recovery *recovery, int fd, uint64_t *number);
void gw_given_release(struct gw_recovery *recovery, uint64_t number);
void gw_given_drop_all(struct gw_recovery *recovery);
void gw_given_close(struct gw_recovery *recovery); /* they stay in the store */
/* Those that the process before this one kept, and that the ledger names. */
int gw_given_take(struct gw_recovery *recovery);

/*
 * A change of the ledger (recovery_edit.c). Descriptors of what is replaced are let go only after
 * the commit that does without them. Begins as {.recovery = recovery}.
 */
struct gw_edit {
	struct gw_recovery *recovery;
	unsigned count;
	struct gw_ledger_entry *old;
	int err;
};

/* What @call, which was handled, leaves behind. */
void gw_edit_message(struct gw_edit *edit, const struct gw_call *call);
/* Of a message about a ring that brings a descriptor: before it is handled. */
void gw_edit_ring_fd(struct gw_edit *edit, const struct gw_call *call);
/* In force. NULL: the answer before stays. */
void gw_edit_end(struct gw_edit *edit, const struct gw_ledger_answer *answer);

/* When the next process handles messages of this kind, 1 to GW_RECOVERY_TURNS; 0: never. */
#define GW_RECOVERY_TURNS 15
unsigned gw_recovery_turn(uint32_t request);

/* Requests that may come again (recovery_unanswered.c), as the process before this one left them.
 */
void gw_recovery_read_unanswered(struct gw_recovery *recovery);
void gw_recovery_forget_unanswered(struct gw_recovery *recovery);

#endif
