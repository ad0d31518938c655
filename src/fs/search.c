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

/* Entries that are looked at in all: about a tenth of a second with a warm cache. */
#define ENTRIES_MAX (1u << 17)
#define FIRST_ROOM  16u
#define CHUNK	    (16 * 1024)

struct wanted {
	uint64_t ino;
	struct fs_inode *inode; /* pinned */
	bool found;
};

struct fs_search {
	struct fs_inodes *inodes;
	struct wanted *wanted; /* by number */
	size_t count, left;
	struct fs_inode_list queue; /* directories, nearest to the root first */
	size_t next;
	int fd; /* the one that is read, the last before next, or -1 */
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

static struct wanted *wanted_at(const struct fs_search *search, uint64_t ino)
{
	const struct wanted key = {.ino = ino};

	return bsearch(&key, search->wanted, search->count, sizeof(key), compare);
}

/* A look-up as a guest's, which is given back at once, gives the inode the name. */
static int look_at(struct fs_search *search, struct fs_inode *dir, const struct dirent64 *d)
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

static int look_at_all(struct fs_search *search, struct fs_inode *dir, const char *buf, size_t len)
{
	int err = 0;

	for (size_t i = 0; i < len && search->budget && search->left && !err; search->budget--) {
		const struct dirent64 *d = (const void *)(buf + i);

		atomic_fetch_add_explicit(&search->inodes->searched, 1, memory_order_relaxed);
		err = look_at(search, dir, d);
		i += d->d_reclen;
	}
	return err;
}

/* What cannot be read is passed over. */
int fs_search_step(struct fs_search *search)
{
	_Alignas(struct dirent64) char buf[CHUNK];
	struct fs_inode *dir;
	ssize_t len;
	int err;

	if (!search->left || !search->budget)
		return 0;
	if (search->fd < 0 && search->next == search->queue.count)
		return 0;
	if (search->fd < 0)
		search->fd =
			fs_inode_open(search->queue.inodes[search->next++], O_RDONLY | O_DIRECTORY);
	if (search->fd < 0)
		return 1;
	dir = search->queue.inodes[search->next - 1];
	len = getdents64(search->fd, buf, sizeof(buf));
	err = len > 0 ? look_at_all(search, dir, buf, (size_t)len) : 0;
	if (len <= 0)
		gw_close(&search->fd);
	return err ? err : 1;
}

/* What was lost was looked for when it came. */
static void want(struct fs_search *search, const struct fs_inode_list *missing)
{
	for (size_t i = 0; i < missing->count; i++) {
		struct fs_inode *inode = missing->inodes[i];

		if (!fs_inode_has(inode, FS_INODE_LOST))
			search->wanted[search->count++] =
				(struct wanted){.ino = inode->ino, .inode = fs_inode_pin(inode)};
	}
	search->left = search->count;
	qsort(search->wanted, search->count, sizeof(*search->wanted), compare);
}

int fs_search_begin(struct fs_search **out, struct fs_inodes *inodes,
		    const struct fs_inode_list *missing)
{
	struct fs_search *search = calloc(1, sizeof(*search));

	*out = search;
	if (!search)
		return -ENOMEM;
	search->inodes = inodes;
	search->budget = ENTRIES_MAX;
	search->fd = -1;
	search->wanted = calloc(missing->count + 1, sizeof(*search->wanted));
	if (!search->wanted || fs_list_note(&search->queue, inodes->root)) {
		fs_search_end(search, false);
		*out = NULL;
		return -ENOMEM;
	}
	want(search, missing);
	return 0;
}

void fs_search_end(struct fs_search *search, bool whole)
{
	if (!search)
		return;
	for (size_t i = 0; i < search->count; i++) {
		if (whole)
			atomic_fetch_or(&search->wanted[i].inode->flags, FS_INODE_SOUGHT);
		fs_inode_put(search->wanted[i].inode);
	}
	gw_close(&search->fd);
	fs_list_free(&search->queue);
	free(search->wanted);
	free(search);
}

int fs_search(struct fs_inodes *inodes, const struct fs_inode_list *missing)
{
	struct fs_search *search;
	int more = fs_search_begin(&search, inodes, missing);

	if (more)
		return more;
	do {
		more = fs_search_step(search);
	} while (more > 0);
	fs_search_end(search, false);
	return more;
}
