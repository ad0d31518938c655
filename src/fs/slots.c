/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/slots.c - type-stable slots under ids that carry a generation. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/slots.h"

#define REFERENCES_MASK UINT32_MAX
/* What a slot is aligned to; the rest of the region's first line is its header. */
#define REGION_HEADER 64
/* Slots that memory is made ready for at once. */
#define READY_SLOTS 512u
/* Ids so many times as many as objects are still close together. */
#define SPARSE 4u

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before that an error, which is no matter */
#endif

struct fs_slots_region {
	struct fs_slots *slots;
	struct fs_slots_region *before;
	size_t used; /* bytes */
	bool is_big; /* one page, if the kernel has one */
};

static_assert(sizeof(struct fs_slots_region) <= REGION_HEADER, "region header");
static_assert((uint64_t)FS_SLOTS_CHUNKS * FS_SLOTS_CHUNK == FS_SLOTS_MAX, "whole chunks");

static uint32_t generation_of(uint64_t id)
{
	return (uint32_t)(id >> 32);
}

int fs_slots_init(struct fs_slots *slots, size_t slot_size, void *owner)
{
	if (slot_size > (FS_SLOTS_REGION - REGION_HEADER) / FS_SLOTS_CHUNK)
		return -EINVAL;
	*slots = (struct fs_slots){.slot_size = slot_size,
				   .owner = owner,
				   .next = 1,
				   .foreign_next = FS_SLOTS_MAX - 1};
	pthread_mutex_init(&slots->lock, NULL);
	slots->chunks = calloc(FS_SLOTS_CHUNKS, sizeof(*slots->chunks));
	return slots->chunks ? 0 : -ENOMEM;
}

void fs_slots_fini(struct fs_slots *slots)
{
	while (slots->region) {
		struct fs_slots_region *region = slots->region;

		slots->region = region->before;
		munmap(region, FS_SLOTS_REGION);
	}
	free(slots->chunks);
	slots->chunks = NULL;
	free(slots->vacated);
	fs_foreign_ids_fini(&slots->foreign);
	pthread_mutex_destroy(&slots->lock);
}

