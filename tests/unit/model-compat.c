/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-compat.c - an instance against an implementation: each reason, and the order of
 * those that fit. */
#include <stdio.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/compat.h"
#include "godwit/error.h"

#define MODEL "example.org/device"
/* ' is written for ". */
#define DESTINATION                                                                         \
	"{'format': 1, 'provides': ['cap:dac', 'shared-backing:11'], 'models': {'" MODEL    \
	"': {'params': {'state': {'type': 'int', 'off': 1, 'min': 1, 'max': 4},"            \
	"'queues': {'type': 'int', 'off': 0, 'min': 2, 'max': 64},"                         \
	"'len': {'type': 'int', 'min': 36, 'max': 36},"                                     \
	"'colour': {'type': 'enum', 'off': 'none', 'values': ['none', 'red']},"             \
	"'acl': {'type': 'bool', 'off': false}},"                                           \
	"'profiles': {'v1': {'len': 36}, 'v2': {'len': 36, 'acl': true}}, 'default': 'v2'," \
	"'state': {'read': [1, 2, 4]}}}}"

struct compat_case {
	const char *source; /* members beside format and model */
	const char *codes;  /* "code:subject " each */
	enum gw_verdict verdict;
};

static const struct compat_case cases[] = {
	{"'params': {'len': 36}", "", GW_COMPATIBLE},
	{"'params': {'len': 36, 'acl': true, 'colour': 'red', 'queues': 2, 'state': 2}", "",
	 GW_COMPATIBLE},
	/* Off lies outside of the range, and is accepted. */
	{"'params': {'len': 36, 'queues': 0}", "", GW_COMPATIBLE},
	{"'params': {}", "param-required:len ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'rss': false}", "param-unknown:rss ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'queues': 1}", "value-not-allowed:queues ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'queues': 65}", "value-not-allowed:queues ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'queues': '2'}", "value-not-allowed:queues ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'queues': true}", "value-not-allowed:queues ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'acl': 1}", "value-not-allowed:acl ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'acl': 'on'}", "value-not-allowed:acl ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'colour': 'blue'}", "value-not-allowed:colour ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'state': 5}", "state-format-unreadable:state ", GW_INCOMPATIBLE},
	{"'params': {'len': 36, 'state': 3}", "state-format-unreadable:state ", GW_INCOMPATIBLE},
	{"'params': {'len': 36}, 'requires': ['cap:dac', 'shared-backing:11'], 'x': [{'y': 1}]", "",
	 GW_COMPATIBLE},
	{"'params': {'len': 36}, 'requires': ['shared-backing:12']",
	 "prerequisite-missing:shared-backing:12 ", GW_INCOMPATIBLE},
	{"'params': {'len': 36}, 'requires': ['shared-backing:unknown']",
	 "cannot-tell:shared-backing:unknown ", GW_VERDICT_UNKNOWN},
	{"'params': {}, 'unset': ['len', 'acl']", "cannot-tell:" MODEL " ", GW_VERDICT_UNKNOWN},
	/* All of them, and no is no whatever else is open. */
	{"'params': {'a': 1, 'b': 2, 'queues': 99}, 'unset': ['acl']",
	 "param-unknown:a param-unknown:b value-not-allowed:queues param-required:len "
	 "cannot-tell:" MODEL " ",
	 GW_INCOMPATIBLE},
};

static const char *quote(const char *text, char *to)
{
	size_t i = 0;

	do
		to[i] = (char)(text[i] == '\'' ? '"' : text[i]);
	while (text[i++]);
	return to;
}

static struct gw_compat_instance *source_of(const char *members, const char *model)
{
	char text[4096], quoted[4096];
	struct gw_compat_instance *instance;

	snprintf(text, sizeof(text), "{'format': 1, 'model': '%s', %s}", model, members);
	quote(text, quoted);
	if (gw_compat_instance_parse(&instance, "host-a", quoted, strlen(quoted)))
		fail_msg("%s: %s", gw_last_error(), quoted);
	return instance;
}

