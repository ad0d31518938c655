/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_seats.c - sessions, and for whom there is one. */
#include <errno.h>
#include <stdlib.h>

#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

static void seat_free(struct gw_seat *seat)
{
	gw_instance_free(seat->instance);
	gw_session_free(seat->session);
	free(seat);
}

void gw_seat_remove(struct gw_backend *backend, struct gw_seat *seat)
{
	struct gw_seat **at = &backend->seats;

	while (*at != seat)
		at = &(*at)->next;
	*at = seat->next;
	seat_free(seat);
}

int gw_seat_new(struct gw_backend *backend, struct gw_seat **out)
{
	struct gw_seat *seat = calloc(1, sizeof(*seat));
	struct gw_session_config config = {
		.loop = backend->loop,
		.ops = &backend->ops,
		.params = backend->params,
		.host = backend->config.host,
		.program = backend->program,
		.version = backend->version,
		.state_key = backend->config.state_key ? backend->key : NULL,
		.on_save = backend->config.on_save,
		.on_lost_outcome = backend->config.on_lost_outcome,
		.frozen_timeout_ms = backend->config.frozen_timeout_ms,
		.migration = backend->config.migration,
		.after_migration = backend->config.after_migration,
		.find_offer = gw_backend_find_offer,
		.take_over = gw_backend_take_over,
		.moved = gw_backend_moved,
		.transfer_failed = gw_backend_transfer_failed,
		.event = gw_backend_device_event,
		.opaque = seat,
	};
	int err;

	if (!seat)
		return gw_fail(ENOMEM, "session: no memory");
	seat->backend = backend;
	seat->number = backend->seat_numbers++;
	err = gw_session_new(&seat->session, &config);
	if (!err)
		err = gw_instance_new(&seat->instance, backend->loop, seat->session);
	if (err) {
		seat_free(seat);
		return err;
	}
	seat->instance->experimental = backend->config.experimental;
	/* A process that follows a dead one would let rings run that are held. */
	if (backend->config.fdstore)
		seat->instance->experimental &= ~(unsigned)GW_EXPERIMENTAL_SUSPEND;
	seat->next = backend->seats;
	backend->seats = seat;
	*out = seat;
	return 0;
}

/* Where a device may change hands there is room for who shall have it. */
unsigned gw_seats_max(const struct gw_backend *backend)
{
	unsigned max = backend->config.max_connections;

	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (gw_session_migration(seat->session) == GW_MIGRATION_STATELESS)
			return 2 * max;
	}
	return max;
}

/* But for those that wait for one front-end, which has a seat already or will come to one. */
static unsigned count_seats(const struct gw_backend *backend)
{
	unsigned count = 0;

	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next)
		count += seat->dialog || seat->releasing || !gw_session_is_promised(seat->session);
	return count;
}

struct gw_seat *gw_seat_of(struct gw_backend *backend, const struct gw_dialog *dialog)
{
	for (struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (seat->dialog == dialog && !seat->releasing)
			return seat;
	}
	return NULL;
}

static struct gw_seat *find_free(const struct gw_backend *backend)
{
	for (struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (!seat->dialog && !seat->releasing && !gw_session_is_promised(seat->session))
			return seat;
	}
	return NULL;
}

/* What its front-end has left is waited for, if the next one is to have it. */
static bool is_draining(const struct gw_backend *backend)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (seat->releasing && !gw_session_is_promised(seat->session))
			return backend->config.reconnect;
	}
	return false;
}

int gw_seat_take(struct gw_backend *backend, struct gw_seat **seat)
{
	*seat = find_free(backend);
	if (*seat || is_draining(backend) || count_seats(backend) >= gw_seats_max(backend))
		return 0;
	return gw_seat_new(backend, seat);
}
