/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names_read.c - an inode's names, told to whoever asks. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/table.h"

static const struct fs_name *first_of(const struct fs_inodes *inodes, struct fs_inode *inode)
{
	return fs_name_at(inodes, atomic_load_explicit(&inode->names, memory_order_relaxed));
}

static struct fs_name_copy *copy_all(struct fs_inodes *inodes, const struct fs_name *record,
				     unsigned *count)
{
	struct fs_name_copy *copies;
	unsigned n = 0;

	for (const struct fs_name *r = record; r; r = fs_name_at(inodes, r->next))
		n++;
	copies = calloc(n ? n : 1, sizeof(*copies));
	for (*count = 0; copies && record; record = fs_name_at(inodes, record->next)) {
		struct fs_name_copy *copy = &copies[(*count)++];

		copy->parent = fs_slot_at(&inodes->slots, record->parent);
		fs_slot_pin(&copy->parent->slot);
		copy->len = record->len;
		memcpy(copy->name, record->bytes, record->len);
	}
	return copies;
}

int fs_names_copy(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy **copies,
		  unsigned *count)
{
	GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));

	*copies = copy_all(inodes, first_of(inodes, inode), count);
	return *copies ? 0 : -ENOMEM;
}

/* The latest stand first, and a file may have any number of them. */
#define NAMES_AT_ONCE 32

static unsigned oldest(const struct fs_inodes *inodes, const struct fs_name *record, unsigned skip,
		       const struct fs_name *names[NAMES_AT_ONCE])
{
	unsigned n = 0, count = 0;

	for (const struct fs_name *r = record; r; r = fs_name_at(inodes, r->next))
		count++;
	if (count <= skip)
		return 0;
	for (unsigned i = 0; i < count - skip; i++) {
		if (count - skip - i <= NAMES_AT_ONCE)
			names[n++] = record;
		record = fs_name_at(inodes, record->next);
	}
	return n;
}

int fs_names_walk(struct fs_inodes *inodes, struct fs_inode *inode, fs_name_fn *fn, void *opaque)
{
	GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));
	const struct fs_name *record = first_of(inodes, inode);
	const struct fs_name *names[NAMES_AT_ONCE];
	unsigned n, done = 0;
	int err = 0;

	if (record && !record->next) /* nearly all */
		return fn(opaque, record);
	while (!err && (n = oldest(inodes, record, done, names))) {
		done += n;
		while (n && !err)
			err = fn(opaque, names[--n]);
	}
	return err;
}

void fs_names_copy_free(struct fs_name_copy *copies, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fs_inode_put(copies[i].parent);
	free(copies);
}

bool fs_name_first(struct fs_inodes *inodes, struct fs_inode *inode, struct fs_name_copy *copy)
{
	GW_LOCK_SCOPE(fs_index_lock(inodes, &inodes->names_lock));
	const struct fs_name *record = first_of(inodes, inode);

	if (!record)
		return false;
	copy->parent = fs_slot_at(&inodes->slots, record->parent);
	fs_slot_pin(&copy->parent->slot);
	copy->len = record->len;
	memcpy(copy->name, record->bytes, record->len);
	copy->name[record->len] = 0;
	return true;
}
