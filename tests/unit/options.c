/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/options.c - command lines against a table: values, and one sentence for each mistake.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "base/options.h"
#include "godwit/error.h"

struct first {
	bool flag;
	const char *text;
	unsigned number;
	int word, maybe;
	uint64_t size;
	struct gw_texts texts;
};
struct second {
	bool help;
	const char *needed, *old;
};

static const char *const words[] = {"red", "green", NULL};
static const struct gw_option first_options[] = {
	{"flag", NULL, "a flag", offsetof(struct first, flag), GW_OPTION_FLAG},
	{"text", "TEXT", "a text", offsetof(struct first, text), GW_OPTION_STRING, .max = 5},
	{"number", "N", "a number", offsetof(struct first, number), GW_OPTION_NUMBER, .min = 2,
	 .max = 40},
	{"word", "WORD", "a word", offsetof(struct first, word), GW_OPTION_WORD, .words = words},
	{"maybe", "WORD", "or not", offsetof(struct first, maybe), GW_OPTION_WORD, .words = words,
	 .implied = "green", .rare = true},
	{"size", "SIZE", "bytes", offsetof(struct first, size), GW_OPTION_SIZE, .rare = true},
	{"each", "X", "each time", offsetof(struct first, texts), GW_OPTION_LIST, .rare = true},
	{NULL},
};
static const struct gw_option second_options[] = {
	{"help", NULL, "print this", offsetof(struct second, help), GW_OPTION_FLAG, .letter = 'h'},
	{"needed", "X", "is needed", offsetof(struct second, needed), GW_OPTION_STRING,
	 .required = true},
	{"old", "X", "never shown", offsetof(struct second, old), GW_OPTION_STRING,
	 .instead = "--needed"},
	{NULL},
};

static struct first first;
static struct second second;
static const struct gw_option_table tables[] = {
	{"first", first_options, &first}, {"second", second_options, &second}, {NULL}};
static struct gw_command_line line = {.program = "prog", .summary = "Sum.", .tables = tables};
static int operand;

/* @text is split at blanks; its pieces live until the next call. */
static int parse(const char *text)
{
	static char copy[1024];
	char *argv[80] = {(char *)"prog"};
	int argc = 1;

	first = (struct first){.number = 7};
	second = (struct second){0};
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	return gw_options_parse(&line, argc, argv, &operand);
}

static void test_all_kinds(void **state)
{
	assert_int_equal(parse("--flag --text abcde --number=40 --word green --needed="
			       "--strange"),
			 0);
	assert_true(first.flag);
	assert_string_equal(first.text, "abcde");
	assert_int_equal(first.number, 40);
	assert_int_equal(first.word, 1);
	assert_string_equal(second.needed, "--strange");
}

static void test_sizes(void **state)
{
	static const struct {
		const char *arguments;
		uint64_t size;
	} good[] = {
		{"--needed x --size 1", 1},
		{"--needed x --size 64K", 65536},
		{"--needed x --size=4M", 4 << 20},
		{"--needed x --size 2G", UINT64_C(2) << 30},
		{"--needed x --size 16777215T", UINT64_C(16777215) << 40},
	};
	static const char *const bad[] = {
		"0", "-1", "K", "1k", "1KB", "1KK", "16777216T", "1.5M", "99999999999999999999"};
	char text[64];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i].arguments), 0);
		assert_true(first.size == good[i].size);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), "--needed x --size=%s", bad[i]);
		assert_int_equal(parse(text), -EINVAL);
		assert_non_null(strstr(gw_last_error(), "--size"));
	}
}

static void test_defaults_stay(void **state)
{
	assert_int_equal(parse("--needed x"), 0);
	assert_false(first.flag);
	assert_null(first.text);
	assert_int_equal(first.number, 7);
}

