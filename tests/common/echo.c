/* SPDX-License-Identifier: BSD-3-Clause */
/* common/echo.c - requests whose answer is known. */
#include "../unit/cmocka-all.h"

#include <string.h>

#include "echo.h"
#include "peer.h"

void echo_init(struct echo *echo, struct gw_frontend *frontend)
{
	echo->out = gw_frontend_alloc(frontend, ECHO_MAX);
	echo->in = gw_frontend_alloc(frontend, ECHO_MAX);
	assert_non_null(echo->out);
	assert_non_null(echo->in);
}

static void cut(struct iovec *iov, char *base, unsigned len, unsigned segs)
{
	unsigned each = len / segs;

	for (unsigned i = 0; i < segs; i++)
		iov[i] = (struct iovec){.iov_base = base + i * each,
					.iov_len = i + 1 < segs ? each : len - i * each};
}

void echo_add(struct echo *echo, struct gw_frontend *frontend, unsigned queue, unsigned number,
	      unsigned len, unsigned segs)
{
	struct iovec out[ECHO_SEGS], in[ECHO_SEGS];

	echo->len = len;
	echo->segs = segs;
	for (unsigned i = 0; i < len; i++)
		echo->out[i] = (char)(number * 31 + i * 7 + (i >> 8));
	memset(echo->in, 0, len);
	cut(out, echo->out, len, segs);
	cut(in, echo->in, len, segs);
	ok(gw_driver_add(frontend, queue, out, segs, in, segs, echo));
}

struct echo *echo_take(struct gw_frontend *frontend, unsigned queue)
{
	struct echo *echo;
	void *token;
	uint32_t len;

	while (!gw_driver_get(frontend, queue, &token, &len))
		ok(gw_driver_wait(frontend, queue, 5000));
	echo = token;
	assert_int_equal(len, echo->len);
	assert_memory_equal(echo->in, echo->out, len);
	return echo;
}

void echo_once(struct echo *echo, struct gw_frontend *frontend, unsigned queue, unsigned number)
{
	echo_add(echo, frontend, queue, number, 100, 1);
	ok(gw_driver_kick(frontend, queue));
	assert_ptr_equal(echo_take(frontend, queue), echo);
}
