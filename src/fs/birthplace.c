/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/birthplace.c - on which mount a file without a name is made anew. */
#include <stdlib.h>

#include "fs/load.h"

/* A file can have a name only on its own mount, and takes room of that alone. Directories on one
 * that are tried until one is found: as a rule the first, its topmost, is. */
#define TRIES_MAX 16u

struct fs_birthplace {
	bool known;
	struct fs_inode *dir; /* pinned; NULL: none was found */
	struct fs_fd fd;
};

static bool is_top(const struct fs_inodes *inodes, const struct fs_inode *dir)
{
	const struct fs_name *name = fs_name_at(inodes, atomic_load(&dir->names));
	const struct fs_inode *parent = name ? fs_slot_at(&inodes->slots, name->parent) : NULL;

	return parent && parent->mount != dir->mount;
}

static bool try_dir(struct fs_birthplace *place, struct fs_inode *dir)
{
	if (fs_inode_fd(dir, &place->fd))
		return false;
	place->dir = fs_inode_pin(dir);
	return true;
}

static bool look(struct fs_loading *loading, struct fs_birthplace *place, unsigned mount, bool tops)
{
	unsigned tries = 0;

	for (size_t i = 0; i < loading->staged_count && tries < TRIES_MAX; i++) {
		struct fs_inode *dir = fs_staged_at(loading, i);

		if (!fs_inode_has(dir, FS_INODE_STAGED) || dir->mount != mount ||
		    dir->type != S_IFDIR >> 12 || fs_inode_has(dir, FS_INODE_LOST) ||
		    fs_inode_has(dir, FS_INODE_NEWBORN) || is_top(loading->inodes, dir) != tops)
			continue;
		tries++;
		if (try_dir(place, dir))
			return true;
	}
	return false;
}

/* NULL: no memory. Directories and their names have come before. */
static struct fs_birthplace *place_on(struct fs_loading *loading, unsigned mount)
{
	struct fs_birthplace *place;

	if (!loading->birthplaces)
		loading->birthplaces = calloc(FS_MOUNTS_MAX, sizeof(*loading->birthplaces));
	if (!loading->birthplaces || fs_names_feed_end(loading->inodes, &loading->feed))
		return NULL;
	place = &loading->birthplaces[mount];
	if (!place->known) {
		place->known = true;
		if (!look(loading, place, mount, true))
			look(loading, place, mount, false);
	}
	return place;
}

int fs_birthplace(struct fs_loading *loading, const struct fs_inode *inode)
{
	const struct fs_birthplace *place = inode->mount ? place_on(loading, inode->mount) : NULL;

	return place && place->dir ? place->fd.fd : loading->fs->root_fd;
}

void fs_birthplaces_free(struct fs_loading *loading)
{
	for (unsigned i = 0; loading->birthplaces && i < FS_MOUNTS_MAX; i++) {
		struct fs_birthplace *place = &loading->birthplaces[i];

		if (!place->dir)
			continue;
		fs_fd_put(&place->fd);
		fs_inode_put(place->dir);
	}
	free(loading->birthplaces);
	loading->birthplaces = NULL;
}
