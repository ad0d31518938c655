/* SPDX-License-Identifier: BSD-3-Clause */
/* common/echo.h - I/O with a device that echoes. */
#ifndef GW_TESTS_ECHO_H
#define GW_TESTS_ECHO_H

#include "godwit/frontend.h"

/* One request: what goes out and where the echo comes in, both in guest memory. */
struct echo {
	char *out, *in;
	unsigned len;
	unsigned segs; /* each part is cut into so many segments */
};

#define ECHO_MAX  8192
#define ECHO_SEGS 8

void echo_init(struct echo *echo, struct gw_frontend *frontend);
/* Make it available, filled with what follows from @number, cut as @segs says. */
void echo_add(struct echo *echo, struct gw_frontend *frontend, unsigned queue, unsigned number,
	      unsigned len, unsigned segs);
/* Wait for the next used one (5 s), check that it was echoed. */
struct echo *echo_take(struct gw_frontend *frontend, unsigned queue);
/* Add, kick, take. */
void echo_once(struct echo *echo, struct gw_frontend *frontend, unsigned queue, unsigned number);

#endif
