/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon/sanitized.h - is this a build with sanitizers? Their run-time makes system calls of its
 * own, at any moment, and looks for leaks through /proc. */
#ifndef GW_DAEMON_SANITIZED_H
#define GW_DAEMON_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define GW_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define GW_SANITIZED 1
#endif
#endif
#ifndef GW_SANITIZED
#define GW_SANITIZED 0
#endif

#endif
