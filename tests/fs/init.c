/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/init.c - INIT agrees on what both have, once more after a reset of the guest too. */
#include "../common/fuse_client.h"

static struct fuse_client client;

#define ALL (UINT64_MAX >> 1)

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){.no_init = true});
	share_file(&client, "file", "x");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static uint64_t agreed(void)
{
	return client.init.flags | (uint64_t)client.init.flags2 << 32;
}

static void test_flags(void **state)
{
	const uint64_t expected = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
				  FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS |
				  FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
				  FUSE_MAX_PAGES | FUSE_INIT_EXT | FUSE_CREATE_SUPP_GROUP |
				  FUSE_HAS_IOCTL_DIR;

	(void)state;
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	assert_int_equal(agreed(), expected);
	assert_int_equal(client.init.max_pages, 256);
	assert_int_equal(client.init.max_write, 1 << 20);
	assert_int_equal(client.init.time_gran, 1);
	assert_int_equal(client.init.max_readahead, 128 * 1024);
}

/* Parameters cap it, and flags that came later stay away. */
static void test_parameters(void **state)
{
	(void)state;
	fuse_stop(&client);
	fuse_start(&client, &(struct fuse_options){.no_init = true,
						   .policy.fuse_minor = 37,
						   .policy.max_write = 256 << 10});
	share_file(&client, "file", "x");
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	assert_int_equal(client.init.minor, 37);
	assert_true(agreed() & FUSE_INIT_EXT);
	assert_false(agreed() & FUSE_CREATE_SUPP_GROUP);
	assert_int_equal(client.init.max_write, 256 << 10);
	assert_int_equal(client.init.max_pages, 64);
	/* Without FUSE_MAX_PAGES there are 32. */
	assert_true(fuse_init(&client, 7, 31, FUSE_ASYNC_READ) > 0);
	assert_int_equal(client.init.max_pages, 32);
	assert_true(fuse_init(&client, 8, 0, ALL) > 0);
	assert_int_equal(client.init.minor, 37);
}

/* Nothing that the guest did not offer; the second word only if it says that it has one. */
static void test_offers(void **state)
{
	(void)state;
	assert_true(fuse_init(&client, 7, 31, FUSE_ASYNC_READ | FUSE_WRITEBACK_CACHE) > 0);
	assert_int_equal(agreed(), FUSE_ASYNC_READ);
	assert_true(fuse_init(&client, 7, 45, FUSE_CREATE_SUPP_GROUP) > 0);
	assert_int_equal(agreed(), 0);
	assert_true(fuse_init(&client, 7, 45, FUSE_CREATE_SUPP_GROUP | FUSE_INIT_EXT) > 0);
	assert_int_equal(agreed(), FUSE_CREATE_SUPP_GROUP | FUSE_INIT_EXT);
}

static void test_versions(void **state)
{
	struct fuse_attr attr;

	(void)state;
	assert_int_equal(fuse_init(&client, 6, 45, ALL), -EPROTO);
	assert_int_equal(fuse_init(&client, 7, 26, ALL), -EPROTO);
	assert_int_equal(fuse_getattr(&client, 1, &attr), -EIO);
	/* A newer major: ours is named, nothing is agreed yet. */
	assert_true(fuse_init(&client, 8, 0, ALL) > 0);
	assert_int_equal(client.init.major, 7);
	assert_int_equal(fuse_getattr(&client, 1, &attr), -EIO);
	assert_true(fuse_init(&client, 7, 99, ALL) > 0);
	assert_int_equal(client.init.minor, FUSE_KERNEL_MINOR_VERSION);
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
}

/* As guests before 7.36 send it. */
static void test_short_init(void **state)
{
	struct fuse_init_in in = {.major = 7, .minor = 31, .flags = FUSE_ASYNC_READ};

	(void)state;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_INIT,
								.arg = &in,
								.arg_len = 16,
								.answer = &client.init,
								.room = sizeof(client.init)}),
			 sizeof(client.init));
	assert_int_equal(agreed(), FUSE_ASYNC_READ);
}

/* What stood on the old session is gone; its ids are never given out again. */
static void test_second_init(void **state)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	uint64_t node;
	char c;

	(void)state;
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	node = fuse_node(&client, 1, "file");
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	assert_true(fuse_init(&client, 7, 45, ALL) > 0);
	assert_int_equal(fuse_getattr(&client, node, &attr), -ESTALE);
	assert_int_equal(fuse_read(&client, open.fh, 0, &c, 1), -EBADF);
	assert_int_not_equal(fuse_node(&client, 1, "file"), node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_flags, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_init, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_init, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
