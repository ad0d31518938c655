/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/policy.c - what --cache and --readonly make of the answers; the configuration space. */
#include "../common/fuse_client.h"

static struct fuse_client client;

static const struct {
	enum fs_cache cache;
	uint64_t valid;
	uint32_t file_flags, dir_flags;
	bool plus;
} policies[] = {
	{FS_CACHE_AUTO, 1, 0, 0, true},
	{FS_CACHE_ALWAYS, 86400, FOPEN_KEEP_CACHE, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, true},
	{FS_CACHE_NEVER, 0, FOPEN_DIRECT_IO, 0, false},
	{FS_CACHE_METADATA, 86400, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR, true},
};

static void check_policy(size_t i)
{
	struct fuse_open_in in = {.flags = O_RDONLY};
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	struct fuse_call call = {.opcode = FUSE_OPENDIR,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .answer = &open,
				 .room = sizeof(open)};

	assert_true(fuse_lookup(&client, 1, "file", &entry) > 0);
	assert_int_equal(entry.entry_valid, policies[i].valid);
	assert_int_equal(entry.attr_valid, policies[i].valid);
	assert_int_equal(entry.generation, 0);
	assert_true(fuse_open(&client, entry.nodeid, O_RDONLY, &open) > 0);
	assert_int_equal(open.open_flags, policies[i].file_flags);
	assert_true(fuse_call(&client, &call) > 0);
	assert_int_equal(open.open_flags, policies[i].dir_flags);
	assert_int_equal(!!(client.init.flags & FUSE_DO_READDIRPLUS), policies[i].plus);
}

static void test_cache(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		fuse_start(&client, &(struct fuse_options){.policy.cache = policies[i].cache});
		share_file(&client, "file", "");
		check_policy(i);
		fuse_stop(&client);
	}
}

static void test_readonly(void **state)
{
	struct fuse_created created;
	struct fuse_open_out open;
	struct fuse_access_in mask = {.mask = W_OK};
	uint64_t node;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.readonly = true, .policy.xattr = true});
	share_file(&client, "file", "x");
	node = fuse_node(&client, 1, "file");
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	assert_int_equal(fuse_open(&client, node, O_WRONLY, &open), -EROFS);
	assert_int_equal(fuse_open(&client, node, O_RDWR, &open), -EROFS);
	assert_int_equal(fuse_open(&client, node, O_RDONLY | O_TRUNC, &open), -EROFS);
	assert_int_equal(fuse_create(&client, 1, "new", O_RDWR, 0600, &created), -EROFS);
	assert_int_equal(fuse_create(&client, 1, "new", O_RDONLY, 0600, &created), -EROFS);
	assert_true(fuse_create(&client, 1, "file", O_RDONLY, 0600, &created) > 0);
	assert_int_equal(fuse_create(&client, 1, "file", O_WRONLY, 0600, &created), -EROFS);
	assert_int_equal(fuse_mkdir(&client, 1, "d", 0755, NULL), -EROFS);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 1, "file"), -EROFS);
	assert_int_equal(fuse_rename(&client, 1, "file", 1, "g", 0), -EROFS);
	assert_int_equal(fuse_setattr(&client, node, &(struct fuse_setattr_in){0}, NULL), -EROFS);
	assert_int_equal(fuse_name(&client, FUSE_REMOVEXATTR, node, "user.x"), -EROFS);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_ACCESS,
								.nodeid = node,
								.arg = &mask,
								.arg_len = sizeof(mask)}),
			 -EROFS);
	assert_string_equal(share_content(&client, "file"), "x");
	fuse_stop(&client);
}

static void test_config_space(void **state)
{
	struct fuse_virtio_config config;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.queues = 3, .no_init = true});
	assert_int_equal(gw_frontend_get_config(client.frontend, 0, &config, sizeof(config)), 0);
	assert_string_equal((const char *)config.tag, "test");
	assert_int_equal(config.num_request_queues, 3);
	/* What a VMM is held to: no more than were configured, and the high-priority one. */
	assert_int_equal(gw_frontend_max_queues(client.frontend), 1 + 3);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_readonly),
		cmocka_unit_test(test_config_space),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
