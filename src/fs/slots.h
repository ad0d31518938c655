/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/slots.h - type-stable slots under ids that carry a generation. */
#ifndef GW_FS_SLOTS_H
#define GW_FS_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/foreign_ids.h"

/*
 * An id is the slot's index (low 32 bits, never 0) and its generation (high 32 bits). Slots live in
 * chunks that never move and are never given back, so that any id can be looked at without a lock:
 * one atomic word holds the generation and the count of references, and a reference is only ever
 * taken when the generation matches and the count is not zero.
 *
 * The owner puts struct fs_slot first into its own struct.
 */
#define FS_SLOTS_CHUNK	4096u		/* slots */
#define FS_SLOTS_REGION (2048u * 1024u) /* chunks lie in these: memory, and its alignment */
#define FS_SLOTS_MAX	(1u << 26)
#define FS_SLOTS_CHUNKS (FS_SLOTS_MAX / FS_SLOTS_CHUNK)
/* A generation from a stream may not be so high that it could run out. */
#define FS_SLOTS_GENERATION_MAX 0xf0000000u
/* Of a slot that the guest knows by an id of another make: no id of ours has it. */
#define FS_SLOTS_FOREIGN UINT32_MAX

struct fs_slot {
	_Atomic uint64_t life; /* generation << 32 | references */
	uint64_t id;	       /* our own; 0 until the slot is first used */
	uint32_t link;	       /* free list; the owner's while alive */
	uint32_t aux;	       /* the owner's */
};

struct fs_slots {
	size_t slot_size;
	void *owner;
	pthread_mutex_t lock; /* guards what follows but the chunks, which are only ever added */
	uint32_t next;	      /* no index from here on was used, unless it was adopted */
	uint32_t free_head;
	uint32_t floor;	  /* generation of slots that are used for the first time */
	uint32_t highest; /* generation seen */
	uint32_t end;	  /* of the chunks that there are, as an index */
	_Atomic uint64_t alive;
	uint32_t foreign_next; /* slots of such ids are taken from the end */
	struct fs_foreign_ids foreign;
	_Atomic(void *) *chunks;
	struct fs_slots_region *region; /* the latest, which may have room for chunks */
	bool fills;			/* what is mapped now is going to be full */
	/* While a stream fills the table (fs_slots_filled()). */
	bool filling;
	uint32_t *vacated; /* indices; some are in use again */
	size_t vacated_count, vacated_room;
};

int fs_slots_init(struct fs_slots *slots, size_t slot_size, void *owner);
void fs_slots_fini(struct fs_slots *slots);
/* No slot from this index on has memory. */
uint32_t fs_slots_end(struct fs_slots *slots);

/* A slot with its id set, zeroed otherwise, and no reference: nobody finds it before
 * fs_slot_publish(). NULL: no memory, or FS_SLOTS_MAX are in use. */
void *fs_slot_new(struct fs_slots *slots);
/* The same under an id that came out of a stream. NULL with errno EINVAL (malformed), EEXIST. */
void *fs_slot_adopt(struct fs_slots *slots, uint64_t id);
/* From fs_slots_fill() on what becomes free stays so for whom the stream puts there next, under a
 * later id; after fs_slots_filled() it is as free as all others. */
void fs_slots_fill(struct fs_slots *slots);
void fs_slots_filled(struct fs_slots *slots);
/* Is whoever had @slot last gone, and nobody there yet? Of slots that were used. */
bool fs_slot_is_vacant(const struct fs_slot *slot);
/* Under an id of another make, any number: itself if it can be one of ours, else in a slot that it
 * is found by through foreign_ids.h. NULL with errno EEXIST, or as fs_slot_new(). */
void *fs_slot_adopt_foreign(struct fs_slots *slots, uint64_t id);
/* By what id does the guest know it? Is it another make's, found through foreign_ids.h? */
uint64_t fs_slot_id(const struct fs_slot *slot);
bool fs_slot_is_foreign(const struct fs_slot *slot);
/*
 * For who adopts many side by side, in a table that nobody else sees: slots for [@first, @end), in
 * memory that is made for so many. -ENOMEM; or -EINVAL: there is too much between @count ids.
 */
int fs_slots_reserve(struct fs_slots *slots, uint32_t first, uint32_t end, size_t count);
/* As fs_slot_adopt() and fs_slot_publish(), with no lock, in a slot that was reserved; no two
 * threads the same one. NULL: malformed, or taken. Uncounted until fs_slots_adopted(). */
void *fs_slot_adopt_reserved(struct fs_slots *slots, uint64_t id);
/* It was never there. */
void fs_slot_unadopt(struct fs_slots *slots, struct fs_slot *slot);
void fs_slots_adopted(struct fs_slots *slots, size_t count, uint32_t highest);
/* Who was adopted under @id, published or not; for who fills the table. */
void *fs_slot_adopted(struct fs_slots *slots, uint64_t id);
/* The first reference, the caller's. */
void fs_slot_publish(struct fs_slot *slot);
/* What is not published yet, or has lost its last reference, becomes free; its id is stale. */
void fs_slot_free(struct fs_slot *slot);

/* One more reference on whoever has @id now; NULL if nobody has. */
void *fs_slot_get(struct fs_slots *slots, uint64_t id);
/* The slot at @index if that was ever used, alive or not; for its owner's own indices. */
void *fs_slot_at(const struct fs_slots *slots, uint32_t index);
/* One more reference on a slot that may be dying: false then. */
bool fs_slot_try_pin(struct fs_slot *slot);
void fs_slot_pin(struct fs_slot *slot); /* of one that the caller has pinned */
void fs_slot_pin_times(struct fs_slot *slot, uint32_t times);
/* True for the last one: the caller tears the slot down and calls fs_slot_free(). */
bool fs_slot_unpin(struct fs_slot *slot);

/* For walks: the next slot from *@index on that may ever have been used, alive or not, and *@index
 * past it. NULL at the end. Ids out of a stream may be far apart; what lies between costs nothing.
 */
void *fs_slots_next(const struct fs_slots *slots, uint32_t *index);
/* Where generations go on at the destination; ids that were handed out do not come again there. */
uint32_t fs_slots_floor(struct fs_slots *slots);
int fs_slots_set_floor(struct fs_slots *slots, uint32_t floor);

static inline uint32_t fs_slot_index(const struct fs_slot *slot)
{
	return (uint32_t)slot->id;
}

/* The table that @slot is in. */
struct fs_slots *fs_slots_of(const struct fs_slot *slot);

#endif
