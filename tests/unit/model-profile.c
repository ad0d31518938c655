/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-profile.c - a profile fills what is unset, and nothing else. */
#include <errno.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/error.h"
#include "model-example.h"

static int set_up(void **state)
{
	return gw_params_new((struct gw_params **)state, &example_model);
}

static int tear_down(void **state)
{
	gw_params_free(*state);
	return 0;
}

static void test_default(void **state)
{
	struct gw_params *params = *state;

	assert_int_equal(gw_params_apply_profile(params, NULL), 0);
	assert_int_equal(gw_params_get(params, "state", 0), 2);
	assert_int_equal(gw_params_get(params, "colour", 0), 2);
	assert_true(gw_params_is_set(params, "queues"));
	assert_int_equal(gw_params_get(params, "queues", -1), 0);
}

static void test_what_is_set_stays(void **state)
{
	struct gw_params *params = *state;

	assert_int_equal(gw_params_set_text(params, "colour", "red", NULL), 0);
	assert_int_equal(gw_params_apply_profile(params, "v2"), 0);
	assert_int_equal(gw_params_get(params, "colour", 0), 1);
	assert_int_equal(gw_params_get(params, "acl", 0), 1);
}

static void test_failure_changes_nothing(void **state)
{
	static const char *const bad[] = {"v9", "", "incomplete", "misspelt"};
	struct gw_params *params = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(gw_params_apply_profile(params, bad[i]), -EINVAL);
		assert_non_null(strstr(gw_last_error(), bad[i]));
		for (const struct gw_param *p = example_params; p->name; p++)
			assert_false(gw_params_is_set(params, p->name));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_set_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failure_changes_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
