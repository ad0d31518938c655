/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/preflight.c - a preflight keeps nobody waiting: not the control socket, not the guest,
 * not a migration. */
#include "../unit/cmocka-all.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "echo.h"
#include "operator.h"
#include "peer.h"

static struct peer peer;
static struct operator operator;
static struct gw_frontend *frontend;

static int setup(void **state)
{
	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	frontend = peer_frontend(&peer);
	return 0;
}

static int teardown(void **state)
{
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
	return 0;
}

/* Begun, and held. */
static void begin(struct operator* who)
{
	atomic_store(&peer.script->hold_preflight, true);
	operator_say(who, "{\"execute\":\"preflight\"}\n");
	wait_until(&peer.script->preflights, 1);
}

static const json_t *only_session(const json_t *result)
{
	const json_t *sessions = operator_at(result, "sessions");

	assert_int_equal(json_array_size(sessions), 1);
	return json_array_get(sessions, 0);
}

static void nothing_in_the_way(void **state)
{
	json_t *result = operator_ask(&operator, "preflight");

	assert_true(json_is_true(operator_at(only_session(result), "can_travel")));
	json_decref(result);
}

static void something_in_the_way(void **state)
{
	const json_t *session, *first;
	json_t *result;

	atomic_store(&peer.script->obstacles, 3);
	result = operator_ask(&operator, "preflight");
	session = only_session(result);
	assert_true(json_is_false(operator_at(session, "can_travel")));
	assert_int_equal(json_array_size(operator_at(session, "cannot_travel")), 3);
	first = json_array_get(operator_at(session, "cannot_travel"), 0);
	assert_string_equal(json_string_value(operator_at(first, "path")), "a\\xff");
	json_decref(result);
}

/* A quarter of a million of them fit no answer: the first are there, and how many are not. */
static void too_much_in_the_way(void **state)
{
	const json_t *session;
	json_t *result;
	json_int_t shown;

	atomic_store(&peer.script->obstacles, 250000);
	result = operator_ask(&operator, "preflight");
	session = only_session(result);
	shown = (json_int_t)json_array_size(operator_at(session, "cannot_travel"));
	assert_true(shown > 1000 && shown < 100000);
	assert_int_equal(json_integer_value(operator_at(session, "cannot_travel_left_out")) + shown,
			 250000);
	json_decref(result);
}

static void failure_is_told(void **state)
{
	atomic_store(&peer.script->fail_preflight, EIO);
	operator_say(&operator, "{\"execute\":\"preflight\"}\n");
	operator_is_refusal(operator_reply(&operator), "no view from here");
}

static void nobody_waits(void **state)
{
	struct operator other;
	struct echo echo;

	operator_open(&other, peer.control);
	begin(&operator);
	json_decref(operator_session(&other));
	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
	operator_say(&other, "{\"execute\":\"preflight\"}\n");
	operator_is_refusal(operator_reply(&other), "under way");
	atomic_store(&peer.script->hold_preflight, false);
	json_decref(operator_reply(&operator));
	/* And the next one is as good as the first. */
	json_decref(operator_ask(&other, "preflight"));
	operator_close(&other);
}

static void a_save_comes_first(void **state)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	begin(&operator);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, fd));
	operator_is_refusal(operator_reply(&operator), "something else");
	close(fd);
}

static void so_does_a_reset(void **state)
{
	begin(&operator);
	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_reset_device(frontend));
	operator_is_refusal(operator_reply(&operator), "something else");
}

/* The asker leaves: the device is asked to the end all the same, for nobody. */
static void the_asker_leaves(void **state)
{
	struct operator other;

	operator_open(&other, peer.control);
	begin(&other);
	operator_close(&other);
	json_decref(operator_session(&operator));
	atomic_store(&peer.script->hold_preflight, false);
	for (int i = 0; i < 1000; i++) {
		json_t *reply;
		bool good;

		operator_say(&operator, "{\"execute\":\"preflight\"}\n");
		reply = operator_reply(&operator);
		good = json_object_get(reply, "return");
		json_decref(reply);
		if (good)
			return;
		sleep_ms(1);
	}
	fail_msg("it is still under way");
}

/* The device goes while it is asked: teardown must come to its end. */
static void the_end_comes_first(void **state)
{
	begin(&operator);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_in_the_way), TEST(something_in_the_way), TEST(too_much_in_the_way),
		TEST(failure_is_told),	  TEST(nobody_waits),	      TEST(a_save_comes_first),
		TEST(so_does_a_reset),	  TEST(the_asker_leaves),     TEST(the_end_comes_first),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
