/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/dirty.h - the dirty log: one bit for each 4 KiB page of guest memory. */
#ifndef GW_VIRTIO_DIRTY_H
#define GW_VIRTIO_DIRTY_H

#include <stddef.h>
#include <stdint.h>

/*
 * A table that the front-end shares and clears concurrently (vhost-user, "Migration"): bits are set
 * by atomic OR, after the write that they stand for. Counted; a new table replaces the old one by
 * GW_QUEUE_LOG changes on all queues before the old one is dropped.
 */
#define GW_LOG_PAGE 4096

struct gw_dirty;

int gw_dirty_new(struct gw_dirty **dirty, int fd, uint64_t offset, uint64_t size);
/* An eventfd to signal after each mark (SET_LOG_FD); taken over, -1: none. Once, before the table
 * is in use. */
void gw_dirty_set_notify(struct gw_dirty *dirty, int fd);
struct gw_dirty *gw_dirty_ref(struct gw_dirty *dirty);
void gw_dirty_unref(struct gw_dirty *dirty); /* NULL is allowed */

/* Mark the pages of [@gpa, @gpa + @len). NULL ("logging on, no table yet") marks nothing; pages
 * beyond the table are dropped, with one log line a table. Any thread. */
void gw_dirty_mark(struct gw_dirty *dirty, uint64_t gpa, uint64_t len);

#endif
