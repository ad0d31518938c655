/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/lifecycle-session.c - a session saves, loads, goes on: the paths that must work. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "toy.h"

static void start_and_stop(struct toy_rig *rig)
{
	assert_int_equal(gw_session_ring_on(rig->session), 0);
	gw_session_last_ring_off(rig->session);
}

static void test_moves(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	struct gw_transfer_info info;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	toy->value = 77;
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_FRESH);
	assert_int_equal(toy->limit, 8); /* the default profile */
	assert_int_equal(toy_save(&rig, &bytes, &len), -EBUSY);
	free(gw_take_ptr(bytes));
	gw_session_last_ring_off(rig.session);
	assert_int_equal(toy->suspends, 1);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	gw_session_last_transfer(rig.session, &info);
	assert_int_equal(info.result, 0);
	assert_int_equal(info.bytes, len);
	assert_int_equal(strlen(info.id), 32);
	assert_int_equal(gw_session_check(rig.session, NULL, NULL), -ENODATA);
	assert_int_equal(gw_session_ring_on(rig.session), 0); /* it failed there: go on here */
	assert_int_equal(toy->why, GW_RUN_RESUMED);
	toy_rig_free(&rig);

	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	assert_int_equal(toy->value, 77);
	assert_int_equal(toy->limit, 8);
	assert_int_equal(toy_load(&rig, bytes, len), -EEXIST); /* not fresh any more */
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_LOADED);
	assert_int_equal(gw_session_reset(rig.session), -EBUSY);
	gw_session_last_ring_off(rig.session);
	assert_int_equal(gw_session_reset(rig.session), 0);
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	toy_rig_free(&rig);
}

static void test_saved_before_it_ran(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *fresh = NULL;
	GW_AUTO_FREE uint8_t *loaded = NULL;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_save(&rig, &fresh, &len), 0);
	assert_int_equal(gw_session_device_state(rig.session), GW_DEVICE_FRESH);
	assert_int_equal(toy_load(&rig, fresh, len), 0);
	/* Moved on before it ever ran here; then that fails, and it runs here after all. */
	assert_int_equal(toy_save(&rig, &loaded, &len), 0);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	assert_int_equal(toy->why, GW_RUN_LOADED);
	toy_rig_free(&rig);
}

static void test_saved_twice(void **state)
{
	struct toy_rig rig;
	size_t first_len, len;
	GW_AUTO_FREE uint8_t *first = NULL;
	GW_AUTO_FREE uint8_t *second = NULL;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	start_and_stop(&rig);
	assert_int_equal(toy_save(&rig, &first, &first_len), 0);
	assert_int_equal(toy_save(&rig, &second, &len), 0);
	assert_int_equal(len, first_len);
	assert_int_not_equal(memcmp(first, second, len), 0); /* each has an id of its own */
	toy_rig_free(&rig);
}

static void test_save_fails(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	start_and_stop(&rig);
	toy->save_result = -ENOSPC;
	assert_int_equal(toy_save(&rig, &bytes, &len), -ENOSPC);
	assert_int_equal(rig.failures, 1);
	assert_string_equal(rig.failure.reason, "told to fail at save");
	assert_int_equal(toy->outcomes, 1);
	assert_int_equal(toy->outcome, GW_OUTCOME_FAILED);
	/* One that was written whole is another matter. */
	toy->save_result = 0;
	gw_free_ptr(&bytes);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	assert_int_equal(toy->outcomes, 1);
	assert_int_equal(gw_session_ring_on(rig.session), 0);
	toy_rig_free(&rig);
}

static void assert_still_fresh(struct toy_rig *rig)
{
	assert_int_equal(gw_session_device_state(rig->session), GW_DEVICE_FRESH);
	assert_int_equal(toy->value, 0);
	assert_int_equal(toy->limit, 0); /* unset again */
}

