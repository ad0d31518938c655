/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-documents.c - documents as they are read: what is accepted, and how each error
 * names document, member and what was expected. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/compat.h"
#include "godwit/error.h"

#define MODEL "\"example.org/x\""

struct refusal {
	const char *text;
	const char *sentence; /* a part of it */
};

static const struct refusal instances[] = {
	{"", "line 1"},
	{"[]", "no JSON object"},
	{"7", "line 1"},
	{"{}", "'format' is not a number"},
	{"{\"format\": \"1\"}", "'format' is not a number"},
	{"{\"format\": 2, \"model\": " MODEL ", \"params\": {}}", "format is 2"},
	{"{\"format\": 1, \"format\": 1}", "duplicate"},
	{"{\"format\": 1, \"params\": {}}", "'model' is not a name"},
	{"{\"format\": 1, \"model\": \"x\", \"params\": {}}", "'model' is not a name"},
	{"{\"format\": 1, \"model\": \"a/b\\n\", \"params\": {}}", "'model' is not a name"},
	{"{\"format\": 1, \"model\": " MODEL "}", "'params' is not an object"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": []}", "'params' is not an object"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"A\": 1}}", "names of [a-z0-9-]+"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": 1.5}}", "'params.a' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": null}}", "'params.a' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": {}}}", "'params.a' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": \"x y\"}}",
	 "'params.a' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": 1, \"a\": 1}}", "duplicate"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {\"a\": 9223372036854775808}}",
	 "line 1"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {}, \"requires\": 1}",
	 "'requires' is not an array"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {}, \"requires\": [\"a b\"]}",
	 "'requires' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {}, \"requires\": [1]}",
	 "'requires' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {}, \"unset\": [\"A\"]}",
	 "'unset' is not"},
	{"{\"format\": 1, \"model\": " MODEL ", \"params\": {}, \"profile\": 1}",
	 "'profile' is not a name"},
};

#define WITH_PARAM(p) "{\"format\": 1, \"models\": {" MODEL ": {\"params\": {\"q\": " p "}}}}"
#define WITH_REST(r)                          \
	"{\"format\": 1, \"models\": {" MODEL \
	": {\"params\": {\"q\": {\"type\": \"int\", \"min\": 1, \"max\": 4}}, " r "}}}"

