/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/hidden.c - files that the guest has removed and still has open keep a name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attic.h"
#include "fs/attic_kept.h"
#include "fs/hidden.h"
#include "fs/journal.h"
#include "fs/load.h"
#include "fs/open.h"
#include "fs/table.h"
#include "godwit/error.h"

#define NAME_MAX_HIDDEN 17 /* a node id in hexadecimal digits */

/* One that this process has joined. */
struct attic {
	struct fs_inode *dir; /* pinned, as is the next */
	struct fs_inode *parent;
	char name[FS_ATTIC_NAME_MAX];
	int lock;
	bool own; /* made here, for new ones */
};

struct fs_hidden {
	struct fs *fs;
	pthread_mutex_t lock; /* attics, and making one; comes before the table's */
	struct attic *attics;
	size_t count, room;
	_Atomic bool ours; /* the device runs, or ran last, here */
	_Atomic uint64_t files;
};

static bool is_on(const struct fs_hidden *hidden)
{
	return hidden && hidden->fs->host->orphans == FS_ORPHANS_HIDE;
}

static void sweep_root(const struct fs_hidden *hidden)
{
	if (is_on(hidden) && !hidden->fs->host->readonly)
		fs_attics_sweep(hidden->fs->root_fd);
}

int fs_hidden_new(struct fs_hidden **out, struct fs *fs)
{
	struct fs_hidden *hidden = calloc(1, sizeof(*hidden));

	if (!hidden)
		return gw_fail(ENOMEM, "hidden files: no memory");
	hidden->fs = fs;
	pthread_mutex_init(&hidden->lock, NULL);
	sweep_root(hidden);
	*out = hidden;
	return 0;
}

void fs_hidden_free(struct fs_hidden *hidden)
{
	if (!hidden)
		return;
	fs_hidden_end(hidden);
	pthread_mutex_destroy(&hidden->lock);
	free(hidden);
}

uint64_t fs_hidden_count(const struct fs_hidden *hidden)
{
	return hidden ? atomic_load_explicit(&hidden->files, memory_order_relaxed) : 0;
}

/* -- attics. The lock is held. ------------------------------------------------------------- */

/* Its name and lock are filled in by the caller. NULL: no memory. */
static struct attic *add_attic(struct fs_hidden *hidden, struct fs_inode *parent,
			       struct fs_inode *dir)
{
	struct attic *attic;

	if (hidden->count == hidden->room) {
		size_t room = GW_MAX(hidden->room * 2, (size_t)4);
		struct attic *attics = realloc(hidden->attics, room * sizeof(*attics));

		if (!attics)
			return NULL;
		hidden->attics = attics;
		hidden->room = room;
	}
	attic = &hidden->attics[hidden->count++];
	*attic = (struct attic){
		.dir = fs_inode_pin(dir), .parent = fs_inode_pin(parent), .lock = -1};
	atomic_fetch_or(&dir->flags, FS_INODE_ATTIC);
	return attic;
}

/* The topmost directory that is known on the mount of @dir; it comes pinned. */
static struct fs_inode *top_of(struct fs_inodes *inodes, struct fs_inode *dir)
{
	struct fs_inode *at = fs_inode_pin(dir);
	struct fs_name_copy name;

	while (at != inodes->root && fs_name_first(inodes, at, &name)) {
		if (name.parent->mount != at->mount) {
			fs_inode_put(name.parent);
			break;
		}
		fs_inode_put(at);
		at = name.parent;
	}
	return at;
}

/* The inode of a directory just made, pinned, with no reference of the guest's. */
static struct fs_inode *know(struct fs_inodes *inodes, struct fs_inode *parent, const char *name)
{
	struct fs_inode *inode;
	struct statx stx;
	uint64_t id;

	if (fs_inode_lookup(inodes, parent, name, &id, &stx))
		return NULL;
	inode = fs_inode_get(inodes, id);
	fs_inode_forget(inodes, id, 1);
	return inode;
}

static bool may_outlive(struct fs_hidden *hidden, const struct fs_inode *dir, int lock)
{
	int err = fs_attic_keep(hidden->fs, dir, lock);

	if (err)
		gw_warn("orphans: nothing is hidden: %s", gw_last_error());
	return !err;
}

/* A new one in @top, unless a directory on another mount is above it by now. */
static struct fs_inode *make_attic(struct fs_hidden *hidden, struct fs_inode *top)
{
	struct fs_inodes *inodes = fs_table_of(top);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	FS_AUTO_INODE struct fs_inode *dir = NULL;
	char name[FS_ATTIC_NAME_MAX];
	struct attic *attic;
	GW_AUTO_FD int lock = -1;
	int err = fs_inode_fd(top, &fd);

	if (!err)
		err = fs_attic_make(fd.fd, name, &lock);
	if (err) {
		gw_debug("orphans: nothing can be hidden on this mount: %s", strerror(-err));
		return NULL;
	}
	if (top != inodes->root) /* that was done at the start */
		fs_attics_sweep(fd.fd);
	dir = know(inodes, top, name);
	attic = dir && dir->mount == top->mount && may_outlive(hidden, dir, lock)
			? add_attic(hidden, top, dir)
			: NULL;
	if (!attic) {
		if (dir)
			fs_attic_let_go(hidden->fs, dir, lock);
		gw_close(&lock);
		fs_attic_sweep(fd.fd, name);
		return NULL;
	}
	memcpy(attic->name, name, sizeof(name));
	attic->lock = gw_take_fd(&lock);
	attic->own = true;
	return attic->dir;
}

