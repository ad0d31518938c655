/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/announce.h - a daemon that waits is told what is coming, as `godwit migrate` does it. */
#ifndef GW_BENCH_ANNOUNCE_H
#define GW_BENCH_ANNOUNCE_H

#include "bench/peer.h"

/* A preflight at @from, and what it says of the state's size to @to; @precopied: then most of the
 * state itself. Nothing where daemons have no control sockets, or do not know of it. */
void announce(const struct peer *from, const struct peer *to, bool precopied);

#endif
