/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/figures.h - the clock of the benchmarks, and medians of what it said. */
#ifndef GW_BENCH_FIGURES_H
#define GW_BENCH_FIGURES_H

#include <stdlib.h>
#include <time.h>

static inline double bench_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static inline int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* From the lowest on: the middle one is the median. */
static inline void bench_sort(double *figures, size_t count)
{
	qsort(figures, count, sizeof(*figures), bench_compare);
}

#endif
