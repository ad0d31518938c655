/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/rig.h - guest memory with one ring in it, built by hand, and a queue on it. */
#ifndef GW_TESTS_UNIT_RIG_H
#define GW_TESTS_UNIT_RIG_H

#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "godwit/loop.h"
#include "virtio/queue.h"

/* Two adjacent regions of guest-physical memory in one file; the file's second half is the first
 * region, so that they are never neighbours in the mapping. */
#define RIG_GPA	  0x100000ULL
#define RIG_UADDR 0x7f0000000000ULL
#define RIG_HALF  0x100000ULL
#define RIG_DATA  0x80000ULL /* offset of memory that no ring uses */

#define RIG_DESC  0x0ULL
#define RIG_AVAIL 0x20000ULL
#define RIG_USED  0x40000ULL

struct rig_seg {
	uint64_t gpa;
	uint32_t len;
	bool in;
};

struct rig {
	bool packed, event_idx;
	unsigned num;
	uint32_t base;
	struct gw_inflight *inflight;

	int fd;
	uint8_t *ram; /* the file as the guest sees it: gpa RIG_GPA first */
	struct gw_mem *mem;
	struct gw_loop *loop;
	struct gw_queue *queue;
	int kick, call, err; /* our own copies */

	/* The driver's side. */
	uint16_t avail, used, next;
	bool avail_wrap, used_wrap;
};

/* @rig says packed, event_idx, num, base, inflight; the rest is filled in. */
void rig_memory(struct rig *rig);
void rig_queue(struct rig *rig, const struct gw_queue_ops *ops, void *opaque);
void rig_start(struct rig *rig);
void rig_stop(struct rig *rig);		     /* runs the loop until the queue has stopped */
void rig_turn(struct rig *rig, unsigned ms); /* runs the loop that long */
void rig_free(struct rig *rig);

/* A change that must succeed, waited for if need be. */
int rig_change(struct rig *rig, const struct gw_queue_change *change);

/* One chain, of descriptors on the ring; returns its id. Publishes and kicks. */
uint16_t rig_add(struct rig *rig, const struct rig_seg *segs, unsigned count);
/* The same, without the kick. */
uint16_t rig_add_quietly(struct rig *rig, const struct rig_seg *segs, unsigned count);
void rig_kick(struct rig *rig);
/* Waits up to some seconds for a used element. False: none came. */
bool rig_get(struct rig *rig, uint16_t *id, uint32_t *len);
bool rig_get_now(struct rig *rig, uint16_t *id, uint32_t *len);
/* Waits for an eventfd and reads it. */
bool rig_wait(int fd, int ms);

void *rig_at(const struct rig *rig, uint64_t gpa);

#endif