static void *map_small(void)
{
	const size_t twice = 2 * (size_t)FS_SLOTS_REGION;
	char *base = mmap(NULL, twice, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head;

	if (base == MAP_FAILED)
		return NULL;
	head = (size_t)(-(uintptr_t)base & (FS_SLOTS_REGION - 1));
	if (head)
		munmap(base, head);
	munmap(base + head + FS_SLOTS_REGION, FS_SLOTS_REGION - head);
	return base + head;
}

/* Fresh pages are zero and cost nothing until they are touched: sparse ids are harmless. */
static struct fs_slots_region *map_region(struct fs_slots *slots)
{
	struct fs_slots_region *region = slots->fills ? gw_big_map(FS_SLOTS_REGION) : map_small();

	if (!region)
		return NULL;
	*region = (struct fs_slots_region){
		.slots = slots,
		.before = slots->region,
		.used = REGION_HEADER,
		.is_big = slots->fills,
	};
	return region;
}

static bool has_room(const struct fs_slots *slots, size_t size)
{
	const struct fs_slots_region *region = slots->region;

	return region && region->used + size <= FS_SLOTS_REGION &&
	       (region->is_big || !slots->fills);
}

static void *new_chunk(struct fs_slots *slots)
{
	size_t size = FS_SLOTS_CHUNK * slots->slot_size;
	char *chunk;

	if (!has_room(slots, size)) {
		struct fs_slots_region *region = map_region(slots);

		if (!region)
			return NULL;
		slots->region = region;
	}
	chunk = (char *)slots->region + slots->region->used;
	slots->region->used += size;
	return chunk;
}

struct fs_slots *fs_slots_of(const struct fs_slot *slot)
{
	uintptr_t region = (uintptr_t)slot & ~(uintptr_t)(FS_SLOTS_REGION - 1);

	return ((const struct fs_slots_region *)region)->slots;
}

uint32_t fs_slots_end(struct fs_slots *slots)
{
	GW_LOCK_SCOPE(&slots->lock);

	return slots->end;
}

static struct fs_slot *slot_in(const struct fs_slots *slots, void *chunk, uint32_t index)
{
	return (struct fs_slot *)((char *)chunk + (index % FS_SLOTS_CHUNK) * slots->slot_size);
}

void *fs_slot_at(const struct fs_slots *slots, uint32_t index)
{
	void *chunk;

	if (!index || index >= FS_SLOTS_MAX)
		return NULL;
	chunk = atomic_load_explicit(&slots->chunks[index / FS_SLOTS_CHUNK], memory_order_acquire);
	return chunk ? slot_in(slots, chunk, index) : NULL;
}

/* Under the lock: the slot at @index, whose chunk is made if need be. */
static struct fs_slot *reach(struct fs_slots *slots, uint32_t index)
{
	_Atomic(void *) *where = &slots->chunks[index / FS_SLOTS_CHUNK];

	if (!atomic_load_explicit(where, memory_order_relaxed)) {
		void *chunk = new_chunk(slots);

		if (!chunk)
			return NULL;
		atomic_store_explicit(where, chunk, memory_order_release);
		slots->end = GW_MAX(slots->end, (index / FS_SLOTS_CHUNK + 1) * FS_SLOTS_CHUNK);
	}
	return fs_slot_at(slots, index);
}

static struct fs_slot *take_free(struct fs_slots *slots)
{
	struct fs_slot *slot = fs_slot_at(slots, slots->free_head);

	if (slot)
		slots->free_head = slot->link;
	return slot;
}

static struct fs_slot *take_unused(struct fs_slots *slots)
{
	while (slots->next < FS_SLOTS_MAX) {
		struct fs_slot *slot = reach(slots, slots->next);

		if (!slot)
			return NULL;
		slots->next++;
		if (slot->id) /* adopted */
			continue;
		slot->id = slots->next - 1;
		atomic_store_explicit(&slot->life, (uint64_t)slots->floor << 32,
				      memory_order_relaxed);
		return slot;
	}
	errno = ENFILE;
	return NULL;
}

/* Everything but the life, which others may look at while they are turned away. */
static void wipe(struct fs_slots *slots, struct fs_slot *slot, uint64_t id)
{
	slot->id = id;
	slot->link = slot->aux = 0;
	memset(slot + 1, 0, slots->slot_size - sizeof(*slot));
	atomic_fetch_add_explicit(&slots->alive, 1, memory_order_relaxed);
}

void *fs_slot_new(struct fs_slots *slots)
{
	GW_LOCK_SCOPE(&slots->lock);
	struct fs_slot *slot = take_free(slots);
	uint64_t life;

	if (!slot)
		slot = take_unused(slots);
	if (!slot)
		return NULL;
	life = atomic_load_explicit(&slot->life, memory_order_relaxed);
	wipe(slots, slot, (life & ~(uint64_t)REFERENCES_MASK) | (uint32_t)slot->id);
	return slot;
}

/*
 * Who fills a table does so in order, as a rule. Then memory comes by the dozen of pages; a fault
 * for each would take longer than what is written there. Ids that are far apart get none ahead.
 */
static void make_ready(const struct fs_slots *slots, struct fs_slot *slot, uint32_t index)
{
	const struct fs_slot *before = fs_slot_at(slots, index - 1);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = (uintptr_t)slot & ~(page - 1);
	uintptr_t end = ((uintptr_t)slot | (FS_SLOTS_REGION - 1)) + 1;

	if (before && before->id)
		madvise((void *)from, GW_MIN(READY_SLOTS * slots->slot_size, end - from),
			MADV_POPULATE_WRITE);
}

void *fs_slot_adopt(struct fs_slots *slots, uint64_t id)
{
	GW_LOCK_SCOPE(&slots->lock);
	uint32_t index = (uint32_t)id;
	struct fs_slot *slot;

	errno = EINVAL;
	if (!index || index >= FS_SLOTS_MAX || generation_of(id) > FS_SLOTS_GENERATION_MAX)
		return NULL;
	slot = reach(slots, index);
	if (!slot || (slot->id && !(slots->filling && fs_slot_is_vacant(slot)))) {
		errno = slot ? EEXIST : ENOMEM;
		return NULL;
	}
	if (index % READY_SLOTS == 0)
		make_ready(slots, slot, index);
	wipe(slots, slot, id);
	slots->highest = GW_MAX(slots->highest, generation_of(id));
	atomic_store_explicit(&slot->life, id & ~(uint64_t)REFERENCES_MASK, memory_order_relaxed);
	return slot;
}

/*
 * Many, side by side.
 */

int fs_slots_reserve(struct fs_slots *slots, uint32_t first, uint32_t end, size_t count)
{
	GW_LOCK_SCOPE(&slots->lock);

	if (!first || end <= first || end > FS_SLOTS_MAX || (end - first) / SPARSE > count)
		return -EINVAL;
	/* Much gets memory by the big page, and so does what there is one for already. */
	slots->fills = (end - first) * slots->slot_size > FS_SLOTS_REGION / 4 || gw_big_is_ready();
	for (uint32_t at = first; at < end; at = (at / FS_SLOTS_CHUNK + 1) * FS_SLOTS_CHUNK) {
		if (!reach(slots, at))
			return -ENOMEM;
	}
	slots->fills = false;
	return 0;
}

void *fs_slot_adopt_reserved(struct fs_slots *slots, uint64_t id)
{
	struct fs_slot *slot = fs_slot_at(slots, (uint32_t)id);

	if (!slot || slot->id || generation_of(id) > FS_SLOTS_GENERATION_MAX)
		return NULL;
	slot->id = id;
	atomic_store_explicit(&slot->life, (id & ~(uint64_t)REFERENCES_MASK) | 1,
			      memory_order_relaxed);
	return slot;
}

void fs_slot_unadopt(struct fs_slots *slots, struct fs_slot *slot)
{
	memset(slot, 0, slots->slot_size);
}

void fs_slots_adopted(struct fs_slots *slots, size_t count, uint32_t highest)
{
	GW_LOCK_SCOPE(&slots->lock);

	atomic_fetch_add_explicit(&slots->alive, count, memory_order_relaxed);
	slots->highest = GW_MAX(slots->highest, highest);
}

/* Under the lock: from the end, where ids of ours are not for long. */
static struct fs_slot *take_last(struct fs_slots *slots)
{
	errno = ENFILE;
	while (slots->foreign_next > slots->next) {
		struct fs_slot *slot = reach(slots, slots->foreign_next--);

		if (!slot || !slot->id)
			return slot;
	}
	return NULL;
}

static void *adopt_elsewhere(struct fs_slots *slots, uint64_t id)
{
	GW_LOCK_SCOPE(&slots->lock);
	struct fs_slot *slot = take_last(slots);
	uint32_t index = slots->foreign_next + 1;
	int err;

	if (!slot)
		return NULL;
	err = fs_foreign_ids_add(&slots->foreign, id, index);
	if (err) {
		slots->foreign_next++; /* it was never used */
		errno = -err;
		return NULL;
	}
	wipe(slots, slot, (uint64_t)FS_SLOTS_FOREIGN << 32 | index);
	atomic_store_explicit(&slot->life, (uint64_t)FS_SLOTS_FOREIGN << 32, memory_order_relaxed);
	return slot;
}

void *fs_slot_adopt_foreign(struct fs_slots *slots, uint64_t id)
{
	const struct fs_slot *taken = fs_slot_at(slots, (uint32_t)id);
	void *slot = fs_slot_adopt(slots, id);

	if (slot || (errno != EINVAL && errno != EEXIST))
		return slot;
	if (taken && taken->id == id) {
		errno = EEXIST;
		return NULL;
	}
	return adopt_elsewhere(slots, id);
}

bool fs_slot_is_foreign(const struct fs_slot *slot)
{
	return generation_of(slot->id) == FS_SLOTS_FOREIGN;
}

uint64_t fs_slot_id(const struct fs_slot *slot)
{
	struct fs_slots *slots;

	if (!fs_slot_is_foreign(slot))
		return slot->id;
	slots = fs_slots_of(slot);
	GW_LOCK_SCOPE(&slots->lock);
	return fs_foreign_ids_id(&slots->foreign, fs_slot_index(slot));
}

static struct fs_slot *find_foreign(struct fs_slots *slots, uint64_t id)
{
	if (!atomic_load_explicit(&slots->foreign.count, memory_order_relaxed))
		return NULL;
	GW_LOCK_SCOPE(&slots->lock);
	return fs_slot_at(slots, fs_foreign_ids_slot(&slots->foreign, id));
}

void *fs_slot_adopted(struct fs_slots *slots, uint64_t id)
{
	struct fs_slot *slot = fs_slot_at(slots, (uint32_t)id);

	if (slot && slot->id == id && id && !fs_slot_is_foreign(slot))
		return fs_slot_is_vacant(slot) ? NULL : slot;
	return find_foreign(slots, id);
}

void fs_slot_publish(struct fs_slot *slot)
{
	atomic_fetch_add_explicit(&slot->life, 1, memory_order_release);
}

bool fs_slot_is_vacant(const struct fs_slot *slot)
{
	return generation_of(atomic_load(&slot->life)) != generation_of(slot->id);
}

void fs_slots_fill(struct fs_slots *slots)
{
	slots->filling = true;
}

/* Without memory to note it in, a slot is not used again: a loss of some bytes. */
static void vacate(struct fs_slots *slots, const struct fs_slot *slot)
{
	if (slots->vacated_count == slots->vacated_room) {
		size_t room = slots->vacated_room ? slots->vacated_room * 2 : 64;
		uint32_t *vacated = realloc(slots->vacated, room * sizeof(*vacated));

		if (!vacated)
			return;
		slots->vacated = vacated;
		slots->vacated_room = room;
	}
	slots->vacated[slots->vacated_count++] = (uint32_t)slot->id;
}

static void make_free(struct fs_slots *slots, struct fs_slot *slot)
{
	slot->link = slots->free_head;
	slots->free_head = (uint32_t)slot->id;
}

void fs_slots_filled(struct fs_slots *slots)
{
	GW_LOCK_SCOPE(&slots->lock);

	slots->filling = false;
	for (size_t i = 0; i < slots->vacated_count; i++) {
		struct fs_slot *slot = fs_slot_at(slots, slots->vacated[i]);

		/* Vacated twice, it is noted twice. */
		if (!fs_slot_is_vacant(slot) || slot->aux)
			continue;
		slot->aux = 1;
		make_free(slots, slot);
	}
	free(gw_take_ptr(slots->vacated));
	slots->vacated_count = slots->vacated_room = 0;
}

void fs_slot_free(struct fs_slot *slot)
{
	struct fs_slots *slots = fs_slots_of(slot);
	GW_LOCK_SCOPE(&slots->lock);
	uint32_t generation = generation_of(atomic_load(&slot->life));

	atomic_fetch_sub_explicit(&slots->alive, 1, memory_order_relaxed);
	if (generation == FS_SLOTS_FOREIGN)
		fs_foreign_ids_remove(&slots->foreign, (uint32_t)slot->id);
	if (generation >= FS_SLOTS_FOREIGN - 1) /* used up: the slot retires */
		return;
	generation++;
	slots->highest = GW_MAX(slots->highest, generation);
	atomic_store_explicit(&slot->life, (uint64_t)generation << 32, memory_order_release);
	if (slots->filling) {
		slot->aux = 0;
		vacate(slots, slot);
	} else {
		make_free(slots, slot);
	}
}

static bool pin_if(struct fs_slot *slot, bool any, uint32_t generation)
{
	uint64_t life = atomic_load_explicit(&slot->life, memory_order_relaxed);

	do {
		uint32_t references = (uint32_t)life;

		if (!references || references == UINT32_MAX)
			return false;
		if (!any && generation_of(life) != generation)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->life, &life, life + 1, memory_order_acquire, memory_order_relaxed));
	return true;
}

