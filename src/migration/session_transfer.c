/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_transfer.c - a session's transfers: begin, verdict, cancel. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "migration/preflight.h"
#include "migration/session_internal.h"

/* -- begin --------------------------------------------------------------------------------- */

static int prepare_transfer(struct gw_session *session, struct gw_transfer *transfer)
{
	int err;

	transfer->ops = session->ops;
	transfer->dev = session->dev;
	transfer->wake = session->wake;
	transfer->channel.key = session->has_key ? session->key : NULL;
	transfer->channel.from_start = true;
	if (transfer->load)
		transfer->channel.waiting = &transfer->waiting;
	transfer->channel.idle_ms = (int)session->config.idle_timeout_ms;
	transfer->staged.queues = session->ops->max_queues;
	transfer->journaling = session->journals ? session->journaling : NULL;
	if (transfer->load)
		return 0;
	err = gw_session_fill_header(session, &transfer->header);
	if (err || transfer->phased) /* what is parked is not known yet */
		return err;
	return gw_parked_copy(&transfer->parked, &session->parked);
}

/* A device that never ran was not stopped either. */
void gw_session_note_stop(struct gw_session *session, uint64_t now)
{
	if (!session->stopping_ns || !session->stopped_ns)
		return;
	session->last.stop_us = (session->stopped_ns - session->stopping_ns) / GW_NS_PER_US;
	session->last.idle_us = (now - session->stopped_ns) / GW_NS_PER_US;
}

static int start_transfer(struct gw_session *session, bool load, bool phased, int fd)
{
	struct gw_transfer *transfer = NULL;
	int err = gw_transfer_new(&transfer, load, fd);

	if (!err)
		transfer->phased = phased;
	if (!err)
		err = prepare_transfer(session, transfer);
	if (!err)
		err = gw_transfer_start(transfer);
	if (err) {
		gw_transfer_free(transfer);
		return err;
	}
	session->transfer = transfer;
	session->last = (struct gw_transfer_info){.load = load, .result = -EINPROGRESS};
	if (!load) {
		gw_session_note_stop(session, transfer->begin_ns);
		gw_transfer_print_id(session->last.id, transfer->header.id);
		memcpy(session->last_save, transfer->header.id, sizeof(session->last_save));
		session->has_saved = true;
		session->has_outcome = false;
		gw_session_offer(session, &transfer->header);
	}
	return 0;
}

/* The device may know a better channel than the front-end's *@fd. */
static int choose_channel(const struct gw_session *session, bool load, int *fd, int *own_fd)
{
	int ours = -1, theirs = -1;
	int err = session->ops->channel ? session->ops->channel(session->dev, load, &ours, &theirs)
					: -EOPNOTSUPP;

	if (err == -EOPNOTSUPP)
		return *fd < 0 ? gw_fail(EBADF, "transfer: no descriptor was given") : 0;
	if (err)
		return err;
	gw_close(fd);
	*fd = ours;
	*own_fd = theirs;
	return 0;
}

int gw_session_make_way(struct gw_session *session)
{
	session->makes_way = true;
	gw_session_drop_jobs(session);
	gw_session_drop_transfer(session, GW_EVENT_CANCEL);
	session->makes_way = false;
	/* Who was told that the first one was cancelled may have begun another at once. */
	return session->transfer ? gw_fail(EBUSY, "transfer: another one was begun meanwhile") : 0;
}

int gw_session_begin_transfer(struct gw_session *session, enum gw_event event, bool phased,
			      int taken, int *own_fd)
{
	bool load = event == GW_EVENT_LOAD;
	GW_AUTO_FD int fd = taken;
	int err = choose_channel(session, load, &fd, own_fd);

	if (!err)
		err = start_transfer(session, load, phased, gw_take_fd(&fd));
	if (!err)
		err = gw_lifecycle_step(&session->life, event);
	if (err)
		gw_close(own_fd);
	return err;
}

int gw_session_transfer(struct gw_session *session, bool load, uint32_t phase, int taken,
			int *own_fd)
{
	const enum gw_event event = load ? GW_EVENT_LOAD : GW_EVENT_SAVE_STOPPED;
	GW_AUTO_FD int fd = taken;
	int err;

	*own_fd = -1;
	if (phase != GW_PHASE_STOPPED)
		return gw_fail(EINVAL, "transfer: phase %u, expected 0 (stopped)", phase);
	err = gw_session_may_migrate(session, load ? "load" : "save");
	if (!err)
		err = gw_lifecycle_check(&session->life, event);
	if (!err)
		err = gw_session_make_way(session);
	return err ? err
		   : gw_session_begin_transfer(session, event, false, gw_take_fd(&fd), own_fd);
}

