/* SPDX-License-Identifier: BSD-3-Clause */
/* base/loop.c - the event loop of the control thread, over epoll. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "godwit/loop.h"

#define EVENTS_AT_ONCE 32

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

/*
 * A removed source stays on the loop's list, dead, until the round in which it was removed is over:
 * an event for it may already have been fetched.
 */
struct gw_source {
	struct gw_source *next;
	struct gw_loop *loop;
	enum source_kind kind;
	bool dead;
	bool owns_fd;
	int fd;
	int signo;
	gw_fd_fn *on_fd;
	gw_timer_fn *on_timer;
	gw_signal_fn *on_signal;
	void *opaque;
};

struct gw_loop {
	int epoll;
	int wake;
	struct gw_source *sources;
	bool some_dead;

	pthread_mutex_t lock; /* guards the four below */
	struct gw_post *posts, **last_post;
	bool quit;
	int code;

	_Atomic bool running;
	pthread_t thread;
};

int gw_loop_new(struct gw_loop **out)
{
	struct gw_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	if (!loop)
		return gw_fail(ENOMEM, "event loop: no memory");
	pthread_mutex_init(&loop->lock, NULL);
	loop->last_post = &loop->posts;
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll < 0 || loop->wake < 0 ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) < 0) {
		int err = errno;

		gw_loop_free(loop);
		return gw_fail(err, "event loop: %s", strerror(err));
	}
	*out = loop;
	return 0;
}

static void source_free(struct gw_source *source)
{
	if (source->owns_fd)
		gw_close(&source->fd);
	free(source);
}

static void sweep(struct gw_loop *loop)
{
	struct gw_source **at = &loop->sources;

	while (*at) {
		struct gw_source *source = *at;

		if (source->dead) {
			*at = source->next;
			source_free(source);
		} else {
			at = &source->next;
		}
	}
	loop->some_dead = false;
}

static void heap_post(void *opaque);

struct heap_post {
	struct gw_post post;
	gw_post_fn *fn;
	void *opaque;
};

void gw_loop_free(struct gw_loop *loop)
{
	if (!loop)
		return;
	while (loop->sources) {
		struct gw_source *source = loop->sources;

		loop->sources = source->next;
		source_free(source);
	}
	while (loop->posts) {
		struct gw_post *post = loop->posts;

		loop->posts = post->next;
		if (post->fn == heap_post)
			free(post->opaque);
	}
	gw_close(&loop->epoll);
	gw_close(&loop->wake);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

bool gw_loop_is_mine(const struct gw_loop *loop)
{
	return !atomic_load(&loop->running) || pthread_equal(loop->thread, pthread_self());
}

static int source_add(struct gw_loop *loop, uint32_t events, struct gw_source source,
		      struct gw_source **out)
{
	struct gw_source *added = malloc(sizeof(*added));
	struct epoll_event event = {.events = events};

	if (!added)
		return gw_fail(ENOMEM, "event loop: no memory");
	*added = source;
	added->loop = loop;
	event.data.ptr = added;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source.fd, &event) < 0) {
		int err = errno;

		free(added);
		return gw_fail(err, "event loop: fd %d cannot be watched: %s", source.fd,
			       strerror(err));
	}
	added->next = loop->sources;
	loop->sources = added;
	if (out)
		*out = added;
	return 0;
}

int gw_loop_add_fd(struct gw_loop *loop, int fd, uint32_t events, gw_fd_fn *fn, void *opaque,
		   struct gw_source **source)
{
	return source_add(
		loop, events,
		(struct gw_source){.kind = SOURCE_FD, .fd = fd, .on_fd = fn, .opaque = opaque},
		source);
}

int gw_source_set_events(struct gw_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};

	if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return gw_fail(errno, "event loop: fd %d cannot be changed: %s", source->fd,
			       strerror(errno));
	return 0;
}

static int arm(int fd, unsigned ms)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};

	if (!ms)
		when.it_value.tv_nsec = 1; /* all zero would disarm it */
	if (timerfd_settime(fd, 0, &when, NULL) < 0)
		return gw_fail(errno, "timer: %s", strerror(errno));
	return 0;
}

int gw_timer_restart(struct gw_source *timer, unsigned ms)
{
	return arm(timer->fd, ms);
}

int gw_loop_add_timer(struct gw_loop *loop, unsigned ms, gw_timer_fn *fn, void *opaque,
		      struct gw_source **out)
{
	GW_AUTO_FD int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int err;

