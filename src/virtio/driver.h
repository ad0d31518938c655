/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver.h - the driver side of a ring, split or packed: what a guest does. */
#ifndef GW_VIRTIO_DRIVER_H
#define GW_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/*
 * One thread at a time uses a driver. The device is the other side of shared memory and is not
 * believed: a used element that was never made available ends in gw_driver_is_broken().
 */
struct gw_driver;

/* Entries of a ring, as in virtio/queue.h; packed rings need no power of two. */
#define GW_DRIVER_NUM_MAX 32768
/* Longer chains go into the ring itself, also where indirect tables are in use. */
#define GW_DRIVER_INDIRECT_MAX 64

struct gw_driver_config {
	unsigned num; /* power of two for split */
	bool packed, event_idx, indirect;
	/* Ring memory inside guest memory: gw_driver_bytes() bytes, page-aligned. */
	void *ring;
	uint64_t ring_gpa;
	/* The guest-physical address of [@ptr, @ptr + @len), UINT64_MAX if that is no guest
	 * memory. May cross regions that follow each other in both address spaces. */
	uint64_t (*gpa_of)(const void *opaque, const void *ptr, size_t len);
	const void *opaque;
};

size_t gw_driver_bytes(unsigned num, bool packed, bool indirect);
int gw_driver_new(struct gw_driver **driver, const struct gw_driver_config *config);
void gw_driver_free(struct gw_driver *driver); /* NULL is allowed */
/* As after gw_driver_new(): the ring is zeroed, what was outstanding is forgotten. */
void gw_driver_reset(struct gw_driver *driver);

/* Where the three areas are, as offsets into the ring memory (packed: descriptor ring, driver
 * event, device event). */
void gw_driver_areas(const struct gw_driver *driver, uint64_t *desc, uint64_t *avail,
		     uint64_t *used);
/* The ring base of a device that has done exactly what this driver has seen done: for a first
 * start, and after a back-end died with its own notion of it. */
uint32_t gw_driver_base(const struct gw_driver *driver);

/* -ENOSPC: no room now; -EFAULT: a segment outside guest memory; -EINVAL: empty, or never room. */
int gw_driver_queue_add(struct gw_driver *driver, const struct iovec *out, unsigned out_count,
			const struct iovec *in, unsigned in_count, void *token);
/* Does the device want to know of what was added since the last call? */
bool gw_driver_wants_kick(struct gw_driver *driver);
bool gw_driver_queue_get(struct gw_driver *driver, void **token, uint32_t *len);
/* Ask for a notification at the next used element; true if one is there already. */
bool gw_driver_arm(struct gw_driver *driver);
unsigned gw_driver_outstanding(const struct gw_driver *driver);
bool gw_driver_is_broken(const struct gw_driver *driver);

#endif
