/* SPDX-License-Identifier: BSD-3-Clause */
/* state/mapped.h - bytes into memory of big pages: not by write(), but to where they will lie. */
#ifndef GW_STATE_MAPPED_H
#define GW_STATE_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct gw_guard;

/* Zeros before the first gw_mapped_write(). */
struct gw_mapped {
	bool over; /* it is for write() */
	uint8_t *map;
	size_t len;	     /* of the mapping, which begins where the file does */
	size_t at;	     /* where the next byte goes: the descriptor's own offset */
	size_t ready;	     /* the pages before it are there */
	unsigned big, small; /* steps so far, by the pages that they are of */
	struct gw_guard *guard;
};

/*
 * In write()'s manner: how many bytes went to where @fd stands, which is moved. 0: write() is to
 * be asked, as it is from then on, for it is faster there, does more, or knows what is wrong. -1
 * and errno.
 */
ssize_t gw_mapped_write(struct gw_mapped *mapped, int fd, const struct iovec *iov, unsigned n);
void gw_mapped_close(struct gw_mapped *mapped);

#endif
