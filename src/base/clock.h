/* SPDX-License-Identifier: BSD-3-Clause */
/* base/clock.h - how long something took. */
#ifndef GW_BASE_CLOCK_H
#define GW_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define GW_NS_PER_US 1000u
#define GW_NS_PER_MS 1000000u
#define GW_NS_PER_S  1000000000u

/* CLOCK_MONOTONIC; never 0, which may stand for "not yet". */
static inline uint64_t gw_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * GW_NS_PER_S + (uint64_t)now.tv_nsec + 1;
}

#endif
