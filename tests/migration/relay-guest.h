/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/relay-guest.h - a guest that answers who connects to its relay, and a client of it. */
#ifndef GW_TESTS_RELAY_GUEST_H
#define GW_TESTS_RELAY_GUEST_H

#include "godwit/frontend.h"
#include "relay/relay.h"

/* Its buffers are in guest memory, which goes along with it from one front-end to the next. */
struct relay_guest {
	char *in, *out;
	unsigned opened, closed; /* connections that it heard of, in all */
	uint32_t last;		 /* the one that OPEN named last */
	uint64_t echoed;	 /* bytes */
};

#define RELAY_GUEST_BUFFERS 8
#define RELAY_GUEST_ROOM    2048

/* A config for it. */
void relay_guest_config(struct gw_frontend_config *config);
/* @frontend is negotiated and not started; buffers are made available. */
void relay_guest_begin(struct relay_guest *guest, struct gw_frontend *frontend);
/* Echoes what comes until @until bytes were echoed in all, and @opened and @closed connections were
 * heard of; false if that is not within @ms. */
bool relay_guest_serve(struct relay_guest *guest, struct gw_frontend *frontend, uint64_t until,
		       unsigned opened, unsigned closed, unsigned ms);

/* An address of this process's own, and who connects to it; -1: nobody listens there. */
void relay_address(struct relay_host *host);
int relay_connect(const struct relay_host *host);
/* Sends @text, which the guest at @frontend echoes. */
bool relay_ping(int client, const char *text, struct relay_guest *guest,
		struct gw_frontend *frontend);

#endif
