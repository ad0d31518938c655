/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/dirty.c - the dirty log: one bit for each 4 KiB page of guest memory. */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/sigbus.h"
#include "godwit/error.h"
#include "virtio/bell.h"
#include "virtio/dirty.h"

struct gw_dirty {
	_Atomic unsigned refs;
	_Atomic bool told; /* that pages lie beyond the table */
	uint64_t pages;
	struct gw_mapping mapping;
	struct gw_bell notify; /* SET_LOG_FD */
};

int gw_dirty_new(struct gw_dirty **out, int fd, uint64_t offset, uint64_t size)
{
	struct gw_dirty *dirty = calloc(1, sizeof(*dirty));
	int err;

	if (!dirty)
		return gw_fail(ENOMEM, "dirty log: no memory");
	err = gw_mapping_open(&dirty->mapping, fd, offset, size);
	if (err) {
		free(dirty);
		return gw_fail_in(err, "dirty log");
	}
	/* size * 8 fits: what could be mapped has fewer than 2^61 bytes. */
	dirty->pages = size * 8;
	dirty->notify.fd = -1;
	atomic_store(&dirty->refs, 1);
	*out = dirty;
	return 0;
}

void gw_dirty_set_notify(struct gw_dirty *dirty, int fd)
{
	gw_bell_set(&dirty->notify, fd);
}

struct gw_dirty *gw_dirty_ref(struct gw_dirty *dirty)
{
	if (dirty)
		atomic_fetch_add(&dirty->refs, 1);
	return dirty;
}

void gw_dirty_unref(struct gw_dirty *dirty)
{
	if (!dirty || atomic_fetch_sub(&dirty->refs, 1) != 1)
		return;
	gw_mapping_close(&dirty->mapping);
	gw_close(&dirty->notify.fd);
	free(dirty);
}

static void tell_once(struct gw_dirty *dirty, uint64_t gpa)
{
	if (!atomic_exchange(&dirty->told, true))
		gw_warn("dirty log: address 0x%llx lies beyond its %llu pages: not logged",
			(unsigned long long)gpa, (unsigned long long)dirty->pages);
}

void gw_dirty_mark(struct gw_dirty *dirty, uint64_t gpa, uint64_t len)
{
	uint64_t page = gpa / GW_LOG_PAGE, last;
	uint8_t *bits;

	if (!dirty || !len)
		return;
	if (gw_add_overflows(gpa, len - 1, &last))
		last = UINT64_MAX;
	last /= GW_LOG_PAGE;
	if (last >= dirty->pages) {
		tell_once(dirty, gpa);
		if (page >= dirty->pages)
			return;
		last = dirty->pages - 1;
	}
	/* Bit n of byte m is page 8m + n (vhost-user, "Migration"). Always written, also where the
	 * bit seems to be set: the front-end may have fetched it before our data was written. */
	for (bits = dirty->mapping.start; page <= last; page++) {
		uint8_t bit = (uint8_t)(1u << (page % 8));

		__atomic_fetch_or(&bits[page / 8], bit, __ATOMIC_SEQ_CST);
	}
	gw_bell_ring(&dirty->notify);
}
