/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/seeker.c - what no known name leads to is looked for beside the guest. */
#include "fs/seeker.h"

/* Without memory for it the save looks for it. */
void fs_seeker_note(struct fs_seeker *seeker, struct fs_inode *inode)
{
	if (!seeker->search && !fs_inode_has(inode, FS_INODE_SOUGHT) &&
	    !fs_inode_has(inode, FS_INODE_LOST))
		fs_list_note(&seeker->missing, inode);
}

bool fs_seeker_is_busy(const struct fs_seeker *seeker)
{
	return seeker->search || seeker->missing.count;
}

bool fs_seeker_step(struct fs_seeker *seeker, struct fs_inodes *inodes)
{
	int more;

	if (!seeker->search && seeker->missing.count) {
		more = fs_search_begin(&seeker->search, inodes, &seeker->missing);
		fs_list_free(&seeker->missing);
		return !more;
	}
	if (!seeker->search)
		return false;
	more = fs_search_step(seeker->search);
	if (more > 0)
		return true;
	fs_search_end(seeker->search, !more);
	seeker->search = NULL;
	seeker->sought = true;
	return false;
}

void fs_seeker_drop(struct fs_seeker *seeker)
{
	fs_search_end(seeker->search, false);
	seeker->search = NULL;
	fs_list_free(&seeker->missing);
}

void fs_seeker_end(struct fs_seeker *seeker, struct fs_inodes *inodes)
{
	struct fs_inode *inode;
	uint32_t at = 0;

	fs_seeker_drop(seeker);
	while (seeker->sought && (inode = fs_slots_next(&inodes->slots, &at)))
		fs_inode_unmark(inode, FS_INODE_SOUGHT);
	seeker->sought = false;
}
