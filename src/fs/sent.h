/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/sent.h - what a stream in phases says of the inode table so far, and what it lacks. */
#ifndef GW_FS_SENT_H
#define GW_FS_SENT_H

#include "fs/ready.h"
#include "fs/records.h"

/*
 * A round brings the stream from what it said of the table before to what the table is now, by
 * units of slots (tracking.h). While the guest runs a unit is looked at after the other, so that a
 * round is true of each unit at some moment, and not of all at one. What refers to something that
 * the stream does not have yet waits for the next round; the last one, with the guest at rest, is
 * true of all, and leaves nothing out. Transfer thread, with the collector held.
 *
 * Within a round what is taken back comes first, and a slot that a new inode has is not filled in
 * the round in which the stream loses the old one: names that led there may be taken back only in
 * the next.
 */
struct fs_sent_names {
	struct gw_fs_name_v1 *at;
	size_t count, room;
};

struct fs_sent_inodes {
	struct gw_fs_inode_v1 at[FS_UNIT];
	size_t count;
};

struct fs_sent_list {
	uint32_t *at;
	size_t count, room;
};

struct fs_sent {
	struct fs_inodes *inodes;
	struct gw_state_writer *writer; /* of the call at hand */
	bool last;			/* the guest is at rest */
	bool copies;			/* what is sent stays ready for a save; one round */
	void *map;
	struct fs_records *before;	/* of each unit, as it was sent */
	struct fs_records *now;		/* and as this round will have sent it */
	uint64_t *known;		/* of each slot, what the stream has there */
	uint8_t *flags;			/* of each unit */
	struct fs_sent_list changed;	/* units of this round */
	struct fs_sent_list taken_back; /* slots of this round */
	struct fs_sent_inodes inodes_before, inodes_now;
	struct fs_sent_names names_before, names_now;
	_Atomic uint64_t units; /* that were sent once */
};

int fs_sent_init(struct fs_sent *sent, struct fs_inodes *inodes);
void fs_sent_fini(struct fs_sent *sent);

/* The unit, made now if it is not, becomes one of this round if it changed. */
int fs_sent_look(struct fs_sent *sent, struct fs_maker *maker, uint32_t unit);
/* The steps of a round, in this order, each for the unit at @i of changed. */
typedef int fs_sent_step(struct fs_sent *sent, size_t i);
fs_sent_step fs_sent_names_gone, fs_sent_inodes_gone, fs_sent_inodes_put, fs_sent_names_put;
void fs_sent_end_round(struct fs_sent *sent);
/* Does the stream have the inode? */
bool fs_sent_has(const struct fs_sent *sent, uint64_t id);

#endif
