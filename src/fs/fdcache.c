/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fdcache.c - O_PATH descriptors of inodes: a cache, not their identity. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/table.h"

/*
 * One atomic word an inode: descriptor + 1 in the low half (0: none), above it how many use it now,
 * at the top its heat, which a use raises and the clock's hand lowers. Only what nobody uses and
 * has gone cold may be closed, and only if it can be opened again. Directories start hotter:
 * look-ups need them.
 */
#define WORD_FD(word)	((int)(uint32_t)(word)-1)
#define WORD_USER	(UINT64_C(1) << 32)
#define WORD_USERS_MASK (UINT64_C(0xffffff) << 32)
#define WORD_HEAT	(UINT64_C(1) << 60)
#define WORD_HEAT_MASK	(UINT64_C(3) << 60)
#define HEAT_FILE	WORD_HEAT
#define HEAT_DIRECTORY	(3 * WORD_HEAT)

#define PLACE_FREE   (UINT32_C(1) << 31)
#define FIRST_PLACES 64u
/* Descriptors closed in one go, and how far the hand goes for them when it is not urgent. */
#define EVICT_BATCH 16u
#define EVICT_STEPS 1024u

static_assert(FS_SLOTS_MAX <= PLACE_FREE, "an index never looks like a free place");

static uint64_t heat_of(const struct fs_inode *inode)
{
	return inode->type == S_IFDIR >> 12 ? HEAT_DIRECTORY : HEAT_FILE;
}

/* One more user of the descriptor, if there is one. */
static int use(struct fs_inode *inode)
{
	uint64_t word = atomic_load_explicit(&inode->fd, memory_order_acquire);
	uint64_t hot = heat_of(inode);

	while ((uint32_t)word) {
		uint64_t used = (word + WORD_USER) | hot;

		if ((word & WORD_USERS_MASK) == WORD_USERS_MASK)
			return -EMFILE;
		if (atomic_compare_exchange_weak_explicit(
			    &inode->fd, &word, used, memory_order_acquire, memory_order_acquire))
			return WORD_FD(word);
	}
	return -ENOENT;
}

static void unuse(struct fs_inode *inode)
{
	atomic_fetch_sub_explicit(&inode->fd, WORD_USER, memory_order_release);
}

bool fs_fdcache_holds(const struct fs_inode *inode)
{
	return (uint32_t)atomic_load_explicit(&inode->fd, memory_order_acquire);
}

bool fs_fdcache_is_idle(const struct fs_inode *inode)
{
	uint64_t word = atomic_load_explicit(&inode->fd, memory_order_acquire);
	uint64_t pinned = fs_inode_has(inode, FS_INODE_PINNED) ? WORD_USER : 0;

	return (word & WORD_USERS_MASK) == pinned;
}

int fs_inode_fd(struct fs_inode *inode, struct fs_fd *fd)
{
	int found;

	*fd = (struct fs_fd)FS_PATHFD_INIT;
	found = use(inode);
	if (found == -ENOENT) {
		struct fs_inodes *inodes = fs_table_of(inode);

		found = fs_inode_find(inodes, inode);
		if (found >= 0)
			found = fs_fdcache_install(inodes, inode, found);
	}
	if (found < 0)
		return found;
	*fd = (struct fs_fd){.fd = found, .inode = inode};
	return 0;
}

void fs_fd_put(struct fs_fd *fd)
{
	if (fd->fd >= 0)
		unuse(fd->inode);
	*fd = (struct fs_fd)FS_PATHFD_INIT;
}

bool fs_fdcache_try(struct fs_inode *inode, struct fs_fd *fd)
{
	int found = use(inode);

	*fd = (struct fs_fd){.fd = found < 0 ? -1 : found, .inode = inode};
	return found >= 0;
}

/* The user comes before the mark and goes after it: whoever takes the mark away takes one that is
 * there. */
void fs_fdcache_pin(struct fs_inode *inode)
{
	if (use(inode) < 0)
		return;
	if (atomic_fetch_or(&inode->flags, FS_INODE_PINNED) & FS_INODE_PINNED)
		unuse(inode);
}

void fs_fdcache_unpin(struct fs_inode *inode)
{
	if (fs_inode_has(inode, FS_INODE_PINNED) && fs_inode_unmark(inode, FS_INODE_PINNED))
		unuse(inode);
}

int fs_fdcache_init(struct fs_inodes *inodes, unsigned limit)
{
	struct fs_fdcache *fds = &inodes->fds;

	pthread_mutex_init(&fds->lock, NULL);
	fds->limit = limit;
	fds->size = FIRST_PLACES;
	fds->free_head = PLACE_FREE;
	fds->ring = calloc(fds->size, sizeof(*fds->ring));
	return fds->ring ? 0 : -ENOMEM;
}

void fs_fdcache_fini(struct fs_inodes *inodes)
{
	free(inodes->fds.ring);
	pthread_mutex_destroy(&inodes->fds.lock);
}

/*
 * The ring. fds.lock is held.
 */

static int take_place(struct fs_fdcache *fds, uint32_t *place)
{
	if (fds->free_head != PLACE_FREE) {
		/* The empty list is PLACE_FREE alone, so places are kept plus one. */
		*place = (fds->free_head & ~PLACE_FREE) - 1;
		fds->free_head = fds->ring[*place];
		return 0;
	}
	if (fds->used == fds->size) {
		uint32_t *ring = realloc(fds->ring, (size_t)fds->size * 2 * sizeof(*ring));

		if (!ring)
			return -ENOMEM;
		fds->ring = ring;
		fds->size *= 2;
	}
	*place = fds->used++;
	return 0;
}

