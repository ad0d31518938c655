/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-reopen.c - how what the guest has open is opened again: by its name where
 * no device can be opened, which is where the program is shut in; elsewhere nothing is opened
 * before it is known who it is.
 *
 * usage: migration-guest-reopen by-name|known
 */
#include "../common/fuse_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

static struct fuse_client from, to;
static bool by_name;
static int watch;
static uint64_t kept, replaced;

static uint64_t open_file(const char *name)
{
	struct fuse_open_out open;

	share_file(&from, name, name);
	assert_true(fuse_open(&from, fuse_node(&from, 0, name), O_RDONLY, &open) >= 0);
	return open.fh;
}

static int set_up(void **state)
{
	(void)state;
	fuse_start(&from, &(struct fuse_options){.on_error = FS_ON_ERROR_GUEST});
	kept = open_file("kept");
	replaced = open_file("replaced");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(watch);
	fuse_stop(&to);
	fuse_stop(&from);
	return 0;
}

/* So often somebody opened the impostor. */
static unsigned opened(void)
{
	char events[4096];
	ssize_t len = read(watch, events, sizeof(events));

	return len < 0 ? 0 : (unsigned)len / (unsigned)sizeof(struct inotify_event);
}

static void move_and_check(void)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fuse_entry_out entry;
	char text[16] = {0};

	fuse_save(&from, stream);
	assert_int_equal(rename(share_path(&from, "replaced"), share_path(&from, "moved")), 0);
	assert_int_equal(rename(share_path(&from, "impostor"), share_path(&from, "replaced")), 0);
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(inotify_add_watch(watch, share_path(&from, "replaced"), IN_OPEN) >= 0);
	assert_int_equal(fuse_load(&to, &from, NULL, &from.host, stream), 0);
	close(stream);
	assert_int_equal(fuse_read(&to, kept, 0, text, sizeof(text)), 4);
	assert_string_equal(text, "kept");
	assert_int_equal(fuse_read(&to, replaced, 0, text, sizeof(text)), -EBADF);
	assert_true(fuse_lookup(&to, 1, "kept", &entry) >= 0);
}

static void test_a_file(void **state)
{
	(void)state;
	share_file(&from, "impostor", "EVIL");
	move_and_check();
	assert_int_equal(opened(), by_name);
}

/* Nobody writes into it, so that whoever opened it to read would wait. */
static void test_a_fifo(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(share_path(&from, "impostor"), 0644), 0);
	move_and_check();
	assert_int_equal(opened(), by_name);
}

/* Of which some do something when they are opened. */
static void test_a_device(void **state)
{
	(void)state;
	if (mknod(share_path(&from, "impostor"), S_IFCHR | 0644, makedev(1, 3))) {
		print_message("no device can be made here: %s; root can\n", strerror(errno));
		skip();
	}
	move_and_check();
	assert_int_equal(opened(), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_fifo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_device, set_up, tear_down),
	};

	by_name = argc > 1 && !strcmp(argv[1], "by-name");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
