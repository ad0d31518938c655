/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/arrive.c - a state that comes in rounds: each is looked for and adopted while the next is on
 * its way. */
#include "fs/load.h"
#include "fs/precopied.h"
#include "fs/sync.h"

/*
 * What came in a round may be taken back by the next, so that nothing here is final: what is
 * adopted is staged once more if it comes again (stage_inode.c), and whom an honest source can not
 * have meant like that waits: two inodes of one file, of which one is on its way out; an inode that
 * is not found, because the guest has just removed it; one on a mount of which nothing is found
 * yet; and one that nothing holds yet.
 */
static bool has_to_wait(const struct fs_loading *loading, const struct fs_inode *inode)
{
	return !inode->lookups || inode->slot.link || fs_inode_has(inode, FS_INODE_NEWBORN) ||
	       fs_inode_has(inode, FS_INODE_LOST) || !loading->inodes->mounts[inode->mount].known;
}

static void adopt_round(struct fs_loading *loading)
{
	size_t waiting = 0;

	fs_adopt_judge(loading);
	for (size_t i = 0; i < loading->staged_count && !fs_is_given_up(loading); i++) {
		struct fs_inode *inode = fs_staged_at(loading, i);
		bool waits = has_to_wait(loading, inode);

		if (!fs_inode_has(inode, FS_INODE_STAGED))
			continue; /* taken back */
		inode->slot.link = 0;
		if (waits || fs_identity_adopt_ahead(loading->inodes, inode))
			loading->staged[waiting++] = loading->staged[i];
	}
	loading->staged_count = waiting;
	loading->unprinted = true;
}

int fs_arrived(void *opaque, enum gw_phase phase)
{
	struct fs_loading *loading = opaque;
	bool first = !loading->marked;
	int err;

	loading->marked = true;
	/* It was begun before the precopy, or is of another source. */
	err = phase == GW_PHASE_RUNNING ? fs_precopied_pass(loading) : 0;
	if (err)
		return err;
	if (phase == GW_PHASE_RUNNING)
		loading->phased = true;
	if (first || !loading->has_session || !loading->has_root)
		return 0;
	/* Whether it is of this share at all shows here, while the guest still runs there. */
	err = fs_adopt_check_share(loading);
	/* A copy need not be one before the source's guest is at rest. */
	if (err || loading->is_copy)
		return err;
	/* What the source has not synced yet, or has just removed, would be seen as it was, and go
	 * on to be: nobody looks before the end. */
	if (loading->old_looks || fs_sync_is_incoherent(loading->fs->root_fd))
		return 0;
	/* Directories that the guest moved while it was looked at may seem to be in each other. */
	if (fs_adopt_check_ways(loading))
		return 0;
	fs_verify_mounts_ahead(loading);
	fs_verify_ahead(loading);
	err = fs_reopen_ahead(loading);
	if (!err)
		adopt_round(loading);
	return err;
}
