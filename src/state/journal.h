/* SPDX-License-Identifier: BSD-3-Clause */
/* state/journal.h - what changed since the last checkpoint, in memory that outlives the process. */
#ifndef GW_STATE_JOURNAL_H
#define GW_STATE_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "godwit/state.h"

/*
 * A ring of records in a memfd, each one object of a stream's layout, encoded as there: an upsert,
 * or a tombstone for its keys. A device puts each change of its state before it answers the request
 * that made it, without a system call. Two more memfds are slots that are written in turn: a stream
 * of the whole state as it was while somebody went through it, from some record of the ring on.
 * With what the ring says after that, later objects over earlier ones, it is the state
 * (docs/recovery.md has the layout).
 *
 * For the order of records to be the order of changes, put under the lock that guards the object,
 * after it was changed.
 */
struct gw_journal;

#define GW_JOURNAL_BYTES      (16u << 20) /* of the ring */
#define GW_JOURNAL_OBJECT_MAX 1024	  /* bytes of one object, encoded */
#define GW_JOURNAL_SLOTS      2

/* New, in sealed memory; @fds are the ring's and the slots', the caller's to keep open for as long
 * as the journal lives, as are those of one that another process wrote. */
int gw_journal_new(struct gw_journal **journal, int fds[1 + GW_JOURNAL_SLOTS]);
int gw_journal_open(struct gw_journal **journal, const int fds[1 + GW_JOURNAL_SLOTS]);
void gw_journal_free(struct gw_journal *journal); /* NULL is allowed */

/* What this thread puts from here on it puts for that request (struct gw_elem.serial). 0: none. The
 * one before is answered, or another thread's. */
void gw_journal_for(unsigned queue, uint64_t serial);
/* The request that was told so. */
uint64_t gw_journal_serial(unsigned *queue);

/*
 * Any thread. Waits only if the ring is full because checkpoints are late, and not for ever: then
 * the record is dropped and counted, and so is what comes until there is a checkpoint. Until there
 * is one that was begun after that, the journal is not whole, and nobody goes on with it.
 */
void gw_journal_put(struct gw_journal *journal, const struct gw_layout *layout, bool deleted,
		    const void *object);

/* The same, before a request does what cannot be done twice: there for as long as the request is
 * under way (until this thread's next gw_journal_for()), however often the ring goes round. */
void gw_journal_intend(struct gw_journal *journal, const struct gw_layout *layout,
		       const void *object);
/* So long a record waits for room, 10 s otherwise. */
void gw_journal_set_patience(struct gw_journal *journal, unsigned ms);

/* Numbers that outlive the process as well. */
enum gw_journal_number {
	GW_JOURNAL_RECOVERIES, /* how often a process has gone on where another one had died */
	GW_JOURNAL_UNDECIDED,  /* requests of which it could not tell whether they were carried out
				*/
	GW_JOURNAL_DROPPED,    /* records that found no room */
	GW_JOURNAL_NUMBERS,
};
/* Adds @more, and returns what it is now. Any thread. */
uint64_t gw_journal_number(struct gw_journal *journal, enum gw_journal_number number,
			   uint64_t more);

/* The time has come for a checkpoint when this eventfd is readable (level: read it). */
int gw_journal_wake_fd(const struct gw_journal *journal);
/* It has come. Any thread. */
void gw_journal_wake(struct gw_journal *journal);
/* One is about to be written to *@fd (borrowed, at its beginning), and is whole. One thread. */
int gw_journal_begin(struct gw_journal *journal, int *fd);
int gw_journal_end(struct gw_journal *journal);

/* Can somebody go on with it? */
bool gw_journal_is_whole(const struct gw_journal *journal);

/* The newest checkpoint: a descriptor at its beginning (borrowed); -ENODATA if there is none. */
int gw_journal_slot(struct gw_journal *journal, int *fd);
/* The same, wherever its position is: another process writes, and it may be an old one by now. */
int gw_journal_newest(const struct gw_journal *journal, int *fd);

struct gw_journal_record {
	const struct gw_layout *layout;
	bool deleted;
	unsigned queue;
	uint64_t serial;
	const void *object; /* a C struct of the layout, valid until the next record */
	bool since;	    /* after the newest checkpoint was begun, so part of the state */
	bool unanswered;    /* its request may come again */
};

/* Who goes through it. */
struct gw_journal_walk {
	const struct gw_layout *const *layouts; /* NULL-terminated; of others there is none */
	/* Of records before the checkpoint only those of such requests. NULL: all. */
	bool (*unanswered)(void *opaque, unsigned queue, uint64_t serial);
	void *unanswered_opaque;
	/* A negative return ends the walk. */
	int (*fn)(void *opaque, const struct gw_journal_record *record);
	void *opaque;
};
/* Each whole record, in its order. -EIO: the journal itself is not whole. */
int gw_journal_walk(struct gw_journal *journal, const struct gw_journal_walk *walk);

#endif