/* -- verdict ------------------------------------------------------------------------------- */

static void told(struct gw_session *session)
{
	gw_lifecycle_step(&session->life, GW_EVENT_CHECK);
}

static void tell(struct gw_session *session, int verdict)
{
	void (*done)(void *, int) = session->check_done;

	session->check_done = NULL;
	if (done)
		done(session->check_opaque, verdict);
}

static void fill_info(struct gw_session *session, const struct gw_transfer *transfer)
{
	struct gw_transfer_info *last = &session->last;

	last->bytes = atomic_load(&transfer->moved);
	last->ms = (unsigned)((transfer->end_ns - transfer->begin_ns) / GW_NS_PER_MS);
	if (transfer->device_ns) {
		last->open_us = (transfer->device_ns - transfer->begin_ns) / GW_NS_PER_US;
		last->device_us = (transfer->end_ns - transfer->device_ns) / GW_NS_PER_US;
	}
	last->result = transfer->result;
	snprintf(last->reason, sizeof(last->reason), "%.*s", (int)sizeof(last->reason) - 1,
		 transfer->reason);
}

static enum gw_event event_of(const struct gw_session *session, const struct gw_transfer *transfer)
{
	enum gw_on_save on_save = session->config.on_save;
	bool moving =
		on_save == GW_ON_SAVE_MOVE || (on_save == GW_ON_SAVE_HINT && session->announced);

	if (transfer->result)
		return GW_EVENT_TRANSFER_BAD;
	if (transfer->load)
		return GW_EVENT_LOAD_OK;
	if (transfer->header.mode == GW_MODE_STATELESS)
		return GW_EVENT_SAVE_OK;
	return moving && session->ops->ownership == GW_EXCLUSIVE ? GW_EVENT_SAVE_OK_MOVING
								 : GW_EVENT_SAVE_OK;
}

/* What a load leaves behind: everything, or nothing. */
static void settle_load(struct gw_session *session, struct gw_transfer *transfer)
{
	bool good = !transfer->result;

	/* A stream that turned out bad, or unwanted, after the device had swapped it in. */
	if (!good && transfer->device_loaded)
		session->ops->reset(session->dev);
	gw_session_settle_adoption(session, good);
	if (!good)
		return;
	session->loaded_ns = transfer->end_ns;
	gw_parked_move(&session->parked, &transfer->staged.list);
	session->why = GW_RUN_LOADED;
}

static void settle_failed_save(struct gw_session *session, const struct gw_transfer *transfer)
{
	if (transfer->header.mode == GW_MODE_STATELESS)
		gw_session_keep(session);
	else
		session->ops->outcome(session->dev, GW_OUTCOME_FAILED);
}

/* The worker has been joined. The transfer is no more; its verdict is in session->last. */
static void settle_transfer(struct gw_session *session)
{
	struct gw_transfer *transfer = gw_take_ptr(session->transfer);

	if (transfer->load)
		settle_load(session, transfer);
	/* A whole one may be of use to somebody, even if nobody here waits for it any more. */
	else if (!transfer->whole)
		settle_failed_save(session, transfer);
	if (transfer->phased && session->ops->iterate)
		session->ops->iterate(session->dev, false);
	fill_info(session, transfer);
	if (transfer->result) {
		gw_warn("%s failed: %s", transfer->load ? "load" : "save", session->last.reason);
		if (session->config.transfer_failed)
			session->config.transfer_failed(session->config.opaque, &session->last);
	}
	gw_transfer_free(transfer);
}

/* One that came to its end and was not noticed yet is cancelled all the same. */
static void end_cancelled(struct gw_session *session, enum gw_event event)
{
	struct gw_transfer *transfer = session->transfer;

	gw_transfer_join(transfer);
	if (!transfer->result) {
		transfer->result = -ECANCELED;
		snprintf(transfer->reason, sizeof(transfer->reason), "cancelled by %s",
			 gw_event_name(event));
	}
	settle_transfer(session);
}

