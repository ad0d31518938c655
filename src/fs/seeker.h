/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/seeker.h - what no known name leads to is looked for beside the guest. */
#ifndef GW_FS_SEEKER_H
#define GW_FS_SEEKER_H

#include "fs/collect.h"

/*
 * The collector's: a round notes what it found nowhere, and what was noted is searched for, a
 * little at a time, after the round. Each inode only once as long as a migration is announced, so
 * that a save has to search for nothing but what is missing since.
 *
 * It holds inodes of its table, so it is ended before that goes.
 */
struct fs_seeker {
	struct fs_inode_list missing; /* of this round */
	struct fs_search *search;     /* NULL: none is under way */
	bool sought;		      /* there are inodes that a search was ended for */
};

/* @inode has no name that leads to it (fs_check()). */
void fs_seeker_note(struct fs_seeker *seeker, struct fs_inode *inode);
/* True: there is more to do. */
bool fs_seeker_step(struct fs_seeker *seeker, struct fs_inodes *inodes);
bool fs_seeker_is_busy(const struct fs_seeker *seeker);
/* A search under way is given up: what it has not found is as if it had not been sought. */
void fs_seeker_drop(struct fs_seeker *seeker);
/* Nothing is announced any more: who is missing the next time is sought again. */
void fs_seeker_end(struct fs_seeker *seeker, struct fs_inodes *inodes);

#endif
