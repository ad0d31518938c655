/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/open.c - OPEN, CREATE, TMPFILE: flags as the guest means them, nothing opened by accident. */
#include "../common/fuse_client.h"

static struct fuse_client client;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	share_file(&client, "file", "12345");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static void test_open_modes(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;
	char data[8];

	(void)state;
	assert_true(fuse_open(&client, node, O_WRONLY, &open) > 0);
	assert_int_equal(fuse_read(&client, open.fh, 0, data, 1), -EBADF);
	assert_int_equal(fuse_write(&client, open.fh, 0, "x", 1, 0), 1);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, open.fh), 0);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, open.fh), -EBADF);
	assert_int_equal(fuse_read(&client, open.fh, 0, data, 1), -EBADF);
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	assert_int_equal(fuse_write(&client, open.fh, 0, "x", 1, 0), -EBADF);
	assert_int_equal(fuse_open(&client, 987654, O_RDONLY, &open), -ESTALE);
}

static void test_truncate(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;

	(void)state;
	assert_true(fuse_open(&client, node, O_WRONLY | O_TRUNC, &open) > 0);
	assert_string_equal(share_content(&client, "file"), "");
}

/* O_APPEND is a matter of each write: the guest may change it on an open file. */
static void test_append(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;
	struct fuse_write_in cached = {
		.offset = 1, .size = 1, .flags = O_APPEND, .write_flags = FUSE_WRITE_CACHE};
	struct fuse_write_out out;
	struct fuse_call call = {.opcode = FUSE_WRITE,
				 .arg = &cached,
				 .arg_len = sizeof(cached),
				 .data = "B",
				 .data_len = 1,
				 .answer = &out,
				 .room = sizeof(out)};

	(void)state;
	assert_true(fuse_open(&client, node, O_WRONLY | O_APPEND, &open) > 0);
	assert_int_equal(fuse_write(&client, open.fh, 0, "67", 2, O_WRONLY | O_APPEND), 2);
	assert_string_equal(share_content(&client, "file"), "1234567");
	assert_int_equal(fuse_write(&client, open.fh, 0, "A", 1, O_WRONLY), 1);
	assert_string_equal(share_content(&client, "file"), "A234567");
	/* Out of the guest's page cache: it has its place, append or not. */
	cached.fh = open.fh;
	assert_int_equal(fuse_call(&client, &call), sizeof(out));
	assert_string_equal(share_content(&client, "file"), "AB34567");
}

/* The guest's buffers need not be aligned as O_DIRECT wants them on the host. */
static void test_direct(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;
	char data[8] = "";

	(void)state;
	assert_true(fuse_open(&client, node, O_RDWR | O_DIRECT, &open) > 0);
	assert_int_equal(fuse_read(&client, open.fh, 1, data, 3), 3);
	assert_string_equal(data, "234");
}

static void test_special_files(void **state)
{
	struct fuse_open_out open;
	struct fuse_created created;

	(void)state;
	assert_int_equal(mkfifo(share_path(&client, "fifo"), 0666), 0);
	assert_int_equal(symlink("file", share_path(&client, "link")), 0);
	assert_int_equal(fuse_open(&client, fuse_node(&client, 1, "fifo"), O_WRONLY, &open),
			 -ENXIO);
	assert_true(fuse_open(&client, fuse_node(&client, 1, "link"), O_RDONLY, &open) < 0);
	assert_true(fuse_create(&client, 1, "fifo", O_WRONLY, 0600, &created) < 0);
	assert_true(fuse_create(&client, 1, "link", O_WRONLY | O_TRUNC, 0600, &created) < 0);
	assert_string_equal(share_content(&client, "file"), "12345");
}

