/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/transfer_precopy.c - a save in phase RUNNING: rounds, until it is told to stop. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "godwit/error.h"
#include "migration/transfer.h"

/* So much at once; then it is looked whether the phase is to end. */
#define BUDGET (256 * 1024)

void gw_transfer_go_on(struct gw_transfer *transfer, enum gw_precopy_next next)
{
	GW_LOCK_SCOPE(&transfer->lock);

	/* Whoever asks from here on is told of the round to come. */
	atomic_store(&transfer->idle, false);
	if (transfer->next != GW_NEXT_STOP)
		transfer->next = next;
	eventfd_write(transfer->told, 1);
}

static bool is_to_stop(struct gw_transfer *transfer)
{
	GW_LOCK_SCOPE(&transfer->lock);

	return transfer->next == GW_NEXT_STOP;
}

/* The stop stays; a round is taken. */
static enum gw_precopy_next take_next(struct gw_transfer *transfer)
{
	GW_LOCK_SCOPE(&transfer->lock);
	enum gw_precopy_next next = transfer->next;
	eventfd_t count;

	eventfd_read(transfer->told, &count);
	if (next == GW_NEXT_ROUND)
		transfer->next = GW_NEXT_WAIT;
	atomic_store(&transfer->idle, next == GW_NEXT_WAIT);
	return next;
}

/* A reader that is gone shows here, since nothing is written. */
static int wait_for_next(struct gw_transfer *transfer)
{
	struct pollfd fds[] = {{.fd = transfer->cancel, .events = POLLIN},
			       {.fd = transfer->told, .events = POLLIN},
			       {.fd = transfer->channel.fd}};
	int n;

	do
		n = poll(fds, GW_ARRAY_LEN(fds), -1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return gw_fail(errno, "save: poll: %s", strerror(errno));
	if (fds[0].revents)
		return gw_fail(ECANCELED, "save: cancelled in phase running");
	if (!fds[1].revents && fds[2].revents)
		return gw_fail(EPIPE, "save: the reader is gone in phase running");
	return 0;
}

static int send_round(struct gw_transfer *transfer, struct gw_state_writer *writer)
{
	int more = gw_state_writer_phase(writer, GW_PHASE_RUNNING);

	/* Of one that stays where it is nothing is sent but what leads to it. */
	if (!more && (!transfer->ops->iterate || transfer->header.mode == GW_MODE_STATELESS))
		return 0;
	do
		more = more < 0 ? more
				: transfer->ops->save(transfer->dev, writer, GW_PHASE_RUNNING,
						      BUDGET);
	while (more > 0 && !is_to_stop(transfer));
	return more < 0 ? more : gw_state_flush(writer);
}

int gw_transfer_precopy(struct gw_transfer *transfer, struct gw_state_writer *writer)
{
	enum gw_precopy_next next = GW_NEXT_ROUND;
	int err = 0;

	while (!err && next != GW_NEXT_STOP) {
		err = next == GW_NEXT_ROUND ? send_round(transfer, writer)
					    : wait_for_next(transfer);
		if (!err)
			next = take_next(transfer);
	}
	return err;
}
