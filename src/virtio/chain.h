/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/chain.h - one descriptor chain, checked and translated while it is read. */
#ifndef GW_VIRTIO_CHAIN_H
#define GW_VIRTIO_CHAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "virtio/memory.h"

/* "A driver MUST NOT create a descriptor chain longer than 2^32 bytes" (VIRTIO 1.3, 2.7.5.2). */
#define GW_CHAIN_BYTES_MAX (1ULL << 32)

struct gw_chain {
	uint16_t id;	/* split: head; packed: buffer id */
	uint16_t descs; /* descriptors it takes on the ring; split: not used */
	struct iovec *iov;
	unsigned cap, count, out_count;
	uint64_t out_len, in_len;
	uint64_t next_gpa; /* what follows the last segment */
};

/* Forget the segments, keep the storage. */
void gw_chain_reset(struct gw_chain *chain);
void gw_chain_free(struct gw_chain *chain);

/*
 * Append [@gpa, @gpa + @len): an iovec for each region it touches, or one longer iovec if it goes
 * on where the last ended. A length of 0 adds nothing: it can be found in no table and does no
 * harm. -EPROTO with a sentence for what is not guest memory, is in the wrong order or too much.
 */
int gw_chain_add(struct gw_chain *chain, const struct gw_mem *mem, uint64_t gpa, uint32_t len,
		 bool writable);

#endif
