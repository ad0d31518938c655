/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/nodes.c - names are made, removed, moved and linked, and refused where the host refuses. */
#include "../common/fuse_client.h"

#include <stdio.h>

static struct fuse_client client;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static int fuse_symlink(const char *name, const char *where, struct fuse_entry_out *entry)
{
	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
						      .name = name,
						      .name2 = where,
						      .answer = entry,
						      .room = sizeof(*entry)});
}

static void test_symlink_readlink(void **state)
{
	struct fuse_entry_out entry;
	char long_target[4000] = "", where[4096] = "";
	struct fuse_call readlink_call = {
		.opcode = FUSE_READLINK, .answer = where, .room = sizeof(where)};

	(void)state;
	assert_int_equal(fuse_symlink("l", "../../etc/passwd", &entry), sizeof(entry));
	assert_true(S_ISLNK(entry.attr.mode));
	readlink_call.nodeid = entry.nodeid;
	assert_int_equal(fuse_call(&client, &readlink_call), strlen("../../etc/passwd"));
	assert_memory_equal(where, "../../etc/passwd", strlen("../../etc/passwd"));
	assert_int_equal(fuse_symlink("l", "x", &entry), -EEXIST);
	assert_int_equal(fuse_symlink("empty", "", &entry), -ENOENT);
	memset(long_target, 'a', sizeof(long_target) - 1);
	assert_int_equal(fuse_symlink("long", long_target, &entry), sizeof(entry));
	readlink_call.nodeid = entry.nodeid;
	assert_int_equal(fuse_call(&client, &readlink_call), sizeof(long_target) - 1);
	readlink_call.room = 10;
	assert_int_equal(fuse_call(&client, &readlink_call), -EINVAL);
	readlink_call.nodeid = 1;
	assert_int_equal(fuse_call(&client, &readlink_call), -EINVAL);
}

static void test_mknod_mkdir(void **state)
{
	struct fuse_mknod_in in = {.mode = S_IFIFO | 0666, .umask = 022};
	struct fuse_mkdir_in masked = {.mode = 0777, .umask = 027};
	struct fuse_entry_out entry;
	struct fuse_call call = {.opcode = FUSE_MKNOD,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "fifo",
				 .answer = &entry,
				 .room = sizeof(entry)};

	(void)state;
	assert_int_equal(fuse_call(&client, &call), sizeof(entry));
	assert_int_equal(entry.attr.mode, S_IFIFO | 0644);
	assert_int_equal(fuse_call(&client, &call), -EEXIST);
	assert_int_equal(fuse_mkdir(&client, 1, "dir", 0777, &entry), sizeof(entry));
	assert_int_equal(entry.attr.mode, S_IFDIR | 0777);
	assert_int_equal(fuse_mkdir(&client, 1, "dir", 0777, &entry), -EEXIST);
	call.opcode = FUSE_MKDIR;
	call.arg = &masked;
	call.arg_len = sizeof(masked);
	call.name = "masked";
	assert_int_equal(fuse_call(&client, &call), sizeof(entry));
	assert_int_equal(entry.attr.mode, S_IFDIR | 0750);
	/* In something that is no directory. */
	assert_int_equal(fuse_mkdir(&client, fuse_node(&client, 1, "fifo"), "x", 0777, &entry),
			 -ENOTDIR);
	assert_int_equal(fuse_mkdir(&client, 999999, "x", 0777, &entry), -ESTALE);
}

static void test_remove(void **state)
{
	(void)state;
	share_file(&client, "file", "x");
	assert_int_equal(mkdir(share_path(&client, "dir"), 0755), 0);
	share_file(&client, "dir/in", "x");
	assert_int_equal(fuse_name(&client, FUSE_RMDIR, 1, "file"), -ENOTDIR);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 1, "dir"), -EISDIR);
	assert_int_equal(fuse_name(&client, FUSE_RMDIR, 1, "dir"), -ENOTEMPTY);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 1, "none"), -ENOENT);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, fuse_node(&client, 1, "dir"), "in"), 0);
	assert_int_equal(fuse_name(&client, FUSE_RMDIR, 1, "dir"), 0);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 1, "file"), 0);
}

