/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/search.c - for what no known name leads to: a look through the share, up to a limit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/dispatch.h"

/* Entries that are looked at in all. The guest stands still meanwhile: about a tenth of a second
 * with a warm cache. */
#define ENTRIES_MAX (1u << 17)
#define FIRST_ROOM  16u
#define CHUNK	    (16 * 1024)

struct wanted {
	uint64_t ino;
	struct fs_inode *inode;
	bool found;
};

struct search {
	struct fs_inodes *inodes;
	struct wanted *wanted; /* by number */
	size_t count, left;
	struct fs_inode_list queue; /* directories, nearest to the root first */
	size_t next;
	uint32_t budget;
};

int fs_list_note(struct fs_inode_list *list, struct fs_inode *inode)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : FIRST_ROOM;
		struct fs_inode **inodes = realloc(list->inodes, room * sizeof(*inodes));

		if (!inodes)
			return -ENOMEM;
		list->inodes = inodes;
		list->room = room;
	}
	list->inodes[list->count++] = fs_inode_pin(inode);
	return 0;
}

void fs_list_free(struct fs_inode_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		fs_inode_put(list->inodes[i]);
	free(list->inodes);
	*list = (struct fs_inode_list){0};
}

static int compare(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

static struct wanted *wanted_at(const struct search *search, uint64_t ino)
{
	const struct wanted key = {.ino = ino};

	return bsearch(&key, search->wanted, search->count, sizeof(key), compare);
}

/* A look-up as a guest's, which is given back at once, gives the inode the name. */
static int look_at(struct search *search, struct fs_inode *dir, const struct dirent64 *d)
{
	struct wanted *wanted = wanted_at(search, d->d_ino);
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	struct statx stx;
	uint64_t id;

	if (!wanted && d->d_type != DT_DIR && d->d_type != DT_UNKNOWN)
		return 0;
	if (fs_name_check(d->d_name, strlen(d->d_name)) ||
	    fs_inode_lookup(search->inodes, dir, d->d_name, &id, &stx))
		return 0;
	inode = fs_inode_get(search->inodes, id);
	fs_inode_forget(search->inodes, id, 1);
	if (wanted && wanted->inode == inode && !wanted->found) {
		wanted->found = true;
		search->left--;
	}
	return inode && S_ISDIR(stx.stx_mode) ? fs_list_note(&search->queue, inode) : 0;
}

static int look_at_all(struct search *search, struct fs_inode *dir, const char *buf, size_t len)
{
	int err = 0;

	for (size_t i = 0; i < len && search->budget && search->left && !err; search->budget--) {
		const struct dirent64 *d = (const void *)(buf + i);

		err = look_at(search, dir, d);
		i += d->d_reclen;
	}
	return err;
}

/* What cannot be read is passed over. */
static int look_through(struct search *search, struct fs_inode *dir)
{
	_Alignas(struct dirent64) char buf[CHUNK];
	GW_AUTO_FD int fd = fs_inode_open(dir, O_RDONLY | O_DIRECTORY);
	ssize_t len = 0;
	int err = 0;

	while (fd >= 0 && !err && search->budget && search->left &&
	       (len = getdents64(fd, buf, sizeof(buf))) > 0)
		err = look_at_all(search, dir, buf, (size_t)len);
	return err;
}

int fs_search(struct fs_inodes *inodes, const struct fs_inode_list *missing)
{
	struct search search = {.inodes = inodes,
				.wanted = calloc(missing->count + 1, sizeof(*search.wanted)),
				.budget = ENTRIES_MAX};
	int err = search.wanted ? fs_list_note(&search.queue, inodes->root) : -ENOMEM;

	for (size_t i = 0; !err && i < missing->count; i++) {
		struct fs_inode *inode = missing->inodes[i];

		if (!fs_inode_has(inode, FS_INODE_LOST)) /* that was looked for when it came */
			search.wanted[search.count++] =
				(struct wanted){.ino = inode->ino, .inode = inode};
	}
	search.left = search.count;
	if (!err)
		qsort(search.wanted, search.count, sizeof(*search.wanted), compare);
	while (!err && search.left && search.budget && search.next < search.queue.count)
		err = look_through(&search, search.queue.inodes[search.next++]);
	fs_list_free(&search.queue);
	free(search.wanted);
	return err;
}
