/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/lifecycle-frozen.c - exclusive devices: frozen at save, until the outcome is known. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "toy.h"

/* A session of @ownership that ran, was stopped and was saved. */
static void saved(struct toy_rig *rig, const struct gw_session_config *config,
		  enum gw_ownership ownership)
{
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	toy_rig_new(rig, config, ownership);
	assert_int_equal(gw_session_ring_on(rig->session), 0);
	gw_session_last_ring_off(rig->session);
	assert_int_equal(toy_save(rig, &bytes, &len), 0);
}

static const struct gw_session_config moving = {.on_save = GW_ON_SAVE_MOVE};

static void assert_device(struct toy_rig *rig, enum gw_device_state device)
{
	assert_int_equal(gw_session_device_state(rig->session), device);
}

static void test_moved(void **state)
{
	struct gw_transfer_info info;
	struct toy_rig rig;

	(void)state;
	saved(&rig, &moving, GW_EXCLUSIVE);
	assert_device(&rig, GW_DEVICE_FROZEN);
	assert_false(gw_session_may_end(rig.session));
	gw_session_last_transfer(rig.session, &info);
	assert_int_equal(gw_session_outcome(rig.session, "0123", GW_OUTCOME_MOVED), -ENOENT);
	assert_int_equal(gw_session_outcome(rig.session, info.id, GW_OUTCOME_MOVED), 0);
	assert_int_equal(toy->outcome, GW_OUTCOME_MOVED);
	assert_device(&rig, GW_DEVICE_GONE);
	assert_true(gw_session_may_end(rig.session));
	assert_int_equal(gw_session_ring_on(rig.session), -EPERM);
	assert_int_equal(gw_session_reset(rig.session), 0);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_FRESH);
	toy_rig_free(&rig);
}

static void test_ring_takes_it_back(void **state)
{
	struct toy_rig rig;

	(void)state;
	saved(&rig, &moving, GW_EXCLUSIVE);
	gw_session_disconnect(rig.session); /* says nothing */
	assert_device(&rig, GW_DEVICE_FROZEN);
	assert_int_equal(gw_session_connect(rig.session), 0);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_RESUMED);
	assert_int_equal(gw_session_outcome(rig.session, NULL, GW_OUTCOME_MOVED), -EALREADY);
	assert_device(&rig, GW_DEVICE_RUNNING);
	toy_rig_free(&rig);
}

static void test_failed_and_copied(void **state)
{
	struct toy_rig rig;

	(void)state;
	saved(&rig, &moving, GW_EXCLUSIVE);
	assert_int_equal(gw_session_outcome(rig.session, NULL, GW_OUTCOME_FAILED), 0);
	assert_device(&rig, GW_DEVICE_SUSPENDED);
	toy_rig_free(&rig);
	saved(&rig, &moving, GW_EXCLUSIVE);
	assert_int_equal(gw_session_outcome(rig.session, NULL, GW_OUTCOME_COPIED), 0);
	assert_device(&rig, GW_DEVICE_SUSPENDED);
	toy_rig_free(&rig);
}

static void test_who_freezes(void **state)
{
	const struct gw_session_config copying = {.on_save = GW_ON_SAVE_COPY};
	struct toy_rig rig;

	(void)state;
	saved(&rig, &moving, GW_SHARED);
	assert_device(&rig, GW_DEVICE_SUSPENDED);
	toy_rig_free(&rig);
	saved(&rig, &copying, GW_EXCLUSIVE);
	assert_device(&rig, GW_DEVICE_SUSPENDED);
	toy_rig_free(&rig);
	saved(&rig, NULL, GW_EXCLUSIVE); /* nobody announced a migration: a snapshot */
	assert_device(&rig, GW_DEVICE_SUSPENDED);
	toy_rig_free(&rig);
}

static void test_announced_means_moving(void **state)
{
	GW_AUTO_FREE uint8_t *bytes = NULL;
	struct toy_rig rig;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_EXCLUSIVE);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	gw_session_prepare(rig.session, true);
	gw_session_last_ring_off(rig.session);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	assert_device(&rig, GW_DEVICE_FROZEN);
	toy_rig_free(&rig);
}

static void test_nobody_tells(void **state)
{
	const struct {
		enum gw_on_lost_outcome policy;
		enum gw_device_state device;
		enum gw_outcome outcome;
	} rows[] = {
		{GW_LOST_KEEP, GW_DEVICE_FROZEN, GW_OUTCOME_UNKNOWN},
		{GW_LOST_DROP, GW_DEVICE_GONE, GW_OUTCOME_MOVED},
		{GW_LOST_RESUME, GW_DEVICE_SUSPENDED, GW_OUTCOME_FAILED},
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct gw_session_config config = {.on_save = GW_ON_SAVE_MOVE,
							 .on_lost_outcome = rows[i].policy,
							 .frozen_timeout_ms = 20};
		struct toy_rig rig;

		saved(&rig, &config, GW_EXCLUSIVE);
		assert_int_equal(toy->outcomes, 0);
		toy_wait(&rig, 60);
		assert_int_equal(toy->outcomes, 1);
		assert_int_equal(toy->outcome, rows[i].outcome);
		assert_device(&rig, rows[i].device);
		toy_rig_free(&rig);
	}
}

static void test_failed_device(void **state)
{
	struct toy_rig rig;

	(void)state;
	saved(&rig, NULL, GW_SHARED);
	gw_session_device_failed(rig.session);
	assert_int_equal(gw_session_ring_on(rig.session), -EIO);
	assert_int_equal(gw_session_suspend(rig.session), -EIO);
	assert_int_equal(gw_session_reset(rig.session), 0);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(gw_session_suspend(rig.session), 0);
	assert_int_equal(toy->suspends, 2);
	assert_int_equal(gw_session_resume(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_RESUMED);
	toy_rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_ring_takes_it_back),
		cmocka_unit_test(test_failed_and_copied),
		cmocka_unit_test(test_who_freezes),
		cmocka_unit_test(test_announced_means_moving),
		cmocka_unit_test(test_nobody_tells),
		cmocka_unit_test(test_failed_device),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
