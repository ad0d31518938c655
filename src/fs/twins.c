/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/twins.c - are two of those that came out of a stream one and the same file? */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/identity.h"
#include "fs/seen.h"

/*
 * No host file may have two node ids, and who says that of a million inodes is not believed. To see
 * it takes no index of them, which would be a wait for memory at each: of every inode a few bits of
 * its hash are noted, and only those whose bits were there before, and those that they met there,
 * are compared.
 */

/* Where more than this share of them have to be compared it is no accident. */
#define MET_SHARE 4u

struct met {
	uint64_t hash;
	const struct fs_inode *inode;
};

struct twins {
	struct fs_inodes *inodes;
	const uint32_t *slots;
	size_t count;
	const uint32_t *prints; /* NULL: they are made when they are looked at */
	uint32_t *again;	/* prints whose bit was there before */
	size_t again_count;
	struct met *met;
	size_t met_count, met_room;
};

static const struct fs_inode *inode_at(const struct twins *twins, size_t i)
{
	return i < twins->count ? fs_slot_at(&twins->inodes->slots, twins->slots[i])
				: twins->inodes->root;
}

static uint32_t print_at(const struct twins *twins, size_t i)
{
	return twins->prints && i < twins->count ? twins->prints[i] : fs_print(inode_at(twins, i));
}

/* To where fs_seen_set() looks for it. */
static uint64_t widened(uint32_t print)
{
	return (uint64_t)print << 20;
}

static int look_once(struct twins *twins)
{
	struct fs_seen seen;

	if (fs_seen_init(&seen, twins->count + 1))
		return -ENOMEM;
	for (size_t i = 0; i <= twins->count; i++) {
		uint32_t print = print_at(twins, i);

		if (fs_seen_set(&seen, widened(print)))
			twins->again[twins->again_count++] = print;
	}
	fs_seen_fini(&seen);
	return 0;
}

static bool note_met(struct twins *twins, size_t i)
{
	const struct fs_inode *inode = inode_at(twins, i);

	if (twins->met_count == twins->met_room)
		return false;
	twins->met[twins->met_count++] =
		(struct met){fs_identity_hash(inode->mount, inode->ino), inode};
	return true;
}

/* All that have such a print, and some that seem to. False: there are too many of them. */
static bool gather(struct twins *twins)
{
	struct fs_seen seen;
	bool fitted = true;

	if (fs_seen_init(&seen, twins->again_count))
		return false;
	for (size_t i = 0; i < twins->again_count; i++)
		fs_seen_set(&seen, widened(twins->again[i]));
	for (size_t i = 0; i <= twins->count && fitted; i++) {
		if (fs_seen_has(&seen, widened(print_at(twins, i))))
			fitted = note_met(twins, i);
	}
	fs_seen_fini(&seen);
	return fitted;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* The hash says number and mount, but for numbers so high that the mount is mixed into them: of
 * these some seem to be what they are not, and the caller looks closely. */
static int by_identity(const void *a, const void *b)
{
	const struct met *x = a, *y = b;
	int order = compare(x->hash, y->hash);

	if (!order)
		order = compare(x->inode->btime, y->inode->btime);
	return order ? order : compare(x->inode->type, y->inode->type);
}

static bool are_any_same(struct twins *twins)
{
	qsort(twins->met, twins->met_count, sizeof(*twins->met), by_identity);
	for (size_t i = 1; i < twins->met_count; i++) {
		if (!by_identity(&twins->met[i - 1], &twins->met[i]))
			return true;
	}
	return false;
}

bool fs_have_twins(struct fs_inodes *inodes, const uint32_t *slots, const uint32_t *prints,
		   size_t count)
{
	GW_AUTO_FREE uint32_t *again = malloc((count + 1) * sizeof(*again));
	size_t room = count / MET_SHARE + 1024;
	GW_AUTO_FREE struct met *met = malloc(room * sizeof(*met));
	struct twins twins = {.inodes = inodes,
			      .slots = slots,
			      .count = count,
			      .prints = prints,
			      .again = again,
			      .met = met,
			      .met_room = room};

	if (!again || !met || look_once(&twins))
		return true;
	return twins.again_count && (!gather(&twins) || are_any_same(&twins));
}
