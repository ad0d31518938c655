/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/security/dead-frontend.c - a front-end is killed, wherever it is in its life: the program
 * is gone soon after, inside and outside of its walls, and so are its sockets. */
#include "../common/fuse_client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* Quiet machines take a tenth of a second; what hangs is given up after five seconds. */
#define GONE_S 20
/* State of so many inodes does not fit in such a pipe. */
#define INODES	 500
#define PIPE_LEN 4096
#define COPY_LEN (UINT64_C(256) << 20)

static char dir[64], share[80], path[80];
static struct fuse_client client; /* the front-end's own */

/*
 * Stages. Each runs in the process that will be killed, and returns when it is where it should be.
 */

static int connect_raw(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		usleep(5000);
	return fd;
}

static void connected(int pipe_end)
{
	(void)pipe_end;
	connect_raw();
}

/* GET_FEATURES, and 4 of the header's 12 bytes are missing. */
static void in_the_middle_of_a_message(int pipe_end)
{
	static const uint32_t cut[2] = {1, 1};

	(void)pipe_end;
	(void)!write(connect_raw(), cut, sizeof(cut));
}

static void negotiated(int pipe_end)
{
	struct gw_frontend_config config = {
		.size = sizeof(config), .socket_path = path, .fd = -1, .queues = 2};
	struct gw_frontend *frontend;

	(void)pipe_end;
	assert_int_equal(gw_frontend_new(&frontend, &config), 0);
}

static void running(int pipe_end)
{
	(void)pipe_end;
	fuse_start(&client, &(struct fuse_options){.share = share, .socket = path});
}

/* Files are open, a long copy runs, and others wait. */
static void with_requests_in_flight(int pipe_end)
{
	static struct fuse_copy_file_range_in copy;
	static struct fuse_fsync_in sync;
	static struct fuse_call calls[] = {
		{.opcode = FUSE_COPY_FILE_RANGE_64,
		 .arg = &copy,
		 .arg_len = sizeof(copy),
		 .room = sizeof(struct fuse_copy_file_range_out)},
		{.opcode = FUSE_FSYNC, .arg = &sync, .arg_len = sizeof(sync)},
	};
	struct fuse_created from, to;

	running(pipe_end);
	assert_true(fuse_create(&client, 0, "from", O_RDWR, 0600, &from) > 0);
	assert_true(fuse_create(&client, 0, "to", O_RDWR, 0600, &to) > 0);
	assert_int_equal(truncate(share_path(&client, "from"), (off_t)COPY_LEN), 0);
	copy = (struct fuse_copy_file_range_in){
		.fh_in = from.open.fh, .fh_out = to.open.fh, .len = COPY_LEN};
	sync.fh = to.open.fh;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		fuse_begin(&client, 1, &calls[i]);
}

static void find_many(void)
{
	for (unsigned i = 0; i < INODES; i++) {
		char name[32];

		snprintf(name, sizeof(name), "a-file-with-some-name-%u", i);
		assert_true(fuse_mkdir(&client, 0, name, 0700, NULL) >= 0);
	}
}

static void stopped(int pipe_end)
{
	running(pipe_end);
	assert_int_equal(gw_frontend_stop(client.frontend), 0);
}

/* Nobody reads, and whoever could have read lives on: no broken pipe tells the program. */
static void while_it_saves(int pipe_end)
{
	enum gw_transfer_reply reply;
	int own_fd, waiting;

	running(pipe_end);
	find_many();
	assert_int_equal(gw_frontend_stop(client.frontend), 0);
	assert_int_equal(gw_frontend_transfer_offer(client.frontend, false, GW_PHASE_STOPPED,
						    pipe_end, &own_fd, &reply),
			 0);
	while (ioctl(pipe_end, FIONREAD, &waiting) == 0 && waiting < PIPE_LEN)
		usleep(5000);
}

/* Nothing came yet, and it could still come. */
static void while_it_loads(int pipe_end)
{
	int state = memfd_create("state", MFD_CLOEXEC), own_fd;
	enum gw_transfer_reply reply;
	struct gw_frontend_config config = {
		.size = sizeof(config), .socket_path = path, .fd = -1, .queues = 2};
	struct gw_frontend *to;

	/* From a device in this process to the program. */
	fuse_start(&client, &(struct fuse_options){.share = share});
	fuse_save(&client, state);
	assert_int_equal(gw_frontend_migrate(&to, client.frontend, &config), 0);
	assert_int_equal(
		gw_frontend_transfer_offer(to, true, GW_PHASE_STOPPED, pipe_end, &own_fd, &reply),
		0);
	usleep(100000);
}

