/* SPDX-License-Identifier: BSD-3-Clause */
/* protocol/migration-none.c - a device that may not migrate says so: to who connects by what it
 * does not offer, later with a sentence. */
#include "../unit/cmocka-all.h"

#include <sys/mman.h>
#include <unistd.h>

#include "operator.h"
#include "peer.h"
#include "vhost-user/frontend_internal.h"
#include "vhost-user/wire.h"

#define SET(mode) "{\"execute\":\"migration-set\",\"arguments\":{\"migration\":\"" mode "\"}}"

static const uint64_t needed = GW_VU_PF(DEVICE_STATE) | GW_VU_PF(LOG_SHMFD);

static struct peer peer;
static struct operator operator;

static void start(enum gw_migration migration)
{
	peer_start(&peer, &(struct peer_options){
				  .control = true, .reconnect = true, .migration = migration});
	operator_open(&operator, peer.control);
}

static int teardown(void **state)
{
	operator_close(&operator);
	peer_stop(&peer);
	return 0;
}

static uint64_t offered(void)
{
	struct gw_frontend *frontend = peer_connect(&peer);
	uint64_t features;

	ok(gw_frontend_get_u64(frontend, GW_VU_GET_PROTOCOL_FEATURES, &features));
	gw_frontend_free(frontend);
	return features;
}

static int save(struct gw_frontend *frontend)
{
	int fd = memfd_create("state", MFD_CLOEXEC);
	int err = gw_frontend_save(frontend, fd);

	close(fd);
	return err;
}

static void expect_mode(const char *expected)
{
	json_t *session = operator_session(&operator);

	assert_string_equal(json_string_value(operator_at(session, "migration.mode")), expected);
	json_decref(session);
}

static void from_the_beginning(void **state)
{
	start(GW_MIGRATION_NONE);
	expect_mode("none");
	assert_int_equal(offered() & needed, 0);
	operator_do(&operator, SET("stateful"));
	expect_mode("stateful");
	assert_int_equal(offered() & needed, needed);
	operator_do(&operator, SET("none"));
	assert_int_equal(offered() & needed, 0);
}

/* A front-end that has it all negotiated is refused, and its guest goes on. */
static void later(void **state)
{
	struct gw_frontend *frontend;

	start(GW_MIGRATION_STATEFUL);
	frontend = peer_frontend(&peer);
	operator_do(&operator, SET("none"));
	operator_refused(&operator, "{\"execute\":\"preflight\"}", "--migration=none");
	ok(gw_frontend_stop(frontend));
	assert_true(save(frontend) < 0);
	assert_int_equal(atomic_load(&peer.script->saves), 0);
	ok(gw_frontend_start(frontend));
	operator_do(&operator, SET("stateful"));
	json_decref(operator_ask(&operator, "preflight"));
	ok(gw_frontend_stop(frontend));
	ok(save(frontend));
	gw_frontend_free(frontend);
}

static void nonsense(void **state)
{
	static const struct {
		const char *line, *part;
	} rows[] = {
		{SET("some"), "'migration' is some"},
		{"{\"execute\":\"migration-set\"}", "nothing to set"},
		{"{\"execute\":\"migration-set\",\"arguments\":{\"mode\":\"none\"}}",
		 "no argument 'mode'"},
		{"{\"execute\":\"migration-set\",\"arguments\":{\"migration\":\"none\","
		 "\"on-save\":\"both\"}}",
		 "'on-save' is both"},
	};

	start(GW_MIGRATION_STATEFUL);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		operator_refused(&operator, rows[i].line, rows[i].part);
	expect_mode("stateful");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(from_the_beginning, teardown),
		cmocka_unit_test_teardown(later, teardown),
		cmocka_unit_test_teardown(nonsense, teardown),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
