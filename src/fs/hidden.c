/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/hidden.c - files that the guest has removed and still has open keep a name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/hidden.h"
#include "fs/hidden_attics.h"
#include "fs/journal.h"
#include "fs/load.h"
#include "fs/open.h"
#include "fs/table.h"
#include "godwit/error.h"

#define NAME_MAX_HIDDEN 17 /* a node id in hexadecimal digits */

/* -- hiding -------------------------------------------------------------------------------- */

static void name_hidden(const struct fs_inode *inode, char name[NAME_MAX_HIDDEN])
{
	snprintf(name, NAME_MAX_HIDDEN, "%llx", (unsigned long long)fs_inode_id(inode));
}

static bool is_same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

/* Is @name the last one of a file that the guest has open? */
static bool is_due(const struct fs_hidden *hidden, int dir, const char *name,
		   const struct fs_victim *victim, struct statx *stx)
{
	struct statx there;

	return fs_hidden_is_on(hidden) && victim->inode && victim->fd.fd >= 0 &&
	       fs_inode_type(victim->inode) == S_IFREG && atomic_load(&victim->inode->opens) &&
	       !fs_statx_fd(victim->fd.fd, stx) && stx->stx_nlink == 1 &&
	       !fs_statx_at(dir, name, &there) && is_same(&there, stx);
}

/* Whoever takes the mark away removes the file. */
static void remove_if_closed(struct fs_inode *inode);

/* It has its name in an attic. A release may have been faster. */
static void became_hidden(struct fs_hidden *hidden, struct fs_inode *inode)
{
	if (!(atomic_fetch_or(&inode->flags, FS_INODE_HIDDEN) & FS_INODE_HIDDEN))
		atomic_fetch_add(&hidden->files, 1);
	remove_if_closed(inode);
}

/* Somebody on the host has put another file there in this moment: back with it. */
static bool was_right(int attic, const char *name, const struct statx *expected, int dir,
		      const char *before)
{
	struct statx stx;

	if (!fs_statx_at(attic, name, &stx) && is_same(&stx, expected))
		return true;
	if (syscall(SYS_renameat2, attic, name, dir, before, RENAME_NOREPLACE) < 0)
		gw_warn("orphans: %s cannot be put back: %s", name, strerror(errno));
	return false;
}

bool fs_hide_name(struct fs_hidden *hidden, struct fs_inode *parent, int dir, const char *name,
		  struct fs_victim *victim)
{
	FS_AUTO_INODE struct fs_inode *attic = NULL;
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct fs_inodes *inodes = victim->inodes;
	struct fs_inode *inode = victim->inode;
	char hidden_name[NAME_MAX_HIDDEN];
	struct statx stx;

	if (!is_due(hidden, dir, name, victim, &stx))
		return false;
	attic = fs_hidden_attic_for(hidden, parent);
	if (!attic || fs_inode_fd(attic, &fd))
		return false;
	name_hidden(inode, hidden_name);
	fs_journal_name_ahead(attic, hidden_name, inode, false);
	if (syscall(SYS_renameat2, dir, name, fd.fd, hidden_name, 0) < 0 ||
	    !was_right(fd.fd, hidden_name, &stx, dir, name)) {
		fs_journal_name_ahead(attic, hidden_name, inode, true);
		return false;
	}
	fs_name_found(inodes, inode, attic, hidden_name, strlen(hidden_name), false);
	fs_name_wrong(inodes, inode, parent, name);
	became_hidden(hidden, inode);
	return true;
}

/*
 * A second name first, so that at no time nobody has the first. Where there are no hard links it
 * cannot be hidden.
 */
void fs_hide_target(struct fs_hidden *hidden, struct fs_hiding *hiding, struct fs_inode *parent,
		    int dir, const char *name, const struct fs_victim *victim)
{
	FS_AUTO_INODE struct fs_inode *attic = NULL;
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	char hidden_name[NAME_MAX_HIDDEN], path[FS_FD_NAME_MAX];
	struct statx stx;

	hiding->attic = NULL;
	if (!is_due(hidden, dir, name, victim, &stx))
		return;
	attic = fs_hidden_attic_for(hidden, parent);
	if (!attic || fs_inode_fd(attic, &fd))
		return;
	name_hidden(victim->inode, hidden_name);
	snprintf(path, sizeof(path), "%d", victim->fd.fd);
	fs_journal_name_ahead(attic, hidden_name, victim->inode, false);
	if (!linkat(hidden->fs->proc_fd, path, fd.fd, hidden_name, AT_SYMLINK_FOLLOW))
		hiding->attic = gw_take_ptr(attic);
	else
		fs_journal_name_ahead(attic, hidden_name, victim->inode, true);
}

void fs_hide_target_end(struct fs_hidden *hidden, struct fs_hiding *hiding,
			const struct fs_victim *victim, bool done)
{
	FS_AUTO_INODE struct fs_inode *attic = hiding->attic;
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	char name[NAME_MAX_HIDDEN];
	struct statx stx;

	if (!attic)
		return;
	name_hidden(victim->inode, name);
	/* With more links it was not this file that the rename replaced. */
	if (done && !fs_statx_fd(victim->fd.fd, &stx) && stx.stx_nlink == 1) {
		fs_name_found(victim->inodes, victim->inode, attic, name, strlen(name), false);
		became_hidden(hidden, victim->inode);
	} else if (!fs_inode_fd(attic, &fd)) {
		unlinkat(fd.fd, name, 0);
		fs_journal_name_ahead(attic, name, victim->inode, true);
	}
}

