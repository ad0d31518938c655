/* SPDX-License-Identifier: BSD-3-Clause */
/* state/journal_internal.h - the ring, as both ends of the journal see it. */
#ifndef GW_STATE_JOURNAL_INTERNAL_H
#define GW_STATE_JOURNAL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "state/journal.h"

#define GW_JOURNAL_MAGIC_LEN  8
#define GW_JOURNAL_CELL	      64u
#define GW_JOURNAL_CELLS      (GW_JOURNAL_BYTES / GW_JOURNAL_CELL)
#define GW_JOURNAL_RECORD_MAX (sizeof(struct gw_journal_raw) + GW_JOURNAL_OBJECT_MAX)
/* What is left free: records that threads have reserved and are about to write. */
#define GW_JOURNAL_MARGIN (GW_JOURNAL_CELLS / 8)

/* As it lies in the ring, from the beginning of a cell on; host byte order. The ring may end in it.
 */
struct gw_journal_raw {
	uint64_t checksum; /* of all that follows, the object with it */
	uint64_t sequence; /* the cell that it begins at, counted from the beginning of time */
	uint64_t serial;
	uint16_t type, len; /* of the object */
	uint8_t queue, deleted;
	uint8_t intent; /* not of the state: of its request alone */
	uint8_t padding;
};
_Static_assert(sizeof(struct gw_journal_raw) == 32, "journal record");

struct gw_journal_checkpoint {
	uint64_t generation; /* 0: never written */
	uint64_t from;	     /* the first cell that it may not have seen */
	uint64_t len;	     /* of its stream, which has checksums of its own */
	uint64_t checksum;   /* of these three */
};

struct gw_journal_head {
	char magic[GW_JOURNAL_MAGIC_LEN];
	uint64_t size;
	_Atomic uint64_t next; /* the first cell that nobody has reserved */
	_Atomic uint64_t tail; /* cells before it are not needed any more */
	struct gw_journal_checkpoint slots[GW_JOURNAL_SLOTS];
	_Atomic uint64_t numbers[GW_JOURNAL_NUMBERS];
	_Atomic uint64_t covered; /* so many of the records that were dropped the newest slot has */
};

/*
 * Where threads of this process put records just now: each in a place of its own, a cell that is
 * not beyond the one that it puts to, and 1; 0: nobody. A checkpoint that ends does not declare
 * free what they have not written yet: who has been kept waiting would write into a record of the
 * next time round.
 */
#define GW_JOURNAL_PLACES 64
struct gw_journal_place {
	_Alignas(64) _Atomic uint64_t cell;
};

/*
 * Requests that are under way after an intent: from which cell on the ring has what they put. It
 * stays there: a checkpoint that ends carries intents on, to the end of the ring, before it
 * declares their cells free.
 */
#define GW_JOURNAL_INTENTS_MAX 256
#define GW_JOURNAL_INTENT_LOST UINT64_MAX
struct gw_journal_intent {
	_Atomic uint64_t cell; /* and 1; 0: nobody's. GW_JOURNAL_INTENT_LOST: it could not be put */
	_Atomic uint64_t serial;
	_Atomic unsigned queue;
};
#define GW_JOURNAL_OBJECT_CELLS (GW_JOURNAL_RECORD_MAX / GW_JOURNAL_CELL + 1)
/* An exchange has two. */
#define GW_JOURNAL_CARRIED_MAX (2 * GW_JOURNAL_INTENTS_MAX * GW_JOURNAL_OBJECT_CELLS)
_Static_assert(GW_JOURNAL_CARRIED_MAX + GW_JOURNAL_PLACES * GW_JOURNAL_OBJECT_CELLS <=
		       GW_JOURNAL_MARGIN,
	       "room for what is carried on");

struct gw_journal {
	struct gw_journal_place places[GW_JOURNAL_PLACES];
	struct gw_journal_intent intents[GW_JOURNAL_INTENTS_MAX];
	struct gw_journal_head *head;
	uint8_t *ring;
	int slots[GW_JOURNAL_SLOTS]; /* borrowed */
	int wake;
	_Atomic bool woken;
	_Atomic bool stalled; /* a checkpoint is so late that nobody waits for it any more */
	uint64_t patience_ms;
	_Atomic pthread_t checkpointer; /* who writes them, or has written the last one */
	unsigned writing;		/* which slot */
	uint64_t from, covers;
};

union gw_journal_bytes {
	uint8_t bytes[GW_JOURNAL_RECORD_MAX];
	struct gw_journal_raw record;
};

static inline unsigned gw_journal_cells_of(size_t len)
{
	return (unsigned)((len + GW_JOURNAL_CELL - 1) / GW_JOURNAL_CELL);
}

/* The cells are the caller's. */
void gw_journal_write_at(struct gw_journal *journal, uint64_t cell, union gw_journal_bytes *to,
			 size_t len);
/* The record at @cell; its length in *@len. False: there is none, whole. */
bool gw_journal_read(const struct gw_journal *journal, uint64_t cell,
		     uint8_t bytes[GW_JOURNAL_RECORD_MAX], size_t *len);

#endif
