/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/creds.c - what a guest's user makes belongs to that user, by that user's rights alone. */
#include <stdio.h>

#include "../common/fuse_client.h"

static struct fuse_client client;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	assert_int_equal(mkdir(share_path(&client, "open"), 0777), 0);
	assert_int_equal(chmod(share_path(&client, "open"), 0777), 0);
	assert_int_equal(mkdir(share_path(&client, "closed"), 0755), 0);
	assert_int_equal(mkdir(share_path(&client, "group"), 0770), 0);
	assert_int_equal(chmod(share_path(&client, "group"), 0770), 0);
	assert_int_equal(chown(share_path(&client, "group"), 0, 500), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

/* CREATE as somebody; @groups: how many of 500, 501... come as an extension. */
static int create_as(uint64_t parent, const char *name, uint32_t uid, uint32_t gid, unsigned groups,
		     struct fuse_created *created)
{
	struct fuse_create_in in = {.flags = O_RDWR | O_CREAT, .mode = S_IFREG | 0600};
	struct {
		struct fuse_ext_header header;
		uint32_t count, group[5];
	} ext = {.header = {.size = (uint32_t)(12 + 4 * groups), .type = FUSE_EXT_GROUPS},
		 .count = groups,
		 .group = {500, 501, 502}};
	struct fuse_call call = {.opcode = FUSE_CREATE,
				 .nodeid = parent,
				 .uid = uid,
				 .gid = gid,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = name,
				 .answer = created,
				 .room = sizeof(*created)};

	if (groups) {
		call.data = &ext;
		call.data_len = FUSE_REC_ALIGN(ext.header.size);
		call.ext_units = (uint16_t)(call.data_len / 8);
	}
	return fuse_call(&client, &call);
}

static void test_owner(void **state)
{
	uint64_t dir = fuse_node(&client, 1, "open");
	struct fuse_created created;
	struct fuse_entry_out entry;
	struct fuse_mkdir_in in = {.mode = 0755};
	struct fuse_call call = {.opcode = FUSE_MKDIR,
				 .nodeid = dir,
				 .uid = 1000,
				 .gid = 1001,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "dir",
				 .answer = &entry,
				 .room = sizeof(entry)};

	(void)state;
	assert_true(create_as(dir, "f", 1000, 1001, 0, &created) > 0);
	assert_int_equal(created.entry.attr.uid, 1000);
	assert_int_equal(created.entry.attr.gid, 1001);
	assert_true(fuse_call(&client, &call) > 0);
	assert_int_equal(entry.attr.uid, 1000);
	/* The guest's root right after, on the same thread. */
	assert_true(create_as(dir, "r", 0, 0, 0, &created) > 0);
	assert_int_equal(created.entry.attr.uid, 0);
	assert_int_equal(created.entry.attr.gid, 0);
}

static void test_rights(void **state)
{
	struct fuse_created created;

	(void)state;
	assert_int_equal(create_as(fuse_node(&client, 1, "closed"), "f", 1000, 1000, 0, &created),
			 -EACCES);
	/* And the thread has its own back. */
	assert_true(create_as(fuse_node(&client, 1, "closed"), "f", 0, 0, 0, &created) > 0);
}

/* Groups help for one request, and do not leak into the next. */
static void test_groups(void **state)
{
	uint64_t dir = fuse_node(&client, 1, "group");
	struct fuse_created created;

	(void)state;
	assert_int_equal(create_as(dir, "a", 1000, 1000, 0, &created), -EACCES);
	assert_true(create_as(dir, "a", 1000, 1000, 2, &created) > 0);
	assert_int_equal(created.entry.attr.gid, 1000);
	assert_int_equal(create_as(dir, "b", 1000, 1000, 0, &created), -EACCES);
}

/* The host was faster: what it made is opened by the rights of who asked. */
static void test_existing(void **state)
{
	struct fuse_created created;

	(void)state;
	share_file(&client, "secret", "of the host's root");
	assert_int_equal(chmod(share_path(&client, "secret"), 0600), 0);
	assert_int_equal(create_as(1, "secret", 1000, 1000, 0, &created), -EACCES);
	assert_true(create_as(1, "secret", 0, 0, 0, &created) > 0);
	assert_int_equal(chmod(share_path(&client, "secret"), 0666), 0);
	assert_true(create_as(1, "secret", 1000, 1000, 0, &created) > 0);
	assert_int_equal(created.entry.attr.uid, 0);
}

/* The kernel's own rule for directories with the set-group-id bit. */
static void test_setgid_directory(void **state)
{
	struct fuse_created created;

	(void)state;
	assert_int_equal(mkdir(share_path(&client, "sgid"), 0777), 0);
	assert_int_equal(chown(share_path(&client, "sgid"), 0, 700), 0);
	assert_int_equal(chmod(share_path(&client, "sgid"), 02777), 0);
	assert_true(create_as(fuse_node(&client, 1, "sgid"), "f", 1000, 1000, 0, &created) > 0);
	assert_int_equal(created.entry.attr.gid, 700);
}

static void test_bad_extension(void **state)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0600};
	struct fuse_created created;
	uint32_t ext[4] = {16, FUSE_EXT_GROUPS, 0, 0};
	struct fuse_call call = {.opcode = FUSE_CREATE,
				 .arg = &in,
				 .arg_len = sizeof(in),
				 .name = "f",
				 .data = ext,
				 .data_len = sizeof(ext),
				 .ext_units = 2,
				 .answer = &created,
				 .room = sizeof(created)};

	(void)state;
	ext[2] = 2; /* more groups than there is room for */
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	ext[2] = UINT32_MAX;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	ext[2] = 1;
	ext[0] = 4; /* shorter than its own header */
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	ext[0] = 4096;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	ext[0] = 16;
	call.ext_units = 100; /* longer than the request */
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	call.ext_units = 2;
	ext[1] = 77; /* unknown: passed over */
	assert_true(fuse_call(&client, &call) > 0);
}