static const struct refusal implementations[] = {
	{"{\"format\": 1}", "'models' is not an object"},
	{"{\"format\": 1, \"models\": 1}", "'models' is not an object"},
	{"{\"format\": 1, \"models\": {\"x\": {}}}", "names <domain>/<path>"},
	{"{\"format\": 1, \"models\": {" MODEL ": 1}}", "'models.example.org/x' is not an object"},
	{"{\"format\": 1, \"models\": {" MODEL ": {}}}", "'models.example.org/x.params' is not"},
	{"{\"format\": 1, \"models\": {}, \"implementation\": 1}", "'implementation' is not"},
	{"{\"format\": 1, \"models\": {}, \"implementation\": {\"name\": \"\\u001b[2J\"}}",
	 "'implementation.name' is not"},
	{"{\"format\": 1, \"models\": {}, \"provides\": {}}", "'provides' is not"},
	{"{\"format\": 1, \"models\": {}, \"provides\": [\"\"]}", "'provides' is not"},
	{WITH_PARAM("1"), "'models.example.org/x.params.q.type' is not bool, int or enum"},
	{WITH_PARAM("{\"type\": \"str\"}"), "params.q.type' is not bool, int or enum"},
	{WITH_PARAM("{\"type\": \"int\", \"max\": 1}"), "params.q.min' is not an integer"},
	{WITH_PARAM("{\"type\": \"int\", \"min\": 1}"), "params.q.max' is not an integer"},
	{WITH_PARAM("{\"type\": \"int\", \"min\": 2, \"max\": 1}"),
	 "params.q.max' is not at least"},
	{WITH_PARAM("{\"type\": \"int\", \"min\": 1, \"max\": 2, \"off\": true}"),
	 "params.q.off' is not a value"},
	{WITH_PARAM("{\"type\": \"bool\", \"off\": 0}"), "params.q.off' is not a value"},
	{WITH_PARAM("{\"type\": \"enum\"}"), "params.q.values' is not"},
	{WITH_PARAM("{\"type\": \"enum\", \"values\": []}"), "params.q.values' is not"},
	{WITH_PARAM("{\"type\": \"enum\", \"values\": [\"a\", \"a\"]}"), "that differ"},
	{WITH_PARAM("{\"type\": \"enum\", \"values\": [\"a\"], \"off\": \"b\"}"),
	 "params.q.off' is not a value"},
	{WITH_REST("\"profiles\": 1"), "'models.example.org/x.profiles' is not"},
	{WITH_REST("\"profiles\": {\"a b\": {}}"), "x.profiles' is not"},
	{WITH_REST("\"profiles\": {\"v1\": 1}"), "profiles.v1' is not an object"},
	{WITH_REST("\"profiles\": {\"v1\": {}}"), "profiles.v1.q' is not stated"},
	{WITH_REST("\"profiles\": {\"v1\": {\"q\": 5}}"), "profiles.v1.q' is not a value"},
	{WITH_REST("\"profiles\": {\"v1\": {\"r\": 5}}"), "profiles.v1' is not"},
	{WITH_REST("\"default\": \"v9\""), "x.default' is not one of its profiles"},
	{WITH_REST("\"state\": 1"), "x.state' is not"},
	{WITH_REST("\"state\": {\"read\": 1}"), "x.state.read' is not"},
	{WITH_REST("\"state\": {\"read\": [true]}"), "x.state.read' is not"},
	{WITH_REST("\"available_instances\": -1"), "x.available_instances' is not"},
};

static void expect(int err, const char *sentence)
{
	if (err != -EBADMSG || strncmp(gw_last_error(), "host-b: ", 8) != 0 ||
	    !strstr(gw_last_error(), sentence))
		fail_msg("%d, '%s' was expected, and came: %s", err, sentence, gw_last_error());
}

static void test_instances_refused(void **state)
{
	struct gw_compat_instance *instance = NULL;

	for (size_t i = 0; i < sizeof(instances) / sizeof(instances[0]); i++)
		expect(gw_compat_instance_parse(&instance, "host-b", instances[i].text,
						strlen(instances[i].text)),
		       instances[i].sentence);
	assert_null(instance);
}

static void test_implementations_refused(void **state)
{
	struct gw_compat_implementation *implementation = NULL;

	for (size_t i = 0; i < sizeof(implementations) / sizeof(implementations[0]); i++)
		expect(gw_compat_implementation_parse(&implementation, "host-b",
						      implementations[i].text,
						      strlen(implementations[i].text)),
		       implementations[i].sentence);
	assert_null(implementation);
}

static void test_an_instance(void **state)
{
	static const char text[] =
		"{\"format\": 1, \"model\": " MODEL ", \"colour\": {\"deep\": [1, 2.5, null]}, "
		"\"profile\": \"v2\", \"requires\": [\"cap:x\"], \"unset\": [\"later\"], "
		"\"params\": {\"z\": true, \"a\": -5, \"m\": \"red\"}}";
	static const char *const names[] = {"a", "m", "z"}, *const values[] = {"-5", "red", "on"};
	struct gw_compat_instance *instance;
	const char *value;

	assert_int_equal(gw_compat_instance_parse(&instance, "i", text, strlen(text)), 0);
	assert_string_equal(gw_compat_instance_model(instance), "example.org/x");
	assert_string_equal(gw_compat_instance_profile(instance), "v2");
	for (unsigned i = 0; i < 3; i++) {
		assert_string_equal(gw_compat_instance_param(instance, i, &value), names[i]);
		assert_string_equal(value, values[i]);
	}
	assert_null(gw_compat_instance_param(instance, 3, &value));
	assert_string_equal(gw_compat_instance_requires(instance, 0), "cap:x");
	assert_null(gw_compat_instance_requires(instance, 1));
	assert_string_equal(gw_compat_instance_unset(instance, 0), "later");
	gw_compat_instance_free(instance);
}

