/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/iterate.h - a save in phases: what is sent while the guest runs. */
#ifndef GW_FS_ITERATE_H
#define GW_FS_ITERATE_H

#include "fs/fs.h"
#include "fs/records.h"

/*
 * While the guest runs the inode table goes in rounds (sent.h), the files that are open, and those
 * without a name (ahead.h); when it is at rest, what of all that is different by then, and all that
 * is small: directory streams, locks, the session.
 */
struct fs_iterating;
struct fs_unnamed_list;

/* struct gw_device_ops.save, in phase RUNNING. */
int fs_iterating_round(struct fs *fs, struct gw_state_writer *writer, size_t budget);
/* Was anything sent? NULL: the state is to be saved whole. */
struct fs_iterating *fs_iterating_begun(struct fs *fs);
/* The guest is at rest, all names are right: the table, and handles and unnamed files that are none
 * any more; @unnamed: those that there are. */
int fs_iterating_rest(struct fs_iterating *it, const struct fs_unnamed_list *unnamed,
		      struct gw_state_writer *writer);
/* What of unnamed files the stream has; NULL: states of this number have nothing of them then. */
struct fs_ahead;
struct fs_ahead *fs_iterating_ahead(struct fs_iterating *it);
/* Does the stream have this handle as it is? */
bool fs_iterating_has(const struct fs_iterating *it, const struct gw_fs_handle_v1 *handle);

#endif
