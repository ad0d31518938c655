/* SPDX-License-Identifier: BSD-3-Clause */
/* base/thread.c - the one function that makes threads. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"

#define THREAD_NAME_MAX 16 /* TASK_COMM_LEN of the kernel, its NUL included */

struct start {
	enum gw_thread_kind kind;
	char name[THREAD_NAME_MAX];
	void *(*fn)(void *);
	void *opaque;
};

static int (*thread_hook)(enum gw_thread_kind kind);

void gw_thread_set_hook(int (*hook)(enum gw_thread_kind kind))
{
	thread_hook = hook;
}

static void *thread_main(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), start.name);
	if (thread_hook && thread_hook(start.kind) < 0)
		gw_error("thread %s: set-up failed: %s", start.name, gw_last_error());
	return start.fn(start.opaque);
}

int gw_thread_start(pthread_t *thread, enum gw_thread_kind kind, const char *name,
		    void *(*fn)(void *), void *opaque)
{
	GW_AUTO_FREE struct start *start = calloc(1, sizeof(*start));
	sigset_t all, before;
	int err;

	if (!start)
		return gw_fail(ENOMEM, "thread %s: no memory", name);
	*start = (struct start){.kind = kind, .fn = fn, .opaque = opaque};
	strncpy(start->name, name, sizeof(start->name) - 1);

	sigfillset(&all);
	/* Faults are a thread's own: blocked, they would end the process. */
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(thread, NULL, thread_main, start);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (err)
		return gw_fail(err, "thread %s: cannot be started: %s", name, strerror(err));
	start = NULL;
	return 0;
}
