/* SPDX-License-Identifier: BSD-3-Clause */
/* common/provoke.h - one raw message, and what became of it. */
#ifndef GW_TESTS_PROVOKE_H
#define GW_TESTS_PROVOKE_H

#include "peer.h"
#include "vhost-user/messages.h"
#include "vhost-user/wire.h"

enum answer {
	ANSWER_NONE,   /* the next message was answered, this one not */
	ANSWER_GIVEN,  /* see provoked */
	ANSWER_CLOSED, /* the back-end closed the connection */
};

struct provoked {
	enum answer answer;
	uint32_t flags;
	int size;
	union gw_vu_payload payload;
	bool with_fd; /* the descriptor itself is closed */
};

struct provocation {
	uint32_t request;
	uint32_t flags; /* beside the version */
	const void *payload;
	uint32_t len;
	unsigned fd_count; /* so many memfds of 1 MiB are sent along */
};

/* Sends it and a harmless getter after it, whose answer must come next. */
struct provoked provoke(struct gw_frontend *frontend, const struct provocation *message);
/* A connection with all protocol features that the peer offers but @refuse, and all features. */
struct gw_frontend *connect_negotiated(const struct peer *peer, uint64_t refuse);
/* May an answer to @row say that the request failed? */
bool has_error_form(const struct gw_vu_row *row);
/* Does @provoked say that? */
bool says_error(const struct gw_vu_row *row, const struct provoked *provoked);
/* A connection that serves is worth keeping: NULL if it was closed, after freeing it. */
struct gw_frontend *keep_open(struct gw_frontend *frontend, const struct provoked *provoked);

#endif
