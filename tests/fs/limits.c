/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/limits.c - what is beyond the operator's limits is ENOMEM, and nothing else stops. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <sys/mman.h>

#define LIMIT 100u
#define FILES (2 * LIMIT)
/* Names of 200 bytes: 4,000 of them are more than a MiB, 2,000 are less. */
#define LONG_FILES 4000u

static struct fuse_client client, other;
static uint64_t nodes[LONG_FILES];

static const char *name_of(unsigned i)
{
	static char name[16];

	snprintf(name, sizeof(name), "f%u", i);
	return name;
}

static const char *long_name_of(unsigned i)
{
	static char name[256];

	snprintf(name, sizeof(name), "%0200u", i);
	return name;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static void start(unsigned limit, unsigned memory)
{
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.inode_limit = limit, .inode_memory = memory});
}

/* How many were looked up before the first that could not be. */
static unsigned look_up_all(const char *(*name)(unsigned i), unsigned count)
{
	struct fuse_entry_out entry;
	unsigned n;
	int ret;

	for (n = 0; n < count; n++) {
		ret = fuse_lookup(&client, 0, name(n), &entry);
		if (ret < 0)
			break;
		nodes[n] = entry.nodeid;
	}
	if (n < count)
		assert_int_equal(ret, -ENOMEM);
	return n;
}

static void test_known_files_are_served(void **state)
{
	struct fuse_open_out open;
	struct fuse_attr attr;
	char data[16];

	(void)state;
	start(LIMIT, 0);
	for (unsigned i = 0; i < FILES; i++)
		share_file(&client, name_of(i), name_of(i));
	assert_int_equal(look_up_all(name_of, FILES), LIMIT);
	for (unsigned i = 0; i < LIMIT; i++) {
		assert_int_equal(fuse_node(&client, 0, name_of(i)), nodes[i]);
		assert_true(fuse_getattr(&client, nodes[i], &attr) > 0);
		assert_true(fuse_open(&client, nodes[i], O_RDONLY, &open) > 0);
		assert_int_equal(fuse_read(&client, open.fh, 0, data, sizeof(data)),
				 strlen(name_of(i)));
		assert_int_equal(fuse_release(&client, FUSE_RELEASE, open.fh), 0);
	}
	assert_int_equal(fuse_lookup(&client, 0, "none", &(struct fuse_entry_out){0}), -ENOENT);
}

/* What cannot be told to the guest is not made. */
static void test_nothing_is_made(void **state)
{
	struct fuse_created created;

	(void)state;
	start(LIMIT, 0);
	for (unsigned i = 0; i < FILES; i++)
		share_file(&client, name_of(i), "");
	assert_int_equal(look_up_all(name_of, FILES), LIMIT);
	assert_int_equal(fuse_create(&client, 0, "new", O_RDWR, 0600, &created), -ENOMEM);
	assert_int_equal(fuse_mkdir(&client, 0, "new", 0700, NULL), -ENOMEM);
	assert_int_equal(access(share_path(&client, "new"), F_OK), -1);
	/* The guest's own doing to what it knows. */
	assert_int_equal(fuse_rename(&client, 1, name_of(0), 1, "new", 0), 0);
	assert_int_equal(fuse_name(&client, FUSE_UNLINK, 0, "new"), 0);
}

static void test_forgetting_makes_room(void **state)
{
	struct fuse_created created;

	(void)state;
	start(LIMIT, 0);
	for (unsigned i = 0; i < FILES; i++)
		share_file(&client, name_of(i), "");
	assert_int_equal(look_up_all(name_of, FILES), LIMIT);
	for (unsigned i = 0; i < 10; i++)
		fuse_forget(&client, nodes[i], 1);
	for (unsigned i = 0; i < 9; i++)
		fuse_node(&client, 0, name_of(LIMIT + i));
	assert_true(fuse_create(&client, 0, "new", O_RDWR, 0600, &created) > 0);
	assert_int_equal(fuse_lookup(&client, 0, name_of(FILES - 1), &created.entry), -ENOMEM);
}

static void test_memory(void **state)
{
	unsigned n;

	(void)state;
	start(0, 1);
	for (unsigned i = 0; i < LONG_FILES; i++)
		share_file(&client, long_name_of(i), "");
	n = look_up_all(long_name_of, LONG_FILES);
	assert_in_range(n, LONG_FILES / 2, LONG_FILES - 1);
	for (unsigned i = 0; i < n; i++)
		fuse_forget(&client, nodes[i], 1);
	assert_int_equal(look_up_all(long_name_of, LONG_FILES), n);
}

/* The destination allows less than the source: the guest stays where it is. */
static void test_a_state_of_more_is_refused(void **state)
{
	struct fs_host host;
	int stream = memfd_create("state", MFD_CLOEXEC);

	(void)state;
	start(0, 0);
	for (unsigned i = 0; i < FILES; i++)
		share_file(&client, name_of(i), "");
	assert_int_equal(look_up_all(name_of, FILES), FILES);
	host = client.host;
	host.inode_limit = LIMIT;
	fuse_save(&client, stream);
	assert_true(fuse_load(&other, &client, NULL, &host, stream) < 0);
	fuse_resume(&client);
	assert_int_equal(fuse_node(&client, 0, name_of(7)), nodes[7]);
	/* As many as there are is enough. */
	host.inode_limit = FILES;
	assert_int_equal(ftruncate(stream, 0), 0);
	assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
	fuse_save(&client, stream);
	assert_int_equal(fuse_load(&other, &client, NULL, &host, stream), 0);
	assert_int_equal(fuse_node(&other, 0, name_of(7)), nodes[7]);
	fuse_stop(&other);
	close(stream);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_known_files_are_served),     TEST(test_nothing_is_made),
		TEST(test_forgetting_makes_room),      TEST(test_memory),
		TEST(test_a_state_of_more_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
