/* SPDX-License-Identifier: BSD-3-Clause */
/* common/peer.h - a back-end for a test, in a thread or in a child, and front-ends to it. */
#ifndef GW_TESTS_PEER_H
#define GW_TESTS_PEER_H

#include <pthread.h>
#include <sys/types.h>

#include "godwit/backend.h"
#include "godwit/error.h"
#include "godwit/frontend.h"
#include "scripted.h"

/* Fails the test with the sentence that the library left. */
#define ok(call_)                                                             \
	({                                                                    \
		int ok_ = (int)(call_);                                       \
		if (ok_ < 0)                                                  \
			fail_msg("%s: %d: %s", #call_, ok_, gw_last_error()); \
		ok_;                                                          \
	})

struct peer_options {
	bool fork;	/* a process of its own, so that it may die */
	bool reconnect; /* it lives until peer_stop(), and takes one connection after the other */
	const struct gw_device_ops *ops; /* NULL: the scripted device, with script as host */
	const void *host;		 /* of such; NULL: the script */
	const char *params;		 /* "name=value", or NULL */
	unsigned connections;		 /* at a time, 0: one */
	bool control;			 /* with a control socket, at peer->control */
	enum gw_on_save on_save;
	enum gw_on_lost_outcome on_lost_outcome;
	unsigned frozen_timeout_ms;
	enum gw_migration migration;
	enum gw_after_migration after_migration;
	const char *state_key; /* or NULL */
	unsigned experimental; /* offered, enum gw_experimental */
};

/* Listens on a socket in a directory of its own. One back-end, many front-ends if it allows it. */
struct peer {
	struct script *script; /* shared with a child */
	char dir[32];
	char socket[48];
	char control[48];
	struct gw_loop *loop;
	struct gw_backend *backend;
	pthread_t thread;
	pid_t pid; /* 0: a thread */
	bool running;
	int result; /* of gw_loop_run() */
};

void peer_start(struct peer *peer, const struct peer_options *options);
/* Waits until the back-end ended by itself (all front-ends are gone); its result. */
int peer_join(struct peer *peer);
/* Tells a back-end that waits for more front-ends to end, and frees all. */
void peer_stop(struct peer *peer);
/* A child only: SIGKILL. The socket's directory stays until peer_stop(). */
void peer_kill(struct peer *peer);

/* To @peer, one queue, 5 s of patience; a test changes what it wants to. */
struct gw_frontend_config peer_config(const struct peer *peer);
/* Connected with that and not negotiated, for raw messages. */
struct gw_frontend *peer_connect(const struct peer *peer);
/* Negotiated and started. */
struct gw_frontend *peer_frontend(const struct peer *peer);

/* Open descriptors of this process, to see whether any is leaked. */
unsigned open_descriptors(void);
void sleep_ms(unsigned ms);
/* Waits until *@counter is at least @value; fails the test after 5 s. */
void wait_until(const atomic_uint *counter, unsigned value);

#endif
