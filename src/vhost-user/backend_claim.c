/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user/backend_claim.c - a device that stays where it is changes hands between connections.
 */
#include <errno.h>

#include "godwit/error.h"
#include "vhost-user/backend_internal.h"

/* Not while its own front-end is about to start it again. */
struct gw_session *gw_backend_find_offer(void *opaque, const uint8_t *ticket)
{
	const struct gw_seat *self = opaque;

	for (const struct gw_seat *seat = self->backend->seats; seat; seat = seat->next) {
		if (seat != self && gw_session_offers(seat->session, ticket) &&
		    !gw_instance_any_started(seat->instance))
			return seat->session;
	}
	return NULL;
}

static struct gw_seat *seat_of(const struct gw_backend *backend, const struct gw_session *session)
{
	struct gw_seat *seat = backend->seats;

	while (seat && seat->session != session)
		seat = seat->next;
	return seat;
}

static void exchange(struct gw_seat *a, struct gw_seat *b)
{
	struct gw_session *session = a->session;
	unsigned number = a->number;

	a->session = b->session;
	b->session = session;
	a->number = b->number;
	b->number = number;
	gw_session_set_opaque(a->session, a);
	gw_session_set_opaque(b->session, b);
	gw_instance_exchange(a->instance, b->instance);
}

/* All that can fail comes first; then both front-ends have what is theirs from now on. */
int gw_backend_take_over(void *opaque)
{
	struct gw_seat *seat = opaque;
	struct gw_session *offer = gw_session_claimed(seat->session);
	struct gw_seat *other = seat_of(seat->backend, offer);
	const struct gw_device_ops *ops = gw_session_ops(offer);
	uint64_t features = seat->instance->features;
	int err = ops->negotiated(gw_session_device(offer), features);

	if (err)
		return gw_fail_in(err, "device %s changes hands", ops->name);
	gw_session_hand_on(seat->session);
	exchange(seat, other);
	gw_session_prepare(seat->session, features & GW_VIRTIO_F_LOG_ALL);
	gw_info("device %s: session %u is another connection's now", ops->name, seat->number);
	gw_backend_sweep(seat->backend);
	return 0;
}
