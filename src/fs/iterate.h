/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/iterate.h - a save in phases: what is sent while the guest runs. */
#ifndef GW_FS_ITERATE_H
#define GW_FS_ITERATE_H

#include "fs/fs.h"
#include "fs/records.h"

/*
 * While the guest runs the inode table goes in rounds (sent.h), and the files that are open; when
 * it is at rest, what of both is different by then, and all that is small: directory streams,
 * locks, unnamed files, the session.
 */
struct fs_iterating;

/* struct gw_device_ops.save, in phase RUNNING. */
int fs_iterating_round(struct fs *fs, struct gw_state_writer *writer, size_t budget);
/* Was anything sent? NULL: the state is to be saved whole. */
struct fs_iterating *fs_iterating_begun(struct fs *fs);
/* The guest is at rest, all names are right: the table, and handles that are none any more. */
int fs_iterating_rest(struct fs_iterating *it, struct gw_state_writer *writer);
/* Does the stream have this handle as it is? */
bool fs_iterating_has(const struct fs_iterating *it, const struct gw_fs_handle_v1 *handle);

#endif