/* Ours on the mount of @dir, pinned; it is made if need be. NULL: there can be none. */
static struct fs_inode *attic_for(struct fs_hidden *hidden, struct fs_inode *dir)
{
	FS_AUTO_INODE struct fs_inode *top = NULL;
	struct fs_inode *found = NULL;
	GW_LOCK_SCOPE(&hidden->lock);

	for (size_t i = 0; i < hidden->count && !found; i++) {
		if (hidden->attics[i].own && hidden->attics[i].dir->mount == dir->mount)
			found = hidden->attics[i].dir;
	}
	if (!found) {
		top = top_of(fs_table_of(dir), dir);
		found = make_attic(hidden, top);
	}
	return found ? fs_inode_pin(found) : NULL;
}

static void leave_attic(struct fs_hidden *hidden, struct attic *attic)
{
	FS_AUTO_PATHFD struct fs_fd parent = FS_PATHFD_INIT;

	fs_attic_let_go(hidden->fs, attic->dir, attic->lock);
	gw_close(&attic->lock);
	fs_inode_unmark(attic->dir, FS_INODE_ATTIC);
	fs_inode_put(attic->dir);
	if (!fs_inode_fd(attic->parent, &parent))
		fs_attic_sweep(parent.fd, attic->name);
	fs_fd_put(&parent);
	fs_inode_put(attic->parent);
}

void fs_hidden_end(struct fs_hidden *hidden)
{
	if (!hidden)
		return;
	GW_LOCK_SCOPE(&hidden->lock);
	for (size_t i = 0; i < hidden->count; i++)
		leave_attic(hidden, &hidden->attics[i]);
	free(hidden->attics);
	hidden->attics = NULL;
	hidden->count = hidden->room = 0;
	atomic_store(&hidden->files, 0);
}

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

	return is_on(hidden) && victim->inode && victim->fd.fd >= 0 &&
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
	attic = attic_for(hidden, parent);
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
	attic = attic_for(hidden, parent);
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

/* -- whose they are ------------------------------------------------------------------------ */

/* The lock is held. Attics with nothing in them are nobody's business. */
static int mark(struct fs_hidden *hidden, bool saved)
{
	int err = 0;

	for (size_t i = 0; i < hidden->count && !err; i++) {
		struct attic *attic = &hidden->attics[i];
		FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;

		err = fs_inode_fd(attic->dir, &fd);
		if (!err && (!saved || fs_attic_is_used(fd.fd)))
			err = fs_attic_mark(fd.fd, saved);
		if (err == -ENOENT)
			err = 0;
		if (err)
			gw_fail(-err, "%s: it cannot be marked as %s: %s", attic->name,
				saved ? "needed by the state" : "in use", strerror(-err));
	}
	return err;
}

/* Who may not change the share removes nothing: the state goes on to need what is hidden. */
void fs_hidden_run(struct fs_hidden *hidden)
{
	if (!hidden || hidden->fs->host->readonly || atomic_exchange(&hidden->ours, true))
		return;
	GW_LOCK_SCOPE(&hidden->lock);
	if (mark(hidden, false))
		gw_warn("%s", gw_last_error());
}

int fs_hidden_save(struct fs_hidden *hidden)
{
	int err;

	if (!hidden)
		return 0;
	GW_LOCK_SCOPE(&hidden->lock);
	err = mark(hidden, true);
	if (!err)
		atomic_store(&hidden->ours, false);
	return err ? gw_fail_in(err, "save") : 0;
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

/* The process before us may have left its own; else it is one more. */
static int take_lock(struct fs_hidden *hidden, struct attic *attic, int fd)
{
	int err;

	attic->lock = fs_attic_kept(hidden->fs, attic->dir, fd);
	if (attic->lock >= 0)
		return 0;
	err = fs_attic_join(fd, &attic->lock);
	if (!err && fs_attic_keep(hidden->fs, attic->dir, attic->lock))
		gw_warn("load: %s; what is hidden would not outlive this process", gw_last_error());
	return err;
}

/* The lock is held. */
static int join_attic(struct fs_hidden *hidden, struct fs_inode *dir)
{
	struct fs_inodes *inodes = fs_table_of(dir);
	const struct fs_name *name = fs_name_at(inodes, atomic_load(&dir->names));
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	struct attic *attic;
	int err;

	if (fs_inode_has(dir, FS_INODE_ATTIC))
		return 0;
	attic = add_attic(hidden, fs_slot_at(&inodes->slots, name->parent), dir);
	if (!attic)
		return gw_fail(ENOMEM, "load: no memory for hidden files");
	memcpy(attic->name, name->bytes, name->len);
	err = fs_inode_fd(dir, &fd);
	if (!err)
		err = take_lock(hidden, attic, fd.fd);
	if (err)
		gw_warn("load: %s: it cannot be joined: %s; others may take what is in it for "
			"left behind",
			attic->name, strerror(-err));
	return 0;
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
	err = join_attic(hidden, taking.dir);
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

/* -- processes that die -------------------------------------------------------------------- */

static bool is_joined(void *opaque, uint32_t slot)
{
	const struct fs_hidden *hidden = opaque;

	for (size_t i = 0; i < hidden->count; i++) {
		if (fs_slot_index(&hidden->attics[i].dir->slot) == slot)
			return true;
	}
	return false;
}

void fs_hidden_outlive(struct fs_hidden *hidden)
{
	if (!hidden)
		return;
	GW_LOCK_SCOPE(&hidden->lock);
	if (fs_attics_forsake(hidden->fs, is_joined, hidden))
		sweep_root(hidden);
}
