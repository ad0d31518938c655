/* SPDX-License-Identifier: BSD-3-Clause */
/* common/killer.h - a daemon with --recover, and who kills it again and again. */
#ifndef GW_TESTS_KILLER_H
#define GW_TESTS_KILLER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct killer {
	pid_t daemon; /* the process that was started: it keeps, and restarts */
	char dir[32], socket[48], control[64];
	/* kill -9 of the process that serves, so many times, each after up to so many ms. */
	unsigned rounds, interval_ms;
	atomic_uint done; /* so many so far */
	atomic_bool stop;
	pthread_t thread;
};

/* Starts @argv (its own, ended by NULL) with --recover and --socket-path. */
void killer_start(struct killer *killer, const char *const *argv);
/* Waits for the end of the daemon, whose front-end has left; it must have ended well. */
void killer_join(struct killer *killer);
/* In a thread of its own from here on. */
void killer_begin(struct killer *killer, unsigned rounds, unsigned interval_ms);
void killer_end(struct killer *killer);
/* The process that serves now: the last descendant. 0: there is none at the moment. */
pid_t killer_target(const struct killer *killer);
/* Once, and returns when it has died. */
void killer_kill(const struct killer *killer);

#endif
