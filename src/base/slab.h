/* SPDX-License-Identifier: BSD-3-Clause */
/* base/slab.h - millions of small objects: no headers, 4-byte references, memory given back. */
#ifndef GW_BASE_SLAB_H
#define GW_BASE_SLAB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Objects of one size (rounded up to its class) fill chunks of their own, which never move. A
 * reference is the number of the chunk and of a 4-byte granule in it; 0 is none. An object is
 * aligned to 4 bytes. A chunk whose last object is freed goes back to the kernel, but for one of
 * each class, so that a count that swings about a chunk's edge costs nothing.
 *
 * Any thread may allocate, free and look up. Who looks an object up knows that it is alive.
 */
#define GW_SLAB_GRANULE	   4u
#define GW_SLAB_CHUNK	   (256u * 1024u) /* bytes; 2^16 granules */
#define GW_SLAB_CHUNKS	   (1u << 16)
#define GW_SLAB_FINE_MAX   64u /* classes are 4 bytes apart up to here, 16 from here on */
#define GW_SLAB_COARSE	   16u
#define GW_SLAB_OBJECT_MAX 288u
#define GW_SLAB_CLASSES	   30u

struct gw_slab_chunk;

struct gw_slab {
	pthread_mutex_t lock;
	_Atomic(struct gw_slab_chunk *) *chunks;	/* by number; NULL where there is none */
	uint32_t lowest;				/* all numbers below it are taken */
	uint32_t end;					/* none from here on ever was */
	struct gw_slab_chunk *partial[GW_SLAB_CLASSES]; /* chunks with room */
	char *ahead;					/* memory for chunks that are expected */
	size_t ahead_len;
	_Atomic uint64_t bytes; /* in chunks, touched or not */
	_Atomic uint64_t used;	/* in objects */
};

/* 0 or -ENOMEM. gw_slab_fini() may follow in both cases, and ends all objects. */
int gw_slab_init(struct gw_slab *slab);
void gw_slab_fini(struct gw_slab *slab);

/* A reference to @size bytes (at most GW_SLAB_OBJECT_MAX), not zeroed; 0 if there is no memory. */
uint32_t gw_slab_alloc(struct gw_slab *slab, size_t size);
/* Up to @count of them at once; how many there are. */
unsigned gw_slab_alloc_many(struct gw_slab *slab, size_t size, uint32_t *refs, unsigned count);
/* Objects of one class: those of sizes with the same number, below GW_SLAB_CLASSES. */
unsigned gw_slab_class(size_t size);
/* Objects of so many bytes in all come soon: their memory is had by the big page, if it is much. */
void gw_slab_expect(struct gw_slab *slab, size_t bytes);
/* Nothing if @ref is 0. */
void gw_slab_free(struct gw_slab *slab, uint32_t ref);

/* NULL for 0. */
static inline void *gw_slab_at(const struct gw_slab *slab, uint32_t ref)
{
	if (!ref)
		return NULL;
	return (char *)atomic_load_explicit(&slab->chunks[ref >> 16], memory_order_acquire) +
	       (size_t)(ref & 0xffff) * GW_SLAB_GRANULE;
}

#endif
