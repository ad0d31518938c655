/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session.c - what migrates: a device, its life cycle, what it keeps between two starts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "godwit/error.h"
#include "migration/preflight.h"
#include "migration/session_internal.h"

static int make_params(struct gw_session *session, const struct gw_params *params)
{
	if (params)
		return gw_params_copy(&session->created, params);
	if (session->ops->models[0])
		return gw_params_new(&session->created, session->ops->models[0]);
	return 0; /* a device without a model */
}

static int make_wake(struct gw_session *session)
{
	session->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->wake < 0)
		return gw_fail(errno, "session: eventfd: %s", strerror(errno));
	return gw_loop_add_fd(session->loop, session->wake, EPOLLIN, gw_session_on_wake, session,
			      &session->wake_source);
}

static void copy_config(struct gw_session *session, const struct gw_session_config *config)
{
	session->loop = config->loop;
	session->ops = config->ops;
	session->config = *config;
	if (!session->config.frozen_timeout_ms)
		session->config.frozen_timeout_ms = GW_FROZEN_TIMEOUT_MS;
	snprintf(session->implementation, sizeof(session->implementation), "%s%s%s",
		 config->program ? config->program : config->ops->name, config->version ? " " : "",
		 config->version ? config->version : "");
	session->has_key = config->state_key;
	if (config->state_key)
		memcpy(session->key, config->state_key, sizeof(session->key));
}

int gw_session_new(struct gw_session **out, const struct gw_session_config *config)
{
	struct gw_session *session = calloc(1, sizeof(*session));
	int err;

	*out = NULL;
	if (!session)
		return gw_fail(ENOMEM, "session: no memory");
	session->wake = session->ahead.made = session->ahead.written = -1;
	session->why = GW_RUN_FRESH;
	gw_parked_init(&session->parked);
	copy_config(session, config);
	err = make_params(session, config->params);
	session->params = session->created;
	if (!err)
		err = make_wake(session);
	if (!err)
		err = session->ops->create(&session->dev, session->created, config->host);
	if (err) {
		session->dev = NULL;
		gw_session_free(session);
		return err;
	}
	*out = session;
	return 0;
}

void gw_session_free(struct gw_session *session)
{
	if (!session)
		return;
	session->yield_done = NULL;
	session->config.transfer_failed = NULL;
	gw_session_cancel(session);
	gw_session_free_ahead(session);
	gw_session_unclaim(session);
	gw_session_keep(session);
	gw_journaling_stop(session->journaling);
	if (session->dev)
		session->ops->destroy(session->dev);
	gw_journaling_free(session->journaling);
	gw_source_remove(session->frozen_timer);
	gw_source_remove(session->wake_source);
	gw_close(&session->wake);
	gw_parked_clear(&session->parked);
	if (session->params != session->created)
		gw_params_free(session->params);
	gw_params_free(session->created);
	explicit_bzero(session->key, sizeof(session->key));
	free(session);
}

void *gw_session_device(const struct gw_session *session)
{
	return session->dev;
}

const struct gw_params *gw_session_params(const struct gw_session *session)
{
	return session->params;
}

void gw_session_environment(const struct gw_session *session, struct gw_environment *environment)
{
	*environment = (struct gw_environment){0};
	if (session->ops->environment)
		session->ops->environment(session->dev, environment);
}

const struct gw_device_ops *gw_session_ops(const struct gw_session *session)
{
	return session->ops;
}

/* -- connections and rings ----------------------------------------------------------------- */

int gw_session_connect(struct gw_session *session)
{
	return gw_lifecycle_step(&session->life, GW_EVENT_CONNECT);
}

static void suspend_device(struct gw_session *session, enum gw_device_state before)
{
	if (before != GW_DEVICE_RUNNING || session->life.device != GW_DEVICE_SUSPENDED)
		return;
	/* The rings are stopped whatever it says; who asked for silence is told. */
	session->restless = session->ops->suspend(session->dev);
	if (session->restless)
		gw_error("device %s: suspend: %s", session->ops->name, gw_last_error());
}

