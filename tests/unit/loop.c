/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/loop.c - descriptors, timers, posts from other threads, removal in a callback. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/thread.h"
#include "godwit/loop.h"

static struct gw_loop *loop;
static struct gw_source *source;
static int calls;

static void on_fd(void *opaque, int fd, uint32_t events)
{
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_ptr_equal(opaque, &calls);
	calls++;
	gw_source_remove(source);
	gw_loop_quit(loop, 7);
}

static void test_fd(void **state)
{
	int fds[2];

	(void)state;
	calls = 0;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(gw_loop_new(&loop), 0);
	assert_int_equal(gw_loop_add_fd(loop, fds[0], EPOLLIN, on_fd, &calls, &source), 0);
	assert_int_equal(write(fds[1], "ab", 2), 2);
	assert_int_equal(gw_loop_run(loop), 7);
	assert_int_equal(calls, 1); /* removed: the second byte called nobody */
	gw_loop_free(loop);
	close(fds[0]);
	close(fds[1]);
}

static void on_timer(void *opaque)
{
	(void)opaque;
	if (++calls < 3) {
		assert_int_equal(gw_timer_restart(source, 0), 0);
		return;
	}
	gw_source_remove(source);
	gw_loop_quit(loop, 0);
}

static void test_timer(void **state)
{
	(void)state;
	calls = 0;
	assert_int_equal(gw_loop_new(&loop), 0);
	assert_int_equal(gw_loop_add_timer(loop, 1, on_timer, NULL, &source), 0);
	assert_int_equal(gw_loop_run(loop), 0);
	assert_int_equal(calls, 3);
	gw_loop_free(loop);
}

static int order[100];

static void on_post(void *opaque)
{
	order[calls++] = (int)(intptr_t)opaque;
	if (calls == 100)
		gw_loop_quit(loop, 0);
}

static void *poster(void *opaque)
{
	(void)opaque;
	assert_false(gw_loop_is_mine(loop));
	for (intptr_t i = 0; i < 100; i++)
		gw_loop_post(loop, on_post, (void *)i);
	return NULL;
}

static void start_poster(void *opaque)
{
	pthread_t *thread = opaque;

	assert_true(gw_loop_is_mine(loop));
	assert_int_equal(gw_thread_start(thread, GW_THREAD_POOL, "poster", poster, NULL), 0);
}

static void test_posts_keep_order(void **state)
{
	pthread_t thread;

	(void)state;
	calls = 0;
	assert_int_equal(gw_loop_new(&loop), 0);
	gw_loop_post(loop, start_poster, &thread);
	assert_int_equal(gw_loop_run(loop), 0);
	pthread_join(thread, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(order[i], i);
	gw_loop_post(loop, on_post, NULL); /* never run, freed with the loop */
	gw_loop_free(loop);
}

static void on_signal(void *opaque, int signo)
{
	(void)opaque;
	gw_loop_quit(loop, signo);
}

static void test_signal(void **state)
{
	(void)state;
	assert_int_equal(gw_loop_new(&loop), 0);
	assert_int_equal(gw_loop_add_signal(loop, SIGUSR1, on_signal, NULL), 0);
	kill(getpid(), SIGUSR1);
	assert_int_equal(gw_loop_run(loop), SIGUSR1);
	gw_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fd),
		cmocka_unit_test(test_timer),
		cmocka_unit_test(test_posts_keep_order),
		cmocka_unit_test(test_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
