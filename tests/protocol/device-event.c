/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/device-event.c - what a device says by itself reaches who listens, bounded. */
#include "../unit/cmocka-all.h"

#include "echo.h"
#include "operator.h"
#include "peer.h"

#define FLOOD 20000 /* many times what is held for a listener */

static void use_once(struct gw_frontend *frontend)
{
	struct echo echo;

	echo_init(&echo, frontend);
	echo_once(&echo, frontend, 0, 1);
}

static void arrives(void **state)
{
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	json_t *event;

	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	frontend = peer_frontend(&peer);
	atomic_store(&peer.script->events, 2);
	use_once(frontend);
	for (int i = 0; i < 2; i++) {
		event = operator_event(&operator);
		assert_string_equal(json_string_value(operator_at(event, "event")), "SCRIPTED");
		assert_int_equal(json_integer_value(operator_at(event, "data.number")), i);
		assert_non_null(operator_at(event, "timestamp.seconds"));
		json_decref(event);
	}
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
}

/* Events that were lost so far; those that come before the answer are added to *@heard. */
static json_int_t ask_lost(struct operator* operator, json_int_t * heard)
{
	json_t *line;
	json_int_t lost;

	operator_say(operator, "{\"execute\":\"query-status\"}\n");
	while (json_object_get(line = operator_line(operator), "event")) {
		json_decref(line);
		++*heard;
	}
	lost = json_integer_value(operator_at(
		json_array_get(operator_at(line, "return.sessions"), 0), "events_lost"));
	json_decref(line);
	return lost;
}

/* Of a flood the beginning is heard, the rest counted; the device does not wait. */
static void flood(void **state)
{
	struct gw_frontend *frontend;
	struct operator operator;
	struct peer peer;
	json_int_t heard = 0, lost = 0;

	peer_start(&peer, &(struct peer_options){.control = true});
	operator_open(&operator, peer.control);
	frontend = peer_frontend(&peer);
	atomic_store(&peer.script->events, FLOOD);
	use_once(frontend);
	/* Whatever the control thread makes of the flood, all of it is accounted for. */
	for (int i = 0; i < 10 && heard + lost != FLOOD; i++)
		lost = ask_lost(&operator, & heard);
	assert_int_equal(heard + lost, FLOOD);
	assert_true(lost > 0);
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_join(&peer);
}

/* Nobody listens, and the device goes: nothing is left behind (ASan says so). */
static void into_the_void(void **state)
{
	struct gw_frontend *frontend;
	struct peer peer;

	peer_start(&peer, &(struct peer_options){0});
	frontend = peer_frontend(&peer);
	atomic_store(&peer.script->events, 1000);
	use_once(frontend);
	gw_frontend_free(frontend);
	peer_join(&peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arrives),
		cmocka_unit_test(flood),
		cmocka_unit_test(into_the_void),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
