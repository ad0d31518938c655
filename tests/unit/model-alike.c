/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/model-alike.c - documents are read alike whether or not their models are known
 * already: the same is accepted, the same refused, with the same sentence. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "godwit/error.h"
#include "model/alike.h"
#include "model/compat.h"

#define MODELS                                                                      \
	"{\"example.org/x\": {\"params\": {\"q\": {\"type\": \"int\", \"off\": 1, " \
	"\"min\": 1, \"max\": 4}}, \"profiles\": {\"1\": {}, \"2\": {\"q\": 2}}, "  \
	"\"default\": \"2\", \"available_instances\": 3}}"
#define OTHER_MODELS \
	"{\"example.org/y\": {\"params\": {\"r}\": 1}}, \"x\\\"}\": 1, \"example.org/x\": 1}"
#define LIKE(before, after) "{" before "\"models\": " MODELS after "}"
#define FORMAT		    "\"format\": 1, "

/* Read in this order by one reader; those that are refused are refused for what is around, or in.
 */
static const char *const documents[] = {
	LIKE(FORMAT, ""),
	LIKE(FORMAT, ""),
	LIKE(FORMAT "\"implementation\": {\"name\": \"a\", \"build\": \"1\"}, ", ""),
	LIKE(FORMAT "\"provides\": [\"cap:x\", \"access:write\"], ", ", \"requires\": [\"k:v\"]"),
	LIKE(FORMAT, "") "\n",
	LIKE(FORMAT, "") "x",
	LIKE(FORMAT, "}"),
	LIKE(FORMAT, "]"),
	LIKE(FORMAT, ","),
	LIKE(FORMAT, ", \"format\": 1"),
	LIKE(FORMAT, ", \"models\": {}"),
	LIKE(FORMAT, ", \"mod\\u0065ls\": {}"),
	LIKE(FORMAT "\"models\": {}, ", ""),
	LIKE(FORMAT, ", \"provides\": 1"),
	LIKE("\"format\": 2, ", ""),
	LIKE("", ""),
	LIKE(FORMAT "\"x\": {\"models\": 1}, ", ""),
	LIKE(FORMAT "\"x\": \"models\", ", ""),
	LIKE(FORMAT "\"x\": \"\\\"models\\\": {\", ", ""),
	LIKE(FORMAT "\"x\": [\"models\", {}], ", ""),
	LIKE(FORMAT "\"x\": [\"]\", ", "]"),
	"{" FORMAT "\"x\": {\"models\": " MODELS "}}",
	"{" FORMAT "\"x\": {\"models\": " MODELS "}, \"models\": " MODELS "}",
	"[" LIKE(FORMAT, "") "]",
	"{" FORMAT "\"mod\\u0065ls\": " MODELS "}",
	"{" FORMAT "\"models\": " MODELS MODELS "}",
	"{" FORMAT "\"models\" " MODELS "}",
	"{" FORMAT "\"models\": \"" MODELS "\"}",
	"{" FORMAT "\"models\": [" MODELS "]}",
	"{" FORMAT "\"models\": {}}",
	LIKE(FORMAT, ""),
	"{" FORMAT "\"models\": " OTHER_MODELS "}",
	"{" FORMAT "\"models\": " OTHER_MODELS "}",
	"{" FORMAT "\"models\"\n:\t" MODELS "}",
	"{" FORMAT "\"models\": ",
	"{" FORMAT "\"models\":",
	"{" FORMAT "\"models\"",
	"{" FORMAT "\"models",
	"{" FORMAT "\"models\": {\"a\\",
	"{",
	"",
	"   ",
};

/* Whatever can be asked of it, as one text. */
static char *told(const struct gw_compat_implementation *it)
{
	const struct gw_model *model;
	const char *word;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (unsigned i = 0; (model = gw_compat_implementation_model(it, i)); i++) {
		fprintf(out, "%s room %ld default %s\n", model->name,
			(long)gw_compat_implementation_available(it, model),
			model->default_profile);
		for (const struct gw_param *p = model->params; p->name; p++)
			fprintf(out, "%s %ld-%ld\n", p->name, (long)p->min, (long)p->max);
		for (const struct gw_profile *p = model->profiles; p->name; p++)
			for (const struct gw_setting *s = p->settings; s->name; s++)
				fprintf(out, "%s: %s=%ld\n", p->name, s->name, (long)s->value);
	}
	for (unsigned i = 0; (word = gw_compat_implementation_provides(it, i)); i++)
		fprintf(out, "provides %s\n", word);
	for (unsigned i = 0; (word = gw_compat_implementation_requires(it, i)); i++)
		fprintf(out, "requires %s\n", word);
	word = gw_compat_implementation_program(it, "name");
	fprintf(out, "name %s of %s\n", word ? word : "-", gw_compat_implementation_name(it));
	fclose(out);
	return text;
}

