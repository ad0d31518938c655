/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/exhausted.c - a guest that opens all it can open runs into ENFILE, and nothing else stops. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <sys/resource.h>

#define DESCRIPTORS 400 /* of the process */
#define FILES	    600

static struct fuse_client client;
static uint64_t nodes[FILES], handles[FILES];

static const char *name_of(unsigned i)
{
	static char name[16];

	snprintf(name, sizeof(name), "f%u", i);
	return name;
}

static int setup(void **state)
{
	struct rlimit tight = {.rlim_cur = DESCRIPTORS, .rlim_max = DESCRIPTORS};

	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	fuse_start(&client, &(struct fuse_options){0});
	for (unsigned i = 0; i < FILES; i++)
		share_file(&client, name_of(i), name_of(i));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

/* How many could be opened. */
static unsigned open_all(void)
{
	struct fuse_open_out open;
	unsigned n = 0;
	int ret;

	for (; n < FILES; n++) {
		nodes[n] = fuse_node(&client, 1, name_of(n));
		ret = fuse_open(&client, nodes[n], O_RDONLY, &open);
		if (ret < 0)
			break;
		handles[n] = open.fh;
	}
	assert_int_equal(ret, -ENFILE);
	return n;
}

static void look_at_all(void)
{
	struct fuse_attr attr;

	for (unsigned i = 0; i < FILES; i++) {
		uint64_t node = fuse_node(&client, 1, name_of(i));

		assert_true(fuse_getattr(&client, node, &attr) > 0);
		assert_int_equal(attr.size, strlen(name_of(i)));
	}
}

static void test_open_files(void **state)
{
	struct fuse_created created;
	struct fuse_open_out open;
	char data[16];
	uint64_t fh;
	unsigned n = open_all();

	(void)state;
	assert_in_range(n, 50, FILES - 1);
	look_at_all();
	assert_int_equal(fuse_create(&client, 1, "new", O_RDWR, 0600, &created), -ENFILE);
	assert_int_equal(access(share_path(&client, "new"), F_OK), -1);
	assert_int_equal(fuse_opendir(&client, 1, &fh), -ENFILE);
	assert_int_equal(fuse_mkdir(&client, 1, "dir", 0700, NULL), sizeof(struct fuse_entry_out));
	/* What is open works, and makes room when it goes. */
	assert_int_equal(fuse_read(&client, handles[n - 1], 0, data, sizeof(data)),
			 strlen(name_of(n - 1)));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(fuse_release(&client, FUSE_RELEASE, handles[i]), 0);
	assert_true(fuse_open(&client, nodes[n - 1], O_RDONLY, &open) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_files, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
