/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-hidden-mounts.c - what is removed on a mount is hidden on it. */
#include "../common/fuse_client.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#define PREFIX ".godwit-hidden-"

static struct fuse_client from, to;

/* So many entries of such a name are in @dir. */
static unsigned count_attics(const char *dir)
{
	char command[256], text[16] = "";
	FILE *pipe;

	snprintf(command, sizeof(command), "ls -A '%s' | grep -c '^" PREFIX "'",
		 share_path(&from, dir));
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(text, sizeof(text), pipe));
	pclose(pipe);
	return (unsigned)atoi(text);
}

static uint64_t make_mount(const char *name, const char *source, unsigned long flags)
{
	assert_int_equal(mkdir(share_path(&from, name), 0755), 0);
	assert_int_equal(
		mount(source, share_path(&from, name), flags ? NULL : "tmpfs", flags, NULL), 0);
	return fuse_node(&from, 1, name);
}

static void unmount(const char *name)
{
	assert_int_equal(umount2(share_path(&from, name), MNT_DETACH), 0);
}

static struct fuse_created remove_open(uint64_t dir, const char *name)
{
	struct fuse_created file;

	assert_true(fuse_create(&from, dir, name, O_RDWR, 0600, &file) >= 0);
	assert_true(fuse_write(&from, file.open.fh, 0, name, (uint32_t)strlen(name), 0) > 0);
	assert_int_equal(fuse_name(&from, FUSE_UNLINK, dir, name), 0);
	return file;
}

static void check_and_release(struct fuse_client *client, const struct fuse_created *file,
			      const char *expected)
{
	char text[64] = {0};
	struct fuse_attr attr;

	assert_true(fuse_getattr(client, file->entry.nodeid, &attr) >= 0);
	assert_int_equal(attr.nlink, 0);
	assert_true(fuse_read(client, file->open.fh, 0, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
	assert_true(fuse_release(client, FUSE_RELEASE, file->open.fh) >= 0);
}

/* Another file system, and a directory of the same one that is mounted once more. */
static void test_on_its_own_mount(void **state)
{
	struct fuse_entry_out below;
	struct fuse_created on_other, on_bound;
	uint64_t other, bound;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE});
	other = make_mount("other", "none", 0);
	assert_int_equal(mkdir(share_path(&from, "plain"), 0755), 0);
	bound = make_mount("bound", share_path(&from, "plain"), MS_BIND);
	assert_true(fuse_mkdir(&from, other, "below", 0755, &below) >= 0);
	on_other = remove_open(below.nodeid, "on other");
	on_bound = remove_open(bound, "on bound");
	assert_int_equal(count_attics("other"), 1);
	assert_int_equal(count_attics("plain"), 1);
	assert_int_equal(count_attics(""), 0);
	assert_int_equal(fuse_name(&from, FUSE_RMDIR, other, "below"), 0);

	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	check_and_release(&to, &on_other, "on other");
	check_and_release(&to, &on_bound, "on bound");
	fuse_stop(&to);
	from.own_share = false;
	fuse_stop(&from);
	assert_int_equal(count_attics("other"), 0);
	assert_int_equal(count_attics("plain"), 0);
	unmount("other");
	unmount("bound");
	assert_int_equal(rmdir(share_path(&from, "other")), 0);
	assert_int_equal(rmdir(share_path(&from, "bound")), 0);
	assert_int_equal(rmdir(share_path(&from, "plain")), 0);
	assert_int_equal(rmdir(from.share), 0);
}

/* Nothing can be made there: it is removed as ever, and moves by its content. */
static void test_where_nothing_can_be_made(void **state)
{
	struct fuse_created file;
	uint64_t full;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE});
	assert_int_equal(mkdir(share_path(&from, "full"), 0755), 0);
	/* The directory itself and one file. */
	assert_int_equal(mount("none", share_path(&from, "full"), "tmpfs", 0, "nr_inodes=2"), 0);
	full = fuse_node(&from, 1, "full");
	file = remove_open(full, "no room");
	assert_int_equal(count_attics("full"), 0);
	/* For where it is made anew. */
	assert_int_equal(
		mount("none", share_path(&from, "full"), "tmpfs", MS_REMOUNT, "nr_inodes=9"), 0);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	check_and_release(&to, &file, "no room");
	fuse_stop(&to);
	unmount("full");
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_on_its_own_mount),
		cmocka_unit_test(test_where_nothing_can_be_made),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("no mount namespace of its own here: %m; root can make one\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