static void expect_same(struct gw_alike *alike, const char *text, size_t len)
{
	struct gw_compat_implementation *plain = NULL, *known = NULL;
	char *sentence;
	int err = gw_compat_implementation_parse(&plain, "h", text, len);

	sentence = strdup(err ? gw_last_error() : "");
	gw_set_error("nothing");
	assert_int_equal(gw_alike_parse(alike, &known, "h", text, len), err);
	if (err) {
		assert_string_equal(gw_last_error(), sentence);
		assert_null(known);
	} else {
		char *left = told(plain), *right = told(known);

		assert_string_equal(left, right);
		free(left);
		free(right);
	}
	free(sentence);
	gw_compat_implementation_free(plain);
	gw_compat_implementation_free(known);
}

static void test_same_answers(void **state)
{
	struct gw_alike *alike;

	assert_int_equal(gw_alike_new(&alike), 0);
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++)
		expect_same(alike, documents[i], strlen(documents[i]));
	gw_alike_free(alike);
}

/* Cut anywhere, and with any byte of it another, after the whole is known. */
static void test_damaged(void **state)
{
	const char *whole = LIKE(FORMAT "\"provides\": [\"a:b\"], ", ", \"requires\": [\"k:v\"]");
	size_t len = strlen(whole);
	struct gw_alike *alike;
	char *damaged = strdup(whole);

	assert_int_equal(gw_alike_new(&alike), 0);
	expect_same(alike, whole, len);
	for (size_t i = 0; i < len; i++) {
		expect_same(alike, whole, i);
		for (const char *c = "{}[]\",:\\m 0\x01\xff"; *c; c++) {
			damaged[i] = *c;
			expect_same(alike, damaged, len);
		}
		damaged[i] = whole[i];
	}
	free(damaged);
	gw_alike_free(alike);
}

/* That it is for something: what was read once is not read again. */
static void test_models_are_lent(void **state)
{
	const char *first = LIKE(FORMAT, ""), *second = LIKE(FORMAT "\"provides\": [], ", "");
	struct gw_compat_implementation *lender, *borrower;
	struct gw_alike *alike;

	assert_int_equal(gw_alike_new(&alike), 0);
	assert_int_equal(gw_alike_parse(alike, &lender, "a", first, strlen(first)), 0);
	assert_int_equal(gw_alike_parse(alike, &borrower, "b", second, strlen(second)), 0);
	assert_ptr_equal(gw_compat_implementation_model(lender, 0)->params,
			 gw_compat_implementation_model(borrower, 0)->params);
	/* Both may outlive what read them, and the lender be freed first. */
	gw_compat_implementation_free(lender);
	gw_alike_free(alike);
	assert_string_equal(gw_compat_implementation_model(borrower, 0)->name, "example.org/x");
	gw_compat_implementation_free(borrower);
}

/* What differs is how much room there is: known all the same, and told right. Where a number only
 * looks like that, or is none, it is the document that is read. */
#define ROOM(room, more)                                                                       \
	"{" FORMAT "\"models\": {\"example.org/x\": {\"available_instances\": " room ", " more \
	"\"params\": {}}, \"example.org/y\": {\"params\": {}, \"available_instances\":5}}}"
#define NOT_ROOM(room)                                                                         \
	"{" FORMAT "\"models\": {\"example.org/x\": {\"params\": {\"q\": {\"type\": \"int\", " \
	"\"available_instances\": " room                                                       \
	", \"min\": 1, \"max\": 4}}, \"available_instances\": 1}}}"
