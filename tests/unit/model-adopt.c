/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-adopt.c - what a stream's header says, against an instance; every refusal. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/error.h"
#include "model-example.h"

#define M "example.org/device\n"

struct adopt_case {
	const char *own_name, *own_value; /* one parameter set here, or NULL */
	const char *text;
	int result;
	enum gw_refusal refusal;
	const char *sentence; /* a part of it */
};

static const struct adopt_case cases[] = {
	{NULL, NULL, M "tag-len=36\n", 0, GW_ACCEPTED, NULL},
	{NULL, NULL, M "acl=on\ncolour=red\nqueues=2\nstate=3\ntag-len=1\n", 0, GW_ACCEPTED, NULL},
	{"acl", "on", M "acl=on\ntag-len=36\n", 0, GW_ACCEPTED, NULL},
	{"acl", "off", M "tag-len=36\n", 0, GW_ACCEPTED, NULL},

	{NULL, NULL, "example.org/other\ntag-len=36\n", -EINVAL, GW_MODEL_UNKNOWN,
	 "example.org/other"},
	{NULL, NULL, M "later=7\ntag-len=36\n", -EINVAL, GW_PARAM_UNKNOWN, "later"},
	{NULL, NULL, M "colour=blue\ntag-len=36\n", -EINVAL, GW_VALUE_NOT_ALLOWED, "blue"},
	{NULL, NULL, M "queues=65\ntag-len=36\n", -EINVAL, GW_VALUE_NOT_ALLOWED, "queues"},
	{NULL, NULL, M "queues=002\ntag-len=36\n", -EINVAL, GW_VALUE_NOT_ALLOWED, "queues"},
	{NULL, NULL, M "queues=99999999999999999999\ntag-len=36\n", -EINVAL, GW_VALUE_NOT_ALLOWED,
	 "queues"},
	{NULL, NULL, M, -EINVAL, GW_PARAM_REQUIRED, "tag-len"},
	{"acl", "on", M "tag-len=36\n", -EINVAL, GW_PARAM_DIFFERS, "source has off"},
	{"acl", "off", M "acl=on\ntag-len=36\n", -EINVAL, GW_PARAM_DIFFERS, "source has on"},
	{"tag-len", "35", M "tag-len=36\n", -EINVAL, GW_PARAM_DIFFERS, "tag-len"},
	{NULL, NULL, M "state=4\ntag-len=36\n", -EINVAL, GW_STATE_FORMAT_UNREADABLE,
	 "reads 1 to 3"},

	/* No canonical form at all. */
	{NULL, NULL, "", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "begin"},
	{NULL, NULL, "\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "begin"},
	{NULL, NULL, "example.org/device", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "begin"},
	{NULL, NULL, "example.org/dev%sice\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "begin"},
	{NULL, NULL, M "tag-len=36", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "cut"},
	{NULL, NULL, M "tag-len=36\n\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "name=value"},
	{NULL, NULL, M "tag-len\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "name=value"},
	{NULL, NULL, M "=36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "tag-len=\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "tag-len=3=6\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "tag-len= 36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "tag-len=36\r\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "TAG-LEN=36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "forbidden"},
	{NULL, NULL, M "tag-len=36\nacl=on\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "sorted"},
	{NULL, NULL, M "tag-len=36\ntag-len=36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "twice"},
	{NULL, NULL, M "acl=off\ntag-len=36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "off value"},
	{NULL, NULL, M "state=1\ntag-len=36\n", -EBADMSG, GW_STATE_FORMAT_UNREADABLE, "off value"},
};

static void check_complete(const struct gw_params *adopted, const char *text)
{
	char again[GW_CANONICAL_MAX];

	for (const struct gw_param *p = example_params; p->name; p++)
		assert_true(gw_params_is_set(adopted, p->name));
	assert_int_equal(gw_params_canonical(adopted, again, sizeof(again)), strlen(text));
	assert_string_equal(again, text);
}

static void run_case(const struct adopt_case *c)
{
	enum gw_refusal refusal = GW_COMBINATION_REFUSED;
	struct gw_params *own, *adopted = NULL;

	assert_int_equal(gw_params_new(&own, &example_model), 0);
	if (c->own_name)
		assert_int_equal(gw_params_set_text(own, c->own_name, c->own_value, NULL), 0);
	assert_int_equal(gw_params_adopt(own, c->text, strlen(c->text), &adopted, &refusal),
			 c->result);
	assert_int_equal(refusal, c->refusal);
	if (c->result) {
		assert_null(adopted);
		assert_non_null(strstr(gw_last_error(), c->sentence));
	} else {
		check_complete(adopted, c->text);
	}
	gw_params_free(adopted);
	gw_params_free(own);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		run_case(&cases[i]);
}

static void test_absent_means_off(void **state)
{
	struct gw_params *own, *adopted;

	assert_int_equal(gw_params_new(&own, &example_model), 0);
	assert_int_equal(
		gw_params_adopt(own, M "tag-len=36\n", strlen(M "tag-len=36\n"), &adopted, NULL),
		0);
	assert_int_equal(gw_params_get(adopted, "state", -1), 1);
	assert_int_equal(gw_params_get(adopted, "queues", -1), 0);
	assert_int_equal(gw_params_get(adopted, "colour", -1), 0);
	gw_params_free(adopted);
	gw_params_free(own);
}

static void test_nul_bytes_and_lengths(void **state)
{
	static const char nul[] = M "tag-len=3\0006\n";
	static char big[2 * GW_CANONICAL_MAX];
	enum gw_refusal refusal;
	struct gw_params *own, *adopted;

	assert_int_equal(gw_params_new(&own, &example_model), 0);
	assert_int_equal(gw_params_adopt(own, nul, sizeof(nul) - 1, &adopted, &refusal), -EBADMSG);
	memset(big, 'a', sizeof(big));
	memcpy(big, M, strlen(M));
	assert_int_equal(gw_params_adopt(own, big, sizeof(big), &adopted, &refusal), -EBADMSG);
	assert_int_equal(refusal, GW_STATE_FORMAT_UNREADABLE);
	big[1000] = '\n';
	assert_int_equal(gw_params_adopt(own, big, 1001, &adopted, &refusal), -EBADMSG);
	gw_params_free(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_absent_means_off),
		cmocka_unit_test(test_nul_bytes_and_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
