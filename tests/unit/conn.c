/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/conn.c - framing: whole messages and their descriptors, however the bytes arrive. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "godwit/error.h"
#include "vhost-client.h"
#include "vhost-user/conn.h"

static struct gw_loop *loop;
static struct gw_conn *conn;
static int client;
static unsigned messages, closes, quit_after;
static struct gw_message last;
static bool keep; /* do not ask for the next one */

static void on_message(void *opaque, struct gw_message *message)
{
	messages++;
	last = *message;
	if (!keep)
		gw_conn_next(conn);
	if (messages == quit_after)
		gw_loop_quit(loop, 0);
}

static void on_closed(void *opaque)
{
	closes++;
	gw_loop_quit(loop, 0);
}

static const struct gw_conn_events events = {.message = on_message, .closed = on_closed};

static int set_up(void **state)
{
	int pair[2];

	gw_log_set_level(GW_LOG_OFF);
	messages = closes = 0;
	quit_after = 1;
	keep = false;
	if (gw_loop_new(&loop) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -1;
	client = pair[0];
	return gw_conn_new(&conn, loop, pair[1], &events, NULL);
}

static void on_time(void *opaque)
{
	gw_loop_quit(loop, 1);
}

static void run_for(unsigned ms)
{
	struct gw_source *timer;

	assert_int_equal(gw_loop_add_timer(loop, ms, on_time, NULL, &timer), 0);
	gw_loop_run(loop);
	gw_source_remove(timer);
}

static int tear_down(void **state)
{
	gw_close(&client);
	if (!closes) {
		gw_conn_close(conn);
		run_for(1000);
	}
	gw_conn_free(conn);
	gw_loop_free(loop);
	return 0;
}

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void test_bytes_one_by_one(void **state)
{
	struct gw_vu_header header = {GW_VU_SET_FEATURES, GW_VU_VERSION, 8};
	uint64_t value = 0x1122334455667788;
	uint8_t bytes[20];

	memcpy(bytes, &header, 12);
	memcpy(bytes + 12, &value, 8);
	quit_after = 0;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(messages, 0);
		assert_int_equal(write(client, &bytes[i], 1), 1);
		run_for(2);
	}
	assert_int_equal(messages, 1);
	assert_int_equal(last.payload.u64, value);
}

static void test_many_in_one_write(void **state)
{
	struct gw_vu_header header[40];

	for (int i = 0; i < 40; i++)
		header[i] = (struct gw_vu_header){GW_VU_GET_FEATURES, GW_VU_VERSION, 0};
	assert_int_equal(write(client, header, sizeof(header)), sizeof(header));
	quit_after = 40;
	run_for(5000);
	assert_int_equal(messages, 40);
}

static void test_nothing_is_read_before_next(void **state)
{
	keep = true;
	assert_true(client_send(client, GW_VU_GET_FEATURES, 0, NULL, 0, NULL, 0));
	assert_true(client_send(client, GW_VU_SET_OWNER, 0, NULL, 0, NULL, 0));
	quit_after = 2;
	run_for(20);
	assert_int_equal(messages, 1);
	assert_int_equal(gw_conn_waiting(conn)->header.request, GW_VU_GET_FEATURES);
	gw_conn_next(conn);
	run_for(5000);
	assert_int_equal(messages, 2);
	assert_int_equal(last.header.request, GW_VU_SET_OWNER);
}

static void test_descriptors_come_along_and_are_closed(void **state)
{
	int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
	unsigned before = open_fds();

	keep = true;
	assert_true(client_send(client, GW_VU_SET_OWNER, 0, NULL, 0, fds, 2));
	run_for(5000);
	assert_int_equal(last.fd_count, 2);
	assert_false(last.fds_lost);
	assert_true(fcntl(last.fds[0], F_GETFD) & FD_CLOEXEC);
	gw_conn_next(conn);
	assert_int_equal(open_fds(), before);
	close(fds[0]);
	close(fds[1]);
}

