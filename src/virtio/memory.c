/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/memory.c - guest memory: an immutable, counted table of mapped regions. */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/sigbus.h"
#include "godwit/error.h"
#include "virtio/memory.h"

struct map {
	_Atomic unsigned refs;
	struct gw_mem_region at;
	struct gw_mapping mapping;
};

struct gw_mem {
	_Atomic unsigned refs;
	unsigned count;
	struct map *maps[]; /* in the order of gpa */
};

static void map_unref(struct map *map)
{
	if (atomic_fetch_sub(&map->refs, 1) != 1)
		return;
	gw_mapping_close(&map->mapping);
	free(map);
}

static struct gw_mem *mem_alloc(unsigned count)
{
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): it is pointers that follow */
	struct gw_mem *mem = calloc(1, sizeof(*mem) + count * sizeof(mem->maps[0]));

	if (mem)
		atomic_store(&mem->refs, 1);
	return mem;
}

static void mem_append(struct gw_mem *mem, struct map *map)
{
	atomic_fetch_add(&map->refs, 1);
	mem->maps[mem->count++] = map;
}

int gw_mem_new(struct gw_mem **mem)
{
	*mem = mem_alloc(0);
	return *mem ? 0 : gw_fail(ENOMEM, "memory table: no memory");
}

struct gw_mem *gw_mem_ref(struct gw_mem *mem)
{
	if (mem)
		atomic_fetch_add(&mem->refs, 1);
	return mem;
}

void gw_mem_unref(struct gw_mem *mem)
{
	if (!mem || atomic_fetch_sub(&mem->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < mem->count; i++)
		map_unref(mem->maps[i]);
	free(mem);
}

static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a < b + b_size && b < a + a_size;
}

static int region_check(const struct gw_mem *old, const struct gw_mem_region *r)
{
	uint64_t end;

	if (!r->size || gw_add_overflows(r->gpa, r->size, &end) ||
	    gw_add_overflows(r->uaddr, r->size, &end) || gw_add_overflows(r->offset, r->size, &end))
		return gw_fail(EINVAL, "memory region 0x%llx: a size of 0x%llx cannot be",
			       (unsigned long long)r->gpa, (unsigned long long)r->size);
	for (unsigned i = 0; old && i < old->count; i++) {
		const struct gw_mem_region *o = &old->maps[i]->at;

		if (overlap(r->gpa, r->size, o->gpa, o->size) ||
		    overlap(r->uaddr, r->size, o->uaddr, o->size))
			return gw_fail(EINVAL, "memory region 0x%llx overlaps the one at 0x%llx",
				       (unsigned long long)r->gpa, (unsigned long long)o->gpa);
	}
	if (old && old->count >= GW_MEM_REGIONS_MAX)
		return gw_fail(ENOSPC, "memory table: more than %d regions", GW_MEM_REGIONS_MAX);
	return 0;
}

static int map_new(struct map **out, const struct gw_mem_region *region, int fd)
{
	struct map *map = calloc(1, sizeof(*map));
	int err;

	if (!map)
		return gw_fail(ENOMEM, "memory region: no memory");
	map->at = *region;
	err = gw_mapping_open(&map->mapping, fd, region->offset, region->size);
	if (err) {
		free(map);
		return gw_fail_in(err, "memory region 0x%llx", (unsigned long long)region->gpa);
	}
	atomic_store(&map->refs, 1);
	*out = map;
	return 0;
}

int gw_mem_add(struct gw_mem **out, struct gw_mem *old, const struct gw_mem_region *region, int fd)
{
	unsigned count = old ? old->count : 0, i = 0;
	struct gw_mem *mem;
	struct map *map = NULL;
	int err = region_check(old, region);

	if (!err)
		err = map_new(&map, region, fd);
	if (err)
		return err;
	mem = mem_alloc(count + 1);
	if (!mem) {
		map_unref(map);
		return gw_fail(ENOMEM, "memory table: no memory");
	}
	while (i < count && old->maps[i]->at.gpa < region->gpa)
		mem_append(mem, old->maps[i++]);
	mem_append(mem, map);
	while (i < count)
		mem_append(mem, old->maps[i++]);
	map_unref(map); /* the table's own reference stays */
	*out = mem;
	return 0;
}

static bool same_region(const struct gw_mem_region *a, const struct gw_mem_region *b)
{
	return a->gpa == b->gpa && a->size == b->size && a->uaddr == b->uaddr;
}

int gw_mem_remove(struct gw_mem **out, struct gw_mem *old, const struct gw_mem_region *region)
{
	unsigned at = 0;
	struct gw_mem *mem;

	while (at < old->count && !same_region(&old->maps[at]->at, region))
		at++;
	if (at == old->count)
		return gw_fail(ENOENT, "memory region 0x%llx of 0x%llx bytes is not in the table",
			       (unsigned long long)region->gpa, (unsigned long long)region->size);
	mem = mem_alloc(old->count - 1);
	if (!mem)
		return gw_fail(ENOMEM, "memory table: no memory");
	for (unsigned i = 0; i < old->count; i++) {
		if (i != at)
			mem_append(mem, old->maps[i]);
	}
	*out = mem;
	return 0;
}

unsigned gw_mem_count(const struct gw_mem *mem)
{
	return mem->count;
}

struct gw_mem_region gw_mem_region_at(const struct gw_mem *mem, unsigned i)
{
	return mem->maps[i]->at;
}

/* The region that holds @gpa; NULL if none. */
static const struct map *find_gpa(const struct gw_mem *mem, uint64_t gpa)
{
	unsigned low = 0, high = mem->count;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		const struct map *map = mem->maps[mid];

		if (gpa < map->at.gpa)
			high = mid;
		else if (gpa - map->at.gpa < map->at.size)
			return map;
		else
			low = mid + 1;
	}
	return NULL;
}

void *gw_mem_span(const struct gw_mem *mem, uint64_t gpa, uint64_t len, uint64_t *span)
{
	const struct map *map = find_gpa(mem, gpa);

	if (!map)
		return NULL;
	*span = GW_MIN(len, map->at.size - (gpa - map->at.gpa));
	return (char *)map->mapping.start + (gpa - map->at.gpa);
}

void *gw_mem_at_gpa(const struct gw_mem *mem, uint64_t gpa, uint64_t len)
{
	uint64_t span;
	void *ptr = gw_mem_span(mem, gpa, len, &span);

	return ptr && span == len ? ptr : NULL;
}

void *gw_mem_at_uaddr(const struct gw_mem *mem, uint64_t uaddr, uint64_t len)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct map *map = mem->maps[i];
		uint64_t offset = uaddr - map->at.uaddr;

		if (uaddr >= map->at.uaddr && offset < map->at.size)
			return gw_range_within(offset, len, map->at.size)
				       ? (char *)map->mapping.start + offset
				       : NULL;
	}
	return NULL;
}

uint64_t gw_mem_gpa_of(const struct gw_mem *mem, const void *ptr)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct map *map = mem->maps[i];
		uintptr_t start = (uintptr_t)map->mapping.start;

		if ((uintptr_t)ptr >= start && (uintptr_t)ptr - start < map->at.size)
			return map->at.gpa + ((uintptr_t)ptr - start);
	}
	return UINT64_MAX;
}

int gw_mem_is_broken(const struct gw_mem *mem)
{
	if (!gw_guard_any_broken())
		return 0;
	for (unsigned i = 0; i < mem->count; i++) {
		if (gw_guard_is_broken(mem->maps[i]->mapping.guard))
			return 1;
	}
	return 0;
}