static void test_create(void **state)
{
	struct fuse_created created;
	uint64_t node = fuse_node(&client, 1, "file");
	char data[8] = "";

	(void)state;
	assert_true(fuse_create(&client, 1, "new", O_RDWR | O_EXCL, 0604, &created) > 0);
	assert_int_equal(created.entry.attr.mode, S_IFREG | 0604);
	assert_int_equal(fuse_write(&client, created.open.fh, 0, "x", 1, 0), 1);
	assert_int_equal(fuse_create(&client, 1, "file", O_RDWR | O_EXCL, 0600, &created), -EEXIST);
	/* Existing, not exclusive: that file, as it is, or cut off. */
	assert_true(fuse_create(&client, 1, "file", O_RDWR, 0600, &created) > 0);
	assert_int_equal(created.entry.nodeid, node);
	assert_int_equal(fuse_read(&client, created.open.fh, 0, data, 8), 5);
	assert_true(fuse_create(&client, 1, "file", O_RDWR | O_TRUNC, 0600, &created) > 0);
	assert_int_equal(created.entry.attr.size, 0);
	assert_string_equal(share_content(&client, "file"), "");
	/* A mode that forbids what the creator does. */
	assert_true(fuse_create(&client, 1, "wo", O_WRONLY, 0, &created) > 0);
	assert_int_equal(fuse_write(&client, created.open.fh, 0, "x", 1, 0), 1);
}

static void test_create_umask(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0666, .umask = 027};
	struct fuse_created created;

	(void)state;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_CREATE,
							   .arg = &in,
							   .arg_len = sizeof(in),
							   .name = "masked",
							   .answer = &created,
							   .room = sizeof(created)}) > 0);
	assert_int_equal(created.entry.attr.mode, S_IFREG | 0640);
}

/* The name that Linux sends along is "/". */
static void test_tmpfile(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_TMPFILE, .mode = S_IFREG | 0600};
	struct fuse_created created;
	struct fuse_link_in link;
	struct fuse_call call = {.opcode = FUSE_TMPFILE,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "/",
				 .answer = &created,
				 .room = sizeof(created)};

	(void)state;
	assert_true(fuse_call(&client, &call) > 0);
	assert_int_equal(created.entry.attr.nlink, 0);
	assert_int_equal(fuse_write(&client, created.open.fh, 0, "tmp", 3, 0), 3);
	link.oldnodeid = created.entry.nodeid;
	assert_true(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LINK,
							   .arg = &link,
							   .arg_len = sizeof(link),
							   .name = "named",
							   .answer = &created.entry,
							   .room = sizeof(created.entry)}) > 0);
	assert_string_equal(share_content(&client, "named"), "tmp");
	/* With O_EXCL it never gets a name. */
	in.flags |= O_EXCL;
	assert_true(fuse_call(&client, &call) > 0);
	link.oldnodeid = created.entry.nodeid;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LINK,
								.arg = &link,
								.arg_len = sizeof(link),
								.name = "named2",
								.answer = &created.entry,
								.room = sizeof(created.entry)}),
			 -ENOENT);
}

static void test_flush_fsync(void **state)
{
	uint64_t node = fuse_node(&client, 1, "file");
	struct fuse_open_out open;
	struct fuse_flush_in flush = {0};
	struct fuse_fsync_in fsync_in = {0};
	uint64_t dir;

	(void)state;
	assert_true(fuse_open(&client, node, O_RDWR, &open) > 0);
	flush.fh = fsync_in.fh = open.fh;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FLUSH,
									.arg = &flush,
									.arg_len = sizeof(flush)}),
				 0);
		assert_int_equal(fuse_write(&client, open.fh, 0, "x", 1, 0), 1);
	}
	for (uint32_t flags = 0; flags < 2; flags++) {
		fsync_in.fsync_flags = flags;
		assert_int_equal(
			fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FSYNC,
							       .arg = &fsync_in,
							       .arg_len = sizeof(fsync_in)}),
			0);
	}
	assert_true(fuse_opendir(&client, 1, &dir) > 0);
	fsync_in.fh = dir;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FSYNCDIR,
								.arg = &fsync_in,
								.arg_len = sizeof(fsync_in)}),
			 0);
	fsync_in.fh = 424242;
	assert_int_equal(fuse_call(&client, &(struct fuse_call){.opcode = FUSE_FSYNC,
								.arg = &fsync_in,
								.arg_len = sizeof(fsync_in)}),
			 -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_open_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_append, setup, teardown),
		cmocka_unit_test_setup_teardown(test_direct, setup, teardown),
		cmocka_unit_test_setup_teardown(test_special_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create, setup, teardown),
		cmocka_unit_test_setup_teardown(test_create_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tmpfile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_fsync, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
