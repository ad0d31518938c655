/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/acl.c - POSIX ACLs: agreed on as a whole or not at all, and what follows from it. */
#include "../common/fuse_client.h"

#include <sys/xattr.h>

#define ACCESS_NAME  "system.posix_acl_access"
#define DEFAULT_NAME "system.posix_acl_default"
#define ACL_FLAGS    (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)
#define ALL	     (UINT64_MAX >> 1)

static struct fuse_client client, moved;

/* u::rwx,u:1000:rwx,g::rwx,m::rwx,o::r-x as the kernel has it (linux/posix_acl_xattr.h). */
static const struct {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entries[5];
} acl = {2,
	 {{0x01, 7, UINT32_MAX},
	  {0x02, 7, 1000},
	  {0x04, 7, UINT32_MAX},
	  {0x10, 7, UINT32_MAX},
	  {0x20, 5, UINT32_MAX}}};

static int set(struct fuse_client *on, uint64_t node, const char *name, size_t arg_len,
	       uint32_t flags)
{
	const struct fuse_setxattr_in in = {.size = sizeof(acl), .setxattr_flags = flags};

	return fuse_call(on, &(struct fuse_call){.opcode = FUSE_SETXATTR,
						 .nodeid = node,
						 .arg = &in,
						 .arg_len = arg_len,
						 .name = name,
						 .data = &acl,
						 .data_len = sizeof(acl)});
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(share_path(&client, name), &st), 0);
	return st.st_mode & 07777;
}

static void start(int posix_acl, uint64_t offered)
{
	fuse_start(&client,
		   &(struct fuse_options){.policy = {.posix_acl = posix_acl, .xattr = true},
					  .init_flags = offered});
	share_file(&client, "file", "");
	if (setxattr(share_path(&client, "file"), ACCESS_NAME, &acl, sizeof(acl), 0) < 0) {
		fuse_stop(&client);
		skip();
	}
}

static void test_whole_or_not_at_all(void **state)
{
	(void)state;
	start(FS_AUTO, ALL);
	assert_int_equal(client.init.flags & ACL_FLAGS, ACL_FLAGS);
	fuse_stop(&client);
	start(FS_AUTO, ALL & ~FUSE_SETXATTR_EXT);
	assert_int_equal(client.init.flags & ACL_FLAGS, 0);
	fuse_stop(&client);
	start(FS_NEVER, ALL);
	assert_int_equal(client.init.flags & ACL_FLAGS, 0);
	fuse_stop(&client);
}

static void test_required(void **state)
{
	(void)state;
	fuse_start(&client,
		   &(struct fuse_options){.policy = {.posix_acl = FS_ALWAYS, .xattr = true},
					  .no_init = true});
	assert_int_equal(fuse_init(&client, 7, 45, ALL & ~FUSE_DONT_MASK), -EPROTO);
	assert_int_equal(fuse_getattr(&client, 1, NULL), -EIO);
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	fuse_stop(&client);
}

/* A guest that does not enforce ACLs sees none, and sets none that the host would enforce. */
static void test_hidden_unless_agreed(void **state)
{
	struct fuse_getxattr_in in = {.size = 200};
	char names[200];
	uint64_t node;

	(void)state;
	start(FS_NEVER, ALL);
	node = fuse_node(&client, 1, "file");
	assert_int_equal(setxattr(share_path(&client, "file"), "user.x", "", 0, 0), 0);
	assert_int_equal(set(&client, node, ACCESS_NAME, FUSE_COMPAT_SETXATTR_IN_SIZE, 0),
			 -EOPNOTSUPP);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, ACCESS_NAME), -EOPNOTSUPP);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LISTXATTR,
								.nodeid = node,
								.arg = &in,
								.arg_len = sizeof(in),
								.answer = names,
								.room = sizeof(names)}),
			 7);
	assert_string_equal(names, "user.x");
	fuse_stop(&client);
}

static void test_default_takes_the_umask_s_place(void **state)
{
	struct fuse_mkdir_in in = {.mode = 0777, .umask = 077};
	struct fuse_entry_out entry;
	struct fuse_call call = {.opcode = FUSE_MKDIR,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "dir",
				 .answer = &entry,
				 .room = sizeof(entry)};

	(void)state;
	start(FS_AUTO, ALL);
	assert_true(fuse_call(&client, &call) > 0);
	assert_int_equal(mode_of("dir"), 0700);
	assert_int_equal(set(&client, entry.nodeid, DEFAULT_NAME, 16, 0), 0);
	call.nodeid = entry.nodeid;
	assert_true(fuse_call(&client, &call) > 0);
	assert_int_equal(mode_of("dir/dir"), 0775);
	fuse_stop(&client);
}

static void test_sgid_goes_if_the_guest_says_so(void **state)
{
	uint64_t node;

	(void)state;
	start(FS_AUTO, ALL);
	node = fuse_node(&client, 1, "file");
	assert_int_equal(chmod(share_path(&client, "file"), 02775), 0);
	assert_int_equal(set(&client, node, ACCESS_NAME, 16, 0), 0);
	assert_int_equal(mode_of("file"), 02775);
	assert_int_equal(set(&client, node, ACCESS_NAME, 16, FUSE_SETXATTR_ACL_KILL_SGID), 0);
	assert_int_equal(mode_of("file"), 0775);
	fuse_stop(&client);
}

/* The longer argument is part of what was agreed on, and so is what ACLs mean. */
static void test_moves(void **state)
{
	uint64_t node;

	(void)state;
	start(FS_AUTO, ALL);
	node = fuse_node(&client, 1, "file");
	assert_int_equal(fuse_move(&moved, &client, FS_ON_ERROR_ABORT), 0);
	assert_int_equal(set(&moved, node, ACCESS_NAME, 16, 0), 0);
	fuse_stop(&moved);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_or_not_at_all),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_hidden_unless_agreed),
		cmocka_unit_test(test_default_takes_the_umask_s_place),
		cmocka_unit_test(test_sgid_goes_if_the_guest_says_so),
		cmocka_unit_test(test_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
