/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/control-protocol.c - the control socket with well-behaved clients. */
#include <errno.h>

#include "control-server.h"

static int echo(void *opaque, const json_t *arguments, json_t **result)
{
	assert_ptr_equal(opaque, &server);
	*result = arguments ? json_deep_copy(arguments) : NULL;
	return 0;
}

static int refuse(void *opaque, const json_t *arguments, json_t **result)
{
	return gw_fail(EBUSY, "file \xff\xfe is held by %s", "someone");
}

static int refuse_without_a_word(void *opaque, const json_t *arguments, json_t **result)
{
	return -ENODEV;
}

static int announce(void *opaque, const json_t *arguments, json_t **result)
{
	gw_control_event(server, "THING_HAPPENED", json_pack("{s:i}", "thing", 7));
	gw_control_event(server, "NOTHING_SAID", NULL);
	return 0;
}

static void register_commands(struct gw_control *control)
{
	assert_int_equal(gw_control_register(control, "echo", echo, &server), 0);
	assert_int_equal(gw_control_register(control, "refuse", refuse, NULL), 0);
	assert_int_equal(gw_control_register(control, "mute", refuse_without_a_word, NULL), 0);
	assert_int_equal(gw_control_register(control, "announce", announce, NULL), 0);
	assert_int_equal(gw_control_register(control, "echo", echo, NULL), -EEXIST);
	assert_int_equal(gw_control_register(control, "query-commands", echo, NULL), -EEXIST);
}

static void test_greeting(void **state)
{
	FILE *client = client_open();

	expect_text(client_read(client),
		    "{\"QMP\":{\"version\":{\"program\":\"godwit-test\",\"version\":\"1.2.3\"},"
		    "\"capabilities\":[]}}");
	fclose(client);
}

static void test_capabilities(void **state)
{
	FILE *client = client_greeted();

	expect_text(client_ask(client, "{\"execute\": \"qmp_capabilities\", \"id\": 1}"),
		    "{\"return\":{},\"id\":1}");
	expect_text(client_ask(client, "{\"execute\": \"qmp_capabilities\"}"), "{\"return\":{}}");
	expect_error(client_ask(client, "{\"execute\": \"qmp_capabilities\", "
					"\"arguments\": {\"enable\": [\"oob\"]}}"),
		     "GenericError", "capabilities");
	fclose(client);
}

static void test_query_commands(void **state)
{
	FILE *client = client_greeted();

	expect_text(client_ask(client, "{\"execute\": \"query-commands\"}"),
		    "{\"return\":[{\"name\":\"qmp_capabilities\"},{\"name\":\"query-commands\"},"
		    "{\"name\":\"echo\"},{\"name\":\"refuse\"},{\"name\":\"mute\"},"
		    "{\"name\":\"announce\"}]}");
	fclose(client);
}

static void test_arguments_and_id(void **state)
{
	FILE *client = client_greeted();

	expect_text(client_ask(client, "{\"execute\":\"echo\",\"arguments\":{\"a\":[1,\"b\"]},"
				       "\"id\":{\"x\":null}}"),
		    "{\"return\":{\"a\":[1,\"b\"]},\"id\":{\"x\":null}}");
	expect_text(client_ask(client, " \r\n\n{\"execute\":\"echo\"}"), "{\"return\":{}}");
	fclose(client);
}

static void test_errors(void **state)
{
	FILE *client = client_greeted();

	expect_error(client_ask(client, "{\"execute\":\"nothing\"}"), "CommandNotFound", "nothing");
	/* A sentence may hold a file's name, which may be anything. */
	expect_text(client_ask(client, "{\"execute\":\"refuse\",\"id\":\"r\"}"),
		    "{\"error\":{\"class\":\"GenericError\","
		    "\"desc\":\"file ?? is held by someone\"},\"id\":\"r\"}");
	/* Not the sentence of the failure before. */
	expect_error(client_ask(client, "{\"execute\":\"mute\"}"), "GenericError",
		     "No such device");
	fclose(client);
}

static void test_events(void **state)
{
	FILE *listening = client_greeted(), *deaf = client_greeted();
	json_t *event, *stamp;

	json_decref(client_ask(listening, "{\"execute\":\"qmp_capabilities\"}"));
	/* Who has not sent qmp_capabilities gets the reply alone. */
	expect_text(client_ask(deaf, "{\"execute\":\"announce\"}"), "{\"return\":{}}");
	event = client_read(listening);
	assert_string_equal(json_string_value(json_object_get(event, "event")), "THING_HAPPENED");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(event, "data"), "thing")), 7);
	stamp = json_object_get(event, "timestamp");
	assert_true(json_integer_value(json_object_get(stamp, "seconds")) > 1700000000);
	assert_true(json_is_integer(json_object_get(stamp, "microseconds")));
	json_decref(event);
	event = client_read(listening);
	assert_true(json_is_object(json_object_get(event, "data")));
	json_decref(event);
	fclose(listening);
	fclose(deaf);
}

static void test_pipelined_requests_keep_order(void **state)
{
	FILE *client = client_greeted();
	char text[64];

	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "{\"execute\":\"echo\",\"id\":%d}\n", i);
		client_write(client, text, strlen(text));
	}
	shutdown(fileno(client), SHUT_WR); /* all is answered nevertheless */
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "{\"return\":{},\"id\":%d}", i);
		expect_text(client_read(client), text);
	}
	assert_null(client_read(client));
	fclose(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_query_commands),
		cmocka_unit_test(test_arguments_and_id),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_pipelined_requests_keep_order),
	};

	return cmocka_run_group_tests(tests, server_start, server_stop);
}
