/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/iov.c - copies and slices of an element's segments. */
#include <string.h>

#include "base/checked.h"
#include "godwit/queue.h"

/* The part of @iov[0] from *@offset on, at most @len; *@offset is 0 afterwards. Empty if the
 * offset lies beyond it, and then that much smaller. */
static struct iovec cut(const struct iovec *iov, size_t *offset, size_t len)
{
	size_t skip = GW_MIN(*offset, iov->iov_len);
	size_t take = GW_MIN(len, iov->iov_len - skip);

	*offset -= skip;
	return (struct iovec){.iov_base = (char *)iov->iov_base + skip, .iov_len = take};
}

size_t gw_elem_copy_from(const struct gw_elem *elem, size_t offset, void *to, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < elem->out_count && done < len; i++) {
		struct iovec part = cut(&elem->out[i], &offset, len - done);

		if (!part.iov_len)
			continue;
		memcpy((char *)to + done, part.iov_base, part.iov_len);
		done += part.iov_len;
	}
	return done;
}

size_t gw_elem_copy_to(const struct gw_elem *elem, size_t offset, const void *from, size_t len)
{
	size_t done = 0;

	for (unsigned i = 0; i < elem->in_count && done < len; i++) {
		struct iovec part = cut(&elem->in[i], &offset, len - done);

		if (!part.iov_len)
			continue;
		memcpy(part.iov_base, (const char *)from + done, part.iov_len);
		done += part.iov_len;
	}
	return done;
}

unsigned gw_iov_slice(const struct iovec *iov, unsigned count, size_t offset, size_t len,
		      struct iovec *slice, unsigned slice_max)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count && len && n < slice_max; i++) {
		struct iovec part = cut(&iov[i], &offset, len);

		if (!part.iov_len)
			continue;
		slice[n++] = part;
		len -= part.iov_len;
	}
	return n;
}
