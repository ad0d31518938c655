/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/hung-storage.c - a part of the share is on storage that does not answer any more:
 * other requests, the control socket, a stop and the end go on. */
#include "../common/fuse_client.h"
#include "../common/hung_fs.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* Of all requests that hang, on one queue. */
#define LOOKUPS 6
#define READS	2
#define HANGING (LOOKUPS + READS) /* 8 */

static struct fuse_client client;
static struct hung_fs hung;
static char share[64], control[80];
static char program[1024];
static uint64_t slow;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Requests that hang.
 */

static struct fuse_call calls[HANGING];
static char names[LOOKUPS][16];
static char text[READS][4096];
static struct fuse_entry_out entries[LOOKUPS];
static struct fuse_read_in reads[READS];

static void begin_lookups(void)
{
	for (unsigned i = 0; i < LOOKUPS; i++) {
		snprintf(names[i], sizeof(names[i]), "hang-%u", i);
		calls[i] = (struct fuse_call){.opcode = FUSE_LOOKUP,
					      .nodeid = slow,
					      .name = names[i],
					      .answer = &entries[i],
					      .room = sizeof(entries[i])};
	}
	for (unsigned i = 0; i < LOOKUPS; i++)
		fuse_begin(&client, 1, &calls[i]);
}

/* Of an open file, by threads of the pool. */
static void begin_reads(void)
{
	struct fuse_open_out open;

	assert_true(fuse_open(&client, fuse_node(&client, slow, "file"), O_RDONLY, &open) >= 0);
	for (unsigned i = 0; i < READS; i++) {
		reads[i] = (struct fuse_read_in){
			.fh = open.fh, .offset = (uint64_t)i << 18, .size = sizeof(text[i])};
		calls[LOOKUPS + i] = (struct fuse_call){.opcode = FUSE_READ,
							.arg = &reads[i],
							.arg_len = sizeof(reads[i]),
							.answer = text[i],
							.room = sizeof(text[i])};
		fuse_begin(&client, 1, &calls[LOOKUPS + i]);
	}
}

static void end_all(void)
{
	hung_fs_let_go(&hung);
	for (unsigned i = 0; i < HANGING; i++) {
		fuse_wait(&client, 1, &calls[i]);
		assert_int_equal(calls[i].result, -EIO);
	}
}

static int setup(void **state)
{
	char more[1280], path[128];

	(void)state;
	strcpy(share, "/tmp/gw-share.XXXXXX");
	assert_non_null(mkdtemp(share));
	snprintf(control, sizeof(control), "%s.control", share);
	snprintf(path, sizeof(path), "%s/slow", share);
	assert_int_equal(mkdir(path, 0777), 0);
	assert_true(hung_fs_start(&hung, path));
	snprintf(more, sizeof(more), "%s --control-socket=%s", program, control);
	setenv(FUSE_PROGRAM, more, 1);
	fuse_start(&client, &(struct fuse_options){.queues = 1, .share = share});
	share_file(&client, "quick", "quick");
	slow = fuse_node(&client, 0, "slow");
	return 0;
}

static int teardown(void **state)
{
	char path[128];

	(void)state;
	hung_fs_stop(&hung);
	unlink(share_path(&client, "quick"));
	snprintf(path, sizeof(path), "%s/slow", share);
	rmdir(path);
	assert_int_equal(rmdir(share), 0);
	return 0;
}

/* The answer to query-status. */
static const char *ask_status(void)
{
	static char answer[16384];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = 0;
	ssize_t got;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", control);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_true(write(fd, "{\"execute\":\"query-status\"}\n", 27) == 27);
	while (!memmem(answer, len, "\"return\"", 8) || answer[len - 1] != '\n') {
		got = read(fd, answer + len, sizeof(answer) - 1 - len);
		assert_true(got > 0);
		len += (size_t)got;
	}
	answer[len] = 0;
	close(fd);
	return answer;
}

static void test_others_go_on(void **state)
{
	struct fuse_entry_out entry;
	struct fuse_open_out open;
	struct fuse_attr attr;
	char data[16] = "";
	double began;

	(void)state;
	begin_reads();
	begin_lookups();
	began = now();
	for (unsigned i = 0; i < 100; i++)
		assert_true(fuse_getattr(&client, 1, &attr) > 0);
	assert_true(fuse_lookup(&client, 0, "quick", &entry) > 0);
	assert_true(fuse_open(&client, entry.nodeid, O_RDONLY, &open) >= 0);
	assert_int_equal(fuse_read(&client, open.fh, 0, data, sizeof(data)), 5);
	/* Also on the file system that hangs, what it answers. */
	assert_int_equal(fuse_lookup(&client, slow, "nothing", &entry), -ENOENT);
	hung_fs_await(&hung, HANGING);
	print_message("%u requests hang, others took %.3f s\n", HANGING, now() - began);
	assert_true(now() - began < 5);
	for (unsigned i = 0; i < HANGING; i++)
		assert_false(calls[i].done);
	assert_non_null(strstr(ask_status(), "\"in_flight\":8"));
	end_all();
	fuse_stop(&client);
}

static void *stop_rings(void *opaque)
{
	int *result = opaque;

	*result = gw_frontend_stop(client.frontend);
	return NULL;
}

static void test_a_stop_says_what_it_waits_for(void **state)
{
	pthread_t thread;
	int result = -1;

	(void)state;
	begin_reads();
	begin_lookups();
	hung_fs_await(&hung, HANGING);
	assert_int_equal(pthread_create(&thread, NULL, stop_rings, &result), 0);
	while (!strstr(ask_status(), "\"for\":"))
		usleep(10000);
	assert_non_null(strstr(ask_status(), "\"in_flight\":8"));
	hung_fs_let_go(&hung);
	pthread_join(thread, NULL);
	assert_int_equal(result, 0);
	assert_non_null(strstr(ask_status(), "\"stopping\":[]"));
	fuse_stop(&client);
}

/* How long until the program has ended; it is waited for. */
static double time_to_end(void)
{
	double began = now();
	int status;

	while (waitpid(client.program, &status, WNOHANG) != client.program) {
		assert_true(now() - began < 30);
		usleep(10000);
	}
	return now() - began;
}

/* With a file open there the kernel would wait: it tells a FUSE server of every close(2), and a
 * process that ends closes all. */
static void test_the_end_waits_for_nobody(void **state)
{
	double took;

	(void)state;
	hung_fs_be_deaf(&hung);
	begin_lookups();
	usleep(100000);
	gw_frontend_free(client.frontend);
	took = time_to_end();
	print_message("it ended after %.1f s\n", took);
	assert_true(took < 15);
	assert_int_equal(access(control, F_OK), -1);
}

static void test_ended_by_a_signal(void **state)
{
	(void)state;
	hung_fs_be_deaf(&hung);
	begin_lookups();
	usleep(100000);
	assert_int_equal(kill(client.program, SIGTERM), 0);
	assert_true(time_to_end() < 10);
	assert_int_equal(access(control, F_OK), -1);
	gw_frontend_free(client.frontend);
}

int main(void)
{
#define ONE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(test_others_go_on),
		ONE(test_a_stop_says_what_it_waits_for),
		ONE(test_the_end_waits_for_nobody),
		ONE(test_ended_by_a_signal),
	};

	if (!getenv(FUSE_PROGRAM) || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    access("/dev/fuse", R_OK | W_OK)) {
		print_message("skipped: FUSE file systems cannot be mounted here\n");
		return 77;
	}
	snprintf(program, sizeof(program), "%s", getenv(FUSE_PROGRAM));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
