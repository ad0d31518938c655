/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/backend-status.c - what the control socket shows of a back-end. */
#include <jansson.h>
#include <signal.h>

#include "base/cleanup.h"
#include "cmocka-all.h"
#include "godwit/error.h"

#include "backend-server.h"

static struct server server;
static int control = -1;

static int set_up(void **state)
{
	gw_log_set_level(GW_LOG_OFF);
	return server_start(&server, true);
}

static int tear_down(void **state)
{
	gw_close(&control);
	server_stop(&server, false);
	return 0;
}

/* One line of the control socket. */
static json_t *read_line(void)
{
	char line[8192];
	size_t len = 0;

	while (len < sizeof(line) && client_read_all(control, &line[len], 1) && line[len] != '\n')
		len++;
	return json_loadb(line, len, 0, NULL);
}

static void write_line(const char *line)
{
	assert_int_equal(write(control, line, strlen(line)), strlen(line));
}

static void open_control(void)
{
	gw_close(&control);
	assert_int_equal(gw_socket_connect(&control, server.control, 1000), 0);
	json_decref(read_line()); /* the greeting */
	write_line("{\"execute\": \"qmp_capabilities\"}\n");
	json_decref(read_line());
}

static json_t *query_status(void)
{
	json_t *answer, *status;

	write_line("{\"execute\": \"query-status\"}\n");
	answer = read_line();
	assert_non_null(answer);
	status = json_incref(json_object_get(answer, "return"));
	json_decref(answer);
	return status;
}

static json_t *only_session(const json_t *status)
{
	json_t *sessions = json_object_get(status, "sessions");

	assert_int_equal(json_array_size(sessions), 1);
	return json_array_get(sessions, 0);
}

static void assert_text(const json_t *object, const char *key, const char *expected)
{
	assert_string_equal(json_string_value(json_object_get(object, key)), expected);
}

static void test_without_a_front_end(void **state)
{
	json_t *status, *session;

	open_control();
	status = query_status();
	assert_text(status, "program", "godwit-null");
	assert_int_equal(json_integer_value(json_object_get(status, "connections")), 0);
	session = only_session(status);
	assert_text(session, "device", "null");
	assert_text(session, "model", "godwit-project.org/null");
	assert_text(session, "device_state", "fresh");
	assert_text(session, "transfer_state", "idle");
	assert_true(json_is_false(json_object_get(session, "connected")));
	assert_true(json_is_null(json_object_get(session, "last_transfer")));
	json_decref(status);
}

static void test_with_one(void **state)
{
	GW_AUTO_FD int fd = server_connect(&server);
	struct gw_vu_vring_state base = {.num = 7};
	union gw_vu_payload reply;
	json_t *status, *ring;

	assert_true(client_negotiate(fd));
	assert_true(client_ask(fd, GW_VU_SET_VRING_BASE, GW_VU_NEED_REPLY, &base, 8, &reply));
	open_control();
	status = query_status();
	assert_int_equal(json_integer_value(json_object_get(status, "connections")), 1);
	assert_true(json_is_true(json_object_get(only_session(status), "connected")));
	ring = json_array_get(json_object_get(only_session(status), "rings"), 0);
	assert_int_equal(json_integer_value(json_object_get(ring, "index")), 0);
	assert_true(json_is_false(json_object_get(ring, "started")));
	assert_int_equal(json_integer_value(json_object_get(ring, "base")), 7);
	json_decref(status);
}

/* A stream that is none: who watches is told before the front-end is. */
static void test_a_failed_load_is_told(void **state)
{
	GW_AUTO_FD int fd = server_connect(&server);
	struct gw_vu_device_state load = {.direction = GW_VU_STATE_LOAD};
	struct gw_vu_header header;
	union gw_vu_payload reply;
	json_t *event;
	int pipe_fds[2];

	open_control();
	assert_true(client_negotiate(fd));
	assert_int_equal(pipe(pipe_fds), 0);
	assert_true(client_send(fd, GW_VU_SET_DEVICE_STATE_FD, 0, &load, 8, &pipe_fds[0], 1));
	assert_true(client_recv(fd, &header, &reply));
	assert_int_equal(reply.u64, GW_VU_STATE_ACCEPTED);
	close(pipe_fds[0]);
	/* Its reader may have seen enough before the end. */
	if (write(pipe_fds[1], "nonsense nonsense", 17) < 0)
		assert_int_equal(errno, EPIPE);
	close(pipe_fds[1]);
	assert_true(client_ask(fd, GW_VU_CHECK_DEVICE_STATE, 0, NULL, 0, &reply));
	assert_int_equal(reply.u64, 1);
	event = read_line();
	assert_text(event, "event", "MIGRATION_FAILED");
	assert_non_null(json_object_get(json_object_get(event, "data"), "reason"));
	json_decref(event);
}

/* What the device itself has to say. */
static void test_the_devices_own_words(void **state)
{
	json_t *answer, *status, *details;

	open_control();
	status = query_status();
	details = json_object_get(only_session(status), "details");
	assert_true(json_is_integer(json_object_get(details, "served")));
	assert_int_equal(json_integer_value(json_object_get(only_session(status), "events_lost")),
			 0);
	json_decref(status);
	write_line("{\"execute\": \"query-stats\"}\n");
	answer = read_line();
	assert_text(json_object_get(answer, "return"), "text",
		    "# HELP godwit_null_requests_total Requests that were answered.\n"
		    "# TYPE godwit_null_requests_total counter\n"
		    "godwit_null_requests_total 0\n");
	json_decref(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_without_a_front_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_with_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_devices_own_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_failed_load_is_told, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
