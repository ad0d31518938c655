/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-not-hidden.c - whatever keeps a file from being hidden: the guest's request
 * is done as ever, nothing is left behind, and the file moves by its content.
 *
 * The system call that hiding takes is refused by a filter, in a process for each case; the test's
 * own calls are others.
 */
#include "../common/fuse_client.h"

#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const struct refusal {
	const char *call;
	int error;
} refusals[] = {
	{"mkdirat", EDQUOT},   {"mkdirat", EROFS},   {"mkdirat", ENOSPC},   {"mkdirat", EPERM},
	{"mkdirat", EACCES},   {"renameat2", EXDEV}, {"renameat2", EDQUOT}, {"renameat2", EROFS},
	{"renameat2", EINVAL}, {"linkat", EXDEV},    {"linkat", EPERM},	    {"linkat", EMLINK},
};
static const struct refusal *refused;
static struct fuse_client from, to;

static bool refuse(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int call = seccomp_syscall_resolve_name(refused->call);
	int err = filter ? 0 : -ENOMEM;

	if (!err)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)refused->error), call, 0);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return !err;
}

static struct fuse_created make(const char *name)
{
	struct fuse_created made;

	assert_true(fuse_create(&from, 0, name, O_RDWR, 0600, &made) >= 0);
	assert_true(fuse_write(&from, made.open.fh, 0, name, (uint32_t)strlen(name), 0) > 0);
	return made;
}

static void assert_is(struct fuse_client *client, const struct fuse_created *file,
		      const char *content, uint32_t links)
{
	struct fuse_attr attr;
	char text[32] = {0};

	assert_true(fuse_read(client, file->open.fh, 0, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, content);
	assert_true(fuse_getattr(client, file->entry.nodeid, &attr) >= 0);
	assert_int_equal(attr.nlink, links);
}

/* In an attic, if there is one. */
static unsigned hidden(void)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "exit $(find %s/.godwit-hidden-* ! -name lock ! -name saved -type f "
		 "2>/dev/null | wc -l)",
		 from.share);
	return (unsigned)WEXITSTATUS(system(command));
}

static void test_done_as_ever(void **state)
{
	bool no_rename = !strcmp(refused->call, "renameat2");
	bool hides = !strcmp(refused->call, "linkat"); /* what is unlinked, and not replaced */
	struct fuse_created removed, old, new;
	char command[256];

	(void)state;
	fuse_start(&from, &(struct fuse_options){.orphans = FS_ORPHANS_HIDE});
	removed = make("removed");
	old = make("old");
	new = make("new");
	assert_int_equal(fuse_name(&from, FUSE_UNLINK, 0, "removed"), 0);
	assert_int_equal(access(share_path(&from, "removed"), F_OK), -1);
	assert_is(&from, &removed, "removed", 0);
	assert_int_equal(fuse_rename(&from, 1, "new", 1, "old", 0),
			 no_rename ? -refused->error : 0);
	assert_is(&from, &old, "old", no_rename);
	assert_string_equal(share_content(&from, "old"), no_rename ? "old" : "new");
	assert_int_equal(hidden(), hides);
	assert_int_equal(fuse_move(&to, &from, FS_ON_ERROR_ABORT), 0);
	from.own_share = false;
	fuse_stop(&from);
	assert_is(&to, &removed, "removed", 0);
	assert_is(&to, &old, "old", no_rename);
	assert_is(&to, &new, "new", 1);
	fuse_stop(&to);
	assert_int_equal(hidden(), 0);
	snprintf(command, sizeof(command), "rm %s/* && rmdir %s", from.share, from.share);
	assert_int_equal(system(command), 0);
}

/* The exit status. */
static int try_refusal(const struct refusal *refusal)
{
	const struct CMUnitTest tests[] = {
		{.name = refusal->call, .test_func = test_done_as_ever},
	};
	int status = 1;
	pid_t child = fork();

	if (!child) {
		gw_log_set_level(GW_LOG_OFF);
		refused = refusal;
		exit(refuse() ? cmocka_run_group_tests(tests, NULL, NULL) : 77);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return 1;
	if (WEXITSTATUS(status))
		printf("%s: %s\n", refusal->call, strerror(refusal->error));
	return WEXITSTATUS(status);
}

int main(void)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		int status = try_refusal(&refusals[i]);

		if (status == 77) {
			printf("no filter of system calls can be set here\n");
			return 77;
		}
		failed |= status;
	}
	return failed;
}
