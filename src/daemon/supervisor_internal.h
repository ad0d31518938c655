/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/supervisor_internal.h - what supervisor*.c have in common. */
#ifndef GW_DAEMON_SUPERVISOR_INTERNAL_H
#define GW_DAEMON_SUPERVISOR_INTERNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/fdstore.h"

/* A child that never gets ready is started so often; one that does, so often within a second. */
#define TRIES_MAX    20
#define A_SECOND_MAX 100

struct kept {
	char name[GW_FDSTORE_NAME_MAX + 1];
	int fd;
};

/* An upgrade, from the question to the answer (supervisor_upgrade.c). */
struct upgrade {
	int candidate;	 /* the program, while it is tried out; else -1 */
	pid_t checker;	 /* the process that tries it out, or 0 */
	uint64_t due_ns; /* it is to have ended by then */
	int asker;	 /* a pidfd of who asked and waits for the answer, or -1 */
};

struct supervisor {
	char **argv;
	int program; /* what is executed, whatever becomes of its name */
	int last;    /* while an upgrade is not ready: the one before; else -1 */
	char *path;  /* where an upgrade is looked for */
	struct upgrade upgrade;
	int ours, its; /* ends of the datagram socket; the child inherits the second */
	int signals;
	sigset_t old_mask;
	struct rlimit old_limit;
	pid_t child;
	bool ready;
	bool began_upgraded;		  /* it is the upgrade, and not ready yet */
	int ending;			  /* the signal that it was told to end with, or 0 */
	unsigned tries;			  /* since one was ready */
	uint64_t starts_ns[A_SECOND_MAX]; /* when, in a circle */
	unsigned starts;
	unsigned count, room;
	struct kept *kept;
};

/* Forks and executes @program (its descriptor) with what is kept. @checks: it is only to say
 * whether it could go on. Returns the process, or a negative errno with a sentence. */
pid_t gw_supervisor_execute(struct supervisor *super, int program, bool checks);

/* SIGUSR2 came, as @info says. */
void gw_supervisor_upgrade(struct supervisor *super, const struct signalfd_siginfo *info);
/* A process of ours has ended. */
void gw_supervisor_upgrade_ended(struct supervisor *super);
/* ms until something is to be done about it, or -1; and does it when that is over. */
int gw_supervisor_upgrade_due(struct supervisor *super);
/* The child is ready, or has died. */
void gw_supervisor_upgraded(struct supervisor *super);
void gw_supervisor_take_back(struct supervisor *super);
void gw_supervisor_upgrade_free(struct supervisor *super);

#endif
