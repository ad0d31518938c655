/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/inode.c - the inode table: node ids, look-ups, forgetting. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/journal.h"
#include "fs/open.h"
#include "fs/root.h"
#include "fs/table.h"
#include "godwit/error.h"

#define EVICT_AT_EMFILE 16

struct fs_inode *fs_inode_get(struct fs_inodes *inodes, uint64_t nodeid)
{
	return fs_slot_get(&inodes->slots, nodeid);
}

struct fs_inode *fs_inode_pin(struct fs_inode *inode)
{
	fs_slot_pin(&inode->slot);
	return inode;
}

uint64_t fs_inode_id(const struct fs_inode *inode)
{
	return fs_slot_id(&inode->slot);
}

mode_t fs_inode_type(const struct fs_inode *inode)
{
	return (mode_t)inode->type << 12;
}

/* Drops the names of a dying inode; parents that die of it are put on the list at *@dying. */
static void drop_names(struct fs_inodes *inodes, struct fs_inode *inode, uint32_t *dying)
{
	uint32_t names = fs_names_take_all(inodes, inode);
	struct fs_inode *parent;

	while ((parent = fs_name_release(inodes, &names))) {
		if (!fs_slot_unpin(&parent->slot))
			continue;
		fs_identity_remove(inodes, parent);
		parent->slot.link = *dying;
		*dying = fs_slot_index(&parent->slot);
	}
}

/* A list and no recursion: how deep a tree is, is the guest's choice. */
void fs_inode_destroy(struct fs_inode *inode)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	uint32_t dying = fs_slot_index(&inode->slot);

	fs_identity_remove(inodes, inode);
	inode->slot.link = 0;
	while (dying) {
		struct fs_inode *dead = fs_slot_at(&inodes->slots, dying);

		dying = dead->slot.link;
		drop_names(inodes, dead, &dying);
		fs_fdcache_drop(inodes, dead);
		fs_number_drop(inodes, dead);
		fs_mount_put(inodes, dead->mount);
		fs_fhandle_forget(dead);
		fs_inode_changed(dead);
		fs_journal_inode_gone(dead);
		fs_journal_let_go(dead);
		fs_slot_free(&dead->slot);
	}
}

void fs_inode_put(struct fs_inode *inode)
{
	if (fs_slot_unpin(&inode->slot))
		fs_inode_destroy(inode);
}

bool fs_inodes_relieve(struct fs_inodes *inodes, int result)
{
	if (result != -EMFILE && result != -ENFILE)
		return false;
	return fs_fdcache_evict(inodes, EVICT_AT_EMFILE) > 0;
}

/*
 * Look-ups.
 */

static void set_identity(struct fs_inode *inode, unsigned mount, const struct statx *stx)
{
	inode->ino = stx->stx_ino;
	inode->btime = fs_btime(stx);
	inode->mount = (uint16_t)mount;
	inode->type = (uint8_t)((stx->stx_mode & S_IFMT) >> 12);
	if (stx->stx_nlink > 1 && !S_ISDIR(stx->stx_mode))
		atomic_store(&inode->flags, FS_INODE_LINKS);
}

/* Who @fd (of which @stx tells) is, as a new inode if need be. Consumes the mount's reference and
 * @fd. */
static int know(struct fs_inodes *inodes, unsigned mount, const struct statx *stx, int fd,
		struct fs_inode **inode)
{
	GW_AUTO_FD int ours = fd;
	struct fs_inode *fresh = fs_inodes_full(inodes) ? NULL : fs_slot_new(&inodes->slots);
	int result;

	if (!fresh) {
		fs_mount_put(inodes, mount);
		return -ENOMEM;
	}
	set_identity(fresh, mount, stx);
	result = fs_number_newcomer(inodes, fresh);
	/* The descriptor comes before the identity: who is found is held. */
	if (!result)
		result = fs_fdcache_install(inodes, fresh, gw_take_fd(&ours));
	*inode = result < 0 ? NULL : fs_identity_add(inodes, fresh, stx, result);
	if (*inode != fresh) {
		fs_inode_destroy(fresh);
		return result < 0 ? result : 0;
	}
	fs_fd_put(&(struct fs_fd){.fd = result, .inode = fresh});
	return 0;
}

/*
 * NULL: nobody that is known. A record out of a stream that could be this one, and could as well be
 * a file that was here before it, is looked for first: it is what its own names lead to, and while
 * its descriptor is held no other file can have its number.
 */
static int who_is(struct fs_inodes *inodes, unsigned mount, const struct statx *stx, int fd,
		  struct fs_inode **inode)
{
	FS_AUTO_INODE struct fs_inode *untold = NULL;
	FS_AUTO_PATHFD struct fs_fd held = FS_PATHFD_INIT;
	int err;

