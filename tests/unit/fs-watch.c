/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-watch.c - events as the kernel writes them, and as it never would. */
#include "cmocka-all.h"

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/fanotify.h>
#include <time.h>
#include <unistd.h>

#include "fs/watch.h"
#include "godwit/error.h"

#define HANDLE_LEN  8
#define PATIENCE_MS 10000

/* An event is a head and a body that ends in bytes: as one here, to be laid out by the compiler. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

/* One event about one object, as fanotify(7) has it. */
struct event {
	struct fanotify_event_metadata head;
	struct fanotify_event_info_fid info;
	uint32_t handle_bytes;
	int32_t handle_type;
	char handle[HANDLE_LEN];
};

static struct fs_watch *watch;
static int ends[2]; /* what is written into the second one is an event */

static int set_up(void **state)
{
	(void)state;
	gw_log_set_level(GW_LOG_OFF);
	return pipe2(ends, O_CLOEXEC | O_NONBLOCK) || fs_watch_new(&watch, ends[0], NULL);
}

static int tear_down(void **state)
{
	(void)state;
	fs_watch_free(watch);
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
	return 0;
}

static struct event make_event(const char *handle)
{
	struct event event = {
		.head = {.event_len = sizeof(event),
			 .vers = FANOTIFY_METADATA_VERSION,
			 .metadata_len = sizeof(event.head),
			 .mask = FAN_MODIFY,
			 .fd = FAN_NOFD,
			 .pid = getpid() + 1},
		.info = {.hdr = {.info_type = FAN_EVENT_INFO_TYPE_FID,
				 .len = sizeof(event) - sizeof(event.head)}},
		.handle_bytes = HANDLE_LEN,
		.handle_type = 1,
	};

	memcpy(event.handle, handle, HANDLE_LEN);
	return event;
}

static void send_bytes(const void *bytes, size_t len)
{
	assert_int_equal(write(ends[1], bytes, len), len);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_BOOTTIME, &time);
	return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static bool is_marked(const char *handle)
{
	return fs_changed_has(fs_watch_changed(watch), fs_changed_key(1, handle, HANDLE_LEN),
			      now());
}

static bool all(void)
{
	return fs_changed_all(fs_watch_changed(watch), now());
}

/* The thread has read what was sent. */
static void settle(void)
{
	uint64_t end = now() + PATIENCE_MS;
	struct pollfd left = {.fd = ends[0], .events = POLLIN};

	while (poll(&left, 1, 0) > 0 && left.revents & POLLIN && now() < end)
		poll(NULL, 0, 5);
	poll(NULL, 0, 30);
}

static void await_mark(const char *handle)
{
	uint64_t end = now() + PATIENCE_MS;

	while (!is_marked(handle)) {
		assert_true(now() < end);
		poll(NULL, 0, 5);
	}
}

static void await_all(void)
{
	uint64_t end = now() + PATIENCE_MS;

	while (!all()) {
		assert_true(now() < end);
		poll(NULL, 0, 5);
	}
}

static void test_a_change(void **state)
{
	struct event event = make_event("changed.");
	struct fs_watch_stats stats;

	(void)state;
	assert_true(fs_changed_quiet(fs_watch_changed(watch)));
	send_bytes(&event, sizeof(event));
	await_mark("changed.");
	assert_false(is_marked("another."));
	assert_false(all());
	fs_watch_stats(watch, &stats);
	assert_int_equal(stats.changes, 1);
	assert_int_equal(stats.overflows, 0);
}

/* The object and its directory in one event, two events in one reading. */
static void test_several(void **state)
{
	struct {
		struct event event;
		struct fanotify_event_info_fid info;
		uint32_t handle_bytes;
		int32_t handle_type;
		char handle[HANDLE_LEN];
	} pair[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		pair[i].event = make_event(i ? "object-1" : "object-0");
		pair[i].event.head.event_len = sizeof(pair[i]);
		pair[i].info = pair[i].event.info;
		pair[i].info.hdr.info_type = FAN_EVENT_INFO_TYPE_DFID;
		pair[i].handle_bytes = HANDLE_LEN;
		pair[i].handle_type = 1;
		memcpy(pair[i].handle, i ? "parent-1" : "parent-0", HANDLE_LEN);
	}
	send_bytes(pair, sizeof(pair));
	await_mark("parent-1");
	assert_true(is_marked("object-0"));
	assert_true(is_marked("parent-0"));
	assert_true(is_marked("object-1"));
	assert_false(all());
}

static void test_own_changes_are_none(void **state)
{
	struct event own = make_event("mine----"), other = make_event("theirs--");

	(void)state;
	own.head.pid = getpid();
	send_bytes(&own, sizeof(own));
	send_bytes(&other, sizeof(other));
	await_mark("theirs--");
	assert_false(is_marked("mine----"));
}

static void test_overflow(void **state)
{
	struct event event = make_event("--------");
	struct fs_watch_stats stats;

	(void)state;
	event.head.mask = FAN_Q_OVERFLOW;
	event.head.event_len = sizeof(event.head);
	send_bytes(&event, sizeof(event.head));
	await_all();
	assert_true(is_marked("whatever"));
	fs_watch_stats(watch, &stats);
	assert_int_equal(stats.overflows, 1);
}

/* What cannot be read as events means that anything may have changed. */
static void test_no_events(void **state)
{
	struct event event;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		event = make_event("--------");
		if (i == 0)
			event.head.vers++;
		else if (i == 1)
			event.head.event_len = sizeof(event) + 1;
		else if (i == 2)
			event.head.event_len = 0;
		else if (i == 3)
			event.head.metadata_len = sizeof(event.head) - 1;
		send_bytes(&event, i == 4 ? sizeof(event.head) - 1 : sizeof(event));
		await_all();
		tear_down(NULL);
		assert_int_equal(set_up(NULL), 0);
	}
}

/* Records that say they are longer than they are: nothing is read behind them. */
static void test_records_that_are_too_long(void **state)
{
	struct event event = make_event("too-long"), good = make_event("good----");

	(void)state;
	event.handle_bytes = HANDLE_LEN + 1;
	send_bytes(&event, sizeof(event));
	event.handle_bytes = UINT32_MAX;
	send_bytes(&event, sizeof(event));
	event = make_event("too-long");
	event.info.hdr.len++;
	send_bytes(&event, sizeof(event));
	event.info.hdr.len = 0;
	send_bytes(&event, sizeof(event));
	event.info.hdr.len = sizeof(event.info);
	send_bytes(&event, sizeof(event));
	event = make_event("too-long");
	event.info.hdr.info_type = 99; /* of a later kernel */
	send_bytes(&event, sizeof(event));
	send_bytes(&good, sizeof(good));
	await_mark("good----");
	settle();
	assert_false(is_marked("too-long"));
}

/* Who hears nothing any more believes in nothing. */
static void test_the_end(void **state)
{
	(void)state;
	close(ends[1]);
	ends[1] = -1;
	await_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_several, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_changes_are_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_overflow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records_that_are_too_long, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_end, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