void gw_session_disconnect(struct gw_session *session)
{
	enum gw_device_state before = session->life.device;

	gw_session_drop_transfer(session, GW_EVENT_DISCONNECT);
	if (session->ahead.job && !session->ahead.job->load)
		gw_session_end_precopy(session);
	gw_session_waive(session);
	suspend_device(session, before);
}

static void note_start(struct gw_session *session)
{
	if (session->loaded_ns)
		session->last.start_us = (gw_clock_ns() - session->loaded_ns) / GW_NS_PER_US;
	session->stopping_ns = session->stopped_ns = session->loaded_ns = 0;
}

/* Nothing was loaded, and nothing will be. */
static int begin_fresh(struct gw_session *session)
{
	gw_session_end_precopy(session);
	gw_session_forget_ahead(session);
	return gw_session_settle_params(session);
}

/* RING_ON and RESUME: from here on it acts. */
static int commit(struct gw_session *session, enum gw_event event)
{
	bool runs = session->life.device == GW_DEVICE_RUNNING;
	int err = gw_lifecycle_check(&session->life, event);

	if (!err && !runs && session->why == GW_RUN_FRESH)
		err = begin_fresh(session);
	if (err)
		return err;
	gw_session_drop_transfer(session, event);
	gw_session_thaw(session);
	gw_session_keep(session);
	if (!runs && session->life.device == GW_DEVICE_RUNNING) {
		session->ops->run(session->dev, session->why);
		session->why = GW_RUN_RESUMED;
		session->restless = 0;
		gw_close(&session->ahead.written);
		note_start(session);
	}
	return 0;
}

int gw_session_ring_on(struct gw_session *session)
{
	return commit(session, GW_EVENT_RING_ON);
}

int gw_session_resume(struct gw_session *session)
{
	return commit(session, GW_EVENT_RESUME);
}

void gw_session_ring_stopping(struct gw_session *session, bool stopping)
{
	if (!stopping)
		session->stopping_ns = 0;
	else if (!session->stopping_ns)
		session->stopping_ns = gw_clock_ns();
}

void gw_session_last_ring_off(struct gw_session *session)
{
	enum gw_device_state before = session->life.device;

	session->stopped_ns = gw_clock_ns();
	gw_lifecycle_step(&session->life, GW_EVENT_LAST_RING_OFF);
	suspend_device(session, before);
}

int gw_session_check_event(const struct gw_session *session, enum gw_event event)
{
	return gw_lifecycle_check(&session->life, event);
}

int gw_session_suspend(struct gw_session *session)
{
	int err = gw_lifecycle_check(&session->life, GW_EVENT_SUSPEND);

	if (!err && (session->restless || session->life.device == GW_DEVICE_RUNNING))
		err = session->restless = session->ops->suspend(session->dev);
	return err ? err : gw_lifecycle_step(&session->life, GW_EVENT_SUSPEND);
}

int gw_session_reset(struct gw_session *session)
{
	bool was_fresh = session->life.device == GW_DEVICE_FRESH;
	int err = gw_lifecycle_check(&session->life, GW_EVENT_RESET);

	if (err)
		return err;
	session->makes_way = true;
	gw_session_drop_jobs(session);
	gw_session_drop_transfer(session, GW_EVENT_RESET);
	session->makes_way = false;
	gw_session_thaw(session);
	gw_session_unclaim(session);
	gw_session_keep(session);
	session->ops->reset(session->dev);
	gw_close(&session->ahead.made);
	/* What waits for a state is reset as well while its VMM starts. */
	if (!was_fresh)
		gw_session_forget_ahead(session);
	session->restless = 0;
	gw_parked_clear(&session->parked);
	session->why = GW_RUN_FRESH;
	return 0;
}

