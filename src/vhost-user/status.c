/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/status.c - what a back-end shows of itself on the control socket. */
#include <errno.h>

#include "base/clock.h"
#include "control/control.h"
#include "migration/report.h"
#include "vhost-user/status.h"
#include "vhost-user/upcalls.h"

static json_t *status_of_ring(const struct gw_ring *ring)
{
	const struct gw_queue *queue = ring->queue;
	bool started = gw_queue_is_started(queue);
	json_t *status =
		json_pack("{s:i, s:b, s:b, s:b, s:i, s:i}", "index", (int)ring->index, "started",
			  started, "enabled", gw_queue_is_enabled(queue), "broken",
			  gw_queue_is_broken(queue), "in_flight", (int)gw_queue_in_flight(queue),
			  "parked", started ? 0 : (int)gw_queue_parked_count(queue));

	/* The position of a ring that runs is its thread's, and old when it is read. */
	if (status && !started)
		json_object_set_new(status, "base", json_integer(gw_queue_base(queue)));
	return status;
}

static json_t *status_of_rings(const struct gw_instance *instance)
{
	json_t *rings = json_array();

	for (unsigned i = 0; i < instance->ring_count; i++)
		json_array_append_new(rings, status_of_ring(&instance->rings[i]));
	return rings;
}

/* A stop is never without a name: which ring, what asked for it, how many requests are out. */
static json_t *status_of_stops(const struct gw_instance *instance)
{
	json_t *stops = json_array();

	for (unsigned i = 0; i < instance->ring_count; i++) {
		const struct gw_ring *ring = &instance->rings[i];

		if (ring->stop_reason)
			json_array_append_new(
				stops, json_pack("{s:i, s:s, s:i, s:I}", "ring", (int)ring->index,
						 "for", ring->stop_reason, "in_flight",
						 (int)gw_queue_in_flight(ring->queue), "ms",
						 (json_int_t)((gw_clock_ns() - ring->stop_ns) /
							      GW_NS_PER_MS)));
	}
	return stops;
}

static const char *result_name(int result)
{
	if (result == -EINPROGRESS)
		return "in-progress";
	return result ? "failed" : "ok";
}

static json_t *status_of_phases(const struct gw_transfer_info *info)
{
	if (info->load)
		return json_pack("{s:I, s:I, s:I}", "open_us", (json_int_t)info->open_us, "load_us",
				 (json_int_t)info->device_us, "start_us",
				 (json_int_t)info->start_us);
	return json_pack("{s:I, s:I, s:I, s:I}", "stop_us", (json_int_t)info->stop_us, "idle_us",
			 (json_int_t)info->idle_us, "open_us", (json_int_t)info->open_us, "save_us",
			 (json_int_t)info->device_us);
}

static json_t *status_of_transfer(const struct gw_session *session)
{
	struct gw_transfer_info info;

	gw_session_last_transfer(session, &info);
	if (!info.id[0] && !info.result)
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:I, s:s, s:o, s:o}", "id", info.id, "direction",
			 info.load ? "load" : "save", "bytes", (json_int_t)info.bytes, "ms",
			 (json_int_t)info.ms, "result", result_name(info.result), "reason",
			 gw_control_text(info.reason), "phases", status_of_phases(&info));
}

/* What the device says of itself. */
static json_t *status_of_device(const struct gw_instance *instance)
{
	struct gw_report *report = gw_report_new();
	json_t *details;

	gw_session_report(instance->session, GW_REPORT_STATUS, report);
	details = gw_report_json(report);
	gw_report_free(report);
	return details ? details : json_null();
}

/* What it needs from outside to go on. */
static json_t *status_of_wait(const struct gw_session *session)
{
	struct gw_wait_info info;

	if (!gw_session_waits(session, &info))
		return json_null();
	return json_pack("{s:s, s:s, s:I, s:I, s:s}", "for", info.what, "id", info.id, "ms",
			 (json_int_t)info.ms, "left_ms", (json_int_t)info.left_ms, "then",
			 info.then);
}

static json_t *status_of_migration(const struct gw_session *session)
{
	bool exclusive = gw_session_ops(session)->ownership == GW_EXCLUSIVE;

	return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:o}", "mode",
			 gw_migration_words[gw_session_migration(session)], "ownership",
			 exclusive ? "exclusive" : "shared", "on_save",
			 gw_on_save_words[gw_session_on_save(session)], "after",
			 gw_after_migration_words[gw_session_after_migration(session)], "outcome",
			 gw_session_last_outcome(session), "waits", status_of_wait(session));
}

json_t *gw_status_of(const struct gw_instance *instance, unsigned number, const char *model)
{
	const struct gw_session *session = instance->session;

	return json_pack(
		"{s:i, s:o, s:s, s:s?, s:b, s:s, s:s, s:o, s:o, s:o, s:o, s:I}", "session",
		(int)number, "migration", status_of_migration(session), "device",
		instance->ops->name, "model", model, "connected", instance->connected,
		"device_state", gw_device_state_name(gw_session_device_state(session)),
		"transfer_state", gw_transfer_state_name(gw_session_transfer_state(session)),
		"rings", status_of_rings(instance), "last_transfer", status_of_transfer(session),
		"stopping", status_of_stops(instance), "details", status_of_device(instance),
		"events_lost", (json_int_t)gw_upcalls_lost(instance));
}

json_t *gw_status_failure(const struct gw_transfer_info *info)
{
	return json_pack("{s:s, s:o}", "id", info->id, "reason", gw_control_text(info->reason));
}