	if (fd < 0)
		return gw_fail(errno, "timer: %s", strerror(errno));
	err = arm(fd, ms);
	if (!err)
		err = source_add(loop, EPOLLIN,
				 (struct gw_source){.kind = SOURCE_TIMER,
						    .fd = fd,
						    .owns_fd = true,
						    .on_timer = fn,
						    .opaque = opaque},
				 out);
	if (!err)
		gw_take_fd(&fd);
	return err;
}

int gw_loop_add_signal(struct gw_loop *loop, int signo, gw_signal_fn *fn, void *opaque)
{
	GW_AUTO_FD int fd = -1;
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return gw_fail(errno, "signal %d: %s", signo, strerror(errno));
	err = source_add(loop, EPOLLIN,
			 (struct gw_source){.kind = SOURCE_SIGNAL,
					    .fd = fd,
					    .signo = signo,
					    .owns_fd = true,
					    .on_signal = fn,
					    .opaque = opaque},
			 NULL);
	if (!err)
		gw_take_fd(&fd);
	return err;
}

void gw_source_remove(struct gw_source *source)
{
	if (!source || source->dead)
		return;
	epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->dead = true;
	source->loop->some_dead = true;
	if (!atomic_load(&source->loop->running))
		sweep(source->loop);
}

static void wake(struct gw_loop *loop)
{
	uint64_t one = 1;

	/* A full counter (EAGAIN) already wakes the loop. */
	if (write(loop->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		abort();
}

void gw_loop_post_embedded(struct gw_loop *loop, struct gw_post *post)
{
	{
		GW_LOCK_SCOPE(&loop->lock);
		if (post->queued)
			return;
		post->queued = true;
		post->next = NULL;
		*loop->last_post = post;
		loop->last_post = &post->next;
	}
	wake(loop);
}

static void heap_post(void *opaque)
{
	struct heap_post *heap = opaque;

	heap->fn(heap->opaque);
	free(heap);
}

void gw_loop_post(struct gw_loop *loop, gw_post_fn *fn, void *opaque)
{
	struct heap_post *heap = calloc(1, sizeof(*heap));

	if (!heap)
		abort();
	*heap = (struct heap_post){.fn = fn, .opaque = opaque};
	heap->post = (struct gw_post){.fn = heap_post, .opaque = heap};
	gw_loop_post_embedded(loop, &heap->post);
}

void gw_loop_quit(struct gw_loop *loop, int code)
{
	{
		GW_LOCK_SCOPE(&loop->lock);
		loop->quit = true;
		loop->code = code;
	}
	wake(loop);
}

static struct gw_post *take_post(struct gw_loop *loop)
{
	GW_LOCK_SCOPE(&loop->lock);
	struct gw_post *post = loop->posts;

	if (post) {
		loop->posts = post->next;
		if (!loop->posts)
			loop->last_post = &loop->posts;
		post->queued = false;
	}
	return post;
}

static void run_posts(struct gw_loop *loop)
{
	struct gw_post *post;
	uint64_t count;

	if (read(loop->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
		abort();
	while ((post = take_post(loop)))
		post->fn(post->opaque);
}

static void dispatch(struct gw_source *source, uint32_t events)
{
	struct signalfd_siginfo info;
	uint64_t count;

	switch (source->kind) {
	case SOURCE_FD:
		source->on_fd(source->opaque, source->fd, events);
		return;
	case SOURCE_TIMER:
		if (read(source->fd, &count, sizeof(count)) == sizeof(count))
			source->on_timer(source->opaque);
		return;
	case SOURCE_SIGNAL:
		if (read(source->fd, &info, sizeof(info)) == sizeof(info))
			source->on_signal(source->opaque, source->signo);
		return;
	}
}

static bool take_quit(struct gw_loop *loop, int *code)
{
	GW_LOCK_SCOPE(&loop->lock);
	bool quit = loop->quit;

	loop->quit = false;
	*code = loop->code;
	return quit;
}

int gw_loop_run(struct gw_loop *loop)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int code = 0;

	loop->thread = pthread_self();
	atomic_store(&loop->running, true);
	while (!take_quit(loop, &code)) {
		int n = epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, -1);

		if (n < 0 && errno != EINTR) {
			code = gw_fail(errno, "event loop: epoll_wait: %s", strerror(errno));
			break;
		}
		for (int i = 0; i < n; i++) {
			struct gw_source *source = events[i].data.ptr;

			if (!source)
				run_posts(loop);
			else if (!source->dead)
				dispatch(source, events[i].events);
		}
		if (loop->some_dead)
			sweep(loop);
	}
	atomic_store(&loop->running, false);
	if (loop->some_dead)
		sweep(loop);
	return code;
}
