/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-stateless.c - a guest changes its connection to a back-end that stays, with
 * what no state could hold. usage: guest-stateless GODWIT-FS */
#include "../common/fuse_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define HUGE_BYTES  (16u << 20) /* more than --migration-orphan-limit lets into a state */
#define PIECE_BYTES (512u << 10)

static const char *program;
static struct fuse_client from, to, back;
static char share[32], socket_path[48];
static pid_t pid;

static void start_program(void)
{
	char dir[64], path[64];
	char *argv[] = {(char *)program,
			dir,
			path,
			"--tag=test",
			"--sandbox=none",
			"--migration=stateless",
			"--migration-orphan-limit=1M",
			"--log-level=error",
			NULL};

	strcpy(share, "/tmp/gw-fuse.XXXXXX");
	assert_non_null(mkdtemp(share));
	snprintf(socket_path, sizeof(socket_path), "%s.socket", share);
	snprintf(dir, sizeof(dir), "--shared-dir=%s", share);
	snprintf(path, sizeof(path), "--socket-path=%s", socket_path);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execv(argv[0], argv);
		_exit(127);
	}
}

/* The front-end of before stays connected, as a VMM that has been left does. */
static int move(struct fuse_client *target, struct fuse_client *source)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fs_host host = from.host;
	int err;

	fuse_save(source, stream);
	assert_true(lseek(stream, 0, SEEK_END) < 4096);
	assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
	err = fuse_load(target, source, socket_path, &host, stream);
	close(stream);
	return err;
}

static uint64_t make_huge(void)
{
	struct fuse_created huge;
	char *piece = malloc(PIECE_BYTES);

	assert_true(fuse_create(&from, 0, "huge", O_RDWR, 0600, &huge) >= 0);
	memset(piece, 'x', PIECE_BYTES);
	for (uint64_t at = 0; at < HUGE_BYTES; at += PIECE_BYTES)
		assert_true(fuse_write(&from, huge.open.fh, at, piece, PIECE_BYTES, 0) > 0);
	free(piece);
	assert_true(fuse_name(&from, FUSE_UNLINK, 0, "huge") >= 0);
	return huge.open.fh;
}

static void check(struct fuse_client *client, uint64_t fh)
{
	char text[8];

	assert_int_equal(fuse_read(client, fh, HUGE_BYTES - 4, text, 8), 4);
	assert_memory_equal(text, "xxxx", 4);
}

static void test_there_and_back(void **state)
{
	uint64_t fh;
	int status;

	(void)state;
	start_program();
	fuse_start(&from, &(struct fuse_options){.share = share, .socket = socket_path});
	fh = make_huge();
	assert_int_equal(move(&to, &from), 0);
	check(&to, fh);
	fuse_stop(&from);
	assert_int_equal(move(&back, &to), 0);
	fuse_stop(&to);
	check(&back, fh);
	/* The session is one and the same: what is asked of it is answered, and once let go is
	 * gone. */
	assert_true(fuse_release(&back, FUSE_RELEASE, fh) >= 0);
	assert_int_equal(fuse_read(&back, fh, 0, &status, 1), -EBADF);
	fuse_stop(&back);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(rmdir(share), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back)};

	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
