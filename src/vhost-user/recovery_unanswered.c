/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery_unanswered.c - which requests may come again, before any ring is set up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/recovery_internal.h"
#include "virtio/queue.h"

static bool is_packed(const struct gw_recovery *recovery)
{
	const struct gw_ledger_entry *entry =
		gw_ledger_find(recovery->ledger, GW_VU_SET_FEATURES, 0);

	return entry && entry->payload.u64 & GW_VIRTIO_F_RING_PACKED;
}

/* As SET_INFLIGHT_FD once gave it. */
static int map_theirs(struct gw_recovery *recovery, const struct gw_ledger_entry *entry,
		      struct gw_inflight **inflight)
{
	const struct gw_vu_inflight *in = &entry->payload.inflight;
	const struct gw_given *given =
		entry->fd_count ? gw_given_find(recovery, entry->fds[0]) : NULL;

	if (!given)
		return gw_fail(EBADF, "recovery: the in-flight region is not there");
	return gw_inflight_map(inflight, given->fd, in->offset, in->size, is_packed(recovery),
			       in->queues, in->queue_size);
}

/* Of as many queues as there is room for. */
static int map_ours(struct gw_recovery *recovery, struct gw_inflight **inflight)
{
	int fd = gw_fdstore_look(recovery->store, GW_RECOVERY_INFLIGHT);
	bool packed = is_packed(recovery);
	uint64_t size = gw_inflight_size(packed, 1, GW_QUEUE_SIZE_MAX);
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return gw_fail(errno, "recovery: the in-flight region: %s", strerror(errno));
	return gw_inflight_map(
		inflight, fd, 0, (uint64_t)st.st_size, packed,
		(unsigned)GW_MIN((uint64_t)st.st_size / size, (uint64_t)GW_RECOVERY_QUEUES),
		GW_QUEUE_SIZE_MAX);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int read_queue(struct gw_unanswered_of *queue, const struct gw_inflight *inflight,
		      unsigned index, uint64_t *room)
{
	queue->count = gw_inflight_serials(inflight, index, room);
	if (!queue->count)
		return 0;
	queue->serials = malloc(queue->count * sizeof(*room));
	if (!queue->serials)
		return gw_fail(ENOMEM, "recovery: no memory");
	memcpy(queue->serials, room, queue->count * sizeof(*room));
	qsort(queue->serials, queue->count, sizeof(*room), by_value);
	return 0;
}

static int read_all(struct gw_recovery *recovery)
{
	const struct gw_ledger_entry *entry =
		gw_ledger_find(recovery->ledger, GW_VU_SET_INFLIGHT_FD, 0);
	GW_AUTO_FREE uint64_t *room = malloc(GW_QUEUE_SIZE_MAX * sizeof(*room));
	struct gw_inflight *inflight = NULL;
	int err;

	if (!room)
		return gw_fail(ENOMEM, "recovery: no memory");
	err = entry ? map_theirs(recovery, entry, &inflight) : map_ours(recovery, &inflight);
	for (unsigned i = 0; !err && inflight && i < GW_RECOVERY_QUEUES; i++)
		err = read_queue(&recovery->unanswered[i], inflight, i, room);
	gw_inflight_unref(inflight);
	return err;
}

/* Not to know costs time. */
void gw_recovery_read_unanswered(struct gw_recovery *recovery)
{
	recovery->unanswered_known = !read_all(recovery);
	if (!recovery->unanswered_known)
		gw_warn("%s", gw_last_error());
}

void gw_recovery_forget_unanswered(struct gw_recovery *recovery)
{
	for (unsigned i = 0; i < GW_RECOVERY_QUEUES; i++) {
		free(recovery->unanswered[i].serials);
		recovery->unanswered[i] = (struct gw_unanswered_of){.serials = NULL};
	}
}

bool gw_recovery_is_unanswered(void *opaque, unsigned index, uint64_t serial)
{
	const struct gw_recovery *recovery = opaque;
	const struct gw_unanswered_of *queue =
		index < GW_RECOVERY_QUEUES ? &recovery->unanswered[index] : NULL;

	if (!recovery->unanswered_known)
		return true;
	/* Most were answered long ago. */
	if (!queue || !queue->count || serial < queue->serials[0])
		return false;
	return bsearch(&serial, queue->serials, queue->count, sizeof(serial), by_value);
}
