/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_transfer.c - a session's transfers: begin, adopt, verdict, cancel. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "migration/preflight.h"
#include "migration/session_internal.h"
#include "model/prerequisite.h"

/* -- begin --------------------------------------------------------------------------------- */

/* What a device that never ran would be if it ran now; @params is the caller's to free. */
static int params_to_save(const struct gw_session *session, struct gw_params **params)
{
	int err = gw_params_copy(params, session->params);

	return err ? err : gw_params_apply_profile(*params, NULL);
}

static_assert(GW_ENVIRONMENT_MAX == GW_STATE_NAME_MAX, "what is required goes into the header");

int gw_session_fill_header(const struct gw_session *session, struct gw_state_header *header)
{
	struct gw_environment environment;
	bool stateless = session->config.migration == GW_MIGRATION_STATELESS;
	struct gw_params *params = NULL;
	int err = 0, len = 0;

	memcpy(header->implementation, session->implementation, sizeof(header->implementation));
	header->mode = stateless ? GW_MODE_STATELESS : GW_MODE_STATEFUL;
	if (stateless &&
	    getrandom(header->ticket, sizeof(header->ticket), 0) != sizeof(header->ticket))
		return gw_fail(errno ? errno : EIO, "transfer: no ticket: %s", strerror(errno));
	if (session->config.transfer_id)
		memcpy(header->id, session->config.transfer_id, sizeof(header->id));
	else if (getrandom(header->id, sizeof(header->id), 0) != sizeof(header->id))
		return gw_fail(errno ? errno : EIO, "transfer: no random id: %s", strerror(errno));
	gw_session_environment(session, &environment);
	memcpy(header->prerequisites, environment.requires, sizeof(environment.requires));
	if (!session->params)
		return 0;
	err = params_to_save(session, &params);
	if (!err)
		len = gw_params_canonical(params, header->model, sizeof(header->model));
	gw_params_free(params);
	return err ? err : (len < 0 ? len : 0);
}

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

/* -- adopt --------------------------------------------------------------------------------- */

/* A stream of another make has no model in its header: what is known of it, in ours' place. */
static int complete_model(struct gw_session *session)
{
	struct gw_transfer *transfer = session->transfer;
	struct gw_bytes bytes;
	const struct gw_foreign_format *format = gw_state_reader_foreign(transfer->reader, &bytes);
	struct gw_params *params;
	int err;

	if (!format)
		return 0;
	err = gw_params_copy(&params, session->params);
	if (err)
		return err;
	err = format->params(bytes.data, bytes.len, params);
	if (!err)
		err = gw_params_canonical(params, transfer->header.model,
					  sizeof(transfer->header.model));
	gw_params_free(params);
	return err < 0 ? err : 0;
}

static struct gw_session *find_offer(const struct gw_session *session,
				     const struct gw_state_header *header)
{
	struct gw_session *offer = NULL;

	if (session->config.find_offer)
		offer = session->config.find_offer(session->config.opaque, header->ticket);
	if (!offer)
		gw_fail(ENOENT, "load: the stream has a ticket in place of a state "
				"(--migration=stateless), and no device of this process is offered "
				"by it: the destination must connect to the source's own back-end");
	return offer;
}

/* "Cannot tell" is for who asks beforehand: what a device loads it proves by itself. */
static int check_word(const struct gw_session *session, const char *what,
		      const struct gw_words *provided)
{
	const char *provides = "nothing of the kind";

	switch (gw_prerequisite_find(what, provided->word, provided->count)) {
	case GW_PROVIDED:
		return 0;
	case GW_PROVISION_UNKNOWN:
		gw_info("load: the source requires %s, and device %s cannot tell which it has",
			what, session->ops->name);
		return 0;
	case GW_NOT_PROVIDED:
		break;
	}
	for (unsigned i = 0; i < provided->count; i++)
		if (!strncmp(provided->word[i], what, strcspn(what, ":") + 1))
			provides = provided->word[i];
	return gw_fail(EINVAL, "%s: the source requires %s, device %s has %s",
		       gw_refusal_name(GW_PREREQUISITE_MISSING), what, session->ops->name,
		       provides);
}

static int check_prerequisites(const struct gw_session *session, const char *required)
{
	struct gw_environment environment;
	struct gw_words words, provided;
	int err;

	if (!session->ops->environment)
		return 0;
	gw_session_environment(session, &environment);
	err = gw_words_split(&words, required);
	if (!err)
		err = gw_words_split(&provided, environment.provides);
	for (unsigned i = 0; !err && i < words.count; i++)
		err = check_word(session, words.word[i], &provided);
	return err;
}

static int adopt(struct gw_session *session)
{
	const char *model = session->transfer->header.model;
	enum gw_refusal refusal = GW_ACCEPTED;
	int err;

	gw_transfer_print_id(session->last.id, session->transfer->header.id);
	if (session->transfer->header.mode == GW_MODE_STATELESS &&
	    !find_offer(session, &session->transfer->header))
		return -ENOENT;
	if (!session->params)
		return model[0] ? gw_fail(EINVAL, "load: the stream has a model, the device none")
				: 0;
	err = complete_model(session);
	if (err)
		return gw_fail_in(err, "load");
	err = check_prerequisites(session, session->transfer->header.prerequisites);
	if (err)
		return gw_fail_in(err, "load");
	err = gw_params_adopt(session->params, model, strlen(model), &session->adopted, &refusal);
	if (err)
		return gw_fail_in(err, "load: %s", gw_refusal_name(refusal));
	err = session->ops->adopt(session->dev, session->adopted);
	if (err) {
		gw_params_free(gw_take_ptr(session->adopted));
		return gw_fail_in(err, "load: device %s", session->ops->name);
	}
	return 0;
}

static void params_in_force(struct gw_session *session, struct gw_params *params)
{
	if (session->params != session->created)
		gw_params_free(session->params);
	session->params = params;
}

static void settle_adoption(struct gw_session *session, bool good)
{
	struct gw_params *adopted = gw_take_ptr(session->adopted);

	if (!adopted)
		return;
	if (good) {
		params_in_force(session, adopted);
		return;
	}
	if (session->ops->adopt(session->dev, session->params))
		gw_error("device %s does not take its own parameters back: %s", session->ops->name,
			 gw_last_error());
	gw_params_free(adopted);
}

int gw_session_settle_params(struct gw_session *session)
{
	struct gw_params *params = NULL;
	int err;

	if (!session->params)
		return 0;
	err = params_to_save(session, &params);
	if (!err)
		err = session->ops->adopt(session->dev, params);
	if (err) {
		gw_params_free(params);
		return gw_fail_in(err, "device %s: default parameters", session->ops->name);
	}
	params_in_force(session, params);
	return 0;
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
	settle_adoption(session, good);
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
	offer = find_offer(session, &transfer->header);
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
		gw_transfer_answer(session->transfer, adopt(session));
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