static struct stat host_stat(const char *name)
{
	struct stat st;

	assert_int_equal(lstat(share_path(&client, name), &st), 0);
	return st;
}

/* The guest's numbers are others on the host, on all ways in and out. */
static void test_translated(void **state)
{
	const struct fuse_options options = {
		.uids = {2, {"map:0:100000:65536", "forbid-guest:65536:1"}},
		.gids = {2, {"squash-guest:0:500:2000", "host:500:7:1"}},
	};
	struct fuse_setattr_in owner = {.valid = FATTR_UID, .uid = 5};
	struct fuse_setattr_in group = {.valid = FATTR_GID, .gid = 5000};
	struct fuse_created created;
	struct fuse_attr attr;

	(void)state;
	fuse_start(&client, &options);
	assert_int_equal(chmod(share_path(&client, ""), 0777), 0);
	assert_true(create_as(1, "f", 1000, 1000, 0, &created) > 0);
	assert_int_equal(created.entry.attr.uid, 1000);
	assert_int_equal(created.entry.attr.gid, 7);
	assert_int_equal(host_stat("f").st_uid, 101000);
	assert_int_equal(host_stat("f").st_gid, 500);
	/* The guest's root has no other rights than whom it stands for. */
	assert_true(create_as(1, "r", 0, 0, 0, &created) > 0);
	assert_int_equal(host_stat("r").st_uid, 100000);
	assert_int_equal(create_as(1, "x", 65536, 0, 0, &created), -EPERM);
	assert_true(fuse_setattr(&client, created.entry.nodeid, &owner, &attr) > 0);
	assert_int_equal(attr.uid, 5);
	assert_int_equal(host_stat("r").st_uid, 100005);
	assert_true(fuse_setattr(&client, created.entry.nodeid, &group, &attr) > 0);
	assert_int_equal(host_stat("r").st_gid, 5000);
	owner.uid = 65536;
	assert_int_equal(fuse_setattr(&client, created.entry.nodeid, &owner, NULL), -EPERM);
	assert_int_equal(host_stat("r").st_uid, 100005);
	fuse_stop(&client);
}

/* So are supplementary groups; one that is forbidden gives nothing. */
static void test_translated_groups(void **state)
{
	const struct fuse_options options = {
		.gids = {2, {"guest:500:600:1", "forbid-guest:501:1"}}};
	struct fuse_created created;
	uint64_t dir;

	(void)state;
	fuse_start(&client, &options);
	assert_int_equal(mkdir(share_path(&client, "d"), 0770), 0);
	assert_int_equal(chmod(share_path(&client, "d"), 0770), 0);
	assert_int_equal(chown(share_path(&client, "d"), 0, 600), 0);
	dir = fuse_node(&client, 1, "d");
	assert_int_equal(create_as(dir, "f", 1000, 1000, 0, &created), -EACCES);
	assert_true(create_as(dir, "f", 1000, 1000, 2, &created) > 0);
	assert_int_equal(chown(share_path(&client, "d"), 0, 501), 0);
	assert_int_equal(create_as(dir, "g", 1000, 1000, 2, &created), -EACCES);
	fuse_stop(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(test_existing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_setgid_directory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_extension, setup, teardown),
		cmocka_unit_test(test_translated),
		cmocka_unit_test(test_translated_groups),
	};

	if (geteuid() != 0) {
		printf("only root may act as others: run as root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
