/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/numbers.c - inode numbers as the guest sees them: unique in its one mount. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "fs/table.h"

/*
 * The guest sees one device. Numbers of the root's mount pass through; those of mounts below it get
 * the mount's index in bits 48 to 62, under the top bit. What does not fit (a number of more than
 * 48 bits on a mount below), and a newcomer whose number an adopted inode has already, get one from
 * the last index, which no mount has, and keep it for as long as the guest knows them. (Numbers
 * that use the top bit on the root's own mount pass through too; no file system is known to have
 * them.)
 */
#define NUMBER_BITS  48
#define NUMBER_FIELD ((UINT64_C(1) << NUMBER_BITS) - 1)
#define NUMBER_TOP   (UINT64_C(1) << 63)
#define RESERVED     (NUMBER_TOP | UINT64_C(0x7fff) << NUMBER_BITS)

static_assert(FS_MOUNTS_MAX < 0x7fff, "the last index is the reserved range's");

struct fs_number {
	struct fs_number *slot_next, *number_next;
	uint32_t slot;
	uint64_t number;
};

static size_t bucket_of(uint64_t key)
{
	return fs_mix(key) % FS_NUMBERS_BUCKETS;
}

void fs_numbers_init(struct fs_inodes *inodes)
{
	pthread_mutex_init(&inodes->numbers.lock, NULL);
}

void fs_numbers_fini(struct fs_inodes *inodes)
{
	pthread_mutex_destroy(&inodes->numbers.lock);
}

static bool fits(unsigned mount, uint64_t ino)
{
	return !mount || ino <= NUMBER_FIELD;
}

uint64_t fs_number_of(unsigned mount, uint64_t ino)
{
	if (!mount)
		return ino;
	return NUMBER_TOP | (uint64_t)mount << NUMBER_BITS | (ino & NUMBER_FIELD);
}

static struct fs_number **find_slot(struct fs_numbers *numbers, uint32_t slot)
{
	struct fs_number **at = &numbers->by_slot[bucket_of(slot)];

	while (*at && (*at)->slot != slot)
		at = &(*at)->slot_next;
	return at;
}

static struct fs_number **find_number(struct fs_numbers *numbers, uint64_t number)
{
	struct fs_number **at = &numbers->by_number[bucket_of(number)];

	while (*at && (*at)->number != number)
		at = &(*at)->number_next;
	return at;
}

uint64_t fs_number_seen(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	if (fs_inode_has(inode, FS_INODE_NUMBERED)) {
		GW_LOCK_SCOPE(&inodes->numbers.lock);
		const struct fs_number *own =
			*find_slot(&inodes->numbers, fs_slot_index(&inode->slot));

		if (own)
			return own->number;
	}
	return fs_number_of(inode->mount, inode->ino);
}

/* The lock is held. */
static int add(struct fs_numbers *numbers, struct fs_inode *inode, uint64_t number)
{
	struct fs_number *own = calloc(1, sizeof(*own));
	struct fs_number **at;

	if (!own)
		return -ENOMEM;
	own->slot = fs_slot_index(&inode->slot);
	own->number = number;
	at = find_slot(numbers, own->slot);
	own->slot_next = *at;
	*at = own;
	at = &numbers->by_number[bucket_of(number)];
	own->number_next = *at;
	*at = own;
	atomic_fetch_add(&numbers->count, 1);
	atomic_fetch_or(&inode->flags, FS_INODE_NUMBERED);
	return 0;
}

int fs_number_newcomer(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_numbers *numbers = &inodes->numbers;
	bool fitting = fits(inode->mount, inode->ino);

	if (fitting && !atomic_load_explicit(&numbers->count, memory_order_relaxed))
		return 0;
	GW_LOCK_SCOPE(&numbers->lock);
	if (fitting && !*find_number(numbers, fs_number_of(inode->mount, inode->ino)))
		return 0;
	do {
		numbers->next = (numbers->next + 1) & NUMBER_FIELD;
	} while (*find_number(numbers, RESERVED | numbers->next));
	return add(numbers, inode, RESERVED | numbers->next);
}

int fs_number_keep(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t number)
{
	if (fs_number_of(inode->mount, inode->ino) == number)
		return 0;
	GW_LOCK_SCOPE(&inodes->numbers.lock);
	return add(&inodes->numbers, inode, number);
}

void fs_number_drop(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_numbers *numbers = &inodes->numbers;
	struct fs_number **at, *own;

	if (!fs_inode_has(inode, FS_INODE_NUMBERED))
		return;
	GW_LOCK_SCOPE(&numbers->lock);
	at = find_slot(numbers, fs_slot_index(&inode->slot));
	own = *at;
	fs_inode_unmark(inode, FS_INODE_NUMBERED);
	if (!own)
		return;
	*at = own->slot_next;
	at = &numbers->by_number[bucket_of(own->number)];
	while (*at != own)
		at = &(*at)->number_next;
	*at = own->number_next;
	free(own);
	atomic_fetch_sub(&numbers->count, 1);
}
