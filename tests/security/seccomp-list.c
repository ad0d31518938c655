/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/seccomp-list.c - docs/security.md and the tables of system calls say the same, and
 * workers may make fewer than sixty. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../unit/cmocka-all.h"

#include "base/cleanup.h"
#include "daemon/seccomp.h"

#define WORKER_CALLS_MAX 59
#define RULES_MAX	 256

/* What is common and what is added to it, as gw_seccomp_prepare() has them. */
static struct gw_seccomp_rule share_rules[RULES_MAX], port_rules[RULES_MAX];

static void join(struct gw_seccomp_rule *all, const struct gw_seccomp_rule *added)
{
	unsigned n = 0;

	for (const struct gw_seccomp_rule *rule = gw_seccomp_common_rules; rule->call; rule++)
		all[n++] = *rule;
	for (const struct gw_seccomp_rule *rule = added; rule->call; rule++)
		all[n++] = *rule;
	assert_in_range(n, 1, RULES_MAX - 1);
}

static int join_both(void **state)
{
	(void)state;
	join(share_rules, gw_seccomp_rules);
	join(port_rules, gw_seccomp_port_rules);
	return 0;
}

static unsigned kinds_of(const char *call)
{
	unsigned kinds = 0;

	for (const struct gw_seccomp_rule *rule = share_rules; rule->call; rule++) {
		if (!strcmp(rule->call, call))
			kinds |= rule->kinds & ~GW_KIND_SYSLOG;
	}
	return kinds;
}

/* Who may really make it, and is not only answered. */
static unsigned makers_of(const char *call)
{
	unsigned kinds = 0;

	for (const struct gw_seccomp_rule *rule = share_rules; rule->call; rule++) {
		if (!strcmp(rule->call, call) && !rule->error)
			kinds |= rule->kinds;
	}
	return kinds;
}

static bool is_first(const struct gw_seccomp_rule *rule)
{
	for (const struct gw_seccomp_rule *earlier = share_rules; earlier < rule; earlier++) {
		if (!strcmp(earlier->call, rule->call))
			return false;
	}
	return true;
}

static unsigned count(unsigned kinds)
{
	unsigned n = 0;

	for (const struct gw_seccomp_rule *rule = share_rules; rule->call; rule++)
		n += is_first(rule) && (makers_of(rule->call) & kinds);
	return n;
}

static void test_workers_have_few(void **state)
{
	(void)state;
	assert_in_range(count(GW_KIND_WORKER), 30, WORKER_CALLS_MAX);
}

/* A filter cannot give what the maker's took. */
static void test_the_control_thread_has_all(void **state)
{
	(void)state;
	for (const struct gw_seccomp_rule *rule = share_rules; rule->call; rule++)
		assert_true(kinds_of(rule->call) & GW_KIND_CONTROL);
}

/* Who holds a port has no root of his own: nothing is done by a path but that his sockets' names
 * go. */
static void test_a_port_needs_no_files(void **state)
{
	static const char *const never[] = {
		"openat2",  "unlinkat", "renameat2", "linkat",	"mkdirat", "symlinkat", "mknodat",
		"fchmodat", "fchownat", "utimensat", "connect", "execve",  "ptrace"};

	(void)state;
	for (const struct gw_seccomp_rule *rule = port_rules; rule->call; rule++) {
		assert_true(rule->kinds & GW_KIND_CONTROL);
		assert_true(strcmp(rule->call, "openat") != 0 || rule->error);
		assert_true(strcmp(rule->call, "socket") != 0 || rule->mask);
		for (unsigned i = 0; i < sizeof(never) / sizeof(never[0]); i++)
			assert_string_not_equal(rule->call, never[i]);
	}
}

static bool is_same(const struct gw_seccomp_rule *a, const struct gw_seccomp_rule *b)
{
	return !strcmp(a->call, b->call) && a->argument == b->argument && a->mask == b->mask &&
	       a->value == b->value;
}

/* What all need is said once: nobody adds a row of it again. */
static void assert_added(const struct gw_seccomp_rule *added)
{
	for (; added->call; added++)
		for (const struct gw_seccomp_rule *rule = gw_seccomp_common_rules; rule->call;
		     rule++)
			if (is_same(added, rule))
				fail_msg("%s: is among the common ones", added->call);
}

static void test_nothing_common_is_added(void **state)
{
	(void)state;
	assert_added(gw_seccomp_rules);
	assert_added(gw_seccomp_port_rules);
}

/* The word in backquotes at the line's beginning, and "x" where the columns say so. */
static unsigned parse_row(char *line, char **call)
{
	static const unsigned columns[] = {GW_KIND_WORKER, GW_KIND_TRANSFER, GW_KIND_CONTROL};
	unsigned kinds = 0;
	char *rest = line, *cell = strsep(&rest, "`");

	if (strcmp(cell, "| ") || !rest)
		return 0;
	*call = strsep(&rest, "`");
	if (!rest)
		return 0;
	strsep(&rest, "|");
	for (unsigned i = 0; i < 3 && rest; i++)
		kinds |= strchr(strsep(&rest, "|"), 'x') ? columns[i] : 0;
	return kinds;
}

static void test_page_and_table_agree(void **state)
{
	GW_AUTO_FCLOSE FILE *page = fopen(GODWIT_SOURCE "/docs/security.md", "re");
	char line[512], *call;
	unsigned rows = 0; /* less those that are only answered */

	(void)state;
	assert_non_null(page);
	while (fgets(line, sizeof(line), page)) {
		bool made = !strstr(line, "never made");
		unsigned kinds = parse_row(line, &call);

		if (!kinds)
			continue;
		rows += made;
		if ((kinds_of(call) & ~GW_KIND_WATCH) != kinds)
			fail_msg("%s: the page says %x, the table %x", call, kinds, kinds_of(call));
	}
	assert_int_equal(rows, count(~0u));
}

/* "`read`, `write`, ..." behind these words. */
#define WATCH_LINE "The thread of `--watch` may make "

static void test_watching_takes_few(void **state)
{
	GW_AUTO_FCLOSE FILE *page = fopen(GODWIT_SOURCE "/docs/security.md", "re");
	char line[1024] = "", *call, *at = line + strlen(WATCH_LINE);
	unsigned listed = 0;

	(void)state;
	assert_non_null(page);
	while (strncmp(line, WATCH_LINE, strlen(WATCH_LINE)))
		assert_non_null(fgets(line, sizeof(line), page));
	while (strsep(&at, "`") && at && (call = strsep(&at, "`"))) {
		if (!(makers_of(call) & GW_KIND_WATCH))
			fail_msg("%s: the page has it for watching, the table has not", call);
		listed++;
	}
	assert_int_equal(listed, count(GW_KIND_WATCH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_have_few),
		cmocka_unit_test(test_the_control_thread_has_all),
		cmocka_unit_test(test_page_and_table_agree),
		cmocka_unit_test(test_watching_takes_few),
		cmocka_unit_test(test_a_port_needs_no_files),
		cmocka_unit_test(test_nothing_common_is_added),
	};

	return cmocka_run_group_tests(tests, join_both, NULL);
}
