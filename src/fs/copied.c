/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/copied.c - a tree that is a copy of the source's: what has the right path and type is it. */
#include <errno.h>
#include <fcntl.h>

#include "base/cleanup.h"
#include "fs/open.h"
#include "fs/table.h"

/*
 * On another file system neither numbers nor birth times nor handles are the source's, and the
 * operator has said so (--migration-identity=same-tree). So an inode out of the state is who its
 * names lead to, if that is of its type. As long as it was not looked for it is in no index, since
 * nothing is known by which others could be compared with it; that no file gets two node ids is
 * kept by looking for it before anybody meets its name (fs_name_settle()), and before a file with
 * several links becomes a newcomer. What is found has number and birth of its own from there on,
 * and is checked by them like every other; the guest goes on to see the source's number
 * (numbers.c).
 */

static bool is_same_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

/* One of its names. *@fd, *@stx: what the ones before led to, or -1. */
static int follow(struct fs_inodes *inodes, const struct fs_name_copy *name, int *fd,
		  struct statx *stx)
{
	GW_AUTO_FD int here =
		fs_open_named(inodes, fs_inode_pin(name->parent), name->name, name->len);
	struct statx at;
	int err = here < 0 ? here : fs_statx_fresh(here, "", &at);

	if (err)
		return err;
	if (*fd >= 0)
		return is_same_file(stx, &at) ? 0 : -FS_TWO_FILES;
	*fd = gw_take_fd(&here);
	*stx = at;
	return 0;
}

/* A name that is not in the copy says nothing, if another one is. */
static int follow_all(struct fs_inodes *inodes, struct fs_inode *inode, struct statx *stx)
{
	GW_AUTO_FD int fd = -1;
	struct fs_name_copy *names;
	unsigned count;
	int failed = -ENOENT, err = fs_names_copy(inodes, inode, &names, &count);

	if (err)
		return err;
	for (unsigned i = 0; i < count && err != -FS_TWO_FILES; i++) {
		err = follow(inodes, &names[i], &fd, stx);
		if (err && !fs_is_gone(err))
			failed = err;
	}
	fs_names_copy_free(names, count);
	if (err == -FS_TWO_FILES)
		return err;
	return fd < 0 ? failed : gw_take_fd(&fd);
}

int fs_copied_find(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct statx stx = {0};
	GW_AUTO_FD int fd = follow_all(inodes, inode, &stx);
	int err = fd < 0 ? fd : fs_identity_take(inodes, inode, &stx, fd);

	if (err == 1) /* somebody was faster, and may have found another file */
		err = fs_inode_prove(inodes, inode, fd);
	if (err)
		return err;
	if (inode->mount && S_ISDIR(stx.stx_mode))
		fs_mount_offer(inodes, inode->mount, fd);
	if (stx.stx_nlink > 1 && !S_ISDIR(stx.stx_mode))
		atomic_fetch_or(&inode->flags, FS_INODE_LINKS);
	return gw_take_fd(&fd);
}

static bool is_wanted(const struct fs_inode *inode)
{
	return fs_inode_is_copied(inode) && !fs_inode_has(inode, FS_INODE_LOST);
}

/* Is anything left to look for? */
static bool is_due(const struct fs_inodes *inodes)
{
	return inodes->copied.is_copy &&
	       atomic_load_explicit(&inodes->lazy.unresolved, memory_order_relaxed);
}

void fs_name_settle(struct fs_inodes *inodes, struct fs_inode *parent, const char *name)
{
	FS_AUTO_INODE struct fs_inode *inode =
		is_due(inodes) ? fs_name_pin(inodes, parent, name) : NULL;

	if (inode && is_wanted(inode))
		fs_inode_check(inodes, inode);
}

/* Once: those that the guest gets to know afterwards have been found. */
void fs_copied_settle_links(struct fs_inodes *inodes)
{
	uint32_t at = FS_ROOT_ID + 1;
	struct fs_inode *inode;

	if (!is_due(inodes) || !atomic_load(&inodes->copied.links))
		return;
	while ((inode = fs_slots_next(&inodes->slots, &at))) {
		if (!is_wanted(inode) || !fs_inode_has(inode, FS_INODE_LINKS) ||
		    !fs_slot_try_pin(&inode->slot))
			continue;
		fs_inode_check(inodes, inode);
		fs_inode_put(inode);
	}
	atomic_store(&inodes->copied.links, false);
}

/*
 * Renames of the guest. A path that is looked for in between has one end already and not yet the
 * other (resolve.c).
 */

void fs_name_moving(struct fs_inodes *inodes, struct fs_inode *from, const char *from_name,
		    struct fs_inode *to, const char *to_name)
{
	fs_name_settle(inodes, from, from_name);
	fs_name_settle(inodes, to, to_name);
	atomic_fetch_add(&inodes->moves.begun, 1);
}

void fs_name_move_ended(struct fs_inodes *inodes)
{
	atomic_fetch_add(&inodes->moves.ended, 1);
}
