/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_end.c - when a session ends, and when the back-end does. */
#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

/* A session that may not end yet is waited for; neither a time-out nor an order tells us. */
#define END_POLL_MS 500
/* After the last disconnect: what has not ended by then hangs in storage, and nobody waits for it.
 */
#define LINGER_MS 5000

static bool sessions_may_end(const struct gw_backend *backend)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (seat->releasing || !gw_session_may_end(seat->session))
			return false;
	}
	return true;
}

bool gw_backend_is_quiet(const struct gw_backend *backend)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		if (seat->releasing)
			return false;
	}
	return !backend->dialogs;
}

static bool hangs(const struct gw_backend *backend)
{
	for (const struct gw_seat *seat = backend->seats; seat; seat = seat->next) {
		enum gw_transfer_state transfer = gw_session_transfer_state(seat->session);

		if (seat->releasing || transfer == GW_TRANSFER_SAVING ||
		    transfer == GW_TRANSFER_PRECOPY || transfer == GW_TRANSFER_LOADING)
			return true;
	}
	return false;
}

/* A dead front-end leaves no process behind, whatever its requests wait for. */
static void lingered(void *opaque)
{
	struct gw_backend *backend = opaque;

	if (backend->dialogs || !hangs(backend))
		return;
	gw_error("vhost-user: requests of a front-end that is gone hang; ending without them");
	gw_loop_quit(backend->loop, 0);
}

void gw_backend_linger(struct gw_backend *backend)
{
	int err = 0;

	if (backend->config.reconnect || backend->freeing || backend->dialogs)
		return;
	if (backend->linger_timer)
		err = gw_timer_restart(backend->linger_timer, LINGER_MS);
	else
		err = gw_loop_add_timer(backend->loop, LINGER_MS, lingered, backend,
					&backend->linger_timer);
	if (err)
		gw_error("vhost-user: requests that hang will keep it: %s", gw_last_error());
}

static void look_again(struct gw_backend *backend)
{
	int err;

	if (backend->end_timer)
		err = gw_timer_restart(backend->end_timer, END_POLL_MS);
	else
		err = gw_loop_add_timer(backend->loop, END_POLL_MS, gw_backend_maybe_end, backend,
					&backend->end_timer);
	if (err)
		gw_error("vhost-user: it will not end by itself: %s", gw_last_error());
}

void gw_backend_maybe_end(void *opaque)
{
	struct gw_backend *backend = opaque;

	if (!gw_backend_is_quiet(backend))
		return;
	if (backend->freeing || (!backend->config.reconnect && sessions_may_end(backend)))
		gw_loop_quit(backend->loop, 0);
	else if (!backend->config.reconnect)
		look_again(backend);
}

/* Nobody will come back to it: for what, or since it is elsewhere. */
static bool is_over(const struct gw_seat *seat)
{
	bool gone = gw_session_device_state(seat->session) == GW_DEVICE_GONE;

	return !seat->dialog && !seat->releasing && (gone || !seat->backend->config.reconnect) &&
	       gw_session_may_end(seat->session);
}

/* The first session of a back-end that ends now is still shown until it has ended. */
void gw_backend_sweep(struct gw_backend *backend)
{
	struct gw_seat *next;

	for (struct gw_seat *seat = backend->seats; seat && backend->dialogs; seat = next) {
		next = seat->next;
		if (is_over(seat))
			gw_seat_remove(backend, seat);
	}
}
