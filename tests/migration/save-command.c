/* SPDX-License-Identifier: BSD-3-Clause */
/* migration/save-command.c - what a front-end left moves by `godwit save` and `godwit load`. */
#include "../common/fuse_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static const char *daemon_program, *command_program;
static char dir[] = "/tmp/gw-save.XXXXXX";
static char share[sizeof(dir) + 8], socket_a[sizeof(dir) + 8], socket_b[sizeof(dir) + 8],
	file[sizeof(dir) + 8];

static pid_t spawn(const char *const *argv)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	return pid;
}

static pid_t start_daemon(const char *path)
{
	char shared[64], where[64];
	const char *argv[] = {daemon_program,	  shared, where, "--reconnect",
			      "--log-level=warn", NULL};

	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	snprintf(where, sizeof(where), "--socket-path=%s", path);
	return spawn(argv);
}

static void end_daemon(pid_t pid)
{
	int status;

	kill(pid, SIGTERM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void run(const char *const *argv)
{
	pid_t pid = spawn(argv);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_a_guest_finds_its_things(void **state)
{
	const char *save[] = {command_program, "save", "--socket", socket_a, "-o", file, NULL};
	const char *load[] = {command_program, "load", "--socket", socket_b, file, NULL};
	pid_t a = start_daemon(socket_a), b = start_daemon(socket_b);
	static struct fuse_client before, after;
	struct fuse_open_out open;
	struct fuse_attr attr;
	char text[16] = "";
	uint64_t node;

	(void)state;
	fuse_start(&before, &(struct fuse_options){.share = share, .socket = socket_a});
	share_file(&before, "name", "content");
	node = fuse_node(&before, 0, "name");
	assert_true(fuse_open(&before, node, O_RDONLY, &open) > 0);
	assert_int_equal(gw_frontend_stop(before.frontend), 0);
	fuse_stop(&before);
	run(save);
	run(load);
	fuse_start(&after,
		   &(struct fuse_options){.share = share, .socket = socket_b, .no_init = true});
	assert_true(fuse_getattr(&after, node, &attr) > 0);
	assert_int_equal(fuse_read(&after, open.fh, 0, text, sizeof(text)), 7);
	assert_string_equal(text, "content");
	fuse_stop(&after);
	unlink(share_path(&after, "name"));
	end_daemon(a);
	end_daemon(b);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_guest_finds_its_things),
	};
	int failed;

	if (argc < 3 || !mkdtemp(dir))
		return 1;
	daemon_program = argv[1];
	command_program = argv[2];
	snprintf(share, sizeof(share), "%s/share", dir);
	snprintf(socket_a, sizeof(socket_a), "%s/a", dir);
	snprintf(socket_b, sizeof(socket_b), "%s/b", dir);
	snprintf(file, sizeof(file), "%s/state", dir);
	mkdir(share, 0755);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	rmdir(share);
	rmdir(dir);
	return failed;
}