static void tell_yielded(struct gw_session *session)
{
	void (*done)(void *, int) = session->yield_done;

	session->yield_done = NULL;
	if (done)
		done(session->yield_opaque, 0);
}

static void finish_cancelled(struct gw_session *session)
{
	end_cancelled(session, session->yield_event);
	gw_lifecycle_step(&session->life, GW_EVENT_CANCEL);
	tell(session, -ECANCELED);
	tell_yielded(session);
}

/* A stream that has proved to be whole, and brought a ticket. */
static void claim(struct gw_session *session, struct gw_transfer *transfer)
{
	struct gw_session *offer;

	if (!transfer->load || transfer->result || transfer->header.mode != GW_MODE_STATELESS)
		return;
	offer = gw_session_find_offer(session, &transfer->header);
	transfer->result = offer ? gw_session_claim(session, offer) : -ENOENT;
	if (transfer->result)
		snprintf(transfer->reason, sizeof(transfer->reason), "%s", gw_last_error());
}

static void finish(struct gw_session *session)
{
	enum gw_event event;

	if (session->yield_done) {
		finish_cancelled(session);
		return;
	}
	gw_transfer_join(session->transfer);
	claim(session, session->transfer);
	event = event_of(session, session->transfer);
	settle_transfer(session);
	gw_lifecycle_step(&session->life, event);
	if (session->life.device == GW_DEVICE_FROZEN)
		gw_session_freeze(session);
	if (session->check_done) {
		told(session);
		tell(session, session->last.result);
	}
}

void gw_session_on_wake(void *opaque, int fd, uint32_t events)
{
	struct gw_session *session = opaque;
	uint64_t count;

	(void)events;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	if (session->preflight && atomic_load(&session->preflight->ended))
		gw_session_drop_preflight(session);
	if (session->ahead.job && atomic_load(&session->ahead.job->ended))
		gw_session_end_precopy(session);
	if (!session->transfer)
		return; /* news of one that was dropped */
	if (!session->yield_done && gw_transfer_asks(session->transfer))
		gw_transfer_answer(session->transfer, gw_session_adopt(session));
	if (atomic_load(&session->transfer->done))
		finish(session);
}

int gw_session_check(struct gw_session *session, void (*done)(void *opaque, int verdict),
		     void *opaque)
{
	int err = gw_lifecycle_check(&session->life, GW_EVENT_CHECK);

	if (err)
		return err;
	if (session->check_done)
		return gw_fail(EBUSY, "check: another one waits for the verdict");
	if (!session->transfer) {
		told(session);
		return session->last.result
			       ? gw_fail(-session->last.result, "%s", session->last.reason)
			       : 0;
	}
	session->check_done = done;
	session->check_opaque = opaque;
	return -EINPROGRESS;
}

void gw_session_check_abandon(struct gw_session *session, const void *opaque)
{
	if (session->check_opaque == opaque)
		session->check_done = NULL;
}

/* -- cancel -------------------------------------------------------------------------------- */

/* Rings come and go while a state is sent in phase RUNNING. */
static bool is_cancelled_by(const struct gw_session *session, enum gw_event event)
{
	if (session->life.transfer == GW_TRANSFER_PRECOPY)
		return event != GW_EVENT_RING_ON && event != GW_EVENT_RESUME;
	return session->transfer;
}

void gw_session_drop_transfer(struct gw_session *session, enum gw_event event)
{
	bool was_under_way = session->transfer && is_cancelled_by(session, event);

	if (was_under_way) {
		gw_transfer_cancel(session->transfer);
		end_cancelled(session, event);
	}
	gw_lifecycle_step(&session->life, event);
	if (!was_under_way)
		return;
	tell(session, -ECANCELED);
	tell_yielded(session);
}

int gw_session_yield(struct gw_session *session, enum gw_event event,
		     void (*done)(void *opaque, int result), void *opaque)
{
	if (!session->transfer || gw_lifecycle_check(&session->life, event) ||
	    !is_cancelled_by(session, event))
		return 0;
	session->yield_done = done;
	session->yield_opaque = opaque;
	session->yield_event = event;
	gw_transfer_cancel(session->transfer);
	return -EINPROGRESS;
}

void gw_session_cancel(struct gw_session *session)
{
	if (session->transfer)
		gw_session_drop_transfer(session, GW_EVENT_CANCEL);
}
