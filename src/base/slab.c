/* SPDX-License-Identifier: BSD-3-Clause */
/* base/slab.c - millions of small objects: no headers, 4-byte references, memory given back. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/poison.h"
#include "base/slab.h"

#define HEADER	     64u
#define GRANULE_BITS 16u

/* At the start of its memory. Numbers of granules are counted from there, so that none is 0. */
struct gw_slab_chunk {
	struct gw_slab_chunk *next, *before; /* of the partial ones of its class */
	uint32_t number;
	uint32_t size;	/* of an object, in bytes */
	uint32_t used;	/* objects */
	uint32_t fresh; /* granule: from here on nothing was ever used */
	uint32_t freed; /* granule: each holds the next one's number */
};

static_assert(sizeof(struct gw_slab_chunk) <= HEADER, "header");
static_assert(GW_SLAB_CHUNK / GW_SLAB_GRANULE == 1u << GRANULE_BITS, "a granule has 16 bits");
static_assert(GW_SLAB_FINE_MAX / GW_SLAB_GRANULE +
			      (GW_SLAB_OBJECT_MAX - GW_SLAB_FINE_MAX) / GW_SLAB_COARSE ==
		      GW_SLAB_CLASSES,
	      "classes");

static size_t rounded(size_t size)
{
	return gw_round_up(size, size <= GW_SLAB_FINE_MAX ? GW_SLAB_GRANULE : GW_SLAB_COARSE);
}

static unsigned class_of(size_t size)
{
	if (size <= GW_SLAB_FINE_MAX)
		return (unsigned)(size / GW_SLAB_GRANULE) - 1;
	return (unsigned)(GW_SLAB_FINE_MAX / GW_SLAB_GRANULE - 1 +
			  (size - GW_SLAB_FINE_MAX) / GW_SLAB_COARSE);
}

unsigned gw_slab_class(size_t size)
{
	return class_of(rounded(size));
}

int gw_slab_init(struct gw_slab *slab)
{
	*slab = (struct gw_slab){.lock = PTHREAD_MUTEX_INITIALIZER};
	slab->chunks = calloc(GW_SLAB_CHUNKS, sizeof(*slab->chunks));
	return slab->chunks ? 0 : -ENOMEM;
}

static struct gw_slab_chunk *chunk_at(const struct gw_slab *slab, uint32_t number)
{
	return atomic_load_explicit(&slab->chunks[number], memory_order_relaxed);
}

static void unmap(struct gw_slab_chunk *chunk)
{
	GW_UNPOISON(chunk, GW_SLAB_CHUNK);
	munmap(chunk, GW_SLAB_CHUNK);
}

void gw_slab_fini(struct gw_slab *slab)
{
	for (uint32_t i = 0; slab->chunks && i < slab->end; i++) {
		if (chunk_at(slab, i))
			unmap(chunk_at(slab, i));
	}
	if (slab->ahead_len)
		munmap(slab->ahead, slab->ahead_len);
	slab->ahead_len = 0;
	free(slab->chunks);
	slab->chunks = NULL;
	pthread_mutex_destroy(&slab->lock);
}

/*
 * Chunks. The lock is held.
 */

static void add_partial(struct gw_slab *slab, struct gw_slab_chunk *chunk)
{
	struct gw_slab_chunk **head = &slab->partial[class_of(chunk->size)];

	chunk->before = NULL;
	chunk->next = *head;
	if (*head)
		(*head)->before = chunk;
	*head = chunk;
}

static void remove_partial(struct gw_slab *slab, struct gw_slab_chunk *chunk)
{
	if (chunk->before)
		chunk->before->next = chunk->next;
	else
		slab->partial[class_of(chunk->size)] = chunk->next;
	if (chunk->next)
		chunk->next->before = chunk->before;
}

/* GW_SLAB_CHUNKS: all are there. */
static uint32_t free_number(struct gw_slab *slab)
{
	while (slab->lowest < GW_SLAB_CHUNKS && chunk_at(slab, slab->lowest))
		slab->lowest++;
	return slab->lowest;
}

void gw_slab_expect(struct gw_slab *slab, size_t bytes)
{
	size_t len = gw_round_up(bytes, GW_BIG_PAGE);
	GW_LOCK_SCOPE(&slab->lock);

	/* Not for what would not fill most of a page. */
	if (slab->ahead_len || bytes < GW_BIG_PAGE / 2)
		return;
	slab->ahead = gw_big_map(len);
	slab->ahead_len = slab->ahead ? len : 0;
}

/* Objects were larger than expected, or more. */
static void expect_more(struct gw_slab *slab)
{
	slab->ahead = gw_big_map(GW_BIG_PAGE);
	slab->ahead_len = slab->ahead ? GW_BIG_PAGE : 0;
}