/* -- open files ---------------------------------------------------------------------------- */

/* More are not counted, and it is hidden until the session ends. */
#define OPENS_MAX UINT16_MAX

void fs_hidden_opened(struct fs_inode *inode)
{
	uint16_t opens = atomic_load(&inode->opens);

	while (opens != OPENS_MAX &&
	       !atomic_compare_exchange_weak(&inode->opens, &opens, (uint16_t)(opens + 1)))
		;
}

/* @name if it is in an attic and leads to @inode. */
static void remove_named(struct fs_inode *inode, const struct fs_name_copy *name)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct fs_victim victim;
	struct statx stx;

	if (!fs_inode_has(name->parent, FS_INODE_ATTIC) || fs_inode_fd(name->parent, &fd))
		return;
	fs_name_removing(inodes, name->parent, name->name, &victim);
	fs_name_removed(&victim, victim.inode == inode && !fs_statx_at(fd.fd, name->name, &stx) &&
					 stx.stx_ino == inode->ino &&
					 fs_mount_is(inodes, inode->mount, &stx) &&
					 !unlinkat(fd.fd, name->name, 0));
}

static void remove_if_closed(struct fs_inode *inode)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	struct fs_hidden *hidden = inodes->fs->hidden;
	struct fs_name_copy *names;
	unsigned count;

	if (!hidden || !atomic_load(&hidden->ours) || atomic_load(&inode->opens) ||
	    !fs_inode_has(inode, FS_INODE_HIDDEN) || !fs_inode_unmark(inode, FS_INODE_HIDDEN))
		return;
	atomic_fetch_sub(&hidden->files, 1);
	if (fs_names_copy(inodes, inode, &names, &count))
		return;
	for (unsigned i = 0; i < count; i++)
		remove_named(inode, &names[i]);
	fs_names_copy_free(names, count);
}

void fs_hidden_closed(struct fs_inode *inode)
{
	uint16_t opens = atomic_load(&inode->opens);

	while (opens && opens != OPENS_MAX &&
	       !atomic_compare_exchange_weak(&inode->opens, &opens, (uint16_t)(opens - 1)))
		;
	remove_if_closed(inode);
}

/* -- a state ------------------------------------------------------------------------------- */

static bool is_attic(const struct fs_inodes *inodes, const struct fs_inode *dir)
{
	const struct fs_name *name = fs_name_at(inodes, atomic_load(&dir->names));

	return name && dir->type == S_IFDIR >> 12 && fs_attic_is_name(name->bytes, name->len);
}

/* No honest state has files of another kind there, or lets a guest know the directory. */
static int check_hidden(struct fs_inode *inode, struct fs_inode *dir)
{
	if (inode->type == S_IFREG >> 12 && !dir->lookups)
		return 0;
	return gw_fail(EINVAL, "load: inode %llu cannot be hidden in inode %llu",
		       (unsigned long long)fs_inode_id(inode),
		       (unsigned long long)fs_inode_id(dir));
}

struct taking {
	struct fs_hidden *hidden;
	struct fs_inode *inode;
	struct fs_inode *dir; /* NULL: none of its names is in an attic */
};

static int find_attic(void *opaque, const struct fs_name *name)
{
	struct taking *taking = opaque;
	struct fs_inodes *inodes = fs_table_of(taking->inode);
	struct fs_inode *dir = fs_slot_at(&inodes->slots, name->parent);

	if (is_attic(inodes, dir))
		taking->dir = dir;
	return 0;
}

/* The lock is held. */
static int take_over(struct fs_hidden *hidden, struct fs_inode *inode)
{
	struct taking taking = {.hidden = hidden, .inode = inode};
	int err = fs_names_walk(fs_table_of(inode), inode, find_attic, &taking);

	if (err || !taking.dir)
		return err;
	err = check_hidden(inode, taking.dir);
	if (err || fs_inode_has(inode, FS_INODE_LOST))
		return err;
	err = fs_hidden_join(hidden, taking.dir);
	if (err)
		return err;
	atomic_fetch_or(&inode->flags, FS_INODE_HIDDEN);
	atomic_fetch_add(&hidden->files, 1);
	return 0;
}

/* Of a state in rounds some were adopted before it was known where they are. */
static int take_over_any(struct fs_hidden *hidden, struct fs_inodes *inodes)
{
	struct fs_inode *inode;
	uint32_t at = 0;
	int err = 0;

	while (!err && (inode = fs_slots_next(&inodes->slots, &at))) {
		if (inode == inodes->root || !fs_slot_try_pin(&inode->slot))
			continue;
		err = take_over(hidden, inode);
		fs_inode_put(inode);
	}
	return err;
}

int fs_hidden_load(struct fs_hidden *hidden, struct fs_loading *loading)
{
	int err = 0;

	if (!hidden)
		return 0;
	fs_hidden_end(hidden);
	atomic_store(&hidden->ours, false);
	if (!loading->has_attics)
		return 0;
	GW_LOCK_SCOPE(&hidden->lock);
	if (loading->phased)
		return take_over_any(hidden, loading->inodes);
	for (size_t i = 0; i < loading->staged_count && !err; i++)
		err = take_over(hidden, fs_staged_at(loading, i));
	return err;
}