static void loaded(int pipe_end)
{
	struct fuse_client to;
	struct fs_host host;
	int state = memfd_create("state", MFD_CLOEXEC);

	(void)pipe_end;
	fuse_start(&client, &(struct fuse_options){.share = share});
	fuse_save(&client, state);
	host = client.host;
	assert_int_equal(fuse_load(&to, &client, path, &host, state), 0);
}

/*
 * The program, and what is left of it.
 */

static pid_t start_program(void)
{
	char words[1024], shared[128], socket_path[128];
	char *argv[40], *word;
	unsigned n = 0;
	pid_t pid;

	snprintf(words, sizeof(words), "%s", getenv(FUSE_PROGRAM));
	for (word = strtok(words, " "); word && n < 30; word = strtok(NULL, " "))
		argv[n++] = word;
	snprintf(shared, sizeof(shared), "--shared-dir=%s", share);
	snprintf(socket_path, sizeof(socket_path), "--socket-path=%s", path);
	argv[n++] = shared;
	argv[n++] = socket_path;
	argv[n++] = (char *)"--num-request-queues=1";
	argv[n++] = (char *)"--log-level=warn";
	argv[n] = NULL;
	pid = fork();
	if (!pid) {
		execv(argv[0], argv);
		_exit(127);
	}
	assert_true(pid > 0);
	while (access(path, F_OK))
		usleep(5000);
	return pid;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The processes of which @outer is the parent: the one inside, if there are walls. */
static pid_t child_of(pid_t outer)
{
	char name[64];
	FILE *file;
	int child = 0;

	snprintf(name, sizeof(name), "/proc/%d/task/%d/children", outer, outer);
	file = fopen(name, "r");
	if (file && fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

static void assert_gone(pid_t outer, pid_t inner)
{
	double began = now();
	char control[128];
	int status;

	while (waitpid(outer, &status, WNOHANG) != outer) {
		if (now() - began > GONE_S)
			fail_msg("it is still there after %d s", GONE_S);
		usleep(5000);
	}
	print_message("gone after %.2f s\n", now() - began);
	assert_int_equal(status, 0);
	if (inner)
		assert_int_equal(kill(inner, 0), -1);
	snprintf(control, sizeof(control), "%s.control", path);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(control, F_OK), -1);
}

/* The front-end as a process; returns once it has reached its stage. */
static pid_t start_front_end(void (*stage)(int), int pipe_end)
{
	int there[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(there), 0);
	pid = fork();
	if (!pid) {
		/* A device that it needs beside it is its own. */
		unsetenv(FUSE_PROGRAM);
		stage(pipe_end);
		(void)!write(there[1], "", 1);
		for (;;)
			pause();
	}
	close(there[1]);
	/* An assertion that failed in there has ended it. */
	assert_int_equal(read(there[0], &byte, 1), 1);
	close(there[0]);
	return pid;
}

static void kill_at(void (*stage)(int), int which)
{
	int ends[2];
	pid_t program, inner, front_end;

	program = start_program();
	/* Both stay open here. */
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, PIPE_LEN) >= PIPE_LEN);
	front_end = start_front_end(stage, which < 0 ? -1 : ends[which]);
	inner = child_of(program);
	assert_int_equal(kill(front_end, SIGKILL), 0);
	assert_int_equal(waitpid(front_end, NULL, 0), front_end);
	assert_gone(program, inner);
	close(ends[0]);
	close(ends[1]);
}

#define STAGE(name, which)                    \
	static void test_##name(void **state) \
	{                                     \
		(void)state;                  \
		kill_at(name, which);         \
	}
STAGE(connected, -1)
STAGE(in_the_middle_of_a_message, -1)
STAGE(negotiated, -1)
STAGE(running, -1)
STAGE(with_requests_in_flight, -1)
STAGE(stopped, -1)
STAGE(while_it_saves, 1)
STAGE(while_it_loads, 0)
STAGE(loaded, -1)

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/gw-dead.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(share, sizeof(share), "%s/share", dir);
	snprintf(path, sizeof(path), "%s/s", dir);
	return mkdir(share, 0755);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
#define ONE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
	const struct CMUnitTest tests[] = {
		ONE(connected),
		ONE(in_the_middle_of_a_message),
		ONE(negotiated),
		ONE(running),
		ONE(with_requests_in_flight),
		ONE(stopped),
		ONE(while_it_saves),
		ONE(while_it_loads),
		ONE(loaded),
	};

	if (!getenv(FUSE_PROGRAM)) {
		print_message("skipped: it is a program that ends (" FUSE_PROGRAM ")\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
