/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-moves.c - a guest that speaks FUSE moves, with all that it has open. */
#include "../common/fuse_client.h"

#include <stdlib.h>

static struct fuse_client from, to, third;

static const char *read_all(struct fuse_client *client, uint64_t fh)
{
	static char text[256];
	int len = fuse_read(client, fh, 0, text, sizeof(text) - 1);

	if (len < 0)
		fail_msg("READ: %s", strerror(-len));
	text[len] = 0;
	return text;
}

static void write_at(struct fuse_client *client, uint64_t fh, uint64_t offset, const char *text)
{
	int len = (int)strlen(text);

	assert_true(fuse_write(client, fh, offset, text, (uint32_t)len, 0) > 0);
}

static void test_a_log_and_an_unlinked_file(void **state)
{
	struct fuse_created log, gone;
	struct fuse_attr attr;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.queues = 2});
	assert_true(fuse_create(&from, 0, "log", O_RDWR, 0644, &log) >= 0);
	assert_true(fuse_create(&from, 0, "gone", O_RDWR, 0600, &gone) >= 0);
	write_at(&from, log.open.fh, 0, "one ");
	write_at(&from, gone.open.fh, 0, "still here");
	assert_true(fuse_name(&from, FUSE_UNLINK, 0, "gone") >= 0);

	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	write_at(&to, log.open.fh, 4, "two ");
	assert_string_equal(read_all(&to, gone.open.fh), "still here");
	assert_true(fuse_getattr(&to, gone.entry.nodeid, &attr) >= 0);
	assert_int_equal(attr.ino, gone.entry.attr.ino);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(fuse_node(&to, 0, "log"), log.entry.nodeid);

	assert_int_equal(fuse_move(&third, &to, FS_ON_ERROR_ABORT), 0);
	write_at(&third, log.open.fh, 8, "three");
	assert_string_equal(share_content(&from, "log"), "one two three");
	assert_string_equal(read_all(&third, gone.open.fh), "still here");
	assert_true(fuse_release(&third, FUSE_RELEASE, gone.open.fh) >= 0);
	assert_int_equal(fuse_read(&third, gone.open.fh, 0, &attr, 1), -EBADF);
	fuse_stop(&third);
	fuse_stop(&to);
	fuse_stop(&from);
}

static _Atomic bool told_path;

static void remember(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	if (level <= GW_LOG_WARN && strstr(line, "save") && strstr(line, "/file"))
		told_path = true;
}

/* Beside the share, on its file system. */
static const char *elsewhere(void)
{
	static char path[sizeof(from.share) + sizeof(".elsewhere")];

	snprintf(path, sizeof(path), "%s.elsewhere", from.share);
	return path;
}

/* The destination refuses; the source goes on, and the guest notices nothing. */
static void test_refused(void **state)
{
	struct fuse_created file;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.queues = 1});
	assert_true(fuse_create(&from, 0, "file", O_RDWR, 0644, &file) >= 0);
	write_at(&from, file.open.fh, 0, "before");
	/* The name leads to another file, and nobody holds what the guest has but the source: it
	 * cannot be found by name, and it is not gone, so it is not copied either. */
	assert_int_equal(link(share_path(&from, "file"), elsewhere()), 0);
	assert_int_equal(unlink(share_path(&from, "file")), 0);
	share_file(&from, "file", "EVIL");
	gw_log_set_sink(remember, NULL);
	assert_true(fuse_move(&to, &from, FS_ON_ERROR_ABORT) < 0);
	gw_log_set_sink(NULL, NULL);
	/* What a program logs is not heard here. */
	assert_true(told_path || getenv(FUSE_PROGRAM));
	assert_int_equal(unlink(elsewhere()), 0);
	fuse_resume(&from);
	write_at(&from, file.open.fh, 6, " and after");
	assert_string_equal(read_all(&from, file.open.fh), "before and after");
	fuse_stop(&from);
}

static _Atomic bool told_resolved;

static void wait_for_resolver(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	if (strstr(line, "cached inodes were looked for: 2 found, 0 missing"))
		told_resolved = true;
}

/* What is merely cached is looked for without anybody's using it. */
static void test_resolver_starts(void **state)
{
	uint64_t dir, file;
	struct fuse_attr attr;

	(void)state;
	if (getenv(FUSE_PROGRAM))
		skip(); /* what it logs is not heard here */
	fuse_start(&from, &(struct fuse_options){.queues = 1});
	assert_int_equal(mkdir(share_path(&from, "d"), 0755), 0);
	share_file(&from, "d/f", "");
	dir = fuse_node(&from, 0, "d");
	file = fuse_node(&from, dir, "f");
	from.host.verify = FS_VERIFY_NONE;
	gw_log_set_sink(wait_for_resolver, NULL);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	for (int i = 0; i < 10000 && !told_resolved; i++)
		usleep(1000);
	gw_log_set_sink(NULL, NULL);
	assert_true(told_resolved);
	assert_true(fuse_getattr(&to, file, &attr) >= 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

static void test_guest_error(void **state)
{
	struct fuse_created bad, good;
	struct fuse_attr attr;
	char byte;

	(void)state;
	fuse_start(&from, &(struct fuse_options){.queues = 1, .on_error = FS_ON_ERROR_GUEST});
	assert_true(fuse_create(&from, 0, "bad", O_RDWR, 0644, &bad) >= 0);
	assert_true(fuse_create(&from, 0, "good", O_RDWR, 0644, &good) >= 0);
	write_at(&from, good.open.fh, 0, "fine");
	assert_int_equal(link(share_path(&from, "bad"), elsewhere()), 0);
	assert_int_equal(unlink(share_path(&from, "bad")), 0);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_GUEST), 0);
	assert_int_equal(unlink(elsewhere()), 0);
	assert_string_equal(read_all(&to, good.open.fh), "fine");
	assert_int_equal(fuse_getattr(&to, bad.entry.nodeid, &attr), -ESTALE);
	assert_int_equal(fuse_read(&to, bad.open.fh, 0, &byte, 1), -EBADF);
	assert_true(fuse_release(&to, FUSE_RELEASE, bad.open.fh) >= 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

/* Before INIT, which the guest then does at the destination. */
static void test_never_initialised(void **state)
{
	(void)state;
	fuse_start(&from, &(struct fuse_options){.queues = 1, .no_init = true});
	share_file(&from, "f", "");
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	assert_true(fuse_init(&to, 7, FUSE_KERNEL_MINOR_VERSION, UINT64_MAX >> 1) >= 0);
	assert_true(fuse_node(&to, 0, "f") != 0);
	fuse_stop(&to);
	fuse_stop(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_log_and_an_unlinked_file),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_resolver_starts),
		cmocka_unit_test(test_guest_error),
		cmocka_unit_test(test_never_initialised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
