/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-canonical.c - the canonical form as it is written: sorted, without off. */
#include <errno.h>
#include <string.h>

#include "cmocka-all.h"
#include "model-example.h"

#define FORM "example.org/device\nacl=on\ncolour=green\nqueues=64\nstate=2\ntag-len=36\n"

static struct gw_params *make(void)
{
	struct gw_params *params;

	assert_int_equal(gw_params_new(&params, &example_model), 0);
	assert_int_equal(gw_params_set(params, "queues", 64, NULL), 0);
	assert_int_equal(gw_params_apply_profile(params, NULL), 0);
	return params;
}

static void test_sorted_and_without_off(void **state)
{
	struct gw_params *params = make();
	char text[GW_CANONICAL_MAX];

	assert_int_equal(gw_params_canonical(params, text, sizeof(text)), strlen(FORM));
	assert_string_equal(text, FORM);
	gw_params_set(params, "queues", 0, NULL);
	gw_params_set(params, "acl", 0, NULL);
	assert_true(gw_params_canonical(params, text, sizeof(text)) > 0);
	assert_string_equal(text, "example.org/device\ncolour=green\nstate=2\ntag-len=36\n");
	gw_params_free(params);
}

static void test_unset_is_not_named(void **state)
{
	struct gw_params *params;
	char text[GW_CANONICAL_MAX];

	assert_int_equal(gw_params_new(&params, &example_model), 0);
	assert_true(gw_params_canonical(params, text, sizeof(text)) > 0);
	assert_string_equal(text, "example.org/device\n");
	gw_params_free(params);
}

static void test_every_size(void **state)
{
	struct gw_params *params = make();
	char text[sizeof(FORM) + 1];

	for (size_t size = 0; size <= sizeof(FORM); size++) {
		memset(text, '#', sizeof(text));
		assert_int_equal(gw_params_canonical(params, text, size),
				 size < sizeof(FORM) ? -ENOSPC : (int)strlen(FORM));
		assert_int_equal(text[size], '#'); /* nothing behind the room given */
	}
	gw_params_free(params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_and_without_off),
		cmocka_unit_test(test_unset_is_not_named),
		cmocka_unit_test(test_every_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