static struct gw_compat_implementation *destination_of(const char *text)
{
	struct gw_compat_implementation *implementation;
	char quoted[4096];

	quote(text, quoted);
	if (gw_compat_implementation_parse(&implementation, "host-b", quoted, strlen(quoted)))
		fail_msg("%s", gw_last_error());
	return implementation;
}

static void expect(const struct gw_compat_report *report, const char *codes,
		   enum gw_verdict verdict)
{
	char seen[1024] = "";

	for (unsigned i = 0; i < gw_compat_report_count(report); i++) {
		const struct gw_compat_reason *reason = gw_compat_report_reason(report, i);
		size_t len = strlen(seen);

		snprintf(seen + len, sizeof(seen) - len, "%s:%s ", gw_refusal_name(reason->code),
			 reason->subject);
		assert_non_null(strstr(reason->text, "host-"));
	}
	assert_string_equal(seen, codes);
	assert_int_equal(gw_compat_report_verdict(report), verdict);
}

static void check(const char *members, const char *model, const char *destination,
		  const char *codes, enum gw_verdict verdict)
{
	struct gw_compat_implementation *implementation = destination_of(destination);
	struct gw_compat_instance *instance = source_of(members, model);
	struct gw_compat_report *report;

	assert_int_equal(gw_compat_report_new(&report), 0);
	assert_int_equal(gw_compat_check(instance, implementation, report), 0);
	expect(report, codes, verdict);
	gw_compat_report_free(report);
	gw_compat_instance_free(instance);
	gw_compat_implementation_free(implementation);
}

static void test_cases(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(cases[i].source, MODEL, DESTINATION, cases[i].codes, cases[i].verdict);
}

static void test_the_destination(void **state)
{
	check("'params': {}", "example.org/other", DESTINATION, "model-unknown:example.org/other ",
	      GW_INCOMPATIBLE);
	check("'params': {}, 'requires': ['cap:x']", MODEL,
	      "{'format': 1, 'models': {'" MODEL "': {'params': {}}}}", "cannot-tell:cap:x ",
	      GW_VERDICT_UNKNOWN);
	check("'params': {}, 'requires': ['cap:x']", MODEL,
	      "{'format': 1, 'provides': ['cap:unknown'], 'models': {'" MODEL "': {'params': {}}}}",
	      "cannot-tell:cap:x ", GW_VERDICT_UNKNOWN);
	check("'params': {}", MODEL,
	      "{'format': 1, 'models': {'" MODEL "': {'params': {}, 'available_instances': 0}}}",
	      "no-capacity:" MODEL " ", GW_INCOMPATIBLE);
	check("'params': {}", MODEL,
	      "{'format': 1, 'models': {'" MODEL "': {'params': {}, 'available_instances': 1}}}",
	      "", GW_COMPATIBLE);
	/* Absence is layout 1. */
	check("'params': {}", MODEL,
	      "{'format': 1, 'models': {'" MODEL "': {'params': {}, 'state': {'read': [2, 3]}}}}",
	      "state-format-unreadable:state ", GW_INCOMPATIBLE);
}

static void check_made(const char *source, const char *made, const char *codes)
{
	struct gw_compat_implementation *implementation = destination_of(DESTINATION);
	struct gw_compat_instance *from = source_of(source, MODEL), *to;
	char text[512], quoted[512];
	struct gw_compat_report *report;

	snprintf(text, sizeof(text), "{'format': 1, 'model': '" MODEL "', %s}", made);
	quote(text, quoted);
	assert_int_equal(gw_compat_instance_parse(&to, "host-b", quoted, strlen(quoted)), 0);
	assert_int_equal(gw_compat_report_new(&report), 0);
	assert_int_equal(gw_compat_check_made(from, to, implementation, report), 0);
	expect(report, codes, *codes ? GW_INCOMPATIBLE : GW_COMPATIBLE);
	gw_compat_report_free(report);
	gw_compat_instance_free(from);
	gw_compat_instance_free(to);
	gw_compat_implementation_free(implementation);
}

