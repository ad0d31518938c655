/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/chain.c - one descriptor chain, checked and translated while it is read. */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "godwit/error.h"
#include "godwit/queue.h"
#include "virtio/chain.h"

#define FIRST_SEGS 8

void gw_chain_reset(struct gw_chain *chain)
{
	chain->count = chain->out_count = 0;
	chain->out_len = chain->in_len = 0;
	chain->descs = 1;
}

void gw_chain_free(struct gw_chain *chain)
{
	free(chain->iov);
	*chain = (struct gw_chain){0};
}

static int grow(struct gw_chain *chain)
{
	unsigned cap = chain->cap ? chain->cap * 2 : FIRST_SEGS;
	struct iovec *iov;

	if (chain->count >= GW_ELEM_SEGS_MAX)
		return gw_fail(EPROTO, "chain %u: more than %d segments", chain->id,
			       GW_ELEM_SEGS_MAX);
	iov = realloc(chain->iov, cap * sizeof(*iov));
	if (!iov)
		return gw_fail(ENOMEM, "chain %u: no memory", chain->id);
	chain->iov = iov;
	chain->cap = cap;
	return 0;
}

/* Neighbours in both address spaces are one; a first writable segment starts anew. */
static bool joins_last(const struct gw_chain *chain, uint64_t gpa, const void *ptr, bool writable)
{
	const struct iovec *last;

	if (!chain->count)
		return false;
	last = &chain->iov[chain->count - 1];
	return gpa == chain->next_gpa && (char *)last->iov_base + last->iov_len == ptr &&
	       !(writable && chain->count == chain->out_count);
}

static int add_span(struct gw_chain *chain, uint64_t gpa, void *ptr, uint64_t len, bool writable)
{
	if (joins_last(chain, gpa, ptr, writable)) {
		chain->iov[chain->count - 1].iov_len += len;
	} else {
		if (chain->count == chain->cap) {
			int err = grow(chain);

			if (err)
				return err;
		}
		chain->iov[chain->count++] = (struct iovec){.iov_base = ptr, .iov_len = len};
		chain->out_count += !writable;
	}
	chain->next_gpa = gpa + len;
	*(writable ? &chain->in_len : &chain->out_len) += len;
	return 0;
}

int gw_chain_add(struct gw_chain *chain, const struct gw_mem *mem, uint64_t gpa, uint32_t len,
		 bool writable)
{
	if (!writable && chain->count > chain->out_count)
		return gw_fail(EPROTO, "chain %u: readable after writable", chain->id);
	if (chain->out_len + chain->in_len + len > GW_CHAIN_BYTES_MAX)
		return gw_fail(EPROTO, "chain %u: longer than 4 GiB", chain->id);
	while (len) {
		uint64_t span;
		void *ptr = gw_mem_span(mem, gpa, len, &span);
		int err;

		if (!ptr)
			return gw_fail(EPROTO,
				       "chain %u: 0x%llx is not in guest memory, 0x%x bytes needed",
				       chain->id, (unsigned long long)gpa, len);
		err = add_span(chain, gpa, ptr, span, writable);
		if (err)
			return err;
		gpa += span;
		len -= (uint32_t)span;
	}
	return 0;
}
