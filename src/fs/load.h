/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/load.h - a state on its way in: staged in tables of its own, then proven, then swapped in. */
#ifndef GW_FS_LOAD_H
#define GW_FS_LOAD_H

#include "fs/handles.h"
#include "fs/handover.h"
#include "fs/orphan.h"
#include "fs/records.h"
#include "fs/table.h"

/* Something that was not found; told once all hands are done. */
struct fs_missed {
	struct fs_inode *inode;
	int err;
};

struct fs_loading {
	struct fs *fs;
	struct fs_inodes *inodes;
	struct fs_handles *handles;
	struct fs_locks *locks;
	struct fs_handed handed;
	struct gw_fs_session_v1 session;
	bool has_session;
	struct gw_fs_inode_v1 root; /* its evidence */
	bool has_root;
	/* Those that came, as slots, for walks; the root is none of them. */
	uint32_t *staged;
	size_t staged_count, staged_room;
	bool names_reserved;
	bool has_attics; /* something is said to be hidden (hidden.h) */
	struct fs_names_feed feed;
	bool is_copy;	 /* only types and paths of the state are right here (copied.c) */
	bool has_mounts; /* one beside the share's own */
	struct fs_newborn *newborns;
	size_t newborn_count, newborn_room;
	struct fs_birthplace *birthplaces; /* by mount; NULL: not needed yet */
	uint64_t content_bytes;
	uint32_t *reopened; /* handles, as slots */
	pthread_mutex_t missed_lock;
	struct fs_missed *missed;
	size_t missed_count, missed_room;
	const uint32_t *sample; /* while it is looked at */
	uint64_t lost;		/* inodes and handles that the guest will get errors for */
};

/* stage.c: objects as they come. */
extern const struct gw_state_handler fs_load_handlers[];
/* One object as if it had come in a stream of ours. */
int fs_stage(struct fs_loading *loading, const struct gw_layout *layout, const void *object);
/* What came so far under this id, or NULL. */
struct fs_inode *fs_staged_inode(struct fs_loading *loading, uint64_t id);
void fs_loading_free(struct fs_loading *loading);
void fs_unstage(struct fs_inode *inode);

/* adopt.c: everything is there: is it whole, and is it what this share holds? */
int fs_adopt_all(struct fs_loading *loading);
/* Something that the guest knows is not there: the operator's choice. @err, or 0 to go on. */
int fs_miss(struct fs_loading *loading, struct fs_inode *inode, int err, const char *what);
static inline struct fs_inode *fs_staged_at(const struct fs_loading *loading, size_t i)
{
	return fs_slot_at(&loading->inodes->slots, loading->staged[i]);
}

/* verify.c: what the operator wants proven is looked for, by many hands. */
int fs_verify_mounts(struct fs_loading *loading);
int fs_verify_inodes(struct fs_loading *loading);

/* birthplace.c: where what @inode was is made anew: a directory on the mount that it was on, if one
 * is to be found, else the share's root. Borrowed until fs_birthplaces_free(). */
int fs_birthplace(struct fs_loading *loading, const struct fs_inode *inode);
void fs_birthplaces_free(struct fs_loading *loading);

/* reopen.c: what the guest has open is opened again, by many hands. */
int fs_reopen_handles(struct fs_loading *loading);

/* many.c: @fn for each of @count, side by side, until @deadline (CLOCK_MONOTONIC, ns; 0: none). */
typedef void fs_each_fn(struct fs_loading *loading, size_t i);
void fs_each(struct fs_loading *loading, size_t count, uint64_t deadline, fs_each_fn *fn);
uint64_t fs_now(void);

/* load_virtiofsd.c: what virtiofsd says, found in this share and staged. */
int fs_stage_virtiofsd(struct fs_loading *loading, const struct gw_bytes *bytes);

#endif