static void test_load_fails(void **state)
{
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	toy->value = 5;
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	toy->value = 0;

	toy->load_result = -EIO;
	assert_int_equal(toy_load(&rig, bytes, len), -EIO);
	assert_still_fresh(&rig);
	toy->load_result = 0;
	toy->lie_about_load = true;
	assert_int_equal(toy_load(&rig, bytes, len), -EBADMSG);
	assert_still_fresh(&rig);
	toy->lie_about_load = false;
	toy->adopt_result = -EPERM;
	assert_int_equal(toy_load(&rig, bytes, len), -EPERM);
	assert_still_fresh(&rig);
	toy->adopt_result = 0;
	assert_int_equal(toy_load(&rig, bytes, len - 1), -EBADMSG);
	assert_still_fresh(&rig);
	assert_int_equal(toy_load(&rig, (const uint8_t *)"garbage, no stream", 18), -EBADMSG);
	assert_int_equal(toy_load(&rig, bytes, 0), -EBADMSG);
	assert_still_fresh(&rig);
	assert_int_equal(rig.failures, 6);
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	assert_int_equal(toy->value, 5);
	toy_rig_free(&rig);
}

static void test_parameters_must_fit(void **state)
{
	struct gw_session_config config = {0};
	struct gw_params *params;
	struct toy_rig rig;
	GW_AUTO_FREE uint8_t *bytes = NULL;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	toy_rig_free(&rig);

	assert_int_equal(gw_params_new(&params, &toy_model), 0);
	assert_int_equal(gw_params_set(params, "limit", 9, NULL), 0);
	config.params = params;
	toy_rig_new(&rig, &config, GW_SHARED);
	gw_params_free(params);
	assert_int_not_equal(toy_load(&rig, bytes, len), 0);
	assert_non_null(strstr(rig.failure.reason, "limit"));
	assert_int_equal(gw_session_device_state(rig.session), GW_DEVICE_FRESH);
	toy_rig_free(&rig);
}

static unsigned handed;

static int take_parked(void *opaque, const struct gw_parked *parked)
{
	const struct gw_parked *want = opaque;

	handed++;
	assert_int_equal(parked->id, want->id);
	assert_int_equal(parked->descs, want->descs);
	assert_int_equal(parked->count, want->count);
	assert_memory_equal(parked->segs, want->segs, want->count * sizeof(want->segs[0]));
	return 0;
}

static void test_parked_elements_travel(void **state)
{
	const struct gw_parked_seg segs[] = {{0x1000, 16, 0}, {UINT64_MAX - 8, 8, 1}};
	struct gw_parked parked = {.id = 3, .descs = 2, .count = 2, .segs = segs};
	GW_AUTO_FREE uint8_t *bytes = NULL;
	struct toy_rig rig;
	size_t len;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	start_and_stop(&rig);
	assert_int_equal(gw_session_park(rig.session, 1, &parked), 0);
	assert_int_equal(toy_save(&rig, &bytes, &len), 0);
	handed = 0;
	assert_int_equal(gw_session_unpark(rig.session, 0, take_parked, &parked), 0);
	assert_int_equal(handed, 0);
	assert_int_equal(gw_session_unpark(rig.session, 1, take_parked, &parked), 0);
	assert_int_equal(handed, 1); /* a save leaves them */
	assert_int_equal(gw_session_unpark(rig.session, 1, take_parked, &parked), 0);
	assert_int_equal(handed, 1);
	toy_rig_free(&rig);

	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(toy_load(&rig, bytes, len - 1), -EBADMSG);
	assert_int_equal(gw_session_unpark(rig.session, 1, take_parked, &parked), 0);
	assert_int_equal(handed, 1); /* nothing of a bad stream is kept */
	assert_int_equal(toy_load(&rig, bytes, len), 0);
	assert_int_equal(gw_session_unpark(rig.session, 1, take_parked, &parked), 0);
	assert_int_equal(handed, 2);
	toy_rig_free(&rig);
}

static void test_unknown_phase(void **state)
{
	struct toy_rig rig;
	int own_fd;

	(void)state;
	toy_rig_new(&rig, NULL, GW_SHARED);
	assert_int_equal(gw_session_transfer(rig.session, false, 1, dup(2), &own_fd), -EINVAL);
	assert_int_equal(gw_session_transfer(rig.session, false, 0, -1, &own_fd), -EBADF);
	assert_int_equal(gw_session_check(rig.session, NULL, NULL), -ENODATA);
	toy_rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_saved_before_it_ran),
		cmocka_unit_test(test_saved_twice),
		cmocka_unit_test(test_save_fails),
		cmocka_unit_test(test_load_fails),
		cmocka_unit_test(test_parameters_must_fit),
		cmocka_unit_test(test_parked_elements_travel),
		cmocka_unit_test(test_unknown_phase),
	};

	gw_log_set_level(GW_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