static void test_too_many_descriptors_are_lost_and_said_so(void **state)
{
	unsigned before;
	int fds[20];

	for (int i = 0; i < 20; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	before = open_fds();
	assert_true(client_send(client, GW_VU_SET_OWNER, 0, NULL, 0, fds, 20));
	run_for(5000);
	assert_true(last.fds_lost);
	assert_int_equal(last.fd_count, GW_VU_FDS_MAX);
	assert_int_equal(open_fds(), before);
	for (int i = 0; i < 20; i++)
		close(fds[i]);
}

static void send_header(uint32_t flags, uint32_t size)
{
	struct gw_vu_header header = {GW_VU_SET_OWNER, flags, size};

	assert_int_equal(write(client, &header, sizeof(header)), sizeof(header));
	run_for(5000);
}

static void test_another_version_ends_it(void **state)
{
	send_header(2, 0);
	assert_int_equal(messages, 0);
	assert_int_equal(closes, 1);
}

static void test_a_payload_too_long_ends_it(void **state)
{
	send_header(GW_VU_VERSION, GW_VU_PAYLOAD_MAX + 1);
	assert_int_equal(messages, 0);
	assert_int_equal(closes, 1);
}

static void test_the_longest_payload_does_not(void **state)
{
	uint8_t bytes[GW_VU_PAYLOAD_MAX] = {0};

	assert_true(client_send(client, 99, 0, bytes, sizeof(bytes), NULL, 0));
	run_for(5000);
	assert_int_equal(messages, 1);
}

static void test_an_end_amid_a_message(void **state)
{
	assert_int_equal(write(client, "xxxxx", 5), 5);
	gw_close(&client);
	run_for(5000);
	assert_int_equal(messages, 0);
	assert_int_equal(closes, 1);
}

static void test_an_end_while_busy_is_noticed(void **state)
{
	keep = true;
	assert_true(client_send(client, GW_VU_GET_VRING_BASE, 0, &(uint64_t){0}, 8, NULL, 0));
	run_for(5000);
	gw_close(&client);
	run_for(5000);
	assert_int_equal(closes, 1);
}

static void test_what_came_before_the_end_is_delivered(void **state)
{
	assert_true(client_send(client, GW_VU_SET_OWNER, 0, NULL, 0, NULL, 0));
	assert_true(client_send(client, GW_VU_RESET_OWNER, 0, NULL, 0, NULL, 0));
	gw_close(&client);
	quit_after = 0;
	run_for(5000);
	assert_int_equal(messages, 2);
	assert_int_equal(closes, 1);
}

static size_t read_available(void)
{
	char bytes[65536];
	ssize_t n = recv(client, bytes, sizeof(bytes), MSG_DONTWAIT);

	return n > 0 ? (size_t)n : 0;
}

/* A front-end that asks and never reads: replies stop, and so does reading. */
static void test_replies_wait_for_room(void **state)
{
	struct gw_vu_shmem_config big = {0};
	unsigned asked = 0, answered = 0;
	size_t bytes = 0;

	keep = true;
	quit_after = 0;
	while (messages == answered) {
		assert_true(asked < 10000);
		assert_true(client_send(client, GW_VU_GET_SHMEM_CONFIG, 0, NULL, 0, NULL, 0));
		asked++;
		run_for(1);
		if (messages == answered)
			break;
		gw_conn_reply(conn, GW_VU_GET_SHMEM_CONFIG, &big, sizeof(big), -1);
		gw_conn_next(conn);
		answered++;
	}
	assert_int_equal(messages, asked - 1);
	/* With room again the reply that waited goes out whole, and the next message is read. */
	for (int i = 0; i < 5000 && messages < asked; i++) {
		bytes += read_available();
		run_for(1);
	}
	bytes += read_available();
	assert_int_equal(messages, asked);
	assert_int_equal(bytes, answered * (sizeof(struct gw_vu_header) + sizeof(big)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes_one_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_in_one_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_is_read_before_next, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_descriptors_come_along_and_are_closed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_descriptors_are_lost_and_said_so,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_version_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_payload_too_long_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_longest_payload_does_not, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_an_end_amid_a_message, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_end_while_busy_is_noticed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_came_before_the_end_is_delivered, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_replies_wait_for_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