#define SAID(room)                                                                              \
	"{" FORMAT "\"models\": {\"example.org/x\": {\"params\": {\"q\": {\"type\": \"bool\", " \
	"\"description\": \"\\\"available_instances\\\": " room                                 \
	"\"}}, \"available_instances\": 2}}}"

static void test_room(void **state)
{
	static const char *const texts[] = {
		ROOM("3", ""),
		ROOM("0", ""),
		ROOM("12", ""),
		ROOM("999999999", ""),
		ROOM("1", ""),
		ROOM("7 ", ""),
		ROOM("1234567890", ""),
		ROOM("-1", ""),
		ROOM("01", ""),
		ROOM("1.0", ""),
		ROOM("1e2", ""),
		ROOM("null", ""),
		ROOM("\"3\"", ""),
		ROOM("", ""),
		ROOM("99999999999999999999", ""),
		ROOM("3", "\"x\": 1, "),
		ROOM("4", "\"x\": 1, "),
		ROOM("4", "\"available_instances\": 4, "),
		NOT_ROOM("1"),
		NOT_ROOM("2"),
		NOT_ROOM("\"x\""),
		SAID("1"),
		SAID("2"),
		SAID("x"),
		LIKE(FORMAT, ""),
	};
	struct gw_alike *alike;

	for (unsigned first = 0; first < sizeof(texts) / sizeof(texts[0]); first++) {
		assert_int_equal(gw_alike_new(&alike), 0);
		expect_same(alike, texts[first], strlen(texts[first]));
		for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
			expect_same(alike, texts[i], strlen(texts[i]));
		gw_alike_free(alike);
	}
}

static void test_room_is_no_difference(void **state)
{
	const char *first = ROOM("3", ""), *second = ROOM("40", "");
	struct gw_compat_implementation *lender, *borrower;
	const struct gw_model *model;
	struct gw_alike *alike;

	assert_int_equal(gw_alike_new(&alike), 0);
	assert_int_equal(gw_alike_parse(alike, &lender, "a", first, strlen(first)), 0);
	assert_int_equal(gw_alike_parse(alike, &borrower, "b", second, strlen(second)), 0);
	model = gw_compat_implementation_model(lender, 0);
	assert_int_equal(gw_compat_implementation_available(lender, model), 3);
	assert_ptr_equal(model->params, gw_compat_implementation_model(borrower, 0)->params);
	assert_int_equal(gw_compat_implementation_available(borrower, model), 40);
	gw_compat_implementation_free(lender);
	gw_compat_implementation_free(borrower);
	gw_alike_free(alike);
}

/* More texts than are kept, twice over, while what was read of the first ones is still in use. */
static void test_many(void **state)
{
	struct gw_compat_implementation *kept[300];
	struct gw_alike *alike;

	assert_int_equal(gw_alike_new(&alike), 0);
	for (unsigned i = 0; i < 300; i++) {
		char text[256], name[16];

		snprintf(text, sizeof(text),
			 "{\"format\": 1, \"models\": {\"example.org/x%u\": {\"params\": {}}}}",
			 i % 150);
		snprintf(name, sizeof(name), "h%u", i);
		assert_int_equal(gw_alike_parse(alike, &kept[i], name, text, strlen(text)), 0);
		expect_same(alike, text, strlen(text));
	}
	gw_alike_free(alike);
	for (unsigned i = 0; i < 300; i++) {
		char name[32];

		snprintf(name, sizeof(name), "example.org/x%u", i % 150);
		assert_string_equal(gw_compat_implementation_model(kept[i], 0)->name, name);
		gw_compat_implementation_free(kept[i]);
	}
}

/* Long ones: few are kept; one that is too long is not, and read all the same. */
static void test_long(void **state)
{
	static char text[80 * 1024];
	struct gw_alike *alike;

	assert_int_equal(gw_alike_new(&alike), 0);
	for (unsigned i = 0; i < 60; i++) {
		int len = (i % 12 + 1) * 6000;

		snprintf(text, sizeof(text),
			 "{\"format\": 1, \"models\": {\"example.org/x%u\": {\"params\": {}, "
			 "\"x\": \"%0*d\"}}}",
			 i % 20, len, 0);
		expect_same(alike, text, strlen(text));
		expect_same(alike, text, strlen(text));
	}
	gw_alike_free(alike);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_models_are_lent),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_is_no_difference),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
