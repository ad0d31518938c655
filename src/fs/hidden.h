/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/hidden.h - what the guest has removed and still has open keeps a name (--orphans=hide). */
#ifndef GW_FS_HIDDEN_H
#define GW_FS_HIDDEN_H

#include <stdatomic.h>
#include <stdint.h>

#include "fs/inode.h"

/*
 * The last name of a file that is open does not go but moves, into an attic (attic.h) on the same
 * mount. The guest sees the file with one link less, and the name nowhere. With the last release
 * it goes.
 *
 * Who runs the device removes what is hidden. A save leaves that to whoever goes on: the attics are
 * marked as needed by a saved state until somebody runs, here or elsewhere. A device takes over
 * what a state says is hidden, whatever its own policy.
 */
struct fs;
struct fs_hidden;
struct fs_loading;
struct statx;

int fs_hidden_new(struct fs_hidden **hidden, struct fs *fs);
void fs_hidden_free(struct fs_hidden *hidden); /* NULL is allowed, as in all that follows */

/*
 * UNLINK of @name in @parent, open as @dir, between fs_name_removing() and fs_name_removed(). True:
 * it is done, and *@victim has its new name. False: the file is not open, or has other links, or
 * cannot be hidden, and nothing has happened.
 */
bool fs_hide_name(struct fs_hidden *hidden, struct fs_inode *parent, int dir, const char *name,
		  struct fs_victim *victim);

/* The same of a name that a RENAME puts another file under: before, and after it came to @done. */
struct fs_hiding {
	struct fs_inode *attic; /* NULL: nothing is hidden */
};
void fs_hide_target(struct fs_hidden *hidden, struct fs_hiding *hiding, struct fs_inode *parent,
		    int dir, const char *name, const struct fs_victim *victim);
void fs_hide_target_end(struct fs_hidden *hidden, struct fs_hiding *hiding,
			const struct fs_victim *victim, bool done);

/* handle.c: @inode is open once more, or less. The latter may remove it. */
void fs_hidden_opened(struct fs_inode *inode);
void fs_hidden_closed(struct fs_inode *inode);

/* The device runs here; all of the guest's files were closed. */
void fs_hidden_run(struct fs_hidden *hidden);
void fs_hidden_end(struct fs_hidden *hidden);
/* The end of a save. Fails, with a sentence, if what is hidden could not be kept for who loads. */
int fs_hidden_save(struct fs_hidden *hidden);
/* A staged state, good otherwise, is about to become the device's. */
int fs_hidden_load(struct fs_hidden *hidden, struct fs_loading *loading);

/* Of a process before this one nothing more is wanted than what was loaded (journal.h). */
void fs_hidden_outlive(struct fs_hidden *hidden);

/* How many there are. */
uint64_t fs_hidden_count(const struct fs_hidden *hidden);

#endif
