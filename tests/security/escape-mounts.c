/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/escape-mounts.c - mounts inside the share: what is mounted there is inside, what
 * lies around it where it came from is not, also while it comes and goes. */
#include "../common/fuse_client.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>

static struct fuse_client client;
static char share[64];
static char outside[64]; /* with "secret", and "bound/file" */

static const char *beside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", outside, name);
	return path;
}

static const char *inside(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", share, name);
	return path;
}

static void write_beside(const char *name, const char *text)
{
	FILE *f = fopen(beside(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **state)
{
	(void)state;
	strcpy(outside, "/tmp/gw-outside.XXXXXX");
	strcpy(share, "/tmp/gw-share.XXXXXX");
	assert_non_null(mkdtemp(outside));
	assert_non_null(mkdtemp(share));
	assert_int_equal(mkdir(beside("bound"), 0777), 0);
	write_beside("secret", "this is not for guests");
	write_beside("bound/file", "bound");
	assert_int_equal(mkdir(inside("mnt"), 0777), 0);
	assert_int_equal(mkdir(inside("plain"), 0777), 0);
	assert_int_equal(mount(beside("bound"), inside("mnt"), NULL, MS_BIND, NULL), 0);
	fuse_start(&client, &(struct fuse_options){.queues = 1, .share = share});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	while (umount2(inside("mnt"), MNT_DETACH) == 0)
		;
	assert_int_equal(rmdir(inside("mnt")), 0);
	assert_int_equal(rmdir(inside("plain")), 0);
	assert_int_equal(rmdir(share), 0);
	unlink(beside("bound/file"));
	unlink(beside("secret"));
	assert_int_equal(rmdir(beside("bound")), 0);
	assert_int_equal(rmdir(outside), 0);
	return 0;
}

static void assert_nothing_around(uint64_t node)
{
	assert_true(fuse_lookup(&client, node, "..", NULL) < 0);
	assert_true(fuse_lookup(&client, node, "secret", NULL) < 0);
	assert_true(fuse_lookup(&client, node, "../secret", NULL) < 0);
}

/* Also ".." as a directory lists it gives no more than the mount's root has. */
static void assert_read(uint64_t dir, const char *text)
{
	struct fuse_open_out open;
	char data[64] = "";

	assert_true(fuse_open(&client, fuse_node(&client, dir, "file"), O_RDONLY, &open) >= 0);
	assert_true(fuse_read(&client, open.fh, 0, data, sizeof(data) - 1) >= 0);
	assert_string_equal(data, text);
	assert_int_equal(fuse_release(&client, FUSE_RELEASE, open.fh), 0);
}

static void test_what_is_mounted_is_inside(void **state)
{
	uint64_t mnt = fuse_node(&client, 0, "mnt");

	(void)state;
	assert_read(mnt, "bound");
	assert_nothing_around(mnt);
	/* A rename across the edge, out of the mount by its own name. */
	assert_true(fuse_rename(&client, mnt, "file", 0, "mine", 0) < 0);
	assert_true(fuse_rename(&client, mnt, "..", 0, "mine", 0) < 0);
}

static void test_unmounted_while_it_is_used(void **state)
{
	uint64_t mnt = fuse_node(&client, 0, "mnt"), file = fuse_node(&client, mnt, "file");
	struct fuse_open_out open, again;
	struct fuse_entry_out entry;
	char data[64] = "";

	(void)state;
	assert_true(fuse_open(&client, file, O_RDONLY, &open) >= 0);
	assert_int_equal(umount2(inside("mnt"), MNT_DETACH), 0);
	/* What is open stays what it is; the rest is as it was, or not there any more. */
	assert_true(fuse_read(&client, open.fh, 0, data, sizeof(data) - 1) >= 0);
	assert_string_equal(data, "bound");
	assert_nothing_around(mnt);
	if (fuse_open(&client, file, O_RDONLY, &again) >= 0) {
		assert_true(fuse_read(&client, again.fh, 0, data, sizeof(data) - 1) >= 0);
		assert_string_equal(data, "bound");
	}
	/* The directory that was beneath. */
	assert_true(fuse_lookup(&client, 0, "mnt", &entry) > 0);
	assert_nothing_around(entry.nodeid);
}

static _Atomic bool running;

static void *mount_and_unmount(void *opaque)
{
	(void)opaque;
	while (running) {
		umount2(inside("mnt"), MNT_DETACH);
		mount(beside("bound"), inside("mnt"), NULL, MS_BIND, NULL);
	}
	return NULL;
}

static void test_mounts_that_come_and_go(void **state)
{
	pthread_t thread;

	(void)state;
	running = true;
	assert_int_equal(pthread_create(&thread, NULL, mount_and_unmount, NULL), 0);
	for (unsigned i = 0; i < 1000; i++) {
		struct fuse_entry_out mnt, file;

		if (fuse_lookup(&client, 0, "mnt", &mnt) < 0)
			continue;
		assert_nothing_around(mnt.nodeid);
		if (fuse_lookup(&client, mnt.nodeid, "file", &file) >= 0) {
			assert_int_equal(file.attr.size, strlen("bound"));
			fuse_forget(&client, file.nodeid, 1);
		}
		fuse_forget(&client, mnt.nodeid, 1);
	}
	running = false;
	pthread_join(thread, NULL);
}

/* What was mounted at the source is not at the destination: it is not looked for elsewhere. */
static void test_state_of_a_mount_that_is_not_there(void **state)
{
	uint64_t mnt = fuse_node(&client, 0, "mnt"), file = fuse_node(&client, mnt, "file");
	struct fs_host host = client.host;
	struct fuse_client to;
	struct fuse_open_out open;
	char data[64] = "";
	int fd = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	host.on_error = FS_ON_ERROR_GUEST;
	assert_true(fuse_open(&client, file, O_RDONLY, &open) >= 0);
	fuse_save(&client, fd);
	assert_int_equal(umount2(inside("mnt"), MNT_DETACH), 0);
	assert_int_equal(fuse_load(&to, &client, NULL, &host, fd), 0);
	close(fd);
	assert_true(fuse_read(&to, open.fh, 0, data, sizeof(data) - 1) < 0);
	assert_true(fuse_open(&to, file, O_RDONLY, &open) < 0);
	assert_string_equal(data, "");
	fuse_stop(&to);
}

int main(void)
{
#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(test_what_is_mounted_is_inside),
		ONE(test_unmounted_while_it_is_used),
		ONE(test_mounts_that_come_and_go),
		ONE(test_state_of_a_mount_that_is_not_there),
	};

	/* Mounts that nobody else sees, and that a sandbox made from here gets, too. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_SHARED, NULL) < 0) {
		print_message("skipped: mounts cannot be made here\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
