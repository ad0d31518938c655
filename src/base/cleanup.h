/* SPDX-License-Identifier: BSD-3-Clause */
/* base/cleanup.h - resources that end with their scope. */
#ifndef GW_BASE_CLEANUP_H
#define GW_BASE_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Closes *@fd unless it is negative, keeps errno, and leaves -1. close() is never retried: on Linux
 * the number is free even after EINTR. */
static inline void gw_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		close(*fd);
		errno = saved;
		*fd = -1;
	}
}

static inline void gw_free_ptr(void *where)
{
	void **p = where;

	free(*p);
	*p = NULL;
}

static inline void gw_unlock_ptr(pthread_mutex_t **lock)
{
	if (*lock)
		pthread_mutex_unlock(*lock);
}

static inline void gw_fclose_ptr(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Hands the descriptor or pointer over to someone else: the scope no longer ends it. */
static inline int gw_take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define gw_take_ptr(p)                      \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#define GW_CLEANUP(fn) __attribute__((cleanup(fn)))
#define GW_AUTO_FD     GW_CLEANUP(gw_close)
#define GW_AUTO_FREE   GW_CLEANUP(gw_free_ptr)
#define GW_AUTO_FCLOSE GW_CLEANUP(gw_fclose_ptr)

#define GW_PASTE_(a, b) a##b
#define GW_PASTE(a, b)	GW_PASTE_(a, b)

static inline pthread_mutex_t *gw_locked(pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock);
	return lock;
}

/* Holds @lock until the end of the enclosing scope. */
#define GW_LOCK_SCOPE(lock)                                                    \
	GW_CLEANUP(gw_unlock_ptr)                                              \
	pthread_mutex_t *GW_PASTE(gw_scope_lock_, __LINE__) = gw_locked(lock); \
	(void)GW_PASTE(gw_scope_lock_, __LINE__)

#endif
