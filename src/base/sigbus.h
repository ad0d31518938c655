/* SPDX-License-Identifier: BSD-3-Clause */
/* base/sigbus.h - mappings of a peer's files that may shrink under us. */
#ifndef GW_BASE_SIGBUS_H
#define GW_BASE_SIGBUS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A watched mapping. A SIGBUS inside one replaces the lost page by an empty private one and marks
 * the mapping broken; a SIGBUS anywhere else goes to whoever handled it before.
 */
struct gw_guard;

/* @page: the page size of the mapping (larger than the system's for hugetlbfs). */
int gw_guard_new(struct gw_guard **guard, void *start, size_t len, size_t page);
/* Before the mapping is unmapped. NULL is allowed. */
void gw_guard_free(struct gw_guard *guard);

bool gw_guard_is_broken(const struct gw_guard *guard);
/* Was any mapping ever found broken? One relaxed load, for the data path. */
bool gw_guard_any_broken(void);

/* The page size of the file behind @fd. */
size_t gw_guard_page_size(int fd);

/*
 * Map [@offset, @offset + @size) of @fd, shared and writable, with a guard. The file must be that
 * long; @offset need not be on a page.
 */
struct gw_mapping {
	void *base;  /* of the whole mapping */
	size_t len;  /* of the whole mapping */
	void *start; /* of what was asked for */
	struct gw_guard *guard;
};
int gw_mapping_open(struct gw_mapping *mapping, int fd, size_t offset, size_t size);
void gw_mapping_close(struct gw_mapping *mapping);

#endif
