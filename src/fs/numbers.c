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

/* An inode that has one of its own. After a move to a copy of the tree (copied.c) that is every
 * inode, hence 4-byte references and the number in two halves: 20 bytes. */
struct fs_number {
	uint32_t slot_next, number_next;
	uint32_t slot;
	uint32_t low, high;
};

#define FIRST_BUCKETS 256u

int fs_numbers_init(struct fs_inodes *inodes)
{
	struct fs_numbers *numbers = &inodes->numbers;

	pthread_mutex_init(&numbers->lock, NULL);
	numbers->by_slot = calloc(FIRST_BUCKETS, sizeof(*numbers->by_slot));
	numbers->by_number = calloc(FIRST_BUCKETS, sizeof(*numbers->by_number));
	if (!numbers->by_slot || !numbers->by_number)
		return -ENOMEM;
	numbers->mask = FIRST_BUCKETS - 1;
	return gw_slab_init(&numbers->slab);
}

void fs_numbers_fini(struct fs_inodes *inodes)
{
	struct fs_numbers *numbers = &inodes->numbers;

	free(numbers->by_slot);
	free(numbers->by_number);
	gw_slab_fini(&numbers->slab);
	pthread_mutex_destroy(&numbers->lock);
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

/*
 * The two hashes. The lock is held.
 */

static struct fs_number *number_at(const struct fs_numbers *numbers, uint32_t ref)
{
	return gw_slab_at(&numbers->slab, ref);
}

static uint64_t value_of(const struct fs_number *own)
{
	return (uint64_t)own->high << 32 | own->low;
}

static uint32_t *slot_bucket(struct fs_numbers *numbers, uint32_t slot)
{
	return &numbers->by_slot[fs_mix(slot) & numbers->mask];
}

static uint32_t *number_bucket(struct fs_numbers *numbers, uint64_t number)
{
	return &numbers->by_number[fs_mix(number) & numbers->mask];
}

static uint32_t *find_slot(struct fs_numbers *numbers, uint32_t slot)
{
	uint32_t *at = slot_bucket(numbers, slot);

	while (*at && number_at(numbers, *at)->slot != slot)
		at = &number_at(numbers, *at)->slot_next;
	return at;
}

static uint32_t find_number(struct fs_numbers *numbers, uint64_t number)
{
	uint32_t ref = *number_bucket(numbers, number);

	while (ref && value_of(number_at(numbers, ref)) != number)
		ref = number_at(numbers, ref)->number_next;
	return ref;
}

static void insert(struct fs_numbers *numbers, uint32_t ref)
{
	struct fs_number *own = number_at(numbers, ref);
	uint32_t *slot = slot_bucket(numbers, own->slot);
	uint32_t *number = number_bucket(numbers, value_of(own));

	own->slot_next = *slot;
	*slot = ref;
	own->number_next = *number;
	*number = ref;
}

/* Twice the buckets; where there is no memory for it, chains just get longer. */
static void grow(struct fs_numbers *numbers)
{
	uint32_t before = numbers->mask, size = (before + 1) * 2;
	GW_AUTO_FREE uint32_t *old = NULL, *unused = NULL;
	uint32_t *by_slot = calloc(size, sizeof(*by_slot));

	unused = calloc(size, sizeof(*unused));
	if (!by_slot || !unused) {
		free(by_slot);
		return;
	}
	free(numbers->by_number);
	old = numbers->by_slot;
	numbers->by_slot = by_slot;
	numbers->by_number = gw_take_ptr(unused);
	numbers->mask = size - 1;
	for (uint32_t i = 0; i <= before; i++) {
		for (uint32_t ref = old[i], next; ref; ref = next) {
			next = number_at(numbers, ref)->slot_next;
			insert(numbers, ref);
		}
	}
}

static int add(struct fs_numbers *numbers, struct fs_inode *inode, uint64_t number)
{
	uint32_t ref = gw_slab_alloc(&numbers->slab, sizeof(struct fs_number));
	struct fs_number *own = number_at(numbers, ref);

	if (!own)
		return -ENOMEM;
	if (atomic_fetch_add(&numbers->count, 1) > numbers->mask)
		grow(numbers);
	own->slot = fs_slot_index(&inode->slot);
	own->low = (uint32_t)number;
	own->high = (uint32_t)(number >> 32);
	insert(numbers, ref);
	atomic_fetch_or(&inode->flags, FS_INODE_NUMBERED);
	return 0;
}

uint64_t fs_number_seen(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	struct fs_numbers *numbers = &inodes->numbers;

	if (fs_inode_has(inode, FS_INODE_NUMBERED)) {
		GW_LOCK_SCOPE(&numbers->lock);
		const struct fs_number *own =
			number_at(numbers, *find_slot(numbers, fs_slot_index(&inode->slot)));

		if (own)
			return value_of(own);
	}
	return fs_number_of(inode->mount, inode->ino);
}

bool fs_numbers_any(const struct fs_inodes *inodes)
{
	return atomic_load_explicit(&inodes->numbers.count, memory_order_relaxed);
}

int fs_number_newcomer(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_numbers *numbers = &inodes->numbers;
	bool fitting = fits(inode->mount, inode->ino);

	if (fitting && !fs_numbers_any(inodes))
		return 0;
	GW_LOCK_SCOPE(&numbers->lock);
	if (fitting && !find_number(numbers, fs_number_of(inode->mount, inode->ino)))
		return 0;
	do {
		numbers->next = (numbers->next + 1) & NUMBER_FIELD;
	} while (find_number(numbers, RESERVED | numbers->next));
	return add(numbers, inode, RESERVED | numbers->next);
}

int fs_number_reserve(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t number)
{
	GW_LOCK_SCOPE(&inodes->numbers.lock);

	return add(&inodes->numbers, inode, number);
}

int fs_number_keep(struct fs_inodes *inodes, struct fs_inode *inode, uint64_t number)
{
	if (fs_number_of(inode->mount, inode->ino) == number)
		return 0;
	return fs_number_reserve(inodes, inode, number);
}

/* Out of the hash by numbers, too, where it certainly is. */
static void remove_number(struct fs_numbers *numbers, uint32_t ref)
{
	const struct fs_number *own = number_at(numbers, ref);
	uint32_t *at = number_bucket(numbers, value_of(own));

	while (*at != ref)
		at = &number_at(numbers, *at)->number_next;
	*at = own->number_next;
}

void fs_number_drop(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_numbers *numbers = &inodes->numbers;
	uint32_t *at, ref;

	/* Nearly nobody has one, and a load asks for a million. */
	if (!fs_inode_has(inode, FS_INODE_NUMBERED) || !fs_inode_unmark(inode, FS_INODE_NUMBERED))
		return;
	GW_LOCK_SCOPE(&numbers->lock);
	at = find_slot(numbers, fs_slot_index(&inode->slot));
	ref = *at;
	if (!ref)
		return;
	*at = number_at(numbers, ref)->slot_next;
	remove_number(numbers, ref);
	gw_slab_free(&numbers->slab, ref);
	atomic_fetch_sub(&numbers->count, 1);
}
