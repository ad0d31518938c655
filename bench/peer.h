/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/peer.h - a daemon under measurement, and a FUSE mount on it without a kernel. */
#ifndef GW_BENCH_PEER_H
#define GW_BENCH_PEER_H

#include <stdint.h>
#include <sys/types.h>

#include "fs/fuse_wire.h"
#include "godwit/frontend.h"

struct peer {
	const char *name;
	pid_t pid;
	char socket[128];
	struct gw_frontend *frontend;
};

#define PEER_QUEUE	1   /* the first request queue; 0 is hiprio */
#define PEER_QUEUE_SIZE 512 /* room for 1 MiB chains of 32 requests */

/*
 * Start `@command --socket-path S --shared-dir @dir ...` (split at spaces), connect, and mount
 * (FUSE INIT). Failures end the benchmark with a message: nothing measured is better than half.
 */
void peer_start(struct peer *peer, const char *name, const char *command, const char *dir);
void peer_stop(struct peer *peer);

/* The destination of a migration: start it; once @from is stopped, connect with its memory and
 * rings, as the VMM there would be. */
void peer_prepare(struct peer *peer, const char *name, const char *command, const char *dir);
void peer_connect(struct peer *peer, struct peer *from);

/* The same while @from still runs; gw_frontend_take_over() once it does not. */
void peer_await(struct peer *peer, struct peer *from);

/* One request and its answer, for setting things up. Returns the length of the answer's body. */
uint32_t peer_call(struct peer *peer, uint32_t opcode, uint64_t nodeid, const void *arg,
		   uint32_t arg_len, void *body, uint32_t body_size);
uint64_t peer_lookup(struct peer *peer, uint64_t parent, const char *name);
uint64_t peer_open(struct peer *peer, uint64_t nodeid, uint32_t flags);

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
