/* SPDX-License-Identifier: BSD-3-Clause */
/* base/checked.h - arithmetic on numbers from a peer. */
#ifndef GW_BASE_CHECKED_H
#define GW_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True, and *@sum unspecified, if the sum does not fit. */
static inline bool gw_add_overflows(uint64_t a, uint64_t b, uint64_t *sum)
{
	return __builtin_add_overflow(a, b, sum);
}

static inline bool gw_mul_overflows(uint64_t a, uint64_t b, uint64_t *product)
{
	return __builtin_mul_overflow(a, b, product);
}

/* Does [@offset, @offset + @len) lie within [0, @limit)? An empty range at the limit does. */
static inline bool gw_range_within(uint64_t offset, uint64_t len, uint64_t limit)
{
	return offset <= limit && len <= limit - offset;
}

static inline bool gw_is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* @align is a power of two; the caller has bounded @n so that the result fits. */
static inline uint64_t gw_round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) & ~(align - 1);
}

#define GW_MIN(a, b)                    \
	({                              \
		__typeof__(a) a_ = (a); \
		__typeof__(b) b_ = (b); \
		a_ < b_ ? a_ : b_;      \
	})
#define GW_MAX(a, b)                    \
	({                              \
		__typeof__(a) a_ = (a); \
		__typeof__(b) b_ = (b); \
		a_ > b_ ? a_ : b_;      \
	})
#define GW_ARRAY_LEN(array)		(sizeof(array) / sizeof((array)[0]))
#define GW_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
