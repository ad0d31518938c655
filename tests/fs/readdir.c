/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/readdir.c - a directory is listed whole, each name once, at whatever pace the guest likes. */
#include "../common/fuse_client.h"

#include <dirent.h>
#include <stdio.h>

#define FILES 500

static struct fuse_client client;
static unsigned seen[FILES];
static unsigned dots;
static uint64_t dotdot_ino;

static int setup(void **state)
{
	(void)state;
	fuse_start(&client, &(struct fuse_options){0});
	assert_int_equal(mkdir(share_path(&client, "dir"), 0755), 0);
	for (int i = 0; i < FILES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "dir/file-%d", i);
		share_file(&client, name, "");
	}
	memset(seen, 0, sizeof(seen));
	dots = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fuse_stop(&client);
	return 0;
}

static void note(const struct fuse_dirent *d)
{
	char name[256];
	int n;

	assert_true(d->namelen < sizeof(name));
	memcpy(name, d->name, d->namelen);
	name[d->namelen] = 0;
	if (!strcmp(name, "..")) {
		dotdot_ino = d->ino;
		dots++;
	} else if (!strcmp(name, ".")) {
		dots++;
	} else if (sscanf(name, "file-%d", &n) == 1) {
		assert_int_equal(d->type, DT_REG);
		seen[n]++;
	}
}

/* One READDIR or READDIRPLUS: the cookie to go on with, 0 at the end. */
static uint64_t list(uint32_t opcode, uint64_t fh, uint64_t offset, uint32_t size)
{
	struct fuse_read_in in = {.fh = fh, .offset = offset, .size = size};
	static char data[65536 - 4096];
	int len = fuse_call(&client, &(struct fuse_call){.opcode = opcode,
							 .nodeid = 0,
							 .arg = &in,
							 .arg_len = sizeof(in),
							 .answer = data,
							 .room = size});
	uint64_t last = 0;

	assert_true(len >= 0);
	for (int i = 0; i < len;) {
		const struct fuse_direntplus *plus = (void *)(data + i);
		const struct fuse_dirent *d =
			opcode == FUSE_READDIR ? (void *)(data + i) : (void *)&plus->dirent;

		note(d);
		if (opcode == FUSE_READDIRPLUS && plus->entry_out.nodeid) {
			assert_int_equal(plus->entry_out.attr.ino, d->ino);
			fuse_forget(&client, plus->entry_out.nodeid, 1);
		}
		last = d->off;
		i += (int)FUSE_REC_ALIGN(d->namelen + (opcode == FUSE_READDIR
							       ? FUSE_NAME_OFFSET
							       : FUSE_NAME_OFFSET_DIRENTPLUS));
	}
	return last;
}

static void check_each_once(void)
{
	for (int i = 0; i < FILES; i++)
		assert_int_equal(seen[i], 1);
	assert_int_equal(dots, 2);
}

static void list_all(uint32_t opcode, uint32_t size)
{
	uint64_t fh, offset = 0;

	assert_true(fuse_opendir(&client, fuse_node(&client, 1, "dir"), &fh) > 0);
	while ((offset = list(opcode, fh, offset, size)))
		;
	check_each_once();
	assert_int_equal(fuse_release(&client, FUSE_RELEASEDIR, fh), 0);
}

static void test_one_by_one(void **state)
{
	(void)state;
	list_all(FUSE_READDIR, 64);
}

static void test_pages(void **state)
{
	(void)state;
	list_all(FUSE_READDIR, 4096);
}

static void test_at_once(void **state)
{
	(void)state;
	list_all(FUSE_READDIR, 60000);
}

static void test_plus(void **state)
{
	(void)state;
	list_all(FUSE_READDIRPLUS, 4096);
}

/* Each name comes with the reference that LOOKUP would give, and none more. */
static void test_plus_references(void **state)
{
	struct fuse_attr attr;
	uint64_t node, fh;

	(void)state;
	assert_true(fuse_opendir(&client, fuse_node(&client, 1, "dir"), &fh) > 0);
	list(FUSE_READDIRPLUS, fh, 0, 4096);
	/* All that list() got it has forgotten again. */
	node = fuse_node(&client, fuse_node(&client, 1, "dir"), "file-3");
	assert_true(fuse_getattr(&client, node, &attr) > 0);
	fuse_forget(&client, node, 1);
	assert_int_equal(fuse_getattr(&client, node, &attr), -ESTALE);
}

/* Back to the start, and to a place in between. */
static void test_seek(void **state)
{
	uint64_t fh, first, second;

	(void)state;
	assert_true(fuse_opendir(&client, fuse_node(&client, 1, "dir"), &fh) > 0);
	first = list(FUSE_READDIR, fh, 0, 1000);
	second = list(FUSE_READDIR, fh, first, 1000);
	assert_true(second);
	memset(seen, 0, sizeof(seen));
	dots = 0;
	assert_int_equal(list(FUSE_READDIR, fh, 0, 1000), first);
	while (first)
		first = list(FUSE_READDIR, fh, first, 4096);
	check_each_once();
}

/* Above the share's root is nothing that the guest could hear of. */
static void test_root(void **state)
{
	struct fuse_attr attr;
	uint64_t fh;

	(void)state;
	assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_true(fuse_opendir(&client, 1, &fh) > 0);
	list(FUSE_READDIR, fh, 0, 4096);
	assert_int_equal(dots, 2);
	assert_int_equal(dotdot_ino, attr.ino);
}

static void test_bad(void **state)
{
	struct fuse_open_out open;
	struct fuse_read_in in = {.size = 100};
	struct fuse_call call = {
		.opcode = FUSE_READDIR, .arg = &in, .arg_len = sizeof(in), .room = 100};
	uint64_t node = fuse_node(&client, fuse_node(&client, 1, "dir"), "file-1"), fh;

	(void)state;
	assert_int_equal(fuse_opendir(&client, node, &fh), -ENOTDIR);
	assert_true(fuse_open(&client, node, O_RDONLY, &open) > 0);
	in.fh = open.fh;
	assert_int_equal(fuse_call(&client, &call), -EBADF);
	in.fh = 99999;
	assert_int_equal(fuse_call(&client, &call), -EBADF);
	assert_true(fuse_opendir(&client, 1, &fh) > 0);
	in.fh = fh;
	in.size = 200;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	in.size = 100;
	in.offset = UINT64_MAX;
	assert_int_equal(fuse_call(&client, &call), -EINVAL);
	/* A file's operations on a directory. */
	assert_int_equal(fuse_read(&client, fh, 0, &in, 1), -EBADF);
	assert_int_equal(fuse_write(&client, fh, 0, "", 1, 0), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plus, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plus_references, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seek, setup, teardown),
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