	*inode = fs_identity_find(inodes, mount, stx, fd, &untold);
	if (!untold)
		return 0;
	err = fs_inode_fd(untold, &held);
	if (err && err != -ESTALE)
		return err;
	*inode = fs_identity_find(inodes, mount, stx, fd, NULL);
	return 0;
}

/* Who the name leads to, by its descriptor: what statx() alone said may have changed meanwhile. */
static int look_closely(struct fs_inodes *inodes, struct fs_inode *parent, int fd,
			struct statx *stx, struct fs_inode **inode)
{
	GW_AUTO_FD int ours = fd;
	unsigned mount;
	int err = fs_statx_fd(fd, stx);

	if (err)
		return err;
	err = fs_mount_get(inodes, stx, parent->mount, &mount);
	if (err)
		return err;
	if (mount && S_ISDIR(stx->stx_mode))
		fs_mount_offer(inodes, mount, fd);
	err = who_is(inodes, mount, stx, fd, inode);
	if (!err && !*inode && stx->stx_nlink > 1 && inodes->copied.is_copy) {
		fs_copied_settle_links(inodes);
		*inode = fs_identity_find(inodes, mount, stx, fd, NULL);
	}
	if (!err && !*inode)
		return know(inodes, mount, stx, gw_take_fd(&ours), inode);
	fs_mount_put(inodes, mount);
	return err;
}

/* One system call for what is known. */
static int look_up(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		   struct statx *stx, struct fs_inode **inode)
{
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	unsigned mount;
	int err = fs_inode_fd(parent, &dir);

	if (!err)
		err = fs_statx_at(dir.fd, name, stx);
	if (!err)
		err = fs_mount_get(inodes, stx, parent->mount, &mount);
	if (err)
		return err;
	*inode = fs_identity_find(inodes, mount, stx, -1, NULL);
	fs_mount_put(inodes, mount);
	if (*inode)
		return 0;
	do {
		err = fs_open_beneath(dir.fd, name, O_PATH, 0);
	} while (fs_inodes_relieve(inodes, err));
	return err < 0 ? err : look_closely(inodes, parent, err, stx, inode);
}

static bool has_one_name(const struct statx *stx)
{
	return S_ISDIR(stx->stx_mode) || stx->stx_nlink <= 1;
}

static void found_as(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_inode *parent,
		     const char *name, const struct statx *stx)
{
	if (stx->stx_nlink > 1 && !fs_inode_has(inode, FS_INODE_LINKS) && !S_ISDIR(stx->stx_mode)) {
		atomic_fetch_or(&inode->flags, FS_INODE_LINKS);
		fs_inode_changed(inode);
	}
	/* Without memory for the name the inode is harder to find later, and no more. */
	fs_name_found(inodes, inode, parent, name, strlen(name), has_one_name(stx));
}

/* As the guest is to see it. */
static void show(struct fs_inodes *inodes, const struct fs_inode *inode, struct statx *stx)
{
	stx->stx_ino = fs_number_seen(inodes, inode);
	if (fs_inode_has(inode, FS_INODE_HIDDEN) && stx->stx_nlink)
		stx->stx_nlink--;
}

int fs_inode_lookup(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		    uint64_t *nodeid, struct statx *stx)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	int err;

	fs_name_settle(inodes, parent, name);
	err = look_up(inodes, parent, name, stx, &inode);
	if (err)
		return err;
	found_as(inodes, inode, parent, name, stx);
	show(inodes, inode, stx);
	*nodeid = fs_inode_id(inode);
	return 0;
}

int fs_inode_lookup_fd(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, int fd,
		       uint64_t *nodeid, struct statx *stx)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	int err;

	do {
		err = fs_open_again(inodes->fs->proc_fd, fd, O_PATH);
	} while (fs_inodes_relieve(inodes, err));
	if (err >= 0)
		err = look_closely(inodes, parent, err, stx, &inode);
	if (err)
		return err;
	if (name)
		found_as(inodes, inode, parent, name, stx);
	else
		fs_fdcache_pin(inode); /* there is no way back to it */
	show(inodes, inode, stx);
	*nodeid = fs_inode_id(inode);
	return 0;
}

void fs_inode_forget(struct fs_inodes *inodes, uint64_t nodeid, uint64_t count)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(inodes, nodeid);

	if (inode && inode != inodes->root)
		fs_lookups_drop(inodes, inode, count);
}

/*
 * What an inode is asked.
 */

int fs_inode_open(struct fs_inode *inode, int flags)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	mode_t type = fs_inode_type(inode);
	int result;

	/* Opening a FIFO may wait, opening a device may do anything. */
	if (type != S_IFREG && type != S_IFDIR)
		return -ENXIO;
	result = fs_inode_fd(inode, &fd);
	if (result)
		return result;
	flags &= ~(O_PATH | O_CREAT | O_EXCL);
	do {
		result = fs_open_again(inodes->fs->proc_fd, fd.fd, flags | O_NOCTTY);
	} while (fs_inodes_relieve(inodes, result));
	return result;
}

