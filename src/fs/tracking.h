/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/tracking.h - what of the inode table is ready to be saved, and what changed since. */
#ifndef GW_FS_TRACKING_H
#define GW_FS_TRACKING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/slots.h"

/*
 * While a migration is announced the table is made ready beside the guest, in units of 64 slots:
 * their names are compared with the host, and their records made in memory. Whatever changes an
 * inode afterwards marks it, at the cost of one atomic operation; while nothing is announced, of
 * one load.
 *
 * The rule on both sides: who makes ready sets the mark first and looks at the inode then, who
 * changes an inode changes it first and takes the mark away then. So a mark that stands is true.
 */
#define FS_UNIT 64u /* slots; a bit each of one word */

/* Records of one unit, first the inodes', then the names', as they would be written now. */
struct fs_records {
	uint8_t *bytes;
	uint32_t inodes_len, names_len;
};

struct fs_tracking {
	_Atomic bool on;
	size_t size; /* of the mapping that all three are in; untouched pages cost nothing */
	/* A bit a slot: its names lead to it, or nobody is there. */
	_Atomic uint64_t *settled;
	/* Of each unit: are its records true? */
	_Atomic uint8_t *made;
	struct fs_records *records;
};

/* What is not named is not there: an unused one is all zero. */
int fs_tracking_start(struct fs_tracking *tracking);
/* All marks go, records and their memory too. Nobody makes ready meanwhile; marks may be taken away
 * at any time, also by who has not heard of it yet. */
void fs_tracking_stop(struct fs_tracking *tracking, const struct fs_slots *slots);
void fs_tracking_fini(struct fs_tracking *tracking, const struct fs_slots *slots);
/* The next unit from *@unit on that may have slots in use; false at the end. */
bool fs_unit_next(const struct fs_slots *slots, uint32_t *unit);

static inline bool fs_tracking_is_on(const struct fs_tracking *tracking)
{
	return atomic_load_explicit(&tracking->on, memory_order_acquire);
}

/* What its record says is another thing now. */
static inline void fs_tracking_changed(struct fs_tracking *tracking, uint32_t slot)
{
	if (!fs_tracking_is_on(tracking))
		return;
	atomic_exchange_explicit(&tracking->made[slot / FS_UNIT], 0, memory_order_acq_rel);
}

/* And its names have to be looked at again: it got or lost one, or is new. */
static inline void fs_tracking_renamed(struct fs_tracking *tracking, uint32_t slot)
{
	if (!fs_tracking_is_on(tracking))
		return;
	atomic_fetch_and_explicit(&tracking->settled[slot / FS_UNIT],
				  ~(UINT64_C(1) << slot % FS_UNIT), memory_order_acq_rel);
	fs_tracking_changed(tracking, slot);
}

#endif
