/* SPDX-License-Identifier: BSD-3-Clause */
/* base/thread.h - the one function that makes threads. */
#ifndef GW_BASE_THREAD_H
#define GW_BASE_THREAD_H

#include <pthread.h>

/* What a thread is for; isolation (capabilities, seccomp) will depend on it. */
enum gw_thread_kind {
	GW_THREAD_CONTROL,  /* the event loop: sockets, timers; the process's first thread */
	GW_THREAD_QUEUE,    /* serves one virtqueue while it is started */
	GW_THREAD_POOL,	    /* does what would block a queue */
	GW_THREAD_TRANSFER, /* saves or loads a device's state */
	GW_THREAD_WATCH,    /* hears what others do to what is shared */
	GW_THREAD_KINDS,
};

/*
 * Start a joinable thread with all signals blocked and a name of at most 15 bytes that shows in
 * ps and top. Returns 0 or a negative errno with a sentence.
 */
int gw_thread_start(pthread_t *thread, enum gw_thread_kind kind, const char *name,
		    void *(*fn)(void *), void *opaque);

/*
 * A function that every new thread runs first, on itself, with its kind: where a daemon puts the
 * set-up that is a thread's own (file system attributes, seccomp). Set before threads are made.
 */
void gw_thread_set_hook(int (*hook)(enum gw_thread_kind kind));

#endif
