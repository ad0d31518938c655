/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/index.c - who came out of a stream gets into the hashes when the guest runs already. */
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/index.h"

/*
 * Two pieces that have nothing to do with each other, each for one hand: buckets would go to and
 * fro between processors. Nothing here takes a lock of the table's, so that whoever waits may hold
 * any of them.
 */
struct fs_index {
	struct fs_inodes *inodes;
	const uint32_t *slots;
	struct gw_scratch memory; /* theirs */
	size_t count;
	struct fs_names_hashing *hashing;
	bool unwanted; /* of the second piece: some references are to be given back */
	_Atomic unsigned taken;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	/* Under the lock; one more than there are pieces when nothing is left to do. */
	unsigned done;
};

static void put_names(struct fs_index *index)
{
	fs_names_hash(index->hashing, index->slots, index->count);
	fs_names_hashed(index->hashing);
}

static void put_identities(struct fs_index *index)
{
	index->unwanted = fs_identities_put(index->inodes, index->slots, index->count);
}

static void (*const pieces[])(struct fs_index *index) = {put_names, put_identities};
#define PIECES GW_ARRAY_LEN(pieces)

/* What may end inodes, and so looks into the hashes itself. */
static void tidy(struct fs_index *index)
{
	fs_names_hashing_end(gw_take_ptr(index->hashing));
	if (index->unwanted)
		fs_identities_release(index->inodes, index->slots, index->count);
	gw_scratch_free(&index->memory);
}

/* True for who did the last piece, after which the hashes are as ever. */
static bool note_done(struct fs_index *index)
{
	GW_LOCK_SCOPE(&index->lock);

	if (++index->done == PIECES)
		atomic_store_explicit(&index->inodes->indexing, false, memory_order_release);
	pthread_cond_broadcast(&index->ended);
	return index->done == PIECES;
}

static void wait_until(struct fs_index *index, unsigned done)
{
	GW_LOCK_SCOPE(&index->lock);

	while (index->done < done)
		pthread_cond_wait(&index->ended, &index->lock);
}

static void help(void *opaque)
{
	struct fs_index *index = opaque;
	unsigned piece;

	while ((piece = atomic_fetch_add(&index->taken, 1)) < PIECES) {
		pieces[piece](index);
		if (!note_done(index))
			continue;
		tidy(index);
		note_done(index);
	}
}

struct fs_index *fs_index_new(struct fs_inodes *inodes, size_t count, struct gw_scratch *memory)
{
	struct fs_index *index = calloc(1, sizeof(*index));

	if (!index)
		return NULL;
	index->inodes = inodes;
	index->count = count;
	index->hashing = fs_names_hashing_new(inodes, memory);
	if (!index->hashing) {
		free(index);
		return NULL;
	}
	pthread_mutex_init(&index->lock, NULL);
	pthread_cond_init(&index->ended, NULL);
	return index;
}

void fs_index_free(struct fs_index *index)
{
	if (!index)
		return;
	fs_names_hashing_free(index->hashing);
	gw_scratch_free(&index->memory);
	pthread_cond_destroy(&index->ended);
	pthread_mutex_destroy(&index->lock);
	free(index);
}

void fs_index_hand_over(struct fs_index *index, const uint32_t *slots, struct gw_scratch *memory)
{
	struct fs_inodes *inodes = index->inodes;

	index->slots = slots;
	index->memory = *memory;
	*memory = (struct gw_scratch){0};
	inodes->index = index;
	atomic_store_explicit(&inodes->indexing, true, memory_order_release);
}

void fs_index_finish(struct fs_inodes *inodes)
{
	struct fs_index *index = inodes->index;

	help(index);
	wait_until(index, PIECES);
}

void fs_index_settle(struct fs_inodes *inodes)
{
	if (!inodes->index)
		return;
	help(inodes->index);
	wait_until(inodes->index, PIECES + 1);
}

void fs_index_fini(struct fs_inodes *inodes)
{
	struct fs_index *index = inodes->index;

	fs_index_settle(inodes);
	inodes->index = NULL;
	fs_index_free(index);
}