/* What is open or looked up lives on without a name. */
static void test_unlinked_lives(void **state)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	char data[8] = "";
	uint64_t node;

	(void)state;
	share_file(&client, "file", "alive");
	node = fuse_node(&client, 1, "file");
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 1, "file"), 0);
	assert_true(fuse_getattr(&client, node, &attr) > 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(fuse_read(&client, open.fh, 0, data, sizeof(data)), 5);
	assert_string_equal(data, "alive");
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, open.fh), 0);
	assert_true(fuse_getattr(&client, node, &attr) > 0);
}

static void test_rename(void **state)
{
	struct fuse_rename_in in;
	uint64_t dir, a, b;

	(void)state;
	share_file(&client, "a", "a");
	share_file(&client, "b", "b");
	assert_int_equal(mkdir(share_path(&client, "dir"), 0755), 0);
	dir = fuse_node(&client, 1, "dir");
	a = fuse_node(&client, 1, "a");
	b = fuse_node(&client, 1, "b");
	assert_int_equal(fuse_rename(&client, 1, "a", 1, "b", RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(fuse_rename(&client, 1, "a", 1, "b", RENAME_EXCHANGE), 0);
	assert_int_equal(fuse_node(&client, 1, "a"), b);
	assert_int_equal(fuse_node(&client, 1, "b"), a);
	assert_int_equal(fuse_rename(&client, 1, "a", dir, "a", 0), 0);
	assert_int_equal(fuse_node(&client, dir, "a"), b);
	assert_int_equal(fuse_rename(&client, 1, "b", dir, "a", 0), 0);
	assert_int_equal(fuse_node(&client, dir, "a"), a);
	assert_string_equal(share_content(&client, "dir/a"), "a");
	assert_int_equal(fuse_rename(&client, 1, "none", dir, "x", 0), -ENOENT);
	assert_int_equal(fuse_rename(&client, 1, "dir", dir, "x", 0), -EINVAL);
	assert_int_equal(fuse_rename(&client, dir, "a", 1, "x", 0x80), -EINVAL);
	assert_int_equal(fuse_rename(&client, dir, "a", 4242, "x", 0), -ESTALE);
	in.newdir = 1;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_RENAME,
								.nodeid = dir,
								.arg = &in,
								.arg_len = sizeof(in),
								.name = "a",
								.name2 = "old"}),
			 0);
	assert_string_equal(share_content(&client, "old"), "a");
}

static void test_link(void **state)
{
	struct fuse_entry_out entry;
	struct fuse_link_in in;
	struct fuse_call call = {.opcode = FUSE_LINK,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "second",
				 .answer = &entry,
				 .room = sizeof(entry)};

	(void)state;
	share_file(&client, "first", "x");
	in.oldnodeid = fuse_node(&client, 1, "first");
	assert_int_equal(fuse_call(&client, &call), sizeof(entry));
	assert_int_equal(entry.nodeid, in.oldnodeid);
	assert_int_equal(entry.attr.nlink, 2);
	assert_int_equal(fuse_call(&client, &call), -EEXIST);
	/* Of a symbolic link: the link itself gets the name. */
	assert_int_equal(symlink("first", share_path(&client, "sym")), 0);
	in.oldnodeid = fuse_node(&client, 1, "sym");
	call.name = "sym2";
	assert_int_equal(fuse_call(&client, &call), sizeof(entry));
	assert_true(S_ISLNK(entry.attr.mode));
	in.oldnodeid = 1;
	call.name = "root";
	assert_int_equal(fuse_call(&client, &call), -EPERM);
	in.oldnodeid = 777777;
	assert_int_equal(fuse_call(&client, &call), -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_symlink_readlink, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mknod_mkdir, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unlinked_lives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
