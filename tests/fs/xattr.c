/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/xattr.c - extended attributes, if the share has them, and ENOSYS if not. */
#include "../common/fuse_client.h"

#include <sys/xattr.h>

static struct fuse_client client;

static int set(uint64_t node, const char *name, const void *value, uint32_t said, size_t len)
{
	uint32_t in[2] = {said, 0};

	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SETXATTR,
						      .nodeid = node,
						      .arg = in,
						      .arg_len = sizeof(in),
						      .name = name,
						      .data = value,
						      .data_len = len});
}

static int get(uint32_t opcode, uint64_t node, const char *name, uint32_t size, void *value)
{
	struct fuse_getxattr_in in = {.size = size};

	return fuse_call(&client, &(struct fuse_call){.opcode = opcode,
						      .nodeid = node,
						      .arg = &in,
						      .arg_len = sizeof(in),
						      .name = name,
						      .answer = value,
						      .room = size ? size : 8});
}

static void test_round_trip(void **state)
{
	struct fuse_getxattr_out length;
	static char large[3000];
	char value[64] = "";
	uint64_t node;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.policy.xattr = true});
	share_file(&client, "file", "");
	if (setxattr(share_path(&client, "file"), "user.probe", "", 0, 0) < 0) {
		fuse_stop(&client);
		skip();
	}
	removexattr(share_path(&client, "file"), "user.probe");
	node = fuse_node(&client, 1, "file");
	assert_int_equal(set(node, "user.a", "value", 5, 5), 0);
	assert_int_equal(get(FUSE_GETXATTR, node, "user.a", 64, value), 5);
	assert_string_equal(value, "value");
	assert_int_equal(get(FUSE_GETXATTR, node, "user.a", 0, &length), sizeof(length));
	assert_int_equal(length.size, 5);
	assert_int_equal(get(FUSE_GETXATTR, node, "user.a", 2, value), -ERANGE);
	assert_int_equal(get(FUSE_GETXATTR, node, "user.none", 64, value), -ENODATA);
	assert_int_equal(get(FUSE_LISTXATTR, node, NULL, 64, value), 7);
	assert_string_equal(value, "user.a");
	memset(large, 'x', sizeof(large));
	assert_int_equal(set(node, "user.large", large, sizeof(large), sizeof(large)), 0);
	/* Only as much as the size says; never more than came. */
	assert_int_equal(set(node, "user.b", "value", 3, 5), 0);
	assert_int_equal(get(FUSE_GETXATTR, node, "user.b", 64, value), 3);
	assert_int_equal(set(node, "user.c", "value", 6, 5), -EINVAL);
	assert_int_equal(set(node, "user.c", "value", UINT32_MAX, 5), -EINVAL);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, "user.a"), 0);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, "user.a"), -ENODATA);
	/* A link has none of these, and what it points to is left alone. */
	assert_int_equal(symlink("file", share_path(&client, "link")), 0);
	assert_int_equal(set(fuse_node(&client, 1, "link"), "user.x", "y", 1, 1), -EPERM);
	fuse_stop(&client);
}

static void test_off(void **state)
{
	char value[8];

	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	assert_int_equal(set(1, "user.a", "v", 1, 1), -ENOSYS);
	assert_int_equal(get(FUSE_GETXATTR, 1, "user.a", 8, value), -ENOSYS);
	assert_int_equal(get(FUSE_LISTXATTR, 1, NULL, 8, value), -ENOSYS);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, 1, "user.a"), -ENOSYS);
	fuse_stop(&client);
}

/* The guest's names are kept under others on the host, of which it sees no others. */
static void test_mapped(void **state)
{
	struct fuse_getxattr_out length;
	char value[64] = "";
	uint64_t node;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.xattrmap = ":map::user.kept.:"});
	share_file(&client, "file", "");
	if (setxattr(share_path(&client, "file"), "user.host", "h", 1, 0) < 0) {
		fuse_stop(&client);
		skip();
	}
	node = fuse_node(&client, 1, "file");
	assert_int_equal(set(node, "trusted.a", "value", 5, 5), 0);
	assert_int_equal(getxattr(share_path(&client, "file"), "user.kept.trusted.a", value, 64),
			 5);
	assert_int_equal(get(FUSE_GETXATTR, node, "trusted.a", 64, value), 5);
	assert_int_equal(get(FUSE_GETXATTR, node, "user.host", 64, value), -ENODATA);
	assert_int_equal(get(FUSE_LISTXATTR, node, NULL, 64, value), 10);
	assert_string_equal(value, "trusted.a");
	assert_int_equal(get(FUSE_LISTXATTR, node, NULL, 0, &length), sizeof(length));
	assert_int_equal(length.size, 10);
	assert_int_equal(get(FUSE_LISTXATTR, node, NULL, 9, value), -ERANGE);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, "user.host"), -ENODATA);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, "trusted.a"), 0);
	fuse_stop(&client);
}

static void test_denied(void **state)
{
	char value[64];

	(void)state;
	fuse_start(&client, &(struct fuse_options){.xattrmap = ":bad:client:user.no::"
							       ":unsupported:all:security.::"
							       ":ok:all:::"});
	assert_int_equal(set(1, "user.no", "v", 1, 1), -EPERM);
	assert_int_equal(get(FUSE_GETXATTR, 1, "user.no", 64, value), -ENODATA);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, 1, "user.no"), -EPERM);
	assert_int_equal(set(1, "security.x", "v", 1, 1), -EOPNOTSUPP);
	assert_int_equal(get(FUSE_GETXATTR, 1, "security.x", 64, value), -EOPNOTSUPP);
	fuse_stop(&client);
}

#define KEPT_CAPABILITY "user.kept.security.capability"

static bool has_capability(void)
{
	char value[8];

	return getxattr(share_path(&client, "file"), KEPT_CAPABILITY, value, 8) == 3;
}

static void write_by(uint64_t node)
{
	struct fuse_open_out open;

	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	assert_int_equal(fuse_write(&client, open.fh, 0, "x", 1, 0), 1);
}

static void truncate_by(uint64_t node)
{
	const struct fuse_setattr_in in = {.valid = FATTR_SIZE};

	assert_true(fuse_setattr(&client, node, &in, NULL) > 0);
}

static void chown_by(uint64_t node)
{
	const struct fuse_setattr_in in = {
		.valid = FATTR_UID | FATTR_GID, .uid = geteuid(), .gid = getegid()};

	assert_true(fuse_setattr(&client, node, &in, NULL) > 0);
}

static void open_by(uint64_t node)
{
	struct fuse_open_out open;

	assert_true(fuse_open(&client, node, O_WRONLY | O_TRUNC, &open) > 0);
}

static void create_by(uint64_t node)
{
	struct fuse_created created;

	(void)node;
	assert_true(fuse_create(&client, 1, "file", O_WRONLY | O_TRUNC, 0600, &created) > 0);
}

/* What the host's kernel does for security.capability is done for the name that stands for it. */
static void test_capabilities_go_with_changes(void **state)
{
	static void (*const changes[])(uint64_t node) = {write_by, truncate_by, chown_by, open_by,
							 create_by};
	uint64_t node;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.xattrmap = ":map::user.kept.:"});
	share_file(&client, "file", "");
	if (setxattr(share_path(&client, "file"), "user.probe", "", 0, 0) < 0) {
		fuse_stop(&client);
		skip();
	}
	node = fuse_node(&client, 1, "file");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_int_equal(set(node, "security.capability", "cap", 3, 3), 0);
		assert_true(has_capability());
		changes[i](node);
		assert_false(has_capability());
	}
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_capabilities_go_with_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