static void test_mistakes(void **state)
{
	static const struct {
		const char *arguments, *sentence;
	} wrong[] = {
		{"", "--needed is required"},
		{"--needed", "--needed needs a value"},
		{"--needed=", "not empty"},
		{"--needed a --needed b", "given twice"},
		{"--needed a --flag --flag", "given twice"},
		{"--needed a --flag=yes", "takes no value"},
		{"--needed a --text abcdef", "longer than 5"},
		{"--needed a --number 1", "from 2 to 40"},
		{"--needed a --number 41", "from 2 to 40"},
		{"--needed a --number -3", "from 2 to 40"},
		{"--needed a --number +3", "from 2 to 40"},
		{"--needed a --number 3x", "from 2 to 40"},
		{"--needed a --number 4294967299", "from 2 to 40"},
		{"--needed a --number 99999999999999999999999", "from 2 to 40"},
		{"--needed a --word blue", "none of red, green"},
		{"--needed a --nothing", "unknown option --nothing"},
		{"--needed a --fla", "unknown option --fla"},
		{"--needed a -x", "-x"},
		{"--needed a -ha", "-ha"},
		{"--needed a --", "unknown option"},
		{"--needed a thing", "'thing' is not expected"},
		{"--needed a -", "'-' is not expected"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(parse(wrong[i].arguments), -EINVAL);
		assert_non_null(strstr(gw_last_error(), wrong[i].sentence));
	}
}

static void test_help_ends_the_reading(void **state)
{
	assert_int_equal(parse("-h --nothing"), 0);
	assert_true(second.help);
	assert_int_equal(parse("--help"), 0);
	assert_true(second.help);
}

static void test_value_may_be_left_out(void **state)
{
	assert_int_equal(parse("--maybe --needed red"), 0);
	assert_int_equal(first.maybe, 1);
	assert_string_equal(second.needed, "red");
	assert_int_equal(parse("--maybe=red --needed x"), 0);
	assert_int_equal(first.maybe, 0);
	assert_int_equal(parse("--maybe= --needed x"), -EINVAL);
}

static void test_lists_grow(void **state)
{
	char text[GW_TEXTS_MAX * 9 + 32] = "--needed x";

	assert_int_equal(parse("--each a --needed x --each=b"), 0);
	assert_int_equal(first.texts.count, 2);
	assert_string_equal(first.texts.text[0], "a");
	assert_string_equal(first.texts.text[1], "b");
	for (int i = 0; i < GW_TEXTS_MAX; i++)
		strcat(text, " --each=a");
	assert_int_equal(parse(text), 0);
	assert_int_equal(first.texts.count, GW_TEXTS_MAX);
	strcat(text, " --each=a");
	assert_int_equal(parse(text), -EINVAL);
}

static char logged[128];

static void keep(void *opaque, enum gw_log_level level, const char *text)
{
	snprintf(logged, sizeof(logged), "%s", text);
}

static void test_deprecated_warns(void **state)
{
	gw_log_set_sink(keep, NULL);
	assert_int_equal(parse("--old x --needed y"), 0);
	gw_log_set_sink(NULL, NULL);
	assert_string_equal(logged, "option --old is deprecated: use --needed");
	assert_string_equal(second.old, "x");
}

static void test_operands(void **state)
{
	line.operands = "THING...";
	assert_int_equal(parse("--needed y a b - c"), 0);
	assert_int_equal(operand, 3);
	assert_int_equal(parse("--needed y - a"), 0);
	assert_int_equal(operand, 3);
	assert_int_equal(parse("--needed y -- --flag"), 0);
	assert_int_equal(operand, 4);
	assert_false(first.flag);
	assert_int_equal(parse("--needed y -- a --flag -x --"), 0);
	assert_int_equal(operand, 4);
	assert_int_equal(parse("--needed y"), 0);
	assert_int_equal(operand, 3);
	line.operands = NULL;
}

/* It would be taken for an operand otherwise, and the option missed. */
static void test_options_come_before_operands(void **state)
{
	static const char *const wrong[] = {"a --flag",	   "a b --flag", "a -h", "- --help",
					    "a --nothing", "a -- b",	 "a --"};
	char text[64];

	line.operands = "THING...";
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "--needed y %s", wrong[i]);
		assert_int_equal(parse(text), -EINVAL);
		assert_non_null(strstr(gw_last_error(), "options come before operands"));
	}
	line.operands = NULL;
}

static void test_more_rows_than_fit(void **state)
{
	static struct gw_option many[GW_OPTIONS_MAX + 2];
	static char names[GW_OPTIONS_MAX + 1][8];
	const struct gw_option_table many_tables[] = {{"many", many, &first}, {NULL}};
	const struct gw_command_line many_line = {
		.program = "prog", .summary = "Sum.", .tables = many_tables};
	char *argv[] = {(char *)"prog", NULL};

	for (unsigned i = 0; i <= GW_OPTIONS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "o%u", i);
		many[i] = (struct gw_option){.name = names[i], .help = "a flag"};
	}
	assert_int_equal(gw_options_parse(&many_line, 1, argv, NULL), -EINVAL);
	many[GW_OPTIONS_MAX].name = NULL;
	assert_int_equal(gw_options_parse(&many_line, 1, argv, NULL), 0);
}

static void test_help_text(void **state)
{
	static const char rare[] = "  --maybe[=WORD]                or not\n";
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	gw_options_help(&line, false, out);
	fclose(out);
	assert_string_equal(text, "usage: prog [OPTIONS]\nSum.\n"
				  "first:\n"
				  "  --flag                        a flag\n"
				  "  --text TEXT                   a text\n"
				  "  --number N                    a number\n"
				  "  --word WORD                   a word\n"
				  "second:\n"
				  "  --help, -h                    print this\n"
				  "  --needed X                    is needed\n");
	free(text);
	out = open_memstream(&text, &size);
	gw_options_help(&line, true, out);
	fclose(out);
	assert_non_null(strstr(text, rare));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_kinds),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_defaults_stay),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_help_ends_the_reading),
		cmocka_unit_test(test_value_may_be_left_out),
		cmocka_unit_test(test_lists_grow),
		cmocka_unit_test(test_deprecated_warns),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_options_come_before_operands),
		cmocka_unit_test(test_more_rows_than_fit),
		cmocka_unit_test(test_help_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