static void test_made(void **state)
{
	check_made("'params': {'len': 36, 'acl': true}", "'params': {'len': 36, 'acl': true}", "");
	check_made("'params': {'len': 36, 'acl': true}", "'params': {}, 'unset': ['len', 'acl']",
		   "");
	check_made("'params': {'len': 36, 'acl': false}", "'params': {'len': 36}", "");
	check_made("'params': {'len': 36, 'acl': true}", "'params': {'len': 36}",
		   "param-differs:acl ");
	check_made("'params': {'len': 36}", "'params': {'len': 36, 'acl': true, 'queues': 16}",
		   "param-differs:acl param-differs:queues ");
}

static void test_order(void **state)
{
	static const struct gw_compat_rank exact = {true, false, 9}, named = {false, true, 9},
					   near = {false, false, 1}, far = {false, false, 2};

	assert_true(gw_compat_rank_compare(&exact, "z", &named, "a") < 0);
	assert_true(gw_compat_rank_compare(&named, "z", &near, "a") < 0);
	assert_true(gw_compat_rank_compare(&near, "z", &far, "a") < 0);
	assert_true(gw_compat_rank_compare(&near, "z", &near, "a") > 0);
	assert_int_equal(gw_compat_rank_compare(&near, "a", &near, "a"), 0);
}

static void test_rank(void **state)
{
	static const struct {
		const char *source;
		struct gw_compat_rank rank;
	} ranks[] = {
		{"'params': {'len': 36, 'acl': true}", {true, false, 0}},
		{"'params': {'len': 36}", {true, false, 1}},
		{"'params': {'len': 36, 'colour': 'none'}, 'profile': 'v1'", {true, true, 1}},
		{"'params': {'len': 36, 'queues': 2}, 'profile': 'v2'", {false, true, 2}},
		{"'params': {'len': 36, 'acl': true, 'queues': 2}, 'profile': 'v3'",
		 {false, false, 1}},
	};
	struct gw_compat_implementation *implementation = destination_of(DESTINATION);

	for (size_t i = 0; i < sizeof(ranks) / sizeof(ranks[0]); i++) {
		struct gw_compat_instance *instance = source_of(ranks[i].source, MODEL);
		struct gw_compat_rank rank;

		gw_compat_rank(instance, implementation, &rank);
		assert_int_equal(rank.exact, ranks[i].rank.exact);
		assert_int_equal(rank.same_profile, ranks[i].rank.same_profile);
		assert_int_equal(rank.changed, ranks[i].rank.changed);
		gw_compat_instance_free(instance);
	}
	gw_compat_implementation_free(implementation);
}

/* Two ways to say the same. */
static void test_fingerprint(void **state)
{
	struct gw_compat_implementation *implementation = destination_of(DESTINATION);
	struct gw_compat_instance *one = source_of("'params': {'len': 36, 'acl': true}", MODEL);
	struct gw_compat_instance *other = source_of(
		"'params': {'queues': 0, 'acl': true, 'len': 36, 'colour': 'none'}", MODEL);
	const struct gw_model *model = gw_compat_implementation_find(implementation, MODEL);
	char first[GW_CANONICAL_MAX], second[GW_CANONICAL_MAX];

	assert_true(gw_compat_fingerprint(one, model, first, sizeof(first)) > 0);
	assert_true(gw_compat_fingerprint(other, model, second, sizeof(second)) > 0);
	assert_string_equal(first, second);
	assert_string_equal(first, MODEL "\nacl=on\nlen=36\n");
	gw_compat_instance_free(one);
	gw_compat_instance_free(other);
	gw_compat_implementation_free(implementation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_the_destination),
		cmocka_unit_test(test_made),  cmocka_unit_test(test_order),
		cmocka_unit_test(test_rank),  cmocka_unit_test(test_fingerprint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
