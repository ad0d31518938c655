/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/legacy.c - "-o" lists as long options. */
#include "cmocka-all.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/legacy.h"
#include "godwit/error.h"

static char **expanded;

/* @text is cut at blanks; the outcome is put together again with blanks. */
static int expand(const char *text, char *joined, size_t size)
{
	char copy[512];
	char *argv[16] = {(char *)"prog"};
	int argc = 1, count, err;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	argv[argc] = NULL;
	err = gw_legacy_expand(argc, argv, &expanded, &count);
	if (err)
		return err;
	joined[0] = 0;
	assert_null(expanded[count]);
	for (int i = 1; i < count; i++) {
		strncat(joined, expanded[i], size - strlen(joined) - 1);
		strncat(joined, i + 1 < count ? " " : "", size - strlen(joined) - 1);
	}
	free(expanded);
	return 0;
}

static void expect(const char *text, const char *expected)
{
	char joined[1024];

	assert_int_equal(expand(text, joined, sizeof(joined)), 0);
	assert_string_equal(joined, expected);
}

static void test_lists(void **state)
{
	(void)state;
	expect("--fd=3 -o source=/srv,cache=none,xattr --xattrmap :ok:all:::",
	       "--fd=3 --shared-dir=/srv --cache=never --xattr --xattrmap :ok:all:::");
	expect("-olog_level=err,xattrmap=:map::user.v.:",
	       "--log-level=error --xattrmap=:map::user.v.:");
	expect("-o no_xattr,no_writeback,readdirplus,posix_lock,no_flock", "");
	expect("-o no_readdirplus -o posix_acl,no_killpriv_v2,no_security_label",
	       "--no-readdirplus --posix-acl --no-killpriv-v2 --security-label=never");
	expect("-o sandbox=chroot,modcaps=+sys_admin:-chown",
	       "--sandbox=chroot --modcaps=+sys_admin:-chown");
	expect("-d -f", "-d -f");
	expect("--output -", "--output -");
}

/* libvirt writes a comma in a path twice; an equals sign in it is one. */
static void test_commas(void **state)
{
	(void)state;
	expect("-o source=/srv/a,,b,,,,c=d,cache=none", "--shared-dir=/srv/a,b,,c=d --cache=never");
	expect("-o xattr,source=/srv/a,,", "--xattr --shared-dir=/srv/a,");
	expect("--shared-dir=/srv/a,,b", "--shared-dir=/srv/a,,b");
}

static void test_nonsense(void **state)
{
	static const char *const wrong[] = {"-o",	 "-o nothing", "-o source",  "-o xattr=1",
					    "-o ,xattr", "-o =x",      "-o xattr,,d"};
	char joined[64];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(expand(wrong[i], joined, sizeof(joined)), -EINVAL);
	expect("-o cache=auto,", "--cache=auto");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_commas),
		cmocka_unit_test(test_nonsense),
	};

	gw_log_set_level(GW_LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
