/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/migrate/ahead.c - most of the devices' states goes ahead, while the guest's memory does. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "cli/migrate/migrate.h"

/*
 * A hint (docs/control.md): the state comes as ever, when the guest stands still, and a destination
 * that has most of it by then has less to do. So nothing here holds the migration up, and nothing
 * that goes wrong is a failure of it.
 *
 * What has changed since is dearer than what has not. If memory takes long it is brought again, but
 * not so often that it would be felt.
 */
#define AGAIN_TIMES 10
#define AGAIN_NS    (5 * (uint64_t)GW_NS_PER_S)

/* -- the ways ------------------------------------------------------------------------------ */

static bool is_several(const struct mg_backend *backend)
{
	return json_array_size(json_object_get(backend->status, "sessions")) > 1;
}

/* False: nobody can say which it is. */
static bool find_session(const struct mg_backend *backend, json_int_t *number)
{
	const json_t *session = mg_backend_session(backend);

	*number =
		is_several(backend) ? json_integer_value(json_object_get(session, "session")) : -1;
	return session;
}

static struct gw_qmp *call(struct mg_backend *backend, uint64_t deadline)
{
	struct gw_qmp *qmp;
	unsigned ms = (unsigned)gw_qmp_ms_until(deadline);

	if (gw_qmp_open_within(&qmp, backend->talk->group, backend->control, ms))
		return NULL;
	qmp->owner = backend;
	return qmp;
}

static void close_way(struct mg_ahead *ahead)
{
	gw_qmp_ahead_end(&ahead->way);
	gw_qmp_close(ahead->way.from);
	gw_qmp_close(ahead->way.to);
	ahead->way.from = ahead->way.to = NULL;
}

static void open_way(struct mg_device *device, struct mg_device *peer, uint64_t deadline)
{
	struct gw_qmp_ahead *way = &device->ahead.way;
	struct mg_backend *from = &device->backend, *to = &peer->backend;

	if (from->make != MG_GODWIT || to->make != MG_GODWIT ||
	    strcmp(mg_backend_mode(from), "stateful") != 0 ||
	    !find_session(from, &way->from_session) || !find_session(to, &way->to_session))
		return;
	way->from = call(from, deadline);
	way->to = way->from ? call(to, deadline) : NULL;
	if (!way->to)
		close_way(&device->ahead);
}

void mg_ahead_open(struct mg_move *move, unsigned ms)
{
	struct mg_machine *source = &move->machines[MG_SOURCE];
	uint64_t deadline = gw_clock_ns() + (uint64_t)ms * GW_NS_PER_MS;

	for (unsigned i = 0; i < source->count; i++) {
		struct mg_device *device = &source->devices[i];
		struct mg_device *peer = mg_device_peer(device, &move->machines[MG_DESTINATION]);

		if (peer)
			open_way(device, peer, deadline);
	}
}

/* -- one device ---------------------------------------------------------------------------- */

static bool is_due(const struct mg_ahead *ahead, uint64_t now)
{
	uint64_t wait = GW_MAX(AGAIN_NS, AGAIN_TIMES * ahead->took_ns);

	return !ahead->times || now - ahead->ended_ns > wait;
}

static void came(struct mg_ahead *ahead)
{
	ahead->ended_ns = gw_clock_ns();
	ahead->took_ns = ahead->ended_ns - ahead->begun_ns;
	ahead->bytes = ahead->way.bytes;
	ahead->times++;
	gw_qmp_ahead_end(&ahead->way);
}

/* Builds that do not know of it, and devices that have no use for it, are left alone. */
static void did_not_come(struct mg_ahead *ahead, int err)
{
	if (err != -EOPNOTSUPP)
		snprintf(ahead->reason, sizeof(ahead->reason), "%s", gw_last_error());
	/* A load that failed has let go of what had come before. */
	if (ahead->way.step == GW_AHEAD_LOADING)
		ahead->bytes = 0;
	close_way(ahead);
}

/* Does it wait for an answer? */
static bool go_on(struct mg_ahead *ahead)
{
	int err = gw_qmp_ahead_go_on(&ahead->way);

	if (!err)
		came(ahead);
	else if (err != -EAGAIN)
		did_not_come(ahead, err);
	return err == -EAGAIN;
}

static bool begin(struct mg_ahead *ahead)
{
	int err;

	ahead->begun_ns = gw_clock_ns();
	err = gw_qmp_ahead_begin(&ahead->way);
	if (err)
		did_not_come(ahead, err);
	return !err;
}

/* Once the guest stands still nothing more is brought; what is being loaded may be in time. */
static bool go_on_device(struct mg_ahead *ahead, bool wanted)
{
	if (!ahead->way.from)
		return false;
	if (ahead->way.step == GW_AHEAD_IDLE)
		return wanted && is_due(ahead, gw_clock_ns()) && begin(ahead);
	return (wanted || ahead->way.step == GW_AHEAD_LOADING) && go_on(ahead);
}

/* -- all of them --------------------------------------------------------------------------- */

static bool go_on_all(struct mg_move *move, bool wanted)
{
	struct mg_machine *source = &move->machines[MG_SOURCE];
	bool waits = false;

	for (unsigned i = 0; i < source->count; i++)
		waits |= go_on_device(&source->devices[i].ahead, wanted);
	return waits;
}

void mg_ahead_listen(struct mg_move *move, bool wanted, unsigned ms)
{
	const uint64_t deadline = gw_clock_ns() + (uint64_t)ms * GW_NS_PER_MS;
	const unsigned interrupts = move->group.interrupts;
	bool waits = true;

	move->news = false;
	while (waits && !move->news && move->group.interrupts == interrupts &&
	       gw_qmp_ms_until(deadline)) {
		waits = go_on_all(move, wanted && move->phase == MG_PRECOPY && !move->dark_from);
		gw_qmp_group_listen(&move->group, (unsigned)gw_qmp_ms_until(deadline));
	}
}

void mg_ahead_close(struct mg_move *move)
{
	struct mg_machine *source = &move->machines[MG_SOURCE];

	for (unsigned i = 0; i < source->count; i++) {
		struct mg_ahead *ahead = &source->devices[i].ahead;

		bool late = go_on_device(ahead, false) || ahead->way.step != GW_AHEAD_IDLE;

		if (*ahead->reason && !ahead->times)
			mg_note(move, "%s: nothing went ahead of its state: %.512s",
				source->devices[i].label, ahead->reason);
		/* Which is nobody's fault, and not to be noted. */
		if (late)
			snprintf(ahead->reason, sizeof(ahead->reason),
				 "there was no time for all of it");
		close_way(ahead);
	}
}
