/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/error.c - sentences and numbers, log levels, the sink. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "godwit/error.h"

static void test_fail_leaves_both(void **state)
{
	(void)state;
	assert_int_equal(gw_fail(ENOENT, "file %s: not there", "x"), -ENOENT);
	assert_string_equal(gw_last_error(), "file x: not there");
	assert_int_equal(gw_fail_in(-ENOENT, "load"), -ENOENT);
	assert_string_equal(gw_last_error(), "load: file x: not there");
}

static void test_nothing_steers_a_terminal(void **state)
{
	(void)state;
	gw_fail(EINVAL, "name '%s'", "a\nb\033[2J\177z\t");
	assert_string_equal(gw_last_error(), "name 'a?b?[2J?z?'");
	gw_fail_in(-EINVAL, "in %s", "x\ry\n \303\244");
	assert_string_equal(gw_last_error(), "in x?y? \303\244: name 'a?b?[2J?z?'");
}

static void test_long_sentence_is_cut(void **state)
{
	char big[4096];

	(void)state;
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	gw_fail(EINVAL, "%s", big);
	assert_int_equal(strlen(gw_last_error()), GW_ERROR_MAX - 1);
	gw_fail_in(-EINVAL, "%s", big);
	assert_int_equal(strlen(gw_last_error()), GW_ERROR_MAX - 1);
}

static char seen[256];
static int lines;

static void sink(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	strncpy(seen, line, sizeof(seen) - 1);
	lines++;
}

static void test_levels(void **state)
{
	enum gw_log_level level;

	(void)state;
	gw_log_set_sink(sink, NULL);
	gw_log_set_level(GW_LOG_WARN);
	gw_info("no");
	assert_int_equal(lines, 0);
	gw_warn("a\nb\033");
	assert_string_equal(seen, "a?b?");
	lines = 0;
	gw_warn("yes %d", 1);
	assert_int_equal(lines, 1);
	assert_string_equal(seen, "yes 1");
	gw_log_set_level(GW_LOG_OFF);
	gw_error("no");
	assert_int_equal(lines, 1);
	assert_int_equal(gw_log_level_parse("trace", &level), 0);
	assert_int_equal(level, GW_LOG_TRACE);
	assert_int_equal(gw_log_level_parse("loud", &level), -EINVAL);
	gw_log_set_sink(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail_leaves_both),
		cmocka_unit_test(test_nothing_steers_a_terminal),
		cmocka_unit_test(test_long_sentence_is_cut),
		cmocka_unit_test(test_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
