/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/hidden_attics.c - the attics that this process has joined, and whose they are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attic_kept.h"
#include "fs/hidden_attics.h"
#include "fs/table.h"
#include "godwit/error.h"

bool fs_hidden_is_on(const struct fs_hidden *hidden)
{
	return hidden && hidden->fs->host->orphans == FS_ORPHANS_HIDE;
}

/* Without locks that all see nobody can tell whose an attic is. */
static bool may_sweep(const struct fs_hidden *hidden)
{
	const struct fs_host *host = hidden->fs->host;

	return !host->readonly && !host->locks_are_local;
}

static void sweep_root(const struct fs_hidden *hidden)
{
	if (fs_hidden_is_on(hidden) && may_sweep(hidden))
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
	if (top != inodes->root && may_sweep(hidden)) /* that was done at the start */
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

struct fs_inode *fs_hidden_attic_for(struct fs_hidden *hidden, struct fs_inode *dir)
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

/* Where nobody can tell whose they are, those of the device that runs are ours. */
static void leave_attic(struct fs_hidden *hidden, struct attic *attic)
{
	bool sweeps = may_sweep(hidden) || (!hidden->fs->host->readonly && hidden->ours);
	FS_AUTO_PATHFD struct fs_fd parent = FS_PATHFD_INIT;

	fs_attic_let_go(hidden->fs, attic->dir, attic->lock);
	gw_close(&attic->lock);
	fs_inode_unmark(attic->dir, FS_INODE_ATTIC);
	fs_inode_put(attic->dir);
	if (sweeps && !fs_inode_fd(attic->parent, &parent))
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

int fs_hidden_join(struct fs_hidden *hidden, struct fs_inode *dir)
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
