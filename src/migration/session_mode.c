/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/session_mode.c - how a session migrates: not at all, in the stream, or in place. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "godwit/error.h"
#include "migration/session_internal.h"

const char *const gw_migration_words[] = {"stateful", "none", "stateless", NULL};

void gw_session_set_migration(struct gw_session *session, enum gw_migration migration)
{
	bool collected = gw_session_collects(session);

	session->config.migration = migration;
	if (collected != gw_session_collects(session))
		gw_session_tell_prepare(session);
}

enum gw_migration gw_session_migration(const struct gw_session *session)
{
	return session->config.migration;
}

int gw_session_may_migrate(const struct gw_session *session, const char *what)
{
	if (session->config.migration == GW_MIGRATION_NONE)
		return gw_fail(EPERM,
			       "%s: device %s may not migrate: its operator set --migration=none",
			       what, session->ops->name);
	return 0;
}

int gw_session_expect(struct gw_session *session, uint64_t state_bytes)
{
	if (session->life.device != GW_DEVICE_FRESH)
		return gw_fail(EBUSY,
			       "migration-expect: device %s is %s; a state is loaded into a fresh "
			       "one",
			       session->ops->name, gw_device_state_name(session->life.device));
	session->ops->expect(session->dev, state_bytes);
	return 0;
}

/* A ticket needs no state. */
bool gw_session_collects(const struct gw_session *session)
{
	return session->announced && session->config.migration == GW_MIGRATION_STATEFUL;
}

/*
 * In place. The stream of a save brings nothing but a ticket; who shows it on another connection
 * of this process claims the session, and gets it when its first ring is on. Until then it is the
 * source's: a ring that starts there ends offer and claim.
 */
void gw_session_offer(struct gw_session *session, const struct gw_state_header *header)
{
	session->offered = header->mode == GW_MODE_STATELESS;
	session->offered_ns = gw_clock_ns();
	memcpy(session->ticket, header->ticket, sizeof(session->ticket));
}

bool gw_session_offers(const struct gw_session *session, const uint8_t *ticket)
{
	return session->offered && !memcmp(session->ticket, ticket, sizeof(session->ticket));
}

bool gw_session_is_promised(const struct gw_session *session)
{
	const uint64_t age_ms = (gw_clock_ns() - session->offered_ns) / GW_NS_PER_MS;

	return session->claimant ||
	       (session->offered && age_ms < session->config.frozen_timeout_ms);
}

int gw_session_claim(struct gw_session *session, struct gw_session *offer)
{
	int err = gw_lifecycle_check(&offer->life, GW_EVENT_CLAIM);

	if (!err && offer->claimant)
		err = gw_fail(EBUSY, "claim: another front-end has claimed the device");
	if (err)
		return err;
	gw_lifecycle_step(&offer->life, GW_EVENT_CLAIM);
	gw_session_thaw(offer);
	offer->claimant = session;
	session->claim = offer;
	return 0;
}

struct gw_session *gw_session_claimed(const struct gw_session *session)
{
	return session->claim;
}

void gw_session_unclaim(struct gw_session *session)
{
	if (session->claim)
		session->claim->claimant = NULL;
	session->claim = NULL;
}

void gw_session_waive(struct gw_session *session)
{
	if (!session->claim)
		return;
	gw_session_unclaim(session);
	gw_lifecycle_step(&session->life, GW_EVENT_TAKEN);
}

void gw_session_keep(struct gw_session *session)
{
	struct gw_session *claimant = session->claimant;

	session->offered = false;
	explicit_bzero(session->ticket, sizeof(session->ticket));
	if (claimant)
		gw_session_waive(claimant);
}

int gw_session_take_over(struct gw_session *session)
{
	return session->claim ? session->config.take_over(session->config.opaque) : 0;
}

void gw_session_hand_on(struct gw_session *session)
{
	struct gw_session *offer = session->claim;

	gw_session_unclaim(session);
	offer->offered = false;
	explicit_bzero(offer->ticket, sizeof(offer->ticket));
	offer->has_outcome = true;
	offer->outcome = GW_OUTCOME_MOVED;
	gw_session_reset(session);
	gw_lifecycle_step(&session->life, GW_EVENT_TAKEN);
}

void gw_session_set_opaque(struct gw_session *session, void *opaque)
{
	session->config.opaque = opaque;
}
