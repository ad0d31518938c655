/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied.h - a state that came ahead of itself, and what the state itself says beyond it. */
#ifndef GW_FS_PRECOPIED_H
#define GW_FS_PRECOPIED_H

#include "fs/load.h"

/*
 * An operator may bring most of a state here while the guest runs at the source (precopy in
 * godwit/device.h). It is loaded as one round of a state in phases is (arrive.c), and kept: all
 * inodes staged, looked for and adopted ahead, all files opened. The state itself comes later, and
 * whole, as if nothing had been there, and it alone counts. A source makes records by units of
 * slots (tracking.h), and again only of what has changed, so that most come as they did before, to
 * the byte: of those there is nothing to do. What is in the others is held against the tables, and
 * the difference is staged as that of a later round would be; what does not come again is taken
 * back.
 *
 * So a load takes the time of reading and comparing, and of what has changed.
 */
struct fs_precopied;

/* struct gw_device_ops */
int fs_precopy_load(void *dev, struct gw_state_reader *reader);
void fs_precopied_free(struct fs_precopied *precopied); /* NULL is allowed */

/* The state itself begins: what it is to be staged into. */
struct fs_loading *fs_precopied_begin(struct fs_precopied *precopied);

/*
 * For who stages, wherever loading->precopied is set.
 */

/* Payloads of records, as stage_many.c gets them; how many are dealt with. */
size_t fs_precopied_inodes(struct fs_loading *loading, const struct gw_bytes *payloads,
			   size_t count);
size_t fs_precopied_names(struct fs_loading *loading, const struct gw_bytes *payloads,
			  size_t count);
/* The descriptor that its file has been opened with, the caller's; or -1. */
int fs_precopied_opened(struct fs_loading *loading, const struct gw_fs_handle_v1 *record,
			const struct fs_inode *inode);
/* gw_state_at_layout(): before anything comes that refers to inodes they are as the state has them.
 */
int fs_precopied_at(void *loading, const struct gw_layout *layout);
/* The state comes in phases, which is another way to have most of it come ahead: what came by this
 * one is given up. Before anything else has come. */
int fs_precopied_pass(struct fs_loading *loading);
/* What comes goes ahead of the state, and is not it. */
bool fs_precopied_is_kept(const struct fs_loading *loading);
/* May what comes be put right by what follows: a round, or what goes ahead? */
bool fs_precopied_is_put_right(const struct fs_loading *loading);
/* All has come. */
int fs_precopied_end(struct fs_loading *loading);

#endif
