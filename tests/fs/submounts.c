/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/submounts.c - a mount inside the share is announced as one, if guest and operator want it. */
#include "../common/fuse_client.h"

#include <sched.h>
#include <sys/mount.h>

static struct fuse_client client;

static void mount_at(const char *name, const char *source, unsigned long flags)
{
	assert_int_equal(mkdir(share_path(&client, name), 0755), 0);
	assert_int_equal(
		mount(source, share_path(&client, name), flags ? NULL : "tmpfs", flags, NULL), 0);
}

static uint32_t flags_of(uint64_t parent, const char *name)
{
	struct fuse_entry_out entry;

	assert_true(fuse_lookup(&client, parent, name, &entry) > 0);
	return entry.attr.flags;
}

static void check(bool announced)
{
	mount_at("other", "none", 0);
	assert_int_equal(mkdir(share_path(&client, "other/dir"), 0755), 0);
	assert_int_equal(mkdir(share_path(&client, "plain"), 0755), 0);
	mount_at("bound", share_path(&client, "plain"), MS_BIND);
	assert_int_equal(flags_of(1, "other"), announced ? FUSE_ATTR_SUBMOUNT : 0);
	assert_int_equal(flags_of(1, "bound"), announced ? FUSE_ATTR_SUBMOUNT : 0);
	assert_int_equal(flags_of(1, "plain"), 0);
	assert_int_equal(flags_of(fuse_node(&client, 1, "other"), "dir"), 0);
	assert_int_equal(umount2(share_path(&client, "other"), MNT_DETACH), 0);
	assert_int_equal(umount2(share_path(&client, "bound"), MNT_DETACH), 0);
	fuse_stop(&client);
}

static void test_announced(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){.policy.submounts = true});
	check(true);
}

static void test_not_wanted_here(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	check(false);
}

static void test_not_wanted_there(void **state)
{
	(void)state;
	fuse_start(&client,
		   &(struct fuse_options){.policy.submounts = true, .init_flags = FUSE_ASYNC_READ});
	check(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_announced),
		cmocka_unit_test(test_not_wanted_here),
		cmocka_unit_test(test_not_wanted_there),
	};

	/* Mounts of our own, which nobody else sees. */
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
