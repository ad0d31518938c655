/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/recover-hidden.c - the daemon is killed while its guest has files open that it has removed and
 * that are hidden: nobody takes them for left behind, neither the next process nor another one. */
#include "../common/fuse_client.h"
#include "../common/killer.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#define PREFIX ".godwit-hidden-"
#define KILLS  12

static const char *program;
static struct fuse_client guest, other;
static struct killer killer;
static char share[40];

/* In all attics of the share. */
static unsigned count(bool attics)
{
	char command[160], text[16] = "";
	FILE *pipe;

	snprintf(command, sizeof(command),
		 attics ? "find %s -name '" PREFIX "*' | wc -l"
			: "find %s -path '*/" PREFIX "*/*' ! -name lock ! -name saved | wc -l",
		 share);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_non_null(fgets(text, sizeof(text), pipe));
	pclose(pipe);
	return (unsigned)atoi(text);
}

static int set_up(void **state)
{
	static char shared[64];
	const char *argv[] = {program, shared, "--orphans=hide", "--log-level=warn", NULL};

	(void)state;
	strcpy(share, "/tmp/gw-hidden-share.XXXXXX");
	assert_non_null(mkdtemp(share));
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	killer_start(&killer, argv);
	fuse_start(&guest, &(struct fuse_options){.share = share, .socket = killer.socket});
	return 0;
}

/* Whatever is hidden goes with the guest. */
static int tear_down(void **state)
{
	char command[64];

	(void)state;
	fuse_stop(&guest);
	killer_join(&killer);
	assert_int_equal(count(true), 0);
	snprintf(command, sizeof(command), "rm -rf %s", share);
	return system(command);
}

static struct fuse_created make(const char *name)
{
	struct fuse_created made;

	assert_true(fuse_create(&guest, 0, name, O_RDWR, 0600, &made) >= 0);
	assert_true(fuse_write(&guest, made.open.fh, 0, name, (uint32_t)strlen(name), 0) > 0);
	return made;
}

static struct fuse_created make_hidden(const char *name)
{
	struct fuse_created made = make(name);

	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, name), 0);
	return made;
}

static void assert_is(const struct fuse_created *file, const char *content)
{
	struct fuse_attr attr;
	char text[64] = {0};

	assert_int_equal(fuse_read(&guest, file->open.fh, 0, text, sizeof(text) - 1),
			 strlen(content));
	assert_string_equal(text, content);
	assert_int_equal(fuse_getattr(&guest, file->entry.nodeid, &attr) < 0, 0);
	assert_int_equal(attr.nlink, 0);
}

static void release(const struct fuse_created *file)
{
	assert_int_equal(fuse_release(&guest, FUSE_RELEASE, file->open.fh), 0);
}

static void test_next_process_has_it(void **state)
{
	struct fuse_created first = make_hidden("first"), second, third;

	(void)state;
	killer_kill(&killer);
	assert_is(&first, "first");
	assert_int_equal(count(false), 1);
	/* It hides on, and removes what it did not hide itself. */
	second = make_hidden("second");
	assert_int_equal(count(false), 2);
	killer_kill(&killer);
	assert_is(&second, "second");
	assert_is(&first, "first");
	release(&first);
	assert_int_equal(count(false), 1);
	release(&second);
	assert_int_equal(count(false), 0);
	/* An attic with nothing in it is let go of by the next one. */
	killer_kill(&killer);
	third = make_hidden("third");
	assert_int_equal(count(false), 1);
	assert_int_equal(count(true), 1);
	release(&third);
}

/* Others that hide are started over the same directory: beside the guest, and while its daemon is
 * dead and the next has not begun. */
static void visit(void)
{
	fuse_start(&other, &(struct fuse_options){.share = share, .orphans = FS_ORPHANS_HIDE});
	fuse_stop(&other);
}

static void test_others_in_the_gap(void **state)
{
	struct fuse_created file = make_hidden("file");

	(void)state;
	visit();
	assert_int_equal(count(false), 1);
	for (unsigned i = 0; i < 3; i++) {
		/* Who keeps does not start the next one as long as it sleeps. */
		assert_int_equal(kill(killer.daemon, SIGSTOP), 0);
		killer_kill(&killer);
		visit();
		assert_int_equal(kill(killer.daemon, SIGCONT), 0);
		assert_int_equal(count(false), 1);
		assert_is(&file, "file");
		visit();
		assert_int_equal(count(false), 1);
	}
	release(&file);
	assert_int_equal(count(false), 0);
}

/* Killed at any moment of an UNLINK or a RENAME, which is done again by the next process. */
static void test_killed_while_hiding(void **state)
{
	(void)state;
	killer_begin(&killer, KILLS, 40);
	for (unsigned i = 0; killer.done < KILLS; i++) {
		struct fuse_created old = make("old");

		if (i % 2) {
			struct fuse_created new = make("new");

			assert_int_equal(fuse_rename(&guest, 1, "new", 1, "old", 0), 0);
			release(&new);
			fuse_forget(&guest, new.entry.nodeid, 1);
		} else {
			assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "old"), 0);
		}
		assert_is(&old, "old");
		release(&old);
		fuse_forget(&guest, old.entry.nodeid, 1);
		if (i % 2)
			assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "old"), 0);
	}
	killer_end(&killer);
}

/* All have died: what is there is nobody's. */
static void test_keeper_dies_too(void **state)
{
	char command[128];
	int status;

	(void)state;
	set_up(NULL);
	make_hidden("file");
	assert_int_equal(kill(killer.daemon, SIGSTOP), 0);
	killer_kill(&killer);
	assert_int_equal(kill(killer.daemon, SIGKILL), 0);
	assert_int_equal(waitpid(killer.daemon, &status, 0), killer.daemon);
	fuse_stop(&guest);
	assert_int_equal(count(false), 1);
	visit();
	assert_int_equal(count(true), 0);
	snprintf(command, sizeof(command), "rm -rf %s %s", share, killer.dir);
	assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_next_process_has_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_others_in_the_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_while_hiding, set_up, tear_down),
		cmocka_unit_test(test_keeper_dies_too),
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
