/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-hidden-race.c - the last release of a file comes in the very moment between
 * the decision to hide it and the rename that does.
 *
 * The kernel asks this test before each renameat2() of the device's (seccomp_unotify(2)).
 */
#include "../common/fuse_client.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

static struct fuse_client guest;
static struct fuse_created file;
static int listener;

static bool listen_for_renames(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool done = filter && !seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(renameat2), 0) &&
		    !seccomp_load(filter);

	listener = done ? seccomp_notify_fd(filter) : -1;
	seccomp_release(filter);
	return listener >= 0;
}

/* What the device's thread waits for; then it goes on as if nothing had been. */
static void *release_before_rename(void *opaque)
{
	const struct fuse_release_in in = {.fh = file.open.fh};
	struct seccomp_notif *asked;
	struct seccomp_notif_resp *answer;

	(void)opaque;
	assert_int_equal(seccomp_notify_alloc(&asked, &answer), 0);
	assert_int_equal(seccomp_notify_receive(listener, asked), 0);
	assert_int_equal(fuse_call_on(&guest, 2,
				      &(struct fuse_call){.opcode = FUSE_RELEASE,
							  .arg = &in,
							  .arg_len = sizeof(in)}),
			 0);
	answer->id = asked->id;
	answer->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	assert_int_equal(seccomp_notify_respond(listener, answer), 0);
	seccomp_notify_free(asked, answer);
	return NULL;
}

static void test_released_before_it_is_renamed(void **state)
{
	char command[128];
	pthread_t thread;

	(void)state;
	fuse_start(&guest, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE, .queues = 2});
	assert_true(fuse_create(&guest, 0, "f", O_RDWR, 0600, &file) >= 0);
	assert_int_equal(pthread_create(&thread, NULL, release_before_rename, NULL), 0);
	assert_int_equal(fuse_name(&guest, FUSE_UNLINK, 0, "f"), 0);
	pthread_join(thread, NULL);
	snprintf(command, sizeof(command), "exit $(find %s -type f ! -name lock | wc -l)",
		 guest.share);
	assert_int_equal(WEXITSTATUS(system(command)), 0);
	fuse_stop(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_released_before_it_is_renamed),
	};

	/* Before there is any thread, so that all have it. */
	if (!listen_for_renames()) {
		printf("the kernel's questions cannot be listened to here: Linux 5.5 has them, for "
		       "root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
