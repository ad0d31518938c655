/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/recovery_replay.c - the next process sets up again what the one before it had. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "vhost-user/handlers.h"
#include "vhost-user/recovery_internal.h"
#include "vhost-user/ring.h"

/*
 * Rings.
 */
static int make_inflight(struct gw_recovery *recovery, const struct gw_instance *instance)
{
	bool packed = instance->features & GW_VIRTIO_F_RING_PACKED;
	GW_AUTO_FD int fd = -1;
	int err;

	if (recovery->inflight && recovery->packed == packed)
		return 0;
	gw_inflight_unref(gw_take_ptr(recovery->inflight));
	/* Rings of any size, since the others' are not known yet. Memory that nobody touches is
	 * none. */
	err = gw_inflight_create(&recovery->inflight, packed, instance->ring_count,
				 GW_QUEUE_SIZE_MAX, &fd);
	if (!err)
		err = gw_fdstore_remove(recovery->store, GW_RECOVERY_INFLIGHT);
	if (!err)
		err = gw_fdstore_put(recovery->store, GW_RECOVERY_INFLIGHT, fd);
	recovery->packed = packed;
	return err ? err : gw_fdstore_sync(recovery->store);
}

/* The front-end's own region does as well. */
static bool has_its_own(const struct gw_recovery *recovery)
{
	return gw_ledger_find(recovery->ledger, GW_VU_SET_INFLIGHT_FD, 0);
}

static int use_inflight(struct gw_recovery *recovery, struct gw_ring *ring, unsigned what)
{
	const struct gw_queue_change change = {.what = what, .inflight = recovery->inflight};

	return gw_queue_change(ring->queue, &change, NULL, NULL);
}

/*
 * The region is begun anew before the ledger says that the ring runs, and the ledger says so before
 * it does: whoever finds it there knows that the region is right.
 */
int gw_recovery_ring_starts(struct gw_dialog *dialog, struct gw_call *call, struct gw_ring *ring)
{
	struct gw_recovery *recovery = dialog->recovery;
	struct gw_edit edit = {.recovery = recovery};
	int err = 0;

	if (!recovery)
		return 0;
	if (recovery->replaying) {
		recovery->left[ring->index] = false;
		return use_inflight(recovery, ring, GW_QUEUE_RESUME);
	}
	if (!has_its_own(recovery)) {
		err = make_inflight(recovery, dialog->instance);
		if (!err)
			err = use_inflight(recovery, ring, GW_QUEUE_INFLIGHT);
		if (!err && !recovery->left[ring->index] &&
		    !gw_session_has_parked(dialog->instance->session, ring->index))
			gw_inflight_forget(recovery->inflight, ring->index);
		recovery->left[ring->index] = false;
	}
	if (!err)
		gw_edit_ring_fd(&edit, call);
	if (!err)
		gw_edit_end(&edit, NULL);
	return err ? err : edit.err;
}

/*
 * The next process.
 */
static int replay_entry(struct gw_recovery *recovery, struct gw_dialog *dialog,
			const struct gw_ledger_entry *entry)
{
	struct gw_message message = {
		.header = {.request = entry->request, .flags = GW_VU_VERSION, .size = entry->size}};
	const struct gw_vu_row *row = gw_vu_row(entry->request);

	if (!row || !row->handle || entry->size > sizeof(entry->payload) ||
	    entry->fd_count > GW_VU_FDS_MAX)
		return gw_fail(EINVAL, "message %u of %u bytes", entry->request, entry->size);
	memcpy(&message.payload, &entry->payload, entry->size);
	for (unsigned i = 0; i < entry->fd_count; i++) {
		struct gw_given *given = gw_given_find(recovery, entry->fds[i]);
		int copy = given ? fcntl(given->fd, F_DUPFD_CLOEXEC, 0) : -1;

		if (copy < 0)
			return gw_fail(EBADF, "%s: its descriptor is not there", row->name);
		given->uses++;
		message.fds[message.fd_count++] = copy;
	}
	return gw_dialog_replay(dialog, &message);
}

static int replay_turn(struct gw_recovery *recovery, struct gw_dialog *dialog, unsigned turn)
{
	int err = 0;

	for (unsigned i = 0; !err && i < gw_ledger_count(recovery->ledger); i++) {
		const struct gw_ledger_entry *entry = gw_ledger_at(recovery->ledger, i);

		if (gw_recovery_turn(entry->request) == turn)
			err = replay_entry(recovery, dialog, entry);
	}
	return err;
}

static int use_inflight_everywhere(struct gw_recovery *recovery, struct gw_instance *instance)
{
	int err = 0;

	for (unsigned i = 0; i < instance->ring_count && !err; i++) {
		recovery->left[i] = true;
		err = use_inflight(recovery, &instance->rings[i], GW_QUEUE_INFLIGHT);
	}
	return err;
}

static int take_inflight(struct gw_recovery *recovery, struct gw_instance *instance)
{
	int err;
	GW_AUTO_FD int fd = gw_fdstore_take(recovery->store, GW_RECOVERY_INFLIGHT);
	uint64_t size;

	if (fd < 0)
		return 0;
	recovery->packed = instance->features & GW_VIRTIO_F_RING_PACKED;
	size = gw_inflight_size(recovery->packed, instance->ring_count, GW_QUEUE_SIZE_MAX);
	err = gw_inflight_map(&recovery->inflight, fd, 0, size, recovery->packed,
			      instance->ring_count, GW_QUEUE_SIZE_MAX);
	return err ? err : use_inflight_everywhere(recovery, instance);
}

#define FEATURES_TURN 3

int gw_recovery_replay(struct gw_recovery *recovery, struct gw_dialog *dialog)
{
	const struct gw_ledger_answer *answer = gw_ledger_answer(recovery->ledger);
	int err = 0;

	recovery->replaying = true;
	for (unsigned turn = 1; turn <= GW_RECOVERY_TURNS && !err; turn++) {
		err = replay_turn(recovery, dialog, turn);
		if (!err && turn == FEATURES_TURN)
			err = take_inflight(recovery, dialog->instance);
	}
	recovery->replaying = false;
	if (err)
		return gw_fail_in(err, "recovery");
	recovery->sequence = answer->sequence;
	gw_conn_take_up(dialog->conn, gw_ledger_is_done(recovery->ledger) ? NULL : answer->bytes,
			answer->len, answer->with_fd, answer->message_len);
	return 0;
}
