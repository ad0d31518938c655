/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/mount.c - what a mount does first: INIT, look, make, write, read, list, remove, DESTROY. */
#include "../common/fuse_client.h"

static struct fuse_client client;

static void test_first_steps(void **state)
{
	struct fuse_entry_out dir;
	struct fuse_created created;
	struct fuse_attr attr;
	char data[64] = "";
	uint64_t fh;

	(void)state;
	fuse_start(&client, &(struct fuse_options){.queues = 2});
	assert_int_equal(client.init.major, 7);
	assert_int_equal(client.init.max_write, 1024 * 1024);
	assert_int_equal(fuse_getattr(&client, 1, &attr), sizeof(struct fuse_attr_out));
	assert_true(S_ISDIR(attr.mode));
	assert_int_equal(fuse_lookup(&client, 1, "none", NULL), -ENOENT);
	assert_int_equal(fuse_mkdir(&client, 1, "dir", 0755, &dir), sizeof(dir));
	assert_int_equal(dir.generation, 0);
	assert_int_equal(
		fuse_create(&client, dir.nodeid, "log", O_WRONLY | O_CREAT, 0644, &created),
		sizeof(created));
	assert_int_equal(fuse_write(&client, created.open.fh, 0, "hello", 5, 0), 5);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, created.open.fh), 0);
	assert_string_equal(share_content(&client, "dir/log"), "hello");

	assert_int_equal(fuse_open(&client, created.entry.nodeid, O_RDONLY, &created.open),
			 sizeof(created.open));
	assert_int_equal(fuse_read(&client, created.open.fh, 0, data, sizeof(data)), 5);
	assert_string_equal(data, "hello");
	assert_int_equal(fuse_read(&client, created.open.fh, 5, data, sizeof(data)), 0);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, created.open.fh), 0);

	assert_int_equal(fuse_opendir(&client, dir.nodeid, &fh), sizeof(struct fuse_open_out));
	assert_int_equal(fuse_release(&client, FUSE_RELEASEDIR, fh), 0);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, dir.nodeid, "log"), 0);
	assert_int_equal(fuse_name(&client, FUSE_RMDIR, 1, "dir"), 0);
	assert_int_equal(access(share_path(&client, "dir"), F_OK), -1);
	assert_int_equal(fuse_forget(&client, created.entry.nodeid, 1), FUSE_NO_ANSWER);
	assert_int_equal(fuse_forget(&client, dir.nodeid, 1), FUSE_NO_ANSWER);
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_DESTROY}), 0);
	assert_int_equal(fuse_getattr(&client, 1, &attr), -EIO);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
