/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/driver.h - the driver side of a ring, split or packed: what a guest does. */
#ifndef GW_VIRTIO_DRIVER_H
#define GW_VIRTIO_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/memory.h"

struct gw_driver;

struct gw_driver_config {
	unsigned num; /* power of two for split */
	bool packed, event_idx, indirect;
	/* Ring memory inside guest memory: gw_driver_bytes() bytes at this mapping, zeroed. */
	void *ring;
	uint64_t ring_gpa;
	struct gw_mem *mem; /* to turn mappings into guest-physical addresses; referenced */
};

size_t gw_driver_bytes(unsigned num, bool packed, bool indirect);
int gw_driver_new(struct gw_driver **driver, const struct gw_driver_config *config);
void gw_driver_free(struct gw_driver *driver);
/* Where the three areas are, as offsets into the ring memory (packed: descriptor ring, driver
 * event, device event). */
void gw_driver_areas(const struct gw_driver *driver, uint64_t *desc, uint64_t *avail,
		     uint64_t *used);

int gw_driver_queue_add(struct gw_driver *driver, const struct iovec *out, unsigned out_count,
			const struct iovec *in, unsigned in_count, void *token);
bool gw_driver_wants_kick(struct gw_driver *driver);
bool gw_driver_queue_get(struct gw_driver *driver, void **token, uint32_t *len);
/* Ask for a notification at the next used element; true if one is there already. */
bool gw_driver_arm(struct gw_driver *driver);
unsigned gw_driver_outstanding(const struct gw_driver *driver);

#endif
