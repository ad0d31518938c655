/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-params.c - setting values one by one, from numbers and from text. */
#include <errno.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/error.h"
#include "model-example.h"

struct text_case {
	const char *name, *value;
	int result;
	enum gw_refusal refusal;
	int64_t number;
};

static const struct text_case text_cases[] = {
	{"acl", "on", 0, GW_ACCEPTED, 1},
	{"acl", "off", 0, GW_ACCEPTED, 0},
	{"acl", "1", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"acl", "", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"colour", "green", 0, GW_ACCEPTED, 2},
	{"colour", "blue", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"colour", "2", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "0", 0, GW_ACCEPTED, 0}, /* off lies outside of min and max */
	{"queues", "1", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "2", 0, GW_ACCEPTED, 2},
	{"queues", "64", 0, GW_ACCEPTED, 64},
	{"queues", "65", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "02", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "+2", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "-0", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", " 2", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "0x2", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"queues", "18446744073709551618", -EINVAL, GW_VALUE_NOT_ALLOWED, 0}, /* 2^64 + 2 */
	{"tag-len", "0", -EINVAL, GW_VALUE_NOT_ALLOWED, 0},
	{"nothing", "1", -EINVAL, GW_PARAM_UNKNOWN, 0},
	{"", "1", -EINVAL, GW_PARAM_UNKNOWN, 0},
};

static void test_text(void **state)
{
	for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
		const struct text_case *c = &text_cases[i];
		enum gw_refusal refusal = GW_COMBINATION_REFUSED;
		struct gw_params *params;

		assert_int_equal(gw_params_new(&params, &example_model), 0);
		assert_int_equal(gw_params_set_text(params, c->name, c->value, &refusal),
				 c->result);
		assert_int_equal(refusal, c->refusal);
		if (!c->result)
			assert_int_equal(gw_params_get(params, c->name, -7), c->number);
		else if (c->refusal != GW_PARAM_UNKNOWN)
			assert_false(gw_params_is_set(params, c->name));
		gw_params_free(params);
	}
}

static void test_numbers(void **state)
{
	struct gw_params *params, *copy;
	enum gw_refusal refusal;

	assert_int_equal(gw_params_new(&params, &example_model), 0);
	assert_ptr_equal(gw_params_model(params), &example_model);
	assert_int_equal(gw_params_get(params, "colour", 77), 77);
	assert_int_equal(gw_params_set(params, "colour", 3, &refusal), -EINVAL);
	assert_int_equal(refusal, GW_VALUE_NOT_ALLOWED);
	assert_non_null(strstr(gw_last_error(), "colour"));
	assert_int_equal(gw_params_set(params, "colour", -1, NULL), -EINVAL);
	assert_int_equal(gw_params_set(params, "acl", 2, NULL), -EINVAL);
	assert_int_equal(gw_params_set(params, "colour", 1, &refusal), 0);
	assert_int_equal(refusal, GW_ACCEPTED);
	assert_int_equal(gw_params_copy(&copy, params), 0);
	assert_int_equal(gw_params_set(params, "colour", 2, NULL), 0);
	assert_int_equal(gw_params_get(copy, "colour", 0), 1);
	gw_params_free(copy);
	gw_params_free(params);
	gw_params_free(NULL);
}

static void test_wrong_tables_are_refused(void **state)
{
	static const struct gw_param twice[] = {
		{.name = "a", .type = GW_PARAM_BOOL}, {.name = "a", .type = GW_PARAM_BOOL}, {NULL}};
	static const struct gw_param shouting[] = {{.name = "A", .type = GW_PARAM_BOOL}, {NULL}};
	static const struct gw_param empty_enum[] = {{.name = "a", .type = GW_PARAM_ENUM}, {NULL}};
	static const struct gw_param strange_off[] = {
		{.name = "a", .type = GW_PARAM_BOOL, .off = 2}, {NULL}};
	const struct gw_model wrong[] = {
		{.name = "example.org/x", .params = twice},
		{.name = "example.org/x", .params = shouting},
		{.name = "example.org/x", .params = empty_enum},
		{.name = "example.org/x", .params = strange_off},
		{.name = "no-path"},
		{.name = "/x"},
		{.name = "example.org/"},
		{.name = "example.org/x y"},
	};
	struct gw_params *params;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(gw_params_new(&params, &wrong[i]), -EINVAL);
}

static void test_reasons_have_names(void **state)
{
	static const char *const names[] = {"accepted",
					    "model-unknown",
					    "param-unknown",
					    "value-not-allowed",
					    "param-required",
					    "param-differs",
					    "combination-refused",
					    "state-format-unreadable",
					    "prerequisite-missing",
					    "no-capacity",
					    "checker-refused",
					    "cannot-tell"};

	for (int i = GW_ACCEPTED; i <= GW_CANNOT_TELL; i++)
		assert_string_equal(gw_refusal_name((enum gw_refusal)i), names[i]);
	assert_string_equal(gw_refusal_name((enum gw_refusal) - 1), "unknown");
	assert_string_equal(gw_refusal_name((enum gw_refusal)(GW_CANNOT_TELL + 1)), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_wrong_tables_are_refused),
		cmocka_unit_test(test_reasons_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
