/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/escape.c - a guest tries to read a file beside the share, through the program as
 * it is started by default. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/mman.h>

#define SECRET "this is not for guests"

static struct fuse_client client;
static char outside[64]; /* a directory beside the share, with the file "secret" in it */

static const char *beside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", outside, name);
	return path;
}

static int setup(void **state)
{
	FILE *f;

	(void)state;
	strcpy(outside, "/tmp/gw-outside.XXXXXX");
	assert_non_null(mkdtemp(outside));
	f = fopen(beside("secret"), "w");
	assert_non_null(f);
	fputs(SECRET, f);
	fclose(f);
	fuse_start(&client, &(struct fuse_options){.queues = 1});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	assert_int_equal(unlink(beside("secret")), 0);
	assert_int_equal(rmdir(outside), 0);
	return 0;
}

/* Everything that a node could give away. */
static void assert_closed(uint64_t node)
{
	struct fuse_open_out open;

	if (fuse_open(&client, node, O_RDONLY, &open) >= 0) {
		char text[64] = "";

		fuse_read(&client, open.fh, 0, text, sizeof(text) - 1);
		assert_null(strstr(text, "not for guests"));
		fail_msg("it could be opened");
	}
	assert_true(fuse_opendir(&client, node, &open.fh) < 0);
	assert_true(fuse_lookup(&client, node, "secret", NULL) < 0);
	assert_true(fuse_lookup(&client, node, "tmp", NULL) < 0);
}

static int guest_symlink(const char *name, const char *target)
{
	struct fuse_entry_out entry;

	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_SYMLINK,
						      .name = name,
						      .name2 = target,
						      .answer = &entry,
						      .room = sizeof(entry)});
}

static void test_symbolic_links(void **state)
{
	static const char *const there[] = {"/",
					    "/tmp",
					    "..",
					    "../..",
					    "/proc/self/root",
					    "/proc/1/root",
					    "/proc/self/fd/0",
					    "/proc/self/cwd"};

	(void)state;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "by-guest-%zu", i);
		assert_true(guest_symlink(name, there[i]) > 0);
		assert_closed(fuse_node(&client, 0, name));
	}
	/* The host's own, made beside the daemon. */
	assert_int_equal(symlink(beside("secret"), share_path(&client, "by-host")), 0);
	assert_closed(fuse_node(&client, 0, "by-host"));
	assert_int_equal(symlink(outside, share_path(&client, "to-dir")), 0);
	assert_closed(fuse_node(&client, 0, "to-dir"));
}

static void test_names(void **state)
{
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "..%s", beside("secret"));
	assert_int_equal(fuse_lookup(&client, 0, "..", NULL), -EINVAL);
	assert_int_equal(fuse_lookup(&client, 0, path, NULL), -EINVAL);
	assert_int_equal(fuse_lookup(&client, 0, beside("secret"), NULL), -EINVAL);
	assert_int_equal(fuse_rename(&client, 0, "..", 0, "mine", 0), -EINVAL);
}

/* Ids that nobody gave out. */
static void test_guessed_ids(void **state)
{
	struct fuse_attr attr;

	(void)state;
	for (uint64_t id = 2; id < 200; id++) {
		assert_true(fuse_getattr(&client, id, &attr) < 0);
		assert_true(fuse_getattr(&client, id << 32, &attr) < 0);
	}
}

/* Nodes can be made, where the host lets us; what is behind them is the guest's own affair. */
static void test_devices(void **state)
{
	static const struct {
		const char *name;
		uint32_t mode, dev;
	} nodes[] = {{"mem", S_IFCHR | 0666, 0x0101},
		     {"null", S_IFCHR | 0666, 0x0103},
		     {"disk", S_IFBLK | 0666, 0x0800},
		     {"fifo", S_IFIFO | 0666, 0},
		     {"socket", S_IFSOCK | 0666, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		struct fuse_mknod_in in = {.mode = nodes[i].mode, .rdev = nodes[i].dev};
		struct fuse_entry_out entry = {0};
		struct fuse_open_out open;
		int made = fuse_call(&client, &(struct fuse_call){.opcode = FUSE_MKNOD,
								  .arg = &in,
								  .arg_len = sizeof(in),
								  .name = nodes[i].name,
								  .answer = &entry,
								  .room = sizeof(entry)});

		if (made < 0)
			continue;
		assert_true(fuse_open(&client, entry.nodeid, O_RDONLY, &open) < 0);
		assert_true(fuse_open(&client, entry.nodeid, O_RDWR | O_NONBLOCK, &open) < 0);
	}
}

static _Atomic bool swapping;

/* "dir" is a directory and then a link to the one outside, in turns. */
static void *swap(void *opaque)
{
	char dir[128], link[128];

	(void)opaque;
	snprintf(dir, sizeof(dir), "%s", share_path(&client, "dir"));
	snprintf(link, sizeof(link), "%s", share_path(&client, "link"));
	while (swapping)
		syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, link, 2 /* RENAME_EXCHANGE */);
	return NULL;
}

static void test_renames_during_walks(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(mkdir(share_path(&client, "dir"), 0777), 0);
	assert_int_equal(symlink(outside, share_path(&client, "link")), 0);
	swapping = true;
	assert_int_equal(pthread_create(&thread, NULL, swap, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct fuse_entry_out entry;
		struct fuse_created created;

		if (fuse_lookup(&client, 0, "dir", &entry) < 0)
			continue;
		assert_true(fuse_lookup(&client, entry.nodeid, "secret", NULL) < 0);
		if (fuse_create(&client, entry.nodeid, "new", O_RDWR, 0600, &created) >= 0)
			fuse_name(&client, FUSE_UNLINK, entry.nodeid, "new");
		fuse_forget(&client, entry.nodeid, 1);
	}
	swapping = false;
	pthread_join(thread, NULL);
	assert_int_equal(access(beside("new"), F_OK), -1);
}

/*
 * A stream that tells of files which are not in the share (any more): by name, by number and by
 * handle it could still be found, and by the handle it would be. Nothing of it is opened.
 */
static void test_state_of_files_outside(void **state)
{
	struct fuse_client to;
	struct fs_host host = client.host;
	struct fuse_created created;
	char text[64] = "", moved[80];
	int fd = memfd_create("state", MFD_CLOEXEC), err;

	(void)state;
	host.on_error = FS_ON_ERROR_GUEST;
	assert_true(fuse_create(&client, 0, "file", O_RDWR, 0600, &created) >= 0);
	assert_true(fuse_write(&client, created.open.fh, 0, SECRET, strlen(SECRET), 0) > 0);
	fuse_save(&client, fd);
	snprintf(moved, sizeof(moved), "%s/was-file", outside);
	assert_int_equal(rename(share_path(&client, "file"), moved), 0);
	err = fuse_load(&to, &client, NULL, &host, fd);
	close(fd);
	assert_int_equal(err, 0);
	assert_true(fuse_read(&to, created.open.fh, 0, text, sizeof(text) - 1) < 0);
	assert_true(fuse_open(&to, created.entry.nodeid, O_RDONLY, &created.open) < 0);
	assert_string_equal(text, "");
	fuse_stop(&to);
	assert_int_equal(unlink(moved), 0);
	fuse_resume(&client);
}

int main(void)
{
#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(test_symbolic_links),	ONE(test_names),
		ONE(test_guessed_ids),		ONE(test_devices),
		ONE(test_renames_during_walks), ONE(test_state_of_files_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
