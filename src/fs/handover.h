/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handover.h - a guest that stays on this host: what is open goes over as it is. */
#ifndef GW_FS_HANDOVER_H
#define GW_FS_HANDOVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fs/collect.h"
#include "fs/unnamed.h"
#include "migration/handover.h"

/*
 * The new process has connected to the old one when it was started, before either could read a byte
 * of a guest. The old one's state then carries a ticket, 128 random bits. Who comes with it, and is
 * of the same user (SO_PEERCRED), is given descriptors of all that the guest has open, of what has
 * no name any more, and of what its locks are on; locks are then never released. The new process
 * looks at each as if it had opened it itself.
 *
 * The state is complete all the same, but for the content of unnamed files beyond the limit, which
 * is only sent like this. Whatever goes wrong between the two ends the connection, and the normal
 * way is gone.
 */
enum fs_handed_kind {
	FS_HANDED_INODE = 1, /* O_PATH: node id */
	FS_HANDED_HANDLE,    /* handle id */
	FS_HANDED_LOCKS,     /* node id, owner */
};

#define FS_HANDED_MAGIC "gw-ho-1" /* with its NUL */
/* The source notices at once that nobody takes what it gives; on a busy host that is later. */
#define FS_HANDED_PATIENCE 200

/*
 * handover_give.c: the old process. A thread that listens, of the kind that transfers.
 */
struct fs;
struct fs_handover;
struct gw_state_writer;

/* @listener is borrowed. */
int fs_handover_new(struct fs_handover **handover, struct fs *fs, int listener);
void fs_handover_free(struct fs_handover *handover); /* NULL is allowed, here and below */
/* Transfer thread. If somebody is there: writes the ticket, and gives to who brings it, these
 * unnamed files as well, from now on until fs_handover_withdraw(). */
int fs_handover_offer(struct fs_handover *handover, struct gw_state_writer *writer,
		      const struct fs_unnamed_list *unnamed);
/* Is there somebody to offer it to? Any thread. */
bool fs_handover_has_peer(struct fs_handover *handover);
bool fs_handover_is_offered(struct fs_handover *handover);
/* The save is at its end. True: locks stay where they are, and if who connected hangs up before it
 * has them all, they are released then. */
bool fs_handover_keeps_locks(struct fs_handover *handover);
void fs_handover_withdraw(struct fs_handover *handover);

/*
 * handover_take.c: the new process.
 */
struct fs_loading;
struct fs_handed {
	struct gw_handed all;
	unsigned patience;	 /* rests, if it was announced and did not come (locks_move.c) */
	_Atomic bool is_strange; /* something in it was told of */
};
int fs_handover_put(void *opaque, const void *object);
/* What the process before this one had kept of unnamed files (fs->outliving). */
int fs_handed_take_kept(struct fs_loading *loading);
/* The caller's, or -1: none, or it is not @inode. Any thread. */
int fs_handed_take(struct fs_loading *loading, enum fs_handed_kind kind, uint64_t id,
		   uint64_t owner, const struct fs_inode *inode);
void fs_handed_free(struct fs_handed *handed);

#endif