static void *new_memory(struct gw_slab *slab)
{
	void *memory;

	if (!slab->ahead_len && gw_big_is_ready())
		expect_more(slab);
	memory = slab->ahead;
	if (slab->ahead_len) {
		slab->ahead += GW_SLAB_CHUNK;
		slab->ahead_len -= GW_SLAB_CHUNK;
		return memory;
	}
	memory = mmap(NULL, GW_SLAB_CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	return memory == MAP_FAILED ? NULL : memory;
}

static struct gw_slab_chunk *new_chunk(struct gw_slab *slab, size_t size)
{
	uint32_t number = free_number(slab);
	struct gw_slab_chunk *chunk;

	if (number == GW_SLAB_CHUNKS)
		return NULL;
	chunk = new_memory(slab);
	if (!chunk)
		return NULL;
	slab->end = GW_MAX(slab->end, number + 1);
	chunk->number = number;
	chunk->size = (uint32_t)size;
	chunk->fresh = HEADER / GW_SLAB_GRANULE;
	GW_POISON((char *)chunk + HEADER, GW_SLAB_CHUNK - HEADER);
	atomic_store_explicit(&slab->chunks[number], chunk, memory_order_release);
	atomic_fetch_add_explicit(&slab->bytes, GW_SLAB_CHUNK, memory_order_relaxed);
	add_partial(slab, chunk);
	return chunk;
}

static bool has_room(const struct gw_slab_chunk *chunk)
{
	return chunk->freed ||
	       (size_t)chunk->fresh * GW_SLAB_GRANULE + chunk->size <= GW_SLAB_CHUNK;
}

static bool is_only_partial(const struct gw_slab *slab, const struct gw_slab_chunk *chunk)
{
	return slab->partial[class_of(chunk->size)] == chunk && !chunk->next;
}

static void end_chunk(struct gw_slab *slab, struct gw_slab_chunk *chunk)
{
	remove_partial(slab, chunk);
	atomic_store_explicit(&slab->chunks[chunk->number], NULL, memory_order_relaxed);
	slab->lowest = GW_MIN(slab->lowest, chunk->number);
	atomic_fetch_sub_explicit(&slab->bytes, GW_SLAB_CHUNK, memory_order_relaxed);
	unmap(chunk);
}

/*
 * Objects.
 */

static uint32_t *granule_at(struct gw_slab_chunk *chunk, uint32_t granule)
{
	return (uint32_t *)((char *)chunk + (size_t)granule * GW_SLAB_GRANULE);
}

static uint32_t take(struct gw_slab_chunk *chunk)
{
	uint32_t granule = chunk->freed;

	if (granule) {
		GW_UNPOISON(granule_at(chunk, granule), chunk->size);
		chunk->freed = *granule_at(chunk, granule);
	} else {
		granule = chunk->fresh;
		chunk->fresh += chunk->size / GW_SLAB_GRANULE;
		GW_UNPOISON(granule_at(chunk, granule), chunk->size);
	}
	chunk->used++;
	return granule;
}

/* The lock is held. */
static uint32_t alloc(struct gw_slab *slab, size_t size)
{
	struct gw_slab_chunk *chunk = slab->partial[class_of(size)];
	uint32_t granule;

	if (!chunk)
		chunk = new_chunk(slab, size);
	if (!chunk)
		return 0;
	granule = take(chunk);
	if (!has_room(chunk))
		remove_partial(slab, chunk);
	return chunk->number << GRANULE_BITS | granule;
}

unsigned gw_slab_alloc_many(struct gw_slab *slab, size_t size, uint32_t *refs, unsigned count)
{
	unsigned n = 0;

	if (!size || size > GW_SLAB_OBJECT_MAX)
		return 0;
	size = rounded(size);
	GW_LOCK_SCOPE(&slab->lock);
	while (n < count && (refs[n] = alloc(slab, size)))
		n++;
	atomic_fetch_add_explicit(&slab->used, n * size, memory_order_relaxed);
	return n;
}

uint32_t gw_slab_alloc(struct gw_slab *slab, size_t size)
{
	uint32_t ref;

	return gw_slab_alloc_many(slab, size, &ref, 1) ? ref : 0;
}

void gw_slab_free(struct gw_slab *slab, uint32_t ref)
{
	uint32_t granule = ref & ((1u << GRANULE_BITS) - 1);
	struct gw_slab_chunk *chunk;

	if (!ref)
		return;
	GW_LOCK_SCOPE(&slab->lock);
	chunk = chunk_at(slab, ref >> GRANULE_BITS);
	if (!has_room(chunk))
		add_partial(slab, chunk);
	*granule_at(chunk, granule) = chunk->freed;
	chunk->freed = granule;
	GW_POISON(granule_at(chunk, granule), chunk->size);
	atomic_fetch_sub_explicit(&slab->used, chunk->size, memory_order_relaxed);
	if (!--chunk->used && !is_only_partial(slab, chunk))
		end_chunk(slab, chunk);
}
