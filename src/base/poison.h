/* SPDX-License-Identifier: BSD-3-Clause */
/* base/poison.h - for AddressSanitizer, what an allocator of ours has not given out is out of
 * bounds, as it is with malloc(). */
#ifndef GW_BASE_POISON_H
#define GW_BASE_POISON_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define GW_POISON(at, size)	   __asan_poison_memory_region(at, size)
#define GW_UNPOISON(at, size)	   __asan_unpoison_memory_region(at, size)
#define GW_POISON_REDZONE(of_size) (of_size)
#else
#define GW_POISON(at, size)	   ((void)(at), (void)(size))
#define GW_UNPOISON(at, size)	   ((void)(at), (void)(size))
#define GW_POISON_REDZONE(of_size) 0u
#endif

#endif
