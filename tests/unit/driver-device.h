/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/driver-device.h - a device of few lines, for the tests of the driver side. */
#ifndef GW_TESTS_DRIVER_DEVICE_H
#define GW_TESTS_DRIVER_DEVICE_H

#include <linux/virtio_ring.h>

#include "virtio/driver.h"

#define NUM	  8
#define MEM_BYTES (1 << 20)
#define MEM_GPA	  0x200000u

struct seg {
	uint64_t gpa;
	uint32_t len;
	bool writable;
};

struct device {
	bool packed;
	struct gw_driver *driver;
	char *mem; /* all of guest memory; the ring is at its front */
	char *buffers;
	uint64_t desc, avail, used;
	uint16_t next_avail, next_used;
	bool avail_wrap, used_wrap;
};

void device_setup(struct device *device, bool packed, bool event_idx, bool indirect);
void device_teardown(struct device *device);
/* The segments of the next chain; their number, 0 if there is none. @descs: ring entries it took.
 */
unsigned device_pop(struct device *device, struct seg *segs, uint16_t *id, uint16_t *descs);
void device_push(struct device *device, uint16_t id, uint16_t descs, uint32_t len);
/* Ask to be kicked for what becomes available next (EVENT_IDX), or never. */
void device_ask_kick(struct device *device, bool ask);

#endif
