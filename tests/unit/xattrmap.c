/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/xattrmap.c - rules for names of extended attributes: what they say, and what is none.
 */
#include "cmocka-all.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/xattrmap.h"

static struct fs_xattrmap *made(const char *text)
{
	struct fs_xattrmap *map = NULL;

	assert_int_equal(fs_xattrmap_new(&map, text), 0);
	return map;
}

/* NULL: what the call must be refused with is @err. */
static void to_host(const struct fs_xattrmap *map, const char *name, const char *expected, int err)
{
	char host[FS_XATTR_NAME_MAX + 1];

	assert_int_equal(fs_xattrmap_to_host(map, name, host), err);
	if (expected)
		assert_string_equal(host, expected);
}

static void to_guest(const struct fs_xattrmap *map, const char *name, const char *expected)
{
	const char *guest = fs_xattrmap_to_guest(map, name);

	assert_int_equal(!guest, !expected);
	if (expected)
		assert_string_equal(guest, expected);
}

static void test_prefix_everything(void **state)
{
	static const char *const spellings[] = {
		":prefix:all::user.virtiofs.::bad:all:::", ":map::user.virtiofs.:",
		" /map//user.virtiofs./\n"};
	uint32_t id = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct fs_xattrmap *map = made(spellings[i]);

		to_host(map, "trusted.x", "user.virtiofs.trusted.x", 0);
		to_guest(map, "user.virtiofs.trusted.x", "trusted.x");
		to_guest(map, "security.selinux", NULL);
		to_guest(map, "user.virtiofs.", NULL);
		assert_string_equal(fs_xattrmap_capability(map),
				    "user.virtiofs.security.capability");
		assert_true(!id || fs_xattrmap_id(map) == id);
		id = fs_xattrmap_id(map);
		assert_int_not_equal(id, 0);
		fs_xattrmap_free(map);
	}
}

static void test_prefix_some(void **state)
{
	static const char *const spellings[] = {
		"/prefix/all/trusted./user.virtiofs./\n"
		"/bad/server//trusted./ \t/bad/client/user.virtiofs.//"
		"/ok/all///",
		"/map/trusted./user.virtiofs./"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct fs_xattrmap *map = made(spellings[i]);

		to_host(map, "trusted.x", "user.virtiofs.trusted.x", 0);
		to_host(map, "user.a", "user.a", 0);
		to_host(map, "user.virtiofs.trusted.x", NULL, -EPERM);
		to_guest(map, "user.virtiofs.trusted.x", "trusted.x");
		to_guest(map, "trusted.host", NULL);
		to_guest(map, "user.a", "user.a");
		assert_null(fs_xattrmap_capability(map));
		fs_xattrmap_free(map);
	}
}

static void test_first_match_wins(void **state)
{
	struct fs_xattrmap *map = made(":ok:client:user.a::"
				       ":unsupported:client:user.::"
				       ":bad:server::security.:"
				       ":unsupported:server::trusted.:"
				       ":ok:server:::");

	(void)state;
	to_host(map, "user.abc", "user.abc", 0);
	to_host(map, "user.b", NULL, -EOPNOTSUPP);
	to_host(map, "system.x", NULL, -EPERM); /* no rule fits */
	to_guest(map, "security.x", NULL);
	to_guest(map, "trusted.x", NULL);
	to_guest(map, "user.b", "user.b");
	fs_xattrmap_free(map);
	map = made(":ok:client:::");
	to_guest(map, "user.b", NULL);
	fs_xattrmap_free(map);
}

static void test_lists(void **state)
{
	struct fs_xattrmap *map = made(":map:trusted.:user.kept.:");
	char names[] = "user.a\0trusted.b\0user.kept.trusted.c\0user.d";

	(void)state;
	assert_int_equal(fs_xattrmap_list(map, names, sizeof(names)), 7 + 10 + 7);
	assert_memory_equal(names, "user.a\0trusted.c\0user.d", 7 + 10 + 7);
	assert_int_equal(fs_xattrmap_list(map, names, 0), 0);
	/* A name without its end is none. */
	assert_int_equal(fs_xattrmap_list(map, names, 9), 7);
	assert_int_equal(fs_xattrmap_list(NULL, names, 9), 9);
	fs_xattrmap_free(map);
}

static void test_long_names(void **state)
{
	struct fs_xattrmap *map = made(":map::user.v.:");
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[FS_XATTR_NAME_MAX - 7] = 0;
	to_host(map, name, NULL, 0);
	name[FS_XATTR_NAME_MAX - 7] = 'n';
	name[FS_XATTR_NAME_MAX - 6] = 0;
	to_host(map, name, NULL, -ERANGE);
	name[FS_XATTR_NAME_MAX - 6] = 'n';
	name[FS_XATTR_NAME_MAX + 1] = 0;
	to_host(NULL, name, NULL, -ERANGE);
	fs_xattrmap_free(map);
}

static void test_no_rules(void **state)
{
	static const char *const wrong[] = {
		"",
		" \n",
		":",
		":ok",
		":ok:all",
		":ok:all::",
		":okay:all:::",
		"::all:::",
		":ok:both:::",
		":ok::::",
		":prefix:all:a:b",
		":map:a:b:c:",
		":map:a:b::ok:all:::",
		":map:a:",
		":ok:all:::junk",
		":ok:all:::/ok/all//",
	};
	struct fs_xattrmap *map = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(fs_xattrmap_new(&map, wrong[i]), -EINVAL);
		assert_null(map);
	}
}

static void test_bounds(void **state)
{
	char text[FS_XATTRMAP_TEXT_MAX + 2] = "";
	struct fs_xattrmap *map = NULL;

	(void)state;
	for (int i = 0; i < FS_XATTRMAP_RULES_MAX; i++)
		strcat(text, ":ok:all:::");
	fs_xattrmap_free(made(text));
	strcat(text, ":ok:all:::");
	assert_int_equal(fs_xattrmap_new(&map, text), -EINVAL);
	memset(text, ' ', sizeof(text) - 1);
	memcpy(text, ":ok:all:::", 10);
	text[FS_XATTRMAP_TEXT_MAX] = 0;
	fs_xattrmap_free(made(text));
	text[FS_XATTRMAP_TEXT_MAX] = ' ';
	text[FS_XATTRMAP_TEXT_MAX + 1] = 0;
	assert_int_equal(fs_xattrmap_new(&map, text), -EINVAL);
	memset(text, 'k', 300);
	memcpy(text, ":ok:all:", 8);
	memcpy(text + 8 + FS_XATTR_NAME_MAX + 1, "::", 3);
	assert_int_equal(fs_xattrmap_new(&map, text), -EINVAL);
	memcpy(text + 8 + FS_XATTR_NAME_MAX, "::", 3);
	fs_xattrmap_free(made(text));
}

static void test_ids_tell_rules_apart(void **state)
{
	struct fs_xattrmap *a = made(":ok:all:a::"), *b = made(":ok:all::a:"),
			   *c = made(":bad:all:a::");

	(void)state;
	assert_int_equal(fs_xattrmap_id(NULL), 0);
	assert_int_not_equal(fs_xattrmap_id(a), fs_xattrmap_id(b));
	assert_int_not_equal(fs_xattrmap_id(a), fs_xattrmap_id(c));
	fs_xattrmap_free(a);
	fs_xattrmap_free(b);
	fs_xattrmap_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix_everything),
		cmocka_unit_test(test_prefix_some),
		cmocka_unit_test(test_first_match_wins),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_no_rules),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_ids_tell_rules_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