void gw_session_tell_prepare(struct gw_session *session)
{
	if (session->ops->prepare(session->dev, gw_session_collects(session)) < 0)
		gw_warn("device %s: prepare: %s", session->ops->name, gw_last_error());
}

void gw_session_prepare(struct gw_session *session, bool on)
{
	bool collected = gw_session_collects(session);

	session->announced = on;
	if (session->config.migration == GW_MIGRATION_STATEFUL || collected)
		gw_session_tell_prepare(session);
}

void gw_session_device_failed(struct gw_session *session)
{
	gw_session_end_precopy(session);
	gw_session_drop_transfer(session, GW_EVENT_DEVICE_FAILED);
	gw_session_thaw(session);
	gw_session_keep(session);
}

/* -- kept between two starts --------------------------------------------------------------- */

int gw_session_park(struct gw_session *session, unsigned queue, const struct gw_parked *parked)
{
	return gw_parked_append(&session->parked, queue, parked);
}

bool gw_session_has_parked(const struct gw_session *session, unsigned queue)
{
	return gw_parked_has(&session->parked, queue);
}

int gw_session_unpark(struct gw_session *session, unsigned queue,
		      int (*fn)(void *opaque, const struct gw_parked *parked), void *opaque)
{
	return gw_parked_hand_out(&session->parked, queue, fn, opaque);
}

/* -- seen from outside --------------------------------------------------------------------- */

void gw_session_event(struct gw_session *session, const char *name, const struct gw_report *data)
{
	if (session->config.event)
		session->config.event(session->config.opaque, name, data);
}

void gw_session_drop_preflight(struct gw_session *session)
{
	struct gw_preflight *preflight = gw_take_ptr(session->preflight);

	if (preflight)
		gw_preflight_finish(preflight);
}

/* Whatever it has, it keeps. */
static int report_in_place(void *dev, enum gw_report_kind kind, struct gw_report *report)
{
	gw_report_list(report, "cannot_travel");
	gw_report_end(report);
	gw_report_number(report, "state_bytes", 0);
	gw_report_number(report, "blackout_us", 0);
	gw_report_text(report, "estimate", "stateless: the device stays in this process");
	return 0;
}

static const struct gw_device_ops in_place_ops = {.report = report_in_place};

int gw_session_preflight(struct gw_session *session, gw_preflight_done *done, void *opaque)
{
	bool in_place = session->config.migration == GW_MIGRATION_STATELESS;
	const struct gw_preflight as = {.ops = in_place ? &in_place_ops : session->ops,
					.dev = session->dev,
					.wake = session->wake,
					.done = done,
					.opaque = opaque};
	enum gw_device_state device = session->life.device;
	int err = gw_session_may_migrate(session, "preflight");

	if (!err)
		err = gw_session_check_idle(session, "preflight");
	if (err)
		return err;
	if (device == GW_DEVICE_GONE || device == GW_DEVICE_FAILED)
		return gw_fail(EPERM, "preflight: the device is %s", gw_device_state_name(device));
	return gw_preflight_start(&session->preflight, &as);
}

void gw_session_report(struct gw_session *session, enum gw_report_kind kind,
		       struct gw_report *report)
{
	/* What a load puts in place, it does on its own thread. */
	if (session->transfer && session->transfer->load)
		return;
	if (session->ops->report(session->dev, kind, report) < 0)
		gw_warn("device %s: report: %s", session->ops->name, gw_last_error());
}

bool gw_session_may_end(const struct gw_session *session)
{
	return !session->transfer && !gw_session_is_promised(session) &&
	       session->life.device != GW_DEVICE_FROZEN;
}

enum gw_device_state gw_session_device_state(const struct gw_session *session)
{
	return session->life.device;
}

enum gw_transfer_state gw_session_transfer_state(const struct gw_session *session)
{
	return session->life.transfer;
}

void gw_session_last_transfer(const struct gw_session *session, struct gw_transfer_info *info)
{
	*info = session->last;
	if (session->transfer)
		info->bytes = atomic_load(&session->transfer->moved);
}
