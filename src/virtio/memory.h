/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/memory.h - guest memory: an immutable, counted table of mapped regions. */
#ifndef GW_VIRTIO_MEMORY_H
#define GW_VIRTIO_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A change makes a new table; regions are shared between tables and unmapped with the last one that
 * holds them. Any thread may use a table that it holds a reference to.
 *
 * A front-end that shrinks the file under a mapping would make any access a SIGBUS. The handler
 * installed here replaces the page by an empty one and marks the region broken, so that the ring
 * stops with an error and the process lives.
 */
#define GW_MEM_REGIONS_MAX 509 /* what the kernel's and QEMU's tables hold */

struct gw_mem;

struct gw_mem_region {
	uint64_t gpa;	 /* guest-physical address */
	uint64_t size;	 /* bytes, not 0 */
	uint64_t uaddr;	 /* the front-end's own virtual address: ring addresses are given in it */
	uint64_t offset; /* into the descriptor */
};

/* An empty table with one reference. */
int gw_mem_new(struct gw_mem **mem);
struct gw_mem *gw_mem_ref(struct gw_mem *mem);
void gw_mem_unref(struct gw_mem *mem); /* NULL is allowed */

/* *@out is @old (may be NULL: empty) and one more region, mapped from @fd (borrowed). Refused:
 * wrap-around, overlap in either address space (-EINVAL), a file shorter than offset + size
 * (-EINVAL), too many (-ENOSPC). */
int gw_mem_add(struct gw_mem **out, struct gw_mem *old, const struct gw_mem_region *region, int fd);
/* *@out is @old without the region with this gpa, size and uaddr; -ENOENT. */
int gw_mem_remove(struct gw_mem **out, struct gw_mem *old, const struct gw_mem_region *region);

unsigned gw_mem_count(const struct gw_mem *mem);
/* Describes region @i as given to gw_mem_add(). */
struct gw_mem_region gw_mem_region_at(const struct gw_mem *mem, unsigned i);

/* The mapping of [@gpa, @gpa + @len), which must lie within one region; NULL otherwise. */
void *gw_mem_at_gpa(const struct gw_mem *mem, uint64_t gpa, uint64_t len);
void *gw_mem_at_uaddr(const struct gw_mem *mem, uint64_t uaddr, uint64_t len);
/* The longest prefix of [@gpa, @gpa + @len) inside one region: its mapping and length, for
 * descriptors that span adjacent regions. */
void *gw_mem_span(const struct gw_mem *mem, uint64_t gpa, uint64_t len, uint64_t *span);
/* Back from a mapping to the guest's address; UINT64_MAX if it is none of ours. */
uint64_t gw_mem_gpa_of(const struct gw_mem *mem, const void *ptr);
/* Did any region lose a page to a shrunk file? */
int gw_mem_is_broken(const struct gw_mem *mem);

#endif
