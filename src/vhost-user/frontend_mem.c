/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/frontend_mem.c - the guest's memory and what the back-end is told of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/frontend_internal.h"

#define PAGE	    UINT64_C(4096)
#define HOT_ALIGN   (UINT64_C(2) << 20)
#define ALLOC_ALIGN 64

/* Sealed against shrinking, as QEMU's are: a back-end may insist. */
static int map_memfd(const char *name, size_t size, int *fd, char **base)
{
	GW_AUTO_FD int made = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *mapping;

	if (made < 0 || ftruncate(made, (off_t)size) < 0)
		return gw_fail(errno, "guest memory of %zu bytes: %s", size, strerror(errno));
	mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
	if (mapping == MAP_FAILED)
		return gw_fail(errno, "guest memory of %zu bytes: %s", size, strerror(errno));
	*base = mapping;
	*fd = gw_take_fd(&made);
	return 0;
}

static void describe_regions(struct gw_guest *guest, unsigned count)
{
	size_t each = guest->size / count / PAGE * PAGE, at = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t size = i + 1 < count ? each : guest->size - at;

		guest->regions[i] = (struct gw_guest_region){
			.wire = {.gpa = GW_FRONTEND_GPA + at,
				 .size = size,
				 .uaddr = (uintptr_t)guest->base + at,
				 .offset = at},
			.base = guest->base + at,
			.fd = guest->fd,
			.in_use = true,
		};
		at += size;
	}
}

int gw_guest_new(struct gw_guest **out, const struct gw_frontend_config *config)
{
	size_t size = gw_round_up(config->memory_size ? config->memory_size : 16u << 20, PAGE);
	unsigned regions = config->memory_regions ? config->memory_regions : 1;
	struct gw_guest *guest;
	int err;

	if (regions > GW_FRONTEND_REGIONS_MAX || regions > size / PAGE)
		return gw_fail(EINVAL, "front-end: %u memory regions, at most %d", regions,
			       GW_FRONTEND_REGIONS_MAX);
	if (!config->queues || config->queues > GW_FRONTEND_QUEUES_MAX)
		return gw_fail(EINVAL, "front-end: %u queues, not 1 to %d", config->queues,
			       GW_FRONTEND_QUEUES_MAX);
	guest = calloc(1, sizeof(*guest));
	if (!guest)
		return gw_fail(ENOMEM, "front-end: no memory");
	guest->refs = 1;
	guest->fd = -1;
	guest->size = size;
	guest->queues = config->queues;
	guest->queue_size = config->queue_size ? config->queue_size : 128;
	guest->packed = config->packed;
	guest->next_gpa = gw_round_up(GW_FRONTEND_GPA + size, HOT_ALIGN);
	err = map_memfd("gw-guest", size, &guest->fd, &guest->base);
	if (err) {
		gw_guest_unref(guest);
		return err;
	}
	describe_regions(guest, regions);
	*out = guest;
	return 0;
}

struct gw_guest *gw_guest_ref(struct gw_guest *guest)
{
	atomic_fetch_add(&guest->refs, 1);
	return guest;
}

static void drop_region(struct gw_guest_region *region)
{
	if (region->in_use && region->hot) {
		munmap(region->base, region->wire.size);
		gw_close(&region->fd);
	}
	*region = (struct gw_guest_region){.fd = -1};
}

void gw_guest_unref(struct gw_guest *guest)
{
	if (!guest || atomic_fetch_sub(&guest->refs, 1) != 1)
		return;
	for (unsigned i = 0; i < guest->queues; i++)
		gw_driver_free(guest->drivers[i]);
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++)
		drop_region(&guest->regions[i]);
	if (guest->base)
		munmap(guest->base, guest->size);
	gw_close(&guest->fd);
	free(guest);
}

uint64_t gw_guest_gpa_of(const void *opaque, const void *ptr, size_t len)
{
	const struct gw_guest *guest = opaque;
	uint64_t at = (uintptr_t)ptr;
	uint64_t base = (uintptr_t)guest->base;

	if (at >= base && gw_range_within(at - base, len, guest->size))
		return GW_FRONTEND_GPA + (at - base);
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++) {
		const struct gw_guest_region *region = &guest->regions[i];

		if (region->in_use && at >= region->wire.uaddr &&
		    gw_range_within(at - region->wire.uaddr, len, region->wire.size))
			return region->wire.gpa + (at - region->wire.uaddr);
	}
	return UINT64_MAX;
}

uint64_t gw_guest_last_gpa(const struct gw_guest *guest)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++)
		if (guest->regions[i].in_use)
			last = GW_MAX(last,
				      guest->regions[i].wire.gpa + guest->regions[i].wire.size - 1);
	return last;
}

static void *take_memory(struct gw_guest *guest, size_t len, size_t align)
{
	size_t at = gw_round_up(guest->next_free, align);

	if (!gw_range_within(at, len, guest->size))
		return NULL;
	guest->next_free = at + len;
	return guest->base + at;
}

/* A ring lies within one region: back-ends translate its address once. */
static void *take_ring_memory(struct gw_guest *guest, size_t len)
{
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX && guest->regions[i].in_use; i++) {
		uint64_t start = guest->regions[i].wire.offset, size = guest->regions[i].wire.size;
		uint64_t at = gw_round_up(GW_MAX((uint64_t)guest->next_free, start), PAGE);

		if (at < start + size && gw_range_within(at - start, len, size)) {
			guest->next_free = at;
			return take_memory(guest, len, PAGE);
		}
	}
	return NULL;
}

