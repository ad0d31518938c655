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

static int guest_link(uint64_t node, const char *name, struct fuse_entry_out *entry)
{
	const struct fuse_link_in in = {.oldnodeid = node};

	return fuse_call(&client, &(struct fuse_call){.opcode = FUSE_LINK,
						      .arg = &in,
						      .arg_len = sizeof(in),
						      .name = name,
						      .answer = entry,
						      .room = sizeof(*entry)});
}

static void assert_untouched(const struct stat *before)
{
	struct stat now;

	assert_int_equal(stat(beside("secret"), &now), 0);
	assert_int_equal(now.st_nlink, before->st_nlink);
	assert_int_equal(now.st_mode, before->st_mode);
	assert_int_equal(now.st_size, before->st_size);
	assert_int_equal(now.st_ctim.tv_sec, before->st_ctim.tv_sec);
	assert_int_equal(now.st_ctim.tv_nsec, before->st_ctim.tv_nsec);
}

/* What acts on a link acts on the link itself. */
static void test_what_a_link_leads_to_is_not_acted_on(void **state)
{
	static const uint32_t changes[] = {FATTR_MODE, FATTR_SIZE, FATTR_MTIME | FATTR_MTIME_NOW,
					   FATTR_UID | FATTR_GID};
	struct fuse_entry_out entry;
	struct stat before, st;
	struct fuse_attr attr;
	uint64_t node;

	(void)state;
	assert_int_equal(stat(beside("secret"), &before), 0);
	assert_int_equal(symlink(beside("secret"), share_path(&client, "link")), 0);
	node = fuse_node(&client, 0, "link");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const struct fuse_setattr_in in = {
			.valid = changes[i], .mode = 0777, .uid = getuid(), .gid = getgid()};

		fuse_setattr(&client, node, &in, &attr);
		assert_untouched(&before);
	}
	if (guest_link(node, "again", &entry) > 0) {
		assert_true(S_ISLNK(entry.attr.mode));
		assert_int_equal(lstat(share_path(&client, "again"), &st), 0);
		assert_true(S_ISLNK(st.st_mode));
	}
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 0, "link"), 0);
	assert_untouched(&before);
}

/* Whoever makes a hard link in the share puts the file there: it, and nothing else. */
static void test_hard_links(void **state)
{
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	char text[64] = "";
	uint64_t node;

	(void)state;
	assert_int_equal(link(beside("secret"), share_path(&client, "linked")), 0);
	node = fuse_node(&client, 0, "linked");
	assert_true(fuse_open(&client, node, O_RDONLY, &open) >= 0);
	assert_true(fuse_read(&client, open.fh, 0, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, SECRET);
	/* Neither its other name nor where that is. */
	assert_true(fuse_lookup(&client, node, "..", NULL) < 0);
	assert_int_equal(fuse_lookup(&client, 0, "secret", NULL), -ENOENT);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 0, "linked"), 0);
	assert_int_equal(access(beside("secret"), F_OK), 0);
	/* Inodes that are not the guest's cannot be given a name. */
	for (uint64_t id = 2; id < 50; id++) {
		if (id == node)
			continue;
		assert_true(guest_link(id, "mine", &entry) < 0);
		assert_true(guest_link(id << 32 | 2, "mine", &entry) < 0);
	}
	assert_true(fuse_lookup(&client, 0, "mine", NULL) < 0);
}

/* The file's last name in the share is gone while the guest moves; the one outside does not count,
 * whoever knows its handle. */
static void test_a_link_that_is_gone_when_the_guest_moves(void **state)
{
	struct fuse_client to;
	struct fuse_open_out open;
	struct fs_host host = client.host;
	char text[64] = "";
	int fd = memfd_create("state", MFD_CLOEXEC);
	uint64_t node;

	(void)state;
	host.on_error = FS_ON_ERROR_GUEST;
	assert_int_equal(link(beside("secret"), share_path(&client, "linked")), 0);
	node = fuse_node(&client, 0, "linked");
	assert_true(fuse_open(&client, node, O_RDONLY, &open) >= 0);
	fuse_save(&client, fd);
	assert_int_equal(unlink(share_path(&client, "linked")), 0);
	assert_int_equal(fuse_load(&to, &client, NULL, &host, fd), 0);
	close(fd);
	assert_true(fuse_read(&to, open.fh, 0, text, sizeof(text) - 1) < 0);
	assert_true(fuse_open(&to, node, O_RDONLY, &open) < 0);
	assert_string_equal(text, "");
	fuse_stop(&to);
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

/* "dir/sub" is in the share and then beside it, in turns. */
static void *carry(void *opaque)
{
	char inside[128], out[128];

	(void)opaque;
	snprintf(inside, sizeof(inside), "%s", share_path(&client, "dir/sub"));
	snprintf(out, sizeof(out), "%s/sub", outside);
	while (swapping) {
		rename(inside, out);
		rename(out, inside);
	}
	return NULL;
}

/* What was carried away with the guest in it is what it was: nothing around it is to be seen. */
static void test_a_directory_that_leaves_during_walks(void **state)
{
	pthread_t thread;
	uint64_t dir;

	(void)state;
	assert_int_equal(mkdir(share_path(&client, "dir"), 0777), 0);
	assert_int_equal(mkdir(share_path(&client, "dir/sub"), 0777), 0);
	assert_int_equal(mkdir(share_path(&client, "dir/sub/deep"), 0777), 0);
	dir = fuse_node(&client, 0, "dir");
	swapping = true;
	assert_int_equal(pthread_create(&thread, NULL, carry, NULL), 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct fuse_entry_out sub, deep;

		if (fuse_lookup(&client, dir, "sub", &sub) < 0)
			continue;
		assert_true(fuse_lookup(&client, sub.nodeid, "..", NULL) < 0);
		assert_true(fuse_lookup(&client, sub.nodeid, "secret", NULL) < 0);
		assert_true(fuse_rename(&client, sub.nodeid, "..", 0, "mine", 0) < 0);
		if (fuse_lookup(&client, sub.nodeid, "deep", &deep) >= 0) {
			assert_true(fuse_lookup(&client, deep.nodeid, "secret", NULL) < 0);
			fuse_forget(&client, deep.nodeid, 1);
		}
		fuse_forget(&client, sub.nodeid, 1);
	}
	swapping = false;
	pthread_join(thread, NULL);
	assert_int_equal(rmdir(share_path(&client, "dir/sub/deep")), 0);
	assert_int_equal(rmdir(share_path(&client, "dir/sub")), 0);
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
		ONE(test_symbolic_links),
		ONE(test_names),
		ONE(test_guessed_ids),
		ONE(test_devices),
		ONE(test_renames_during_walks),
		ONE(test_state_of_files_outside),
		ONE(test_hard_links),
		ONE(test_what_a_link_leads_to_is_not_acted_on),
		ONE(test_a_link_that_is_gone_when_the_guest_moves),
		ONE(test_a_directory_that_leaves_during_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
