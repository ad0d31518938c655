/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/load.h - a state on its way in: staged in tables of its own, then proven, then swapped in. */
#ifndef GW_FS_LOAD_H
#define GW_FS_LOAD_H

#include "base/scratch.h"
#include "fs/handles.h"
#include "fs/handover.h"
#include "fs/index.h"
#include "fs/orphan.h"
#include "fs/records.h"
#include "fs/table.h"

/* Something that was not found; told once all hands are done. */
struct fs_missed {
	struct fs_inode *inode;
	int err;
};

/* Inodes that are proven whatever is open: one that is stale among a hundred is found with this
 * many, but for one time in twenty thousand. */
#define FS_SAMPLE_INODES 1000u

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
	/* Of each what fs_print() says, as long as they come by many hands and nothing changes them
	 * afterwards (stage_many.c): who walks all for little need not look at the inodes. */
	uint32_t *prints;
	bool unprinted;
	size_t staged_count, staged_room;
	/* Of @staged, which lives longer; and of all the rest that is for the load alone. */
	struct gw_scratch staged_memory, scratch;
	/* Slots: of those that come after these nobody has spoken (stage_many.c). */
	uint32_t inodes_end, named_end;
	uint8_t *ways; /* adopt.c's marks, of so many slots */
	size_t ways_end;
	bool phased;		 /* it was begun while the source's guest ran (arrive.c) */
	bool marked;		 /* a phase has begun */
	_Atomic bool has_attics; /* something is said to be hidden (hidden.h) */
	bool names_one_by_one;	 /* else they go into the hash in the end, or later (index.h) */
	bool names_hashed;
	struct fs_names_feed feed;
	bool is_copy;	 /* only types and paths of the state are right here (copied.c) */
	bool has_mounts; /* one beside the share's own */
	bool old_looks;	 /* on one of them what is seen may be old (sync.h) */
	struct fs_newborn *newborns;
	size_t newborn_count, newborn_room;
	struct fs_birthplace *birthplaces; /* by mount; NULL: not needed yet */
	uint64_t content_bytes;
	uint32_t *reopened; /* handles, as slots */
	size_t reopened_count;
	bool no_devices; /* none can be opened on the share's own mount */
	pthread_mutex_t missed_lock;
	struct fs_missed *missed;
	size_t missed_count, missed_room;
	uint32_t sample[FS_SAMPLE_INODES];
	_Atomic bool any_lost; /* one is FS_INODE_LOST */
	bool have_twins;       /* two may be one file */
	struct fs_index *index;
	uint64_t lost;			/* inodes and handles that the guest will get errors for */
	struct fs_precopied *precopied; /* it is this one's (precopied.h); NULL: it is none's */
};

/* Tables of its own; fs_loading_free() ends it, also where this failed. */
int fs_loading_new(struct fs_loading *loading, struct fs *fs);

/* stage.c: objects as they come. */
extern const struct gw_state_handler fs_load_handlers[];
/* One object as if it had come in a stream of ours. */
int fs_stage(struct fs_loading *loading, const struct gw_layout *layout, const void *object);
/* What came so far under this id, or NULL. */
struct fs_inode *fs_staged_inode(struct fs_loading *loading, uint64_t id);
/* Staged once more, after it was adopted ahead: it is another thing now. 0 or -ENOMEM. */
int fs_restage(struct fs_loading *loading, struct fs_inode *inode);
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

/* It is a precopy that nobody wants any more: what comes of it does not matter. */
static inline bool fs_is_given_up(const struct fs_loading *loading)
{
	return loading->precopied && atomic_load(&loading->fs->precopy_given_up);
}

static inline void fs_mark_lost(struct fs_loading *loading, struct fs_inode *inode)
{
	atomic_fetch_or(&inode->flags, FS_INODE_LOST);
	atomic_store(&loading->any_lost, true);
}

/* verify.c: what the operator wants proven is looked for, by many hands. */
int fs_verify_mounts(struct fs_loading *loading);
void fs_verify_mounts_ahead(struct fs_loading *loading); /* what is not found yet may be, later */
/* All, if that is wanted; else the sample, which is work to be done, and what comes of it. */
int fs_verify_all(struct fs_loading *loading);
/* A sample of what came ahead, too; or all. */
int fs_verify_again(struct fs_loading *loading);
struct fs_work fs_verify_sample(struct fs_loading *loading);
int fs_verify_sampled(struct fs_loading *loading);
/* The same of what may be gone because the guest goes on at the source: what is not found is marked
 * (slot.link), to be looked for again. */
void fs_verify_ahead(struct fs_loading *loading);

/* adopt.c: is it of this share, as far as it goes, and does every way upwards end? */
int fs_adopt_check_share(struct fs_loading *loading);
int fs_adopt_check_ways(struct fs_loading *loading);
void fs_adopt_judge(struct fs_loading *loading);

/* arrive.c: a phase begins: what came before it is looked for and adopted ahead. */
int fs_arrived(void *loading, enum gw_phase phase);

/* birthplace.c: where what @inode was is made anew: a directory on the mount that it was on, if one
 * is to be found, else the share's root. Borrowed until fs_birthplaces_free(). */
int fs_birthplace(struct fs_loading *loading, const struct fs_inode *inode);
void fs_birthplaces_free(struct fs_loading *loading);

/* reopen.c: what the guest has open is opened again, by many hands. */
int fs_reopen_list(struct fs_loading *loading);
struct fs_work fs_reopen_work(struct fs_loading *loading);
int fs_reopen_settle(struct fs_loading *loading);
/* As far as it goes; the rest is tried again. */
int fs_reopen_ahead(struct fs_loading *loading);

/*
 * many.c: @fn for each of @count, side by side, for @budget ns from the first on (0: until all are
 * done); and several of that, side by side as well, what cannot be divided first.
 */
typedef void fs_each_fn(struct fs_loading *loading, size_t i);
struct fs_work {
	fs_each_fn *fn;
	size_t count;
	uint64_t budget;
	/* many.c's own. */
	_Atomic uint64_t deadline;
	_Atomic size_t next;
};
void fs_each(struct fs_loading *loading, size_t count, uint64_t budget, fs_each_fn *fn);
void fs_do(struct fs_loading *loading, struct fs_work *works, size_t count);
uint64_t fs_now(void);

/* load_virtiofsd.c: what virtiofsd says, found in this share and staged. */
int fs_stage_virtiofsd(struct fs_loading *loading, const struct gw_bytes *bytes);

#endif
