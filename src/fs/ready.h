/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ready.h - units of the inode table made ready to be saved. */
#ifndef GW_FS_READY_H
#define GW_FS_READY_H

#include "fs/table.h"
#include "godwit/state.h"

/* What making records takes; one a thread. */
struct fs_maker {
	struct fs_inodes *inodes;
	struct gw_state_batch *inode_batch, *name_batch;
};
int fs_maker_init(struct fs_maker *maker);
void fs_maker_fini(struct fs_maker *maker);

/* Tracking is on. Is there anything left to do? */
bool fs_unit_is_settled(const struct fs_inodes *inodes, uint32_t unit);
bool fs_unit_is_made(const struct fs_inodes *inodes, uint32_t unit);
/* Call @fn for each inode of the unit that is not settled; it is, if that returns 0. < 0 ends it.
 */
typedef int fs_settle_fn(void *opaque, struct fs_inode *inode);
int fs_unit_settle(struct fs_inodes *inodes, uint32_t unit, fs_settle_fn *fn, void *opaque);
/* How many bytes of records it has; they are made and thrown away. Needs no tracking. */
int fs_unit_measure(struct fs_maker *maker, uint32_t unit, uint64_t *bytes);
/* The records, made now if they are not. */
int fs_unit_make(struct fs_maker *maker, uint32_t unit);
/* They become the caller's (to be freed), and the unit is taken until something of it changes. */
struct fs_records fs_unit_take(struct fs_inodes *inodes, uint32_t unit);
/* A copy of them, to be freed, of a unit that is made and stays so; bytes NULL: no memory. */
struct fs_records fs_unit_copy(const struct fs_inodes *inodes, uint32_t unit);
bool fs_unit_is_taken(const struct fs_inodes *inodes, uint32_t unit);

#endif
