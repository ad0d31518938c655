/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/inflight.c - the shared region behind in-flight tracking, as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/sigbus.h"
#include "godwit/error.h"
#include "virtio/inflight.h"
#include "virtio/queue.h"
#include "virtio/track_layout.h"

/* Each queue's part begins on a cache line. The specification leaves the distance open; this is
 * the one in use, so that another back-end can take a region over. */
#define PART_ALIGN 64

struct gw_inflight {
	_Atomic unsigned refs;
	bool packed;
	unsigned queues, queue_size;
	struct gw_mapping mapping;
};

static uint64_t part_size(bool packed, unsigned queue_size)
{
	uint64_t size = packed ? sizeof(struct gw_track_packed) +
					 queue_size * sizeof(struct gw_track_packed_desc)
			       : sizeof(struct gw_track_split) +
					 queue_size * sizeof(struct gw_track_split_desc);

	return gw_round_up(size, PART_ALIGN);
}

uint64_t gw_inflight_size(bool packed, unsigned queues, unsigned queue_size)
{
	return part_size(packed, queue_size) * queues;
}

int gw_inflight_map(struct gw_inflight **out, int fd, uint64_t offset, uint64_t size, bool packed,
		    unsigned queues, unsigned queue_size)
{
	uint64_t needed = gw_inflight_size(packed, queues, queue_size);
	struct gw_inflight *inflight;
	int err;

	if (!queues || !queue_size || queue_size > GW_QUEUE_SIZE_MAX || size < needed)
		return gw_fail(
			EINVAL, "in-flight region: %llu bytes for %u queues of %u, %llu needed",
			(unsigned long long)size, queues, queue_size, (unsigned long long)needed);
	inflight = calloc(1, sizeof(*inflight));
	if (!inflight)
		return gw_fail(ENOMEM, "in-flight region: no memory");
	err = gw_mapping_open(&inflight->mapping, fd, offset, needed);
	if (!err && ((uintptr_t)inflight->mapping.start & 7))
		err = gw_fail(EINVAL, "in-flight region: offset %llu is not aligned",
			      (unsigned long long)offset);
	if (err) {
		gw_mapping_close(&inflight->mapping);
		free(inflight);
		return gw_fail_in(err, "in-flight region");
	}
	atomic_store(&inflight->refs, 1);
	inflight->packed = packed;
	inflight->queues = queues;
	inflight->queue_size = queue_size;
	*out = inflight;
	return 0;
}

int gw_inflight_create(struct gw_inflight **inflight, bool packed, unsigned queues,
		       unsigned queue_size, int *fd)
{
	GW_AUTO_FD int memfd = memfd_create("godwit-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint64_t size = gw_inflight_size(packed, queues, queue_size);
	int err;

	if (memfd < 0 || ftruncate(memfd, (off_t)size) < 0 ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return gw_fail(errno, "in-flight region of %llu bytes: %s",
			       (unsigned long long)size, strerror(errno));
	err = gw_inflight_map(inflight, memfd, 0, size, packed, queues, queue_size);
	if (err)
		return err;
	*fd = gw_take_fd(&memfd);
	return 0;
}

struct gw_inflight *gw_inflight_ref(struct gw_inflight *inflight)
{
	if (inflight)
		atomic_fetch_add(&inflight->refs, 1);
	return inflight;
}

void gw_inflight_unref(struct gw_inflight *inflight)
{
	if (!inflight || atomic_fetch_sub(&inflight->refs, 1) != 1)
		return;
	gw_mapping_close(&inflight->mapping);
	free(inflight);
}

void *gw_inflight_part(struct gw_inflight *inflight, unsigned queue, unsigned num, bool packed)
{
	if (queue >= inflight->queues || num > inflight->queue_size || packed != inflight->packed) {
		gw_fail(EINVAL,
			"in-flight region: made for %u %s queues of %u, not for queue %u of %u",
			inflight->queues, inflight->packed ? "packed" : "split",
			inflight->queue_size, queue, num);
		return NULL;
	}
	return (char *)inflight->mapping.start +
	       queue * part_size(inflight->packed, inflight->queue_size);
}

_Static_assert(offsetof(struct gw_track_split_desc, inflight) ==
			       offsetof(struct gw_track_packed_desc, inflight) &&
		       offsetof(struct gw_track_split_desc, counter) ==
			       offsetof(struct gw_track_packed_desc, counter) &&
		       offsetof(struct gw_track_split, desc_num) ==
			       offsetof(struct gw_track_packed, desc_num),
	       "one way through both");

/* A serial is one more than the counter under which its request was recorded (track.h). */
unsigned gw_inflight_serials(const struct gw_inflight *inflight, unsigned queue, uint64_t *serials)
{
	const char *part = (const char *)inflight->mapping.start +
			   queue * part_size(inflight->packed, inflight->queue_size);
	const struct gw_track_split *head = (const void *)part;
	size_t first = inflight->packed ? sizeof(struct gw_track_packed) : sizeof(*head);
	size_t step = inflight->packed ? sizeof(struct gw_track_packed_desc)
				       : sizeof(struct gw_track_split_desc);
	unsigned num, count = 0;

	if (queue >= inflight->queues || !__atomic_load_n(&head->version, __ATOMIC_ACQUIRE))
		return 0;
	num = __atomic_load_n(&head->desc_num, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < GW_MIN(num, inflight->queue_size); i++) {
		const struct gw_track_split_desc *desc = (const void *)(part + first + i * step);

		if (__atomic_load_n(&desc->inflight, __ATOMIC_ACQUIRE))
			serials[count++] = __atomic_load_n(&desc->counter, __ATOMIC_ACQUIRE) + 1;
	}
	return count;
}

/* A part of version 0 is begun anew at the next start; that is where both layouts have it. */
void gw_inflight_forget(struct gw_inflight *inflight, unsigned queue)
{
	struct gw_track_split *part;

	if (queue >= inflight->queues)
		return;
	part = (void *)((char *)inflight->mapping.start +
			queue * part_size(inflight->packed, inflight->queue_size));
	__atomic_store_n(&part->version, 0, __ATOMIC_RELEASE);
}
