/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/names.c - no name leads out of the share, and what is no name is refused. */
#include "../common/fuse_client.h"

#include <stdio.h>

static struct fuse_client client;

static const char *const bad_names[] = {"", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a/"};

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	share_file(&client, "file", "x");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static void test_one_name(void **state)
{
	static const uint32_t opcodes[] = {FUSE_LOOKUP, FUSE_UNLINK, FUSE_RMDIR};
	struct fuse_created created;
	struct fuse_entry_out entry;

	(void)state;
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
		const char *name = bad_names[i];

		for (size_t o = 0; o < sizeof(opcodes) / sizeof(opcodes[0]); o++)
			assert_int_equal(
				fuse_call(&client, &(struct fuse_call){.opcode = opcodes[o],
								       .name = name,
								       .room = sizeof(entry)}),
				-EINVAL);
		assert_int_equal(fuse_mkdir(&client, 1, name, 0755, NULL), -EINVAL);
		assert_int_equal(fuse_create(&client, 1, name, O_RDWR, 0600, &created), -EINVAL);
		assert_int_equal(fuse_rename(&client, 1, "file", 1, name, 0), -EINVAL);
		assert_int_equal(fuse_rename(&client, 1, name, 1, "new", 0), -EINVAL);
		assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
									.name = name,
									.name2 = "x",
									.room = sizeof(entry)}),
				 -EINVAL);
	}
}

static void test_long_names(void **state)
{
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	assert_int_equal(fuse_lookup(&client, 1, name, NULL), -ENAMETOOLONG);
	assert_int_equal(fuse_mkdir(&client, 1, name, 0755, NULL), -ENAMETOOLONG);
	name[255] = 0;
	assert_true(fuse_mkdir(&client, 1, name, 0755, NULL) > 0);
	assert_true(fuse_lookup(&client, 1, name, NULL) > 0);
}

/* Without the NUL at the end. */
static void test_no_end(void **state)
{
	(void)state;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LOOKUP,
								.data = "file",
								.data_len = 4,
								.room = 128}),
			 -EINVAL);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
								.data = "a\0b",
								.data_len = 3,
								.room = 128}),
			 -EINVAL);
}

/* Links that point out of the share, and into /proc, are only links here. */
static void test_links_out(void **state)
{
	struct fuse_entry_out entry;
	char where[64];

	(void)state;
	assert_int_equal(symlink("/etc", share_path(&client, "etc")), 0);
	snprintf(where, sizeof(where), "/proc/%d/root", getpid());
	assert_int_equal(symlink(where, share_path(&client, "magic")), 0);
	assert_true(fuse_lookup(&client, 1, "etc", &entry) > 0);
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(fuse_lookup(&client, entry.nodeid, "passwd", NULL), -ENOTDIR);
	assert_true(fuse_lookup(&client, 1, "magic", &entry) > 0);
	assert_true(S_ISLNK(entry.attr.mode));
	assert_int_equal(fuse_lookup(&client, entry.nodeid, "etc", NULL), -ENOTDIR);
	assert_int_equal(fuse_mkdir(&client, entry.nodeid, "x", 0755, NULL), -ENOTDIR);
}

static void test_any_bytes(void **state)
{
	static const char name[] = "\xff\xfe\n\x01 \xc3\x28";

	(void)state;
	assert_true(fuse_mkdir(&client, 1, name, 0755, NULL) > 0);
	assert_true(fuse_lookup(&client, 1, name, NULL) > 0);
	assert_int_equal(fuse_name(&client, FUSE_RMDIR, 1, name), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_name, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_end, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_bytes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
