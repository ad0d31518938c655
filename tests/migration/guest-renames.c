/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-renames.c - the host renames what the guest has, before and while a
 * migration is announced. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>

#define FILES 200

static struct fuse_client from, to;
static uint64_t ids[FILES], handles[FILES];

/* With these whatever the host moves is found. */
static bool by_handles(void)
{
	const char *program = getenv(FUSE_PROGRAM);

	return program && strstr(program, "--migration-mode=file-handles");
}

static const char *name_of(unsigned i)
{
	static _Thread_local char names[4][16];
	static _Thread_local unsigned turn;
	char *name = names[turn++ % 4];

	snprintf(name, sizeof(names[0]), "d/f%u", i);
	return name;
}

/* Each holds its own number; every other one is open, all are cached. */
static void start(void)
{
	uint64_t dir;

	fuse_start(&from, &(struct fuse_options){.on_error = FS_ON_ERROR_GUEST});
	assert_int_equal(mkdir(share_path(&from, "d"), 0755), 0);
	assert_int_equal(mkdir(share_path(&from, "e"), 0755), 0);
	dir = fuse_node(&from, 0, "d");
	for (unsigned i = 0; i < FILES; i++) {
		struct fuse_open_out open = {0};

		share_file(&from, name_of(i), name_of(i));
		ids[i] = fuse_node(&from, dir, name_of(i) + 2);
		if (i % 2)
			assert_true(fuse_open(&from, ids[i], O_RDONLY, &open) >= 0);
		handles[i] = open.fh;
	}
}

static void swap(unsigned i, unsigned j)
{
	char one[128];

	snprintf(one, sizeof(one), "%s", share_path(&from, name_of(i)));
	assert_int_equal(
		renameat2(AT_FDCWD, one, AT_FDCWD, share_path(&from, name_of(j)), RENAME_EXCHANGE),
		0);
}

/* Does the guest read of file @i what it held? False: it gets an error. Nothing else may be. */
static bool is_right(unsigned i)
{
	char text[32] = {0};
	struct fuse_open_out open = {.fh = handles[i]};
	int len = handles[i] ? 0 : fuse_open(&to, ids[i], O_RDONLY, &open);

	if (len >= 0)
		len = fuse_read(&to, open.fh, 0, text, sizeof(text) - 1);
	if (len < 0) {
		assert_true(len == -ESTALE || len == -EBADF);
		return false;
	}
	assert_string_equal(text, name_of(i));
	return true;
}

static unsigned count_right(void)
{
	unsigned right = 0;

	for (unsigned i = 0; i < FILES; i++)
		right += is_right(i);
	return right;
}

/* Files change places, others get into another directory, and the directory gets another name. */
static void rename_all(void)
{
	char one[128];

	for (unsigned i = 0; i + 1 < FILES / 2; i += 2)
		swap(i, i + 1);
	for (unsigned i = FILES / 2; i < FILES; i += 5) {
		char there[16];

		snprintf(one, sizeof(one), "%s", share_path(&from, name_of(i)));
		snprintf(there, sizeof(there), "e/g%u", i);
		assert_int_equal(rename(one, share_path(&from, there)), 0);
	}
	snprintf(one, sizeof(one), "%s", share_path(&from, "d"));
	assert_int_equal(rename(one, share_path(&from, "e/moved")), 0);
}

static void move(void)
{
	if (fuse_move(&to, &from, FS_ON_ERROR_GUEST))
		fail_msg("%s", gw_last_error());
}

static void stop(void)
{
	fuse_stop(&to);
	fuse_stop(&from);
}

static void test_before(void **state)
{
	(void)state;
	start();
	rename_all();
	assert_int_equal(gw_frontend_log(from.frontend, true), 0);
	usleep(100000);
	move();
	assert_int_equal(count_right(), FILES);
	stop();
}

static void test_before_a_snapshot(void **state)
{
	(void)state;
	start();
	rename_all();
	move();
	assert_int_equal(count_right(), FILES);
	stop();
}

/* What was looked at already may be missing, and is never another file. */
static void test_during(void **state)
{
	unsigned right;

	(void)state;
	start();
	assert_int_equal(gw_frontend_log(from.frontend, true), 0);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i + 1 < FILES; i += 2)
			swap(i, (i + 1 + 2 * round) % FILES);
		usleep(2000);
	}
	move();
	right = count_right();
	if (by_handles())
		assert_int_equal(right, FILES);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_before_a_snapshot),
		cmocka_unit_test(test_during),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