void *fs_slot_get(struct fs_slots *slots, uint64_t id)
{
	struct fs_slot *slot = fs_slot_at(slots, (uint32_t)id);
	bool ours = generation_of(id) != FS_SLOTS_FOREIGN;

	if (ours && slot && pin_if(slot, false, generation_of(id)))
		return slot;
	slot = find_foreign(slots, id);
	/* A slot that was retired is not used again: who is found, if alive, is the one. */
	return slot && pin_if(slot, true, 0) ? slot : NULL;
}

bool fs_slot_try_pin(struct fs_slot *slot)
{
	return pin_if(slot, true, 0);
}

void fs_slot_pin(struct fs_slot *slot)
{
	atomic_fetch_add_explicit(&slot->life, 1, memory_order_relaxed);
}

void fs_slot_pin_times(struct fs_slot *slot, uint32_t times)
{
	atomic_fetch_add_explicit(&slot->life, times, memory_order_relaxed);
}

bool fs_slot_unpin(struct fs_slot *slot)
{
	uint64_t before = atomic_fetch_sub_explicit(&slot->life, 1, memory_order_acq_rel);

	return (uint32_t)before == 1;
}

void *fs_slots_next(const struct fs_slots *slots, uint32_t *index)
{
	uint32_t at = *index ? *index : 1;

	while (at < FS_SLOTS_MAX) {
		void *slot = fs_slot_at(slots, at);

		if (slot) {
			*index = at + 1;
			return slot;
		}
		at = (at / FS_SLOTS_CHUNK + 1) * FS_SLOTS_CHUNK;
	}
	return NULL;
}

uint32_t fs_slots_floor(struct fs_slots *slots)
{
	GW_LOCK_SCOPE(&slots->lock);

	return GW_MAX(slots->floor, slots->highest);
}

int fs_slots_set_floor(struct fs_slots *slots, uint32_t floor)
{
	GW_LOCK_SCOPE(&slots->lock);

	if (floor > FS_SLOTS_GENERATION_MAX)
		return -EINVAL;
	slots->floor = floor;
	slots->highest = GW_MAX(slots->highest, floor);
	return 0;
}
