/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/collect.h - before a save: are the names true, and what has none? */
#ifndef GW_FS_COLLECT_H
#define GW_FS_COLLECT_H

#include "fs/table.h"

/* What is known of an inode that is to be saved. */
enum fs_found {
	FS_FOUND_NAMED,	  /* at least one name leads to it; wrong ones are dropped */
	FS_FOUND_ORPHAN,  /* it has no link any more */
	FS_FOUND_NOWHERE, /* we hold it, but no name of it is in the share */
	FS_FOUND_GONE,	  /* and it cannot be reached here either: the guest gets ESTALE */
};

/*
 * Check the names of @inode against the host, and correct them where the host moved it. Changes
 * nothing that the guest could see. < 0: a system call failed that should not.
 */
int fs_check(struct fs_inodes *inodes, struct fs_inode *inode);
/* With the guest at rest: what is an orphan has no names from here on. */
int fs_collect(struct fs_inodes *inodes, struct fs_inode *inode);

/* Inodes, pinned. */
struct fs_inode_list {
	struct fs_inode **inodes;
	size_t count, room;
};
int fs_list_note(struct fs_inode_list *list, struct fs_inode *inode);
void fs_list_free(struct fs_inode_list *list);

/* search.c: look through the share for @missing, as far as that goes; who is found has a name then,
 * which fs_collect() will see. */
int fs_search(struct fs_inodes *inodes, const struct fs_inode_list *missing);
/* The same in steps of some milliseconds. 1: there is more, 0: that was all; or -ENOMEM. At the end
 * of a @whole one its inodes are marked as sought, found or not. */
struct fs_search;
int fs_search_begin(struct fs_search **search, struct fs_inodes *inodes,
		    const struct fs_inode_list *missing);
int fs_search_step(struct fs_search *search);
void fs_search_end(struct fs_search *search, bool whole); /* NULL is allowed */

/* For a sentence: where the inode is, or was; what does not print is escaped. */
#define FS_DESCRIBE_MAX 256
const char *fs_describe(struct fs_inodes *inodes, struct fs_inode *inode,
			char text[FS_DESCRIBE_MAX]);
const char *fs_escape(char text[FS_DESCRIBE_MAX], const char *from);

#endif