static void test_an_implementation(void **state)
{
	static const char text[] = WITH_REST(
		"\"profiles\": {\"v1\": {\"q\": 2}}, \"default\": \"v1\", \"warp\": [[]], "
		"\"state\": {\"read\": [1, 2]}, \"available_instances\": 3");
	struct gw_compat_implementation *implementation;
	const struct gw_model *model;

	assert_int_equal(gw_compat_implementation_parse(&implementation, "i", text, strlen(text)),
			 0);
	model = gw_compat_implementation_model(implementation, 0);
	assert_ptr_equal(gw_compat_implementation_find(implementation, "example.org/x"), model);
	assert_null(gw_compat_implementation_model(implementation, 1));
	assert_null(gw_compat_implementation_find(implementation, "example.org/y"));
	assert_string_equal(model->params[0].name, "q");
	assert_true(model->params[0].no_off);
	assert_string_equal(model->default_profile, "v1");
	assert_int_equal(model->profiles[0].settings[0].value, 2);
	assert_int_equal(gw_compat_implementation_available(implementation, model), 3);
	assert_null(gw_compat_implementation_provides(implementation, 0));
	assert_null(gw_compat_implementation_program(implementation, "name"));
	gw_compat_implementation_free(implementation);
}

static void test_bounds(void **state)
{
	struct gw_compat_instance *instance = NULL;
	char *big = malloc(GW_DOCUMENT_MAX + 1);

	memset(big, ' ', GW_DOCUMENT_MAX + 1);
	assert_int_equal(gw_compat_instance_parse(&instance, "i", big, GW_DOCUMENT_MAX + 1),
			 -EFBIG);
	memset(big, '[', GW_DOCUMENT_MAX);
	assert_int_equal(gw_compat_instance_parse(&instance, "i", big, GW_DOCUMENT_MAX), -EBADMSG);
	assert_non_null(strstr(gw_last_error(), "in each other"));
	free(big);
}

static void test_canonical(void **state)
{
	static const char form[] = "example.org/x\nacl=on\nqueues=64\n";
	static const char *const bad[] = {"",
					  "example.org/x",
					  "x\n",
					  "example.org/x\nacl",
					  "example.org/x\nacl\n",
					  "example.org/x\nz=1\na=1\n",
					  "example.org/x\na=1\na=1\n",
					  "example.org/x\nA=1\n",
					  "example.org/x\n\n"};
	struct gw_compat_instance *instance = NULL;
	char again[GW_CANONICAL_MAX];
	const char *value;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			gw_compat_instance_canonical(&instance, "s", bad[i], strlen(bad[i]), NULL),
			-EBADMSG);
	assert_null(instance);
	assert_int_equal(gw_compat_instance_canonical(&instance, "s", form, strlen(form),
						      " cap:x  shared-backing:1 "),
			 0);
	assert_string_equal(gw_compat_instance_param(instance, 1, &value), "queues");
	assert_string_equal(value, "64");
	assert_string_equal(gw_compat_instance_requires(instance, 0), "cap:x");
	assert_string_equal(gw_compat_instance_requires(instance, 1), "shared-backing:1");
	assert_int_equal(gw_compat_fingerprint(instance, NULL, again, sizeof(again)), strlen(form));
	assert_string_equal(again, form);
	assert_int_equal(gw_compat_fingerprint(instance, NULL, again, 8), -ENOSPC);
	gw_compat_instance_free(instance);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_instances_refused),
		cmocka_unit_test(test_implementations_refused),
		cmocka_unit_test(test_an_instance),
		cmocka_unit_test(test_an_implementation),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_canonical),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