int gw_guest_make_rings(struct gw_guest *guest, uint64_t features, bool indirect)
{
	size_t len = gw_driver_bytes(guest->queue_size, guest->packed, indirect);

	guest->features = features;
	for (unsigned i = 0; i < guest->queues; i++) {
		struct gw_driver_config config = {
			.num = guest->queue_size,
			.packed = guest->packed,
			.event_idx = features & GW_VIRTIO_F_EVENT_IDX,
			.indirect = indirect,
			.ring = take_ring_memory(guest, len),
			.gpa_of = gw_guest_gpa_of,
			.opaque = guest,
		};
		int err;

		if (!config.ring)
			return gw_fail(ENOMEM, "front-end: no room for ring %u of %zu bytes", i,
				       len);
		config.ring_gpa = gw_guest_gpa_of(guest, config.ring, len);
		guest->rings[i] = config.ring;
		err = gw_driver_new(&guest->drivers[i], &config);
		if (err)
			return err;
	}
	return 0;
}

void *gw_frontend_memory(const struct gw_frontend *frontend, size_t *size)
{
	if (size)
		*size = frontend->guest->size;
	return frontend->guest->base;
}

void *gw_frontend_alloc(struct gw_frontend *frontend, size_t len)
{
	return take_memory(frontend->guest, len, ALLOC_ALIGN);
}

static int send_mem_table(struct gw_frontend *frontend)
{
	struct gw_vu_mem_table table = {0};
	int fds[GW_VU_REGIONS_MAX];

	memset(frontend->told, 0, sizeof(frontend->told));
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++) {
		const struct gw_guest_region *region = &frontend->guest->regions[i];

		if (!region->in_use)
			continue;
		if (table.count == GW_VU_REGIONS_MAX)
			return gw_fail(ENOSPC, "SET_MEM_TABLE: more than %d regions",
				       GW_VU_REGIONS_MAX);
		fds[table.count] = region->fd;
		table.regions[table.count++] = region->wire;
		frontend->told[i] = region->wire;
	}
	return gw_frontend_tell(
		frontend, GW_VU_ACKED,
		&(struct gw_vu_out){
			.request = GW_VU_SET_MEM_TABLE,
			.payload = &table,
			.len = (uint32_t)(offsetof(struct gw_vu_mem_table, regions) +
					  table.count * sizeof(struct gw_vu_region)),
			.fds = fds,
			.fd_count = table.count,
		});
}

static int send_region(struct gw_frontend *frontend, uint32_t request,
		       const struct gw_vu_region *wire, const int *fd)
{
	struct gw_vu_mem_reg reg = {.region = *wire};

	return gw_frontend_tell(frontend, GW_VU_ACKED,
				&(struct gw_vu_out){.request = request,
						    .payload = &reg,
						    .len = sizeof(reg),
						    .fds = fd,
						    .fd_count = fd ? 1 : 0});
}

/* Removes before it adds: regions never overlap at any time. */
static int send_difference(struct gw_frontend *frontend)
{
	struct gw_guest_region *regions = frontend->guest->regions;
	struct gw_vu_region *told = frontend->told;
	int err = 0;

	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX && !err; i++) {
		if (!told[i].size || !memcmp(&told[i], &regions[i].wire, sizeof(told[i])))
			continue;
		err = send_region(frontend, GW_VU_REM_MEM_REG, &told[i], NULL);
		told[i] = (struct gw_vu_region){0};
	}
	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX && !err; i++) {
		if (!regions[i].in_use || told[i].size)
			continue;
		err = send_region(frontend, GW_VU_ADD_MEM_REG, &regions[i].wire, &regions[i].fd);
		if (!err)
			told[i] = regions[i].wire;
	}
	return err;
}

int gw_frontend_tell_memory(struct gw_frontend *frontend)
{
	return gw_frontend_has(frontend, GW_VU_PF(CONFIGURE_MEM_SLOTS)) ? send_difference(frontend)
									: send_mem_table(frontend);
}

int gw_frontend_add_region(struct gw_frontend *frontend, size_t size, void **base)
{
	struct gw_guest *guest = frontend->guest;
	struct gw_guest_region *region = guest->regions;
	int err;

	while (region->in_use)
		if (++region == guest->regions + GW_FRONTEND_REGIONS_MAX)
			return gw_fail(ENOSPC, "front-end: more than %d memory regions",
				       GW_FRONTEND_REGIONS_MAX);
	*region = (struct gw_guest_region){.fd = -1, .hot = true};
	region->wire.size = gw_round_up(size, PAGE);
	region->wire.gpa = guest->next_gpa;
	err = map_memfd("gw-guest-hot", region->wire.size, &region->fd, &region->base);
	if (err)
		return err;
	region->wire.uaddr = (uintptr_t)region->base;
	region->in_use = true;
	guest->next_gpa = gw_round_up(guest->next_gpa + region->wire.size + 1, HOT_ALIGN);
	/* The larger log first: the device may write to the region as soon as it knows it. */
	err = gw_frontend_grow_log(frontend);
	if (!err && frontend->started)
		err = gw_frontend_tell_memory(frontend);
	if (err) {
		drop_region(region);
		return err;
	}
	*base = region->base;
	return 0;
}

int gw_frontend_remove_region(struct gw_frontend *frontend, void *base)
{
	struct gw_guest_region *regions = frontend->guest->regions;

	for (unsigned i = 0; i < GW_FRONTEND_REGIONS_MAX; i++) {
		struct gw_guest_region removed = regions[i];
		int err = 0;

		if (!removed.in_use || !removed.hot || removed.base != base)
			continue;
		regions[i] = (struct gw_guest_region){.fd = -1};
		if (frontend->started)
			err = gw_frontend_tell_memory(frontend);
		drop_region(&removed);
		return err;
	}
	return gw_fail(ENOENT, "front-end: no hot-added region there");
}
