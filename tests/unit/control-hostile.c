/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/control-hostile.c - the control socket with clients that are broken or mean. */
#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "control-server.h"

#define BIG (1 << 20)

static int big(void *opaque, const json_t *arguments, json_t **result)
{
	static char text[BIG];

	memset(text, 'x', sizeof(text) - 1);
	*result = json_string(text);
	return 0;
}

static int nothing(void *opaque, const json_t *arguments, json_t **result)
{
	return 0;
}

static int big_event(void *opaque, const json_t *arguments, json_t **result)
{
	json_t *text;

	big(NULL, NULL, &text);
	gw_control_event(server, "BIG", json_pack("{s:o}", "text", text));
	return 0;
}

static void register_commands(struct gw_control *control)
{
	assert_int_equal(gw_control_register(control, "big", big, NULL), 0);
	assert_int_equal(gw_control_register(control, "big-event", big_event, NULL), 0);
	assert_int_equal(gw_control_register(control, "nothing", nothing, NULL), 0);
}

static void test_wrong_requests(void **state)
{
	static const struct {
		const char *line, *sentence;
	} wrong[] = {
		{"hello", "no JSON"},
		{"[]", "object"},
		{"1", "no JSON"},
		{"{}", "execute"},
		{"{\"execute\":1}", "execute"},
		{"{\"execute\":null}", "execute"},
		{"{\"execute\":\"nothing\",\"arguments\":[]}", "arguments"},
		{"{\"execute\":\"nothing\",\"arguments\":null}", "arguments"},
		{"{\"execute\":\"nothing\",\"execute\":\"big\"}", "no JSON"},
		{"{\"execute\":\"nothing\",\"arguments\":{\"a\":1,\"a\":2}}", "no JSON"},
		{"{\"execute\":\"nothing\",\"also\":1}", "also"},
		{"{\"exec-oob\":\"nothing\"}", "exec-oob"},
		{"{\"execute\":\"nothing\"}}", "no JSON"},
		{"{\"execute\":\"nothing\"", "no JSON"},
		{"{\"execute\":\"noth\xff\"}", "no JSON"},
		{"{\"execute\":\"noth\\u0000ing\"}", "no JSON"},
		{"\\\"", "no JSON"},
		{"{\"\\", "no JSON"},
	};
	static const char with_nul[] = "{\"execute\":\0\"nothing\"}\n";
	FILE *client = client_greeted();

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect_error(client_ask(client, wrong[i].line), "GenericError", wrong[i].sentence);
	client_write(client, with_nul, sizeof(with_nul) - 1);
	expect_error(client_read(client), "GenericError", "no JSON");
	/* None of it cost the connection. */
	expect_text(client_ask(client, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
	fclose(client);
}

/* {"execute":"nothing","id":[[...]]}: @levels in all. */
static void nest(char *line, unsigned levels)
{
	strcpy(line, "{\"execute\":\"nothing\",\"id\":");
	for (unsigned i = 1; i < levels; i++)
		strcat(line, "[");
	for (unsigned i = 1; i < levels; i++)
		strcat(line, "]");
	strcat(line, "}");
}

static void test_depth(void **state)
{
	FILE *client = client_greeted();
	char line[256];
	json_t *reply;

	nest(line, GW_CONTROL_DEPTH_MAX);
	reply = client_ask(client, line);
	assert_non_null(json_object_get(reply, "return"));
	json_decref(reply);
	nest(line, GW_CONTROL_DEPTH_MAX + 1);
	expect_error(client_ask(client, line), "GenericError", "deeper");
	/* Brackets in a string nest nothing, escaped quotes do not end it. */
	expect_text(client_ask(client, "{\"execute\":\"nothing\",\"id\":"
				       "\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}"),
		    "{\"return\":{},\"id\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}");
	fclose(client);
}

static void test_line_length(void **state)
{
	static char line[GW_CONTROL_LINE_MAX + 1];
	FILE *client = client_greeted();

	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"execute\":\"nothing\"}", 21);
	line[GW_CONTROL_LINE_MAX - 1] = '\n';
	client_write(client, line, GW_CONTROL_LINE_MAX);
	expect_text(client_read(client), "{\"return\":{}}");
	line[GW_CONTROL_LINE_MAX - 1] = ' ';
	client_write(client, line, GW_CONTROL_LINE_MAX);
	expect_error(client_read(client), "GenericError", "longer");
	assert_null(client_read(client));
	fclose(client);
}

/* Of a client that never reads, requests stop being answered; nothing is piled up for it. */
static void test_asking_without_reading(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();
	json_t *reply;

	for (int i = 0; i < 20; i++)
		client_write(client, "{\"execute\":\"big\"}\n", 18);
	expect_text(client_ask(other, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
	for (int i = 0; i < 20; i++) { /* once it reads, all are there */
		reply = client_read(client);
		assert_int_equal(json_string_length(json_object_get(reply, "return")), BIG - 1);
		json_decref(reply);
	}
	fclose(client);
	fclose(other);
}

/* Events do not wait for anybody: who does not read them is dropped. */
static void test_not_reading_events(void **state)
{
	FILE *deaf = client_greeted(), *other = client_greeted();
	unsigned got = 0;
	char *line = NULL;
	size_t size = 0;

	json_decref(client_ask(deaf, "{\"execute\":\"qmp_capabilities\"}"));
	for (int i = 0; i < 8; i++)
		expect_text(client_ask(other, "{\"execute\":\"big-event\"}"), "{\"return\":{}}");
	while (getline(&line, &size, deaf) > 0)
		got++;
	assert_true(got < 8);
	free(line);
	fclose(deaf);
	fclose(other);
}

static void test_dropped_while_asking(void **state)
{
	FILE *client = client_greeted();

	/* The event that its own request makes is what it cannot take any more. */
	json_decref(client_ask(client, "{\"execute\":\"qmp_capabilities\"}"));
	for (int i = 0; i < 8; i++)
		client_write(client, "{\"execute\":\"big-event\"}\n", 24);
	fclose(client); /* with answers under way */
	client = client_greeted();
	expect_text(client_ask(client, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
	fclose(client);
}

static void test_too_many_clients(void **state)
{
	FILE *clients[GW_CONTROL_CLIENTS_MAX], *extra;
	json_t *greeting;

	for (int i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
		clients[i] = client_greeted();
	extra = client_open();
	expect_error(client_read(extra), "GenericError", "too many");
	assert_null(client_read(extra));
	fclose(extra);
	fclose(clients[3]);
	do { /* its place is free when its end has been seen */
		extra = client_open();
		greeting = client_read(extra);
		fclose(extra);
		if (json_object_get(greeting, "QMP"))
			break;
		json_decref(greeting);
	} while (true);
	json_decref(greeting);
	for (int i = 0; i < GW_CONTROL_CLIENTS_MAX; i++)
		if (i != 3)
			fclose(clients[i]);
}

/* What nobody who connects as another user may pass. */
static int ask_as_nobody(void)
{
	FILE *client;
	json_t *reply;

	if (setgid(65534) || setuid(65534))
		_exit(1);
	client = client_open();
	reply = client_read(client);
	_exit(json_object_get(reply, "error") && !client_read(client) ? 0 : 2);
}

static void test_other_users(void **state)
{
	int status;
	pid_t child;

	if (geteuid() != 0)
		skip();
	/* Even if somebody opened the permissions. */
	assert_int_equal(chmod(server_dir, 0755), 0);
	assert_int_equal(chmod(server_path, 0777), 0);
	child = fork();
	if (!child)
		ask_as_nobody();
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wrong_requests),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_line_length),
		cmocka_unit_test(test_asking_without_reading),
		cmocka_unit_test(test_not_reading_events),
		cmocka_unit_test(test_dropped_while_asking),
		cmocka_unit_test(test_too_many_clients),
		cmocka_unit_test(test_other_users),
	};

	return cmocka_run_group_tests(tests, server_start, server_stop);
}
