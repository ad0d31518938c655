/* SPDX-License-Identifier: BSD-3-Clause */
/* base/past_cache.h - copies to where nobody is going to look soon. */
#ifndef GW_BASE_PAST_CACHE_H
#define GW_BASE_PAST_CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/checked.h"

/*
 * memcpy() that need not fetch a line of the destination in order to overwrite all of it, and
 * leaves the cache to others. The C library's does so too, but only from many MiB on. Elsewhere
 * than on x86 it is memcpy().
 */
static inline void gw_copy_past_cache(uint8_t *to, const uint8_t *from, size_t len)
{
#ifdef __SSE2__
	size_t head = GW_MIN((size_t)(-(uintptr_t)to & 63), len);

	memcpy(to, from, head);
	for (to += head, from += head, len -= head; len >= 64; to += 64, from += 64, len -= 64) {
		__m128i a = _mm_loadu_si128((const __m128i *)from);
		__m128i b = _mm_loadu_si128((const __m128i *)(from + 16));
		__m128i c = _mm_loadu_si128((const __m128i *)(from + 32));
		__m128i d = _mm_loadu_si128((const __m128i *)(from + 48));

		_mm_stream_si128((__m128i *)to, a);
		_mm_stream_si128((__m128i *)(to + 16), b);
		_mm_stream_si128((__m128i *)(to + 32), c);
		_mm_stream_si128((__m128i *)(to + 48), d);
	}
	_mm_sfence();
#endif
	memcpy(to, from, len);
}

#endif