static void give_place(struct fs_fdcache *fds, uint32_t place)
{
	fds->ring[place] = fds->free_head;
	fds->free_head = PLACE_FREE | (place + 1);
	atomic_fetch_sub_explicit(&fds->cached, 1, memory_order_relaxed);
}

static bool remember_handle(struct fs_inode *inode, int fd)
{
	struct fs_fhandle handle;

	return fs_fhandle_is_known(inode) ||
	       (!fs_fhandle_of(fd, &handle) && !fs_fhandle_remember(inode, &handle));
}

/* A handle is remembered before the descriptor is closed: from then on it is the way back, or,
 * where it may not be opened and there is no birth time, what tells the file from the next one of
 * its number. */
static bool can_be_found_again(struct fs_inodes *inodes, struct fs_inode *inode, int fd)
{
	bool opens = fs_mount_fd(inodes, inode->mount) >= 0;

	if ((opens || !inode->btime) && remember_handle(inode, fd) && opens)
		return true;
	return atomic_load_explicit(&inode->names, memory_order_relaxed);
}

/* The descriptor if the one at @place could be let go, else -1. */
static int let_go(struct fs_inodes *inodes, uint32_t place)
{
	struct fs_inode *inode = fs_slot_at(&inodes->slots, inodes->fds.ring[place]);
	uint64_t word = atomic_load_explicit(&inode->fd, memory_order_relaxed);

	if (word & WORD_USERS_MASK)
		return -1;
	if (word & WORD_HEAT_MASK) {
		/* Who uses it meanwhile makes it hot again: no matter then. */
		atomic_compare_exchange_strong(&inode->fd, &word, word - WORD_HEAT);
		return -1;
	}
	if (!can_be_found_again(inodes, inode, WORD_FD(word)))
		return -1;
	if (!atomic_compare_exchange_strong(&inode->fd, &word, 0))
		return -1;
	inode->slot.aux = 0;
	give_place(&inodes->fds, place);
	return WORD_FD(word);
}

static unsigned collect(struct fs_inodes *inodes, int *closing, unsigned count, uint64_t steps)
{
	struct fs_fdcache *fds = &inodes->fds;
	GW_LOCK_SCOPE(&fds->lock);
	unsigned n = 0;

	for (; steps && n < count && fds->used; steps--) {
		uint32_t place = fds->hand;

		fds->hand = (fds->hand + 1) % fds->used;
		if (fds->ring[place] & PLACE_FREE)
			continue;
		closing[n] = let_go(inodes, place);
		n += closing[n] >= 0;
	}
	return n;
}

static unsigned evict(struct fs_inodes *inodes, unsigned count, uint64_t steps)
{
	int closing[EVICT_BATCH];
	unsigned n = collect(inodes, closing, GW_MIN(count, EVICT_BATCH), steps);

	for (unsigned i = 0; i < n; i++)
		gw_close(&closing[i]);
	return n;
}

/* Urgent: as many rounds as it takes for the hottest to go cold. */
unsigned fs_fdcache_evict(struct fs_inodes *inodes, unsigned count)
{
	return evict(inodes, count, (uint64_t)inodes->fds.used * 5);
}

static void keep_limit(struct fs_inodes *inodes)
{
	struct fs_fdcache *fds = &inodes->fds;
	uint32_t held = atomic_load_explicit(&fds->cached, memory_order_relaxed) +
			atomic_load_explicit(&fds->charged, memory_order_relaxed);

	/* Two for one, so that what had to exceed it comes back to the limit. */
	if (held >= fds->limit)
		evict(inodes, held > fds->limit ? 2 : 1, EVICT_STEPS);
}

int fs_fdcache_install(struct fs_inodes *inodes, struct fs_inode *inode, int fd)
{
	struct fs_fdcache *fds = &inodes->fds;
	GW_AUTO_FD int ours = fd;
	uint32_t place;
	int err;

	keep_limit(inodes);
	{
		GW_LOCK_SCOPE(&fds->lock);
		int theirs = use(inode);

		if (theirs != -ENOENT)
			return theirs;
		err = take_place(fds, &place);
		if (err)
			return err;
		fds->ring[place] = fs_slot_index(&inode->slot);
		inode->slot.aux = place + 1;
		atomic_fetch_add_explicit(&fds->cached, 1, memory_order_relaxed);
		atomic_store_explicit(&inode->fd,
				      ((uint64_t)(uint32_t)(ours + 1) + WORD_USER) | heat_of(inode),
				      memory_order_release);
	}
	return gw_take_fd(&ours);
}

void fs_fdcache_drop(struct fs_inodes *inodes, struct fs_inode *inode)
{
	GW_AUTO_FD int closing = -1;
	GW_LOCK_SCOPE(&inodes->fds.lock);

	closing = WORD_FD(atomic_exchange(&inode->fd, 0));
	if (inode->slot.aux)
		give_place(&inodes->fds, inode->slot.aux - 1);
	inode->slot.aux = 0;
}

void fs_inodes_charge(struct fs_inodes *inodes, int count)
{
	atomic_fetch_add_explicit(&inodes->fds.charged, (uint32_t)count, memory_order_relaxed);
	if (count > 0)
		keep_limit(inodes);
}

bool fs_fdcache_has_room(const struct fs_inodes *inodes)
{
	const struct fs_fdcache *fds = &inodes->fds;
	uint32_t held = atomic_load_explicit(&fds->cached, memory_order_relaxed) +
			atomic_load_explicit(&fds->charged, memory_order_relaxed);

	return held < fds->limit / 2;
}

bool fs_inodes_may_open(const struct fs_inodes *inodes)
{
	uint32_t open = atomic_load_explicit(&inodes->fds.charged, memory_order_relaxed);

	return open < inodes->fds.limit / 8 * 3;
}
