/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/inflight.h - the region that remembers what is in flight (vhost-user, "Inflight I/O
 * tracking"). */
#ifndef GW_VIRTIO_INFLIGHT_H
#define GW_VIRTIO_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Shared memory in the specification's layout (version 1), one part a queue, for split or packed
 * rings. The region comes from GET_INFLIGHT_FD (we make it) or SET_INFLIGHT_FD (a front-end gives
 * back what an earlier back-end wrote: untrusted). Counted.
 */
struct gw_inflight;

/* Bytes needed for @queues rings of @queue_size entries. */
uint64_t gw_inflight_size(bool packed, unsigned queues, unsigned queue_size);
/* Make a new region in a sealed memfd; *@fd is the caller's, to send. */
int gw_inflight_create(struct gw_inflight **inflight, bool packed, unsigned queues,
		       unsigned queue_size, int *fd);
/* Map one that was given; sizes are checked against queues and queue_size. */
int gw_inflight_map(struct gw_inflight **inflight, int fd, uint64_t offset, uint64_t size,
		    bool packed, unsigned queues, unsigned queue_size);
struct gw_inflight *gw_inflight_ref(struct gw_inflight *inflight);
void gw_inflight_unref(struct gw_inflight *inflight); /* NULL is allowed */

/* The part of @queue, whose ring has @num entries; NULL with a sentence if the region was made for
 * something else. */
void *gw_inflight_part(struct gw_inflight *inflight, unsigned queue, unsigned num, bool packed);
/* Nothing of @queue is in flight any more: its part is as new. While no ring uses it. */
void gw_inflight_forget(struct gw_inflight *inflight, unsigned queue);

/* The serials (struct gw_elem) of @queue's requests that may be in flight, into room for the
 * region's queue size: all that are, and perhaps some that were answered last. Before rings are set
 * up. */
unsigned gw_inflight_serials(const struct gw_inflight *inflight, unsigned queue, uint64_t *serials);

#endif