int fs_inode_statx(struct fs_inode *inode, struct statx *stx)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err = fs_inode_fd(inode, &fd);

	if (!err)
		err = fs_statx_fd(fd.fd, stx);
	if (!err)
		show(fs_table_of(inode), inode, stx);
	return err;
}

uint64_t fs_inode_number(struct fs_inode *dir, const char *name, uint64_t ino)
{
	struct fs_inodes *inodes = fs_table_of(dir);
	FS_AUTO_INODE struct fs_inode *known =
		fs_numbers_any(inodes) ? fs_name_pin(inodes, dir, name) : NULL;

	return known ? fs_number_seen(inodes, known) : fs_number_of(dir->mount, ino);
}

void fs_inode_stats(const struct fs_inodes *inodes, struct fs_inode_stats *stats)
{
	stats->inodes = atomic_load_explicit(&inodes->slots.alive, memory_order_relaxed);
	stats->descriptors = atomic_load_explicit(&inodes->fds.cached, memory_order_relaxed);
	stats->unresolved = atomic_load_explicit(&inodes->lazy.unresolved, memory_order_relaxed);
	stats->resolved = atomic_load_explicit(&inodes->lazy.resolved, memory_order_relaxed);
	stats->stale = atomic_load_explicit(&inodes->lazy.stale, memory_order_relaxed);
}

/*
 * The table as a whole.
 */

static int add_root(struct fs_inodes *inodes)
{
	struct fs_inode *root = fs_slot_new(&inodes->slots);
	struct statx stx;
	int fd, err;

	if (!root)
		return -ENOMEM;
	inodes->root = root;
	err = fs_statx_fd(inodes->fs->root_fd, &stx);
	if (err)
		return err;
	set_identity(root, 0, &stx);
	fs_slot_publish(&root->slot);
	fs_identity_adopt(inodes, root);
	fd = fcntl(inodes->fs->root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* The user that it comes with stays: the root is never let go. */
	fd = fs_fdcache_install(inodes, root, fd);
	return fd < 0 ? fd : 0;
}

static int set_up(struct fs_inodes *inodes)
{
	int err = fs_slots_init(&inodes->slots, sizeof(struct fs_inode), inodes);

	if (!err)
		err = fs_numbers_init(inodes);
	if (!err)
		err = fs_identities_init(inodes);
	if (!err)
		err = fs_names_init(inodes);
	if (!err)
		err = fs_fhandles_init(inodes);
	if (!err)
		err = fs_fdcache_init(inodes, fs_root_fd_limit(inodes->fs));
	if (!err)
		err = fs_mounts_init(inodes);
	if (!err)
		err = add_root(inodes);
	return err;
}

int fs_inodes_new(struct fs_inodes **out, struct fs *fs)
{
	struct fs_inodes *inodes = calloc(1, sizeof(*inodes));
	int err;

	if (!inodes)
		return gw_fail(ENOMEM, "inode table: no memory");
	inodes->fs = fs;
	err = set_up(inodes);
	if (err) {
		fs_inodes_free(inodes);
		return gw_fail(-err, "inode table: %s", strerror(-err));
	}
	*out = inodes;
	return 0;
}

static void forget_all(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_inode *parent;
	uint32_t names;

	fs_lookups_drop(inodes, inode, UINT64_MAX);
	/* Names hold parents, and after host-side renames perhaps in a circle. */
	names = fs_names_take_all(inodes, inode);
	while ((parent = fs_name_release(inodes, &names)))
		fs_inode_put(parent);
}

void fs_inodes_clear(struct fs_inodes *inodes)
{
	uint32_t at = FS_ROOT_ID + 1;
	struct fs_inode *inode;

	while ((inode = fs_slots_next(&inodes->slots, &at))) {
		if (!fs_slot_try_pin(&inode->slot))
			continue;
		forget_all(inodes, inode);
		fs_inode_put(inode);
	}
}

void fs_inodes_free(struct fs_inodes *inodes)
{
	if (!inodes)
		return;
	fs_index_fini(inodes);
	if (inodes->root) {
		fs_inodes_clear(inodes);
		fs_fdcache_drop(inodes, inodes->root);
	}
	fs_tracking_fini(&inodes->tracking, &inodes->slots);
	fs_mounts_fini(inodes);
	fs_fdcache_fini(inodes);
	fs_fhandles_fini(inodes);
	fs_names_fini(inodes);
	fs_identities_fini(inodes);
	fs_numbers_fini(inodes);
	fs_slots_fini(&inodes->slots);
	free(inodes);
}
