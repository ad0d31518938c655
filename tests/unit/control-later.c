/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/control-later.c - commands that cannot answer at once. */
#include <stdatomic.h>
#include <errno.h>

#include "base/cleanup.h"
#include "control-server.h"

#define MANY 1500

static struct gw_later *_Atomic owed;

static int begin(void *opaque, const json_t *arguments, json_t **result)
{
	owed = gw_control_later(server);
	return GW_CONTROL_LATER;
}

static int end(void *opaque, const json_t *arguments, json_t **result)
{
	if (!owed)
		return gw_fail(ENOENT, "nothing was begun");
	if (json_object_get(arguments, "fail"))
		gw_control_answer(atomic_exchange(&owed, NULL), gw_fail(EIO, "it went wrong"),
				  json_string("unused"));
	else
		gw_control_answer(atomic_exchange(&owed, NULL), 0, json_pack("{s:i}", "done", 1));
	return 0;
}

static int change_of_mind(void *opaque, const json_t *arguments, json_t **result)
{
	gw_control_later(server);
	return gw_fail(EBUSY, "not now");
}

static int nothing(void *opaque, const json_t *arguments, json_t **result)
{
	return 0;
}

static void register_commands(struct gw_control *control)
{
	gw_control_register(control, "begin", begin, NULL);
	gw_control_register(control, "end", end, NULL);
	gw_control_register(control, "change", change_of_mind, NULL);
	gw_control_register(control, "nothing", nothing, NULL);
}

static void say(FILE *client, const char *text)
{
	client_write(client, text, strlen(text));
}

/* Waits until the server has taken what was said before. */
static void settle(FILE *other)
{
	for (int i = 0; i < 20; i++) {
		expect_text(client_ask(other, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
		usleep(1000);
	}
}

static void test_in_order_and_others_are_served(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();

	say(client, "{\"execute\":\"begin\",\"id\":1}\n{\"execute\":\"nothing\",\"id\":2}\n");
	settle(other);
	expect_text(client_ask(other, "{\"execute\":\"end\"}"), "{\"return\":{}}");
	expect_text(client_read(client), "{\"return\":{\"done\":1},\"id\":1}");
	expect_text(client_read(client), "{\"return\":{},\"id\":2}");
	/* And it goes on as before. */
	expect_text(client_ask(client, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
	fclose(client);
	fclose(other);
}

static void test_failure(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();

	say(client, "{\"execute\":\"begin\",\"id\":\"x\"}\n");
	settle(other);
	json_decref(client_ask(other, "{\"execute\":\"end\",\"arguments\":{\"fail\":1}}"));
	expect_text(client_read(client), "{\"error\":{\"class\":\"GenericError\",\"desc\":"
					 "\"it went wrong\"},\"id\":\"x\"}");
	fclose(client);
	fclose(other);
}

/* Nobody is there any more when the answer comes. */
static void test_client_leaves(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();

	say(client, "{\"execute\":\"begin\"}\n");
	settle(other);
	fclose(client);
	settle(other);
	expect_text(client_ask(other, "{\"execute\":\"end\"}"), "{\"return\":{}}");
	fclose(other);
}

/* It has said all it had to say, and waits. */
static void test_half_closed(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();

	say(client, "{\"execute\":\"begin\"}\n{\"execute\":\"nothing\"}\n");
	shutdown(fileno(client), SHUT_WR);
	settle(other);
	json_decref(client_ask(other, "{\"execute\":\"end\"}"));
	expect_text(client_read(client), "{\"return\":{\"done\":1}}");
	expect_text(client_read(client), "{\"return\":{}}");
	assert_null(client_read(client));
	fclose(client);
	fclose(other);
}

/* A client that talks on is not read meanwhile, and loses nothing. */
static void test_more_than_a_line_waits(void **state)
{
	FILE *client = client_greeted(), *other = client_greeted();
	static char all[MANY * 64];
	char text[64];
	size_t len = 0;

	say(client, "{\"execute\":\"begin\"}\n");
	/* At once: many small ones would not fit the socket. */
	for (int i = 0; i < MANY; i++)
		len += (size_t)snprintf(all + len, sizeof(all) - len,
					"{\"execute\":\"nothing\",\"id\":%d}\n", i);
	say(client, all);
	settle(other);
	json_decref(client_ask(other, "{\"execute\":\"end\"}"));
	expect_text(client_read(client), "{\"return\":{\"done\":1}}");
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "{\"return\":{},\"id\":%d}", i);
		expect_text(client_read(client), text);
	}
	fclose(client);
	fclose(other);
}

static void test_not_needed_after_all(void **state)
{
	FILE *client = client_greeted();

	expect_error(client_ask(client, "{\"execute\":\"change\"}"), "GenericError", "not now");
	expect_text(client_ask(client, "{\"execute\":\"nothing\"}"), "{\"return\":{}}");
	fclose(client);
}

/* The server ends first; what is owed is given back all the same. */
static int stop_with_one_owed(void **state)
{
	FILE *client = client_greeted();
	int err;

	say(client, "{\"execute\":\"begin\"}\n");
	for (int i = 0; i < 1000 && !owed; i++)
		usleep(1000);
	assert_non_null(owed);
	err = server_stop(state);
	gw_control_answer(atomic_exchange(&owed, NULL), 0, NULL);
	fclose(client);
	return err;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_order_and_others_are_served),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_client_leaves),
		cmocka_unit_test(test_half_closed),
		cmocka_unit_test(test_more_than_a_line_waits),
		cmocka_unit_test(test_not_needed_after_all),
	};

	return cmocka_run_group_tests(tests, server_start, stop_with_one_owed);
}
