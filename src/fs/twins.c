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

/* Where more than this share of them have to be compared, or one with so many others, it is no
 * accident. */
#define MET_SHARE 4u
#define CHAIN_MAX 32u

struct met {
	uint32_t i;
	uint32_t next; /* of its chain, + 1 */
};

struct twins {
	struct fs_inodes *inodes;
	struct gw_scratch *scratch;
	const uint32_t *slots;
	size_t count;
	const uint32_t *prints; /* NULL: they are made when they are looked at */
	uint32_t *again;	/* prints whose bit was there before */
	size_t again_count;
	struct met *met;
	size_t met_count, met_room;
	uint32_t *heads; /* of chains of those that met, + 1 */
	uint32_t mask;
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

	if (fs_seen_init(&seen, twins->scratch, twins->count + 1))
		return -ENOMEM;
	for (size_t i = 0; i <= twins->count; i++) {
		uint32_t print = print_at(twins, i);

		if (fs_seen_set(&seen, widened(print)))
			twins->again[twins->again_count++] = print;
	}
	return 0;
}

/* Handles tell no more here: whoever is one file has one type, number and birth. */
static bool are_same(const struct fs_inode *a, const struct fs_inode *b)
{
	return a->ino == b->ino && a->mount == b->mount && a->type == b->type &&
	       a->btime == b->btime;
}

/* True: the one at @i is one of those that came before, or that would take long to tell. */
static bool meets(struct twins *twins, size_t i)
{
	uint32_t print = print_at(twins, i), *head = &twins->heads[fs_mix(print) & twins->mask];
	unsigned length = 0;

	for (uint32_t at = *head; at; at = twins->met[at - 1].next) {
		size_t other = twins->met[at - 1].i;

		if (print_at(twins, other) == print &&
		    are_same(inode_at(twins, other), inode_at(twins, i)))
			return true;
		length++;
	}
	if (twins->met_count == twins->met_room || length == CHAIN_MAX)
		return true;
	twins->met[twins->met_count++] = (struct met){(uint32_t)i, *head};
	*head = (uint32_t)twins->met_count;
	return false;
}

/* All that have such a print, and some that seem to. */
static bool look_again(struct twins *twins)
{
	struct fs_seen seen;
	bool any = false;

	if (fs_seen_init(&seen, twins->scratch, twins->again_count))
		return true;
	for (size_t i = 0; i < twins->again_count; i++)
		fs_seen_set(&seen, widened(twins->again[i]));
	for (size_t i = 0; i <= twins->count && !any; i++) {
		if (fs_seen_has(&seen, widened(print_at(twins, i))))
			any = meets(twins, i);
	}
	return any;
}

/* A chain for each of those that meet, and of those that seem to. */
static bool compare_all(struct twins *twins)
{
	uint32_t *heads, size = 64;

	while (size < 2 * twins->again_count)
		size *= 2;
	heads = gw_scratch_take(twins->scratch, size * sizeof(*heads));
	twins->heads = heads;
	twins->mask = size - 1;
	return !heads || look_again(twins);
}

bool fs_have_twins(struct fs_inodes *inodes, struct gw_scratch *scratch, const uint32_t *slots,
		   const uint32_t *prints, size_t count)
{
	uint32_t *again = gw_scratch_take(scratch, (count + 1) * sizeof(*again));
	size_t room = count / MET_SHARE + 1024;
	struct met *met = gw_scratch_take(scratch, room * sizeof(*met));
	struct twins twins = {.inodes = inodes,
			      .scratch = scratch,
			      .slots = slots,
			      .count = count,
			      .prints = prints,
			      .again = again,
			      .met = met,
			      .met_room = room};

	if (!again || !met || look_once(&twins))
		return true;
	return twins.again_count && compare_all(&twins);
}
