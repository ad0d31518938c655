/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/migration-expect.c - an operator says that a state is going to be loaded, and of what
 * size. */
#include "../unit/cmocka-all.h"

#include "operator.h"
#include "peer.h"

#define EXPECT(arguments) "{\"execute\":\"migration-expect\",\"arguments\":{" arguments "}}"

static struct gw_device_ops expecting;
static struct peer peer;
static struct operator operator;
static struct gw_frontend *frontend;
static _Atomic uint64_t expected; /* what the device was told last */

static void note(void *dev, uint64_t state_bytes)
{
	(void)dev;
	expected = state_bytes;
}

static int begin(struct gw_frontend *(*connect)(const struct peer *peer))
{
	expected = UINT64_MAX;
	peer_start(&peer,
		   &(struct peer_options){.ops = &expecting, .control = true, .reconnect = true});
	operator_open(&operator, peer.control);
	frontend = connect(&peer);
	return 0;
}

static int setup(void **state)
{
	return begin(peer_connect);
}

static int setup_running(void **state)
{
	return begin(peer_frontend);
}

static int teardown(void **state)
{
	gw_frontend_free(frontend);
	operator_close(&operator);
	peer_stop(&peer);
	return 0;
}

/* And the device hears nothing of it. */
static void refused(const char *line, const char *part)
{
	operator_refused(&operator, line, part);
	assert_true(expected == UINT64_MAX);
}

static void a_fresh_device_is_told(void **state)
{
	operator_do(&operator, EXPECT("\"state-bytes\":34000000"));
	assert_int_equal(expected, 34000000);
	/* The last word counts. */
	operator_do(&operator, EXPECT("\"state-bytes\":0"));
	assert_int_equal(expected, 0);
	operator_do(&operator, EXPECT("\"state-bytes\":9223372036854775807"));
	assert_int_equal(expected, INT64_MAX);
}

static void one_that_runs_or_has_run_is_not(void **state)
{
	refused(EXPECT("\"state-bytes\":1"), "is running");
	ok(gw_frontend_stop(frontend));
	refused(EXPECT("\"state-bytes\":1"), "is suspended");
}

static void nonsense(void **state)
{
	refused(EXPECT(""), "'state-bytes' is missing");
	refused(EXPECT("\"state-bytes\":-1"), "expected a number");
	refused(EXPECT("\"state-bytes\":1.5"), "expected a number");
	refused(EXPECT("\"state-bytes\":\"1\""), "expected a number");
	refused(EXPECT("\"state-bytes\":1,\"bytes\":1"), "no argument 'bytes'");
	refused(EXPECT("\"state-bytes\":1,\"session\":7"), "no session 7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_fresh_device_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_runs_or_has_run_is_not, setup_running,
						teardown),
		cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
	};

	expecting = scripted_ops;
	expecting.expect = note;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
