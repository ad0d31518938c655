/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/guest-handover.c - a guest goes from one program to the next on the same host,
 * and what it has open goes along as it is. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HUGE_BYTES  (80u << 20) /* more than any state may hold */
#define PIECE_BYTES (512u << 10)

static struct fuse_client first, second, third;
static char handover[64], socket_path[64];
static uint64_t fh, huge_fh;

static int lock(struct fuse_client *client, uint64_t owner, uint32_t type, uint32_t flags)
{
	const struct fuse_lk_in in = {
		.fh = fh, .owner = owner, .lk = {.end = 9, .type = type}, .lk_flags = flags};

	return fuse_call(client, &(struct fuse_call){
					 .opcode = FUSE_SETLK, .arg = &in, .arg_len = sizeof(in)});
}

static bool is_free(void)
{
	struct flock wanted = {.l_type = F_WRLCK, .l_len = 10};
	int fd = open(share_path(&first, "file"), O_RDWR | O_CLOEXEC);
	bool is;

	assert_true(fd >= 0);
	is = !fcntl(fd, F_OFD_SETLK, &wanted) || !flock(fd, LOCK_EX | LOCK_NB);
	close(fd);
	return is;
}

/* The next program, as the first one was started; it is there when its socket is. */
static pid_t start_next(void)
{
	char words[1024], share[128], path[128];
	char *argv[64], *word;
	static unsigned count;
	unsigned n = 0;
	pid_t pid;

	snprintf(socket_path, sizeof(socket_path), "/tmp/gw-next.%d.%u", (int)getpid(), ++count);
	snprintf(words, sizeof(words), "%s", getenv(FUSE_PROGRAM));
	for (word = strtok(words, " "); word && n < 40; word = strtok(NULL, " "))
		argv[n++] = word;
	snprintf(share, sizeof(share), "--shared-dir=%s", first.share);
	snprintf(path, sizeof(path), "--socket-path=%s", socket_path);
	argv[n++] = share;
	argv[n++] = path;
	argv[n++] = "--tag=test";
	argv[n++] = "--log-level=info";
	argv[n] = NULL;
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	for (int i = 0; i < 1000 && access(socket_path, F_OK) < 0; i++)
		usleep(10000);
	/* Until it serves, it has not yet connected for sure. */
	usleep(200000);
	return pid;
}

static void move(struct fuse_client *to, struct fuse_client *from)
{
	int stream = memfd_create("state", MFD_CLOEXEC);
	struct fs_host host = first.host;

	fuse_save(from, stream);
	/* They are somebody's all the time. */
	assert_false(is_free());
	assert_true(lseek(stream, 0, SEEK_END) < 1 << 20);
	assert_int_equal(lseek(stream, 0, SEEK_SET), 0);
	assert_int_equal(fuse_load(to, from, socket_path, &host, stream), 0);
	assert_false(is_free());
	close(stream);
}

static void check(struct fuse_client *client)
{
	char text[16];

	assert_int_equal(fuse_read(client, fh, 0, text, 7), 7);
	assert_memory_equal(text, "content", 7);
	assert_int_equal(fuse_read(client, huge_fh, HUGE_BYTES - 4, text, 8), 4);
	assert_memory_equal(text, "xxxx", 4);
	assert_int_equal(lock(client, 2, F_WRLCK, 0), -EAGAIN);
	assert_int_equal(lock(client, 1, F_WRLCK, 0), 0);
}

static void end_program(struct fuse_client *client, pid_t pid)
{
	int status;

	fuse_stop(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void open_things(void)
{
	struct fuse_created huge;
	struct fuse_open_out open;
	char *piece = malloc(PIECE_BYTES);

	share_file(&first, "file", "content");
	assert_int_equal(chmod(share_path(&first, "file"), 0666), 0);
	assert_true(fuse_open(&first, fuse_node(&first, 1, "file"), O_RDWR, &open) > 0);
	fh = open.fh;
	assert_true(fuse_create(&first, 0, "huge", O_RDWR, 0600, &huge) >= 0);
	huge_fh = huge.open.fh;
	memset(piece, 'x', PIECE_BYTES);
	for (uint64_t at = 0; at < HUGE_BYTES; at += PIECE_BYTES)
		assert_true(fuse_write(&first, huge_fh, at, piece, PIECE_BYTES, 0) > 0);
	free(piece);
	assert_true(fuse_name(&first, FUSE_UNLINK, 0, "huge") >= 0);
	assert_int_equal(lock(&first, 1, F_WRLCK, 0), 0);
	assert_int_equal(lock(&first, 1, F_WRLCK, FUSE_LK_FLOCK), 0);
}

/* Twice, since who was given something gives it on. */
static void test_chain(void **state)
{
	pid_t pid2, pid3;

	(void)state;
	fuse_start(&first, &(struct fuse_options){.policy = {.posix_lock = true, .flock = true}});
	open_things();
	pid2 = start_next();
	move(&second, &first);
	first.own_share = false;
	fuse_stop(&first);
	check(&second);
	assert_false(is_free());
	pid3 = start_next();
	move(&third, &second);
	end_program(&second, pid2);
	check(&third);
	first.own_share = true;
	end_program(&third, pid3);
	assert_int_equal(unlink(share_path(&first, "file")), 0);
	assert_int_equal(rmdir(first.share), 0);
	assert_int_equal(access(handover, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain)};
	const char *program = getenv(FUSE_PROGRAM);
	char words[1024];

	if (!program) {
		fprintf(stderr, "takes a program (%s)\n", FUSE_PROGRAM);
		return 77;
	}
	snprintf(handover, sizeof(handover), "/tmp/gw-handover.%d", (int)getpid());
	snprintf(words, sizeof(words), "%s --handover-socket=%s", program, handover);
	setenv(FUSE_PROGRAM, words, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
