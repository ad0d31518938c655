/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/journal.h - what of the device's state a next process needs, told as it changes. */
#ifndef GW_FS_JOURNAL_H
#define GW_FS_JOURNAL_H

#include "fs/handles.h"
#include "fs/records.h"
#include "fs/table.h"
#include "state/journal.h"

/*
 * Objects of the migration stream, into the journal (state/journal.h), before the request that
 * changed them is answered. All do nothing where no journal is kept. For the order to be right they
 * are called after the change, under the lock that guards it.
 */
void fs_journal_put_inode(const struct fs_inode *inode);
void fs_journal_put_inode_gone(const struct fs_inode *inode);
void fs_journal_put_name(const struct fs_inodes *inodes, const struct fs_name *name, bool gone);
void fs_journal_put_handle(const struct fs_handles *handles, const struct fs_open *open, bool gone);
void fs_journal_put_session(struct fs *fs);

/* Guarded by what nearly always is so. */
static inline void fs_journal_inode(const struct fs_inode *inode)
{
	if (fs_table_of(inode)->journal)
		fs_journal_put_inode(inode);
}

static inline void fs_journal_inode_gone(const struct fs_inode *inode)
{
	if (fs_table_of(inode)->journal)
		fs_journal_put_inode_gone(inode);
}

static inline void fs_journal_name(const struct fs_inodes *inodes, const struct fs_name *name,
				   bool gone)
{
	if (inodes->journal)
		fs_journal_put_name(inodes, name, gone);
}

static inline void fs_journal_handle(const struct fs_handles *handles, const struct fs_open *open,
				     bool gone)
{
	if (handles->journal)
		fs_journal_put_handle(handles, open, gone);
}

/* @inode is about to get @name in @parent, and did not (@gone), if the table is not told of it. */
void fs_journal_name_ahead(const struct fs_inode *parent, const char *name,
			   const struct fs_inode *inode, bool gone);

/* @inode may be about to lose its last name: what the guest has open of it is kept, by @fd
 * (borrowed). And it is known by a name after all, or is no more. */
void fs_journal_keep(struct fs_inode *inode, int fd);
void fs_journal_let_go(struct fs_inode *inode);

/* The tables that are in use now are the ones that are told of. */
void fs_journal_use(struct fs *fs);

/* struct gw_device_ops. */
int fs_journal_begin(void *dev, const struct gw_outliving *outliving);
int fs_checkpoint(void *dev, struct gw_state_writer *writer);
/* fold.c */
int fs_fold(void *dev, struct gw_state_reader *reader, const struct gw_outliving *outliving,
	    struct gw_state_writer *writer);

#endif
