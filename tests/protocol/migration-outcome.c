/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/migration-outcome.c - an operator tells what became of a save, and sees who waits for
 * that. */
#include "../unit/cmocka-all.h"

#include <sys/mman.h>
#include <unistd.h>

#include "operator.h"
#include "peer.h"

#define OUTCOME(arguments) "{\"execute\":\"migration-outcome\",\"arguments\":{" arguments "}}"

static struct gw_device_ops exclusive;
static struct peer peer;
static struct operator operator;
static struct gw_frontend *frontend;

static void start(unsigned connections, enum gw_after_migration after)
{
	peer_start(&peer, &(struct peer_options){.ops = &exclusive,
						 .control = true,
						 .reconnect = true,
						 .connections = connections,
						 .on_save = GW_ON_SAVE_MOVE,
						 .after_migration = after});
	operator_open(&operator, peer.control);
	frontend = peer_frontend(&peer);
}

static int setup(void **state)
{
	start(1, GW_AFTER_WAIT);
	return 0;
}

static int teardown(void **state)
{
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_stop(&peer);
	return 0;
}

static void save(void)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	ok(gw_frontend_stop(frontend));
	ok(gw_frontend_save(frontend, fd));
	close(fd);
}

static void assert_session(const char *path, const char *expected)
{
	json_t *session = operator_session(&operator);

	assert_string_equal(json_string_value(operator_at(session, path)), expected);
	json_decref(session);
}

/* Who asks finds what the device waits for, and with that id tells it. */
static void told_by_its_id(void **state)
{
	char line[160], id[33];
	json_t *session;

	save();
	assert_session("device_state", "frozen");
	assert_session("migration.waits.for", "outcome");
	assert_session("migration.waits.then", "keep");
	session = operator_session(&operator);
	snprintf(id, sizeof(id), "%s",
		 json_string_value(operator_at(session, "migration.waits.id")));
	assert_string_equal(id, json_string_value(operator_at(session, "last_transfer.id")));
	assert_true(json_integer_value(operator_at(session, "migration.waits.left_ms")) > 0);
	assert_true(json_is_null(operator_at(session, "migration.outcome")));
	json_decref(session);
	snprintf(line, sizeof(line), OUTCOME("\"id\":\"%s\",\"outcome\":\"moved\""), id);
	operator_do(&operator, line);
	assert_session("device_state", "gone");
	assert_session("migration.outcome", "moved");
	session = operator_session(&operator);
	assert_true(json_is_null(operator_at(session, "migration.waits")));
	json_decref(session);
	/* Said again it is the same; something else it can not be any more. */
	operator_do(&operator, line);
	operator_refused(&operator, OUTCOME("\"outcome\":\"failed\""), "moved already");
	assert_session("device_state", "gone");
	assert_true(gw_frontend_start(frontend) < 0);
}

static void the_last_one(void **state)
{
	save();
	operator_do(&operator, OUTCOME("\"outcome\":\"failed\""));
	assert_session("device_state", "suspended");
	assert_session("migration.outcome", "failed");
	ok(gw_frontend_start(frontend));
	/* Of the next save nothing is known yet. */
	save();
	assert_session("device_state", "frozen");
	operator_do(&operator, OUTCOME("\"outcome\":\"copied\""));
	assert_session("device_state", "suspended");
	ok(gw_frontend_start(frontend));
}

static void nonsense(void **state)
{
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\""), "not made yet");
	save();
	operator_refused(&operator, OUTCOME(""), "'outcome' is missing");
	operator_refused(&operator, OUTCOME("\"outcome\":\"unknown\""), "is unknown");
	operator_refused(&operator, OUTCOME("\"outcome\":7"), "is no string");
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\",\"ID\":\"00\""),
			 "no argument 'ID'");
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\",\"id\":7"), "'id' is no string");
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\",\"id\":\"00ff\""),
			 "no session's last save was");
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\",\"session\":7"), "no session 7");
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\",\"session\":\"a\""),
			 "expected a number");
	assert_session("device_state", "frozen");
}

/* What a front-end decides by starting the source again needs no telling. */
static void too_late(void **state)
{
	save();
	ok(gw_frontend_start(frontend));
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\""), "runs here");
	assert_session("device_state", "running");
}

static void a_copy_is_not_waited_for(void **state)
{
	operator_do(&operator,
		    "{\"execute\":\"migration-set\",\"arguments\":{\"on-save\":\"copy\"}}");
	assert_session("migration.on_save", "copy");
	save();
	assert_session("device_state", "suspended");
}

static void one_of_two(void **state)
{
	struct gw_frontend *other;
	json_t *status, *sessions;
	const char *states[2] = {"", ""};

	start(2, GW_AFTER_WAIT);
	save();
	other = peer_connect(&peer);
	operator_refused(&operator, OUTCOME("\"outcome\":\"moved\""), "several sessions");
	operator_do(&operator, OUTCOME("\"outcome\":\"moved\",\"session\":0"));
	status = operator_ask(&operator, "query-status");
	sessions = operator_at(status, "sessions");
	assert_int_equal(json_array_size(sessions), 2);
	for (unsigned i = 0; i < 2; i++) {
		const json_t *session = json_array_get(sessions, i);

		states[json_integer_value(operator_at(session, "session")) != 0] =
			json_string_value(operator_at(session, "device_state"));
	}
	assert_string_equal(states[0], "gone");
	assert_string_equal(states[1], "fresh");
	json_decref(status);
	gw_frontend_free(other);
}

/* Although its front-end is connected. */
static void ends_afterwards(void **state)
{
	start(1, GW_AFTER_EXIT);
	save();
	operator_do(&operator, OUTCOME("\"outcome\":\"moved\""));
	operator_close(&operator);
	assert_int_equal(peer_join(&peer), 0);
	gw_frontend_free(frontend);
}

/* But not for a migration that failed. */
static void does_not_end_afterwards(void **state)
{
	start(1, GW_AFTER_EXIT);
	save();
	operator_do(&operator, OUTCOME("\"outcome\":\"failed\""));
	ok(gw_frontend_start(frontend));
	assert_session("migration.after", "exit");
}

static void is_fresh_afterwards(void **state)
{
	unsigned resets;

	start(1, GW_AFTER_RESET);
	save();
	resets = atomic_load(&peer.script->resets);
	operator_do(&operator, OUTCOME("\"outcome\":\"moved\""));
	assert_session("device_state", "fresh");
	assert_session("migration.outcome", "moved");
	assert_int_equal(atomic_load(&peer.script->resets), resets + 1);
	ok(gw_frontend_start(frontend));
	assert_int_equal(atomic_load(&peer.script->runs[GW_RUN_FRESH]), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(told_by_its_id, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_one, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(too_late, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copy_is_not_waited_for, setup, teardown),
		cmocka_unit_test_teardown(one_of_two, teardown),
		cmocka_unit_test(ends_afterwards),
		cmocka_unit_test_teardown(does_not_end_afterwards, teardown),
		cmocka_unit_test_teardown(is_fresh_afterwards, teardown),
	};

	gw_log_set_level(GW_LOG_OFF);
	exclusive = scripted_ops;
	exclusive.ownership = GW_EXCLUSIVE;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
