/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/loop.h - the event loop of the control thread. */
#ifndef GODWIT_LOOP_H
#define GODWIT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * One loop is one thread: the control thread is the one that calls gw_loop_run(). All functions are
 * for that thread (or before it runs), except gw_loop_post() and gw_loop_quit(), which any thread
 * may call. Callbacks run on the control thread and must not block.
 */
struct gw_loop;
struct gw_source; /* one descriptor or timer that a loop watches */

int gw_loop_new(struct gw_loop **loop);

/* Drops all sources and all posted work that has not run. NULL is allowed. */
void gw_loop_free(struct gw_loop *loop);

/* Runs until gw_loop_quit(); returns the code given there. May be called again afterwards. */
int gw_loop_run(struct gw_loop *loop);
void gw_loop_quit(struct gw_loop *loop, int code);

/* True on the thread that runs the loop, and on every thread while it does not run. */
bool gw_loop_is_mine(const struct gw_loop *loop);

/*
 * Watch @fd (borrowed: it must stay open until the source is removed) for @events, an OR of
 * EPOLLIN, EPOLLOUT (level-triggered); EPOLLHUP and EPOLLERR are always reported. @events of 0
 * keeps the source without reading from it.
 */
typedef void gw_fd_fn(void *opaque, int fd, uint32_t events);
int gw_loop_add_fd(struct gw_loop *loop, int fd, uint32_t events, gw_fd_fn *fn, void *opaque,
		   struct gw_source **source);
int gw_source_set_events(struct gw_source *source, uint32_t events);

/* Call @fn once, @ms from now (CLOCK_MONOTONIC), unless removed before. The source stays valid
 * until removed. */
typedef void gw_timer_fn(void *opaque);
int gw_loop_add_timer(struct gw_loop *loop, unsigned ms, gw_timer_fn *fn, void *opaque,
		      struct gw_source **source);
int gw_timer_restart(struct gw_source *timer, unsigned ms);

/* Call @fn with the number of each @signo that arrives; the signal is blocked for all threads made
 * later. */
typedef void gw_signal_fn(void *opaque, int signo);
int gw_loop_add_signal(struct gw_loop *loop, int signo, gw_signal_fn *fn, void *opaque);

/* Stop watching. Safe inside the source's own callback. NULL is allowed. */
void gw_source_remove(struct gw_source *source);

/*
 * Run @fn(@opaque) on the control thread, soon, in the order of posting. Any thread. A post that
 * cannot be queued for lack of memory ends in abort(): nothing could be told to anyone any more.
 * Callers that cannot accept that embed a struct gw_post and use gw_loop_post_embedded().
 */
typedef void gw_post_fn(void *opaque);
struct gw_post {
	struct gw_post *next;
	gw_post_fn *fn;
	void *opaque;
	bool queued;
};
void gw_loop_post(struct gw_loop *loop, gw_post_fn *fn, void *opaque);
/* @post is the caller's until @fn runs; posting it again before that is ignored. */
void gw_loop_post_embedded(struct gw_loop *loop, struct gw_post *post);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
