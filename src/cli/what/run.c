/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/what/run.c - a program asked one thing: bounded in time and in what it says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "cli/what/run.h"
#include "godwit/error.h"

#define MS_PER_S  1000
#define NS_PER_MS 1000000
#define CHUNK	  4096
/* Nothing is polled without end: a child may close its ends and live on. */
#define STEP_MS 20

extern char **environ;

/* Our ends; closed ones are -1. */
struct pipes {
	int in, out, err;
};

struct running {
	const char *name;
	pid_t pid;
	struct pipes pipes;
	const char *input;
	size_t input_left, out_max, err_len;
	long long deadline;
	struct gw_ran *ran;
};

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (long long)MS_PER_S + now.tv_nsec / NS_PER_MS;
}

static void close_pipes(struct pipes *pipes)
{
	gw_close(&pipes->in);
	gw_close(&pipes->out);
	gw_close(&pipes->err);
}

/* One pipe: @ours does not block, @theirs is the child's @fd. */
static int add_pipe(posix_spawn_file_actions_t *actions, int fd, int *ours, int *theirs)
{
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ours = ends[fd == STDIN_FILENO];
	*theirs = ends[fd != STDIN_FILENO];
	err = fcntl(*ours, F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
	if (!err)
		err = posix_spawn_file_actions_adddup2(actions, *theirs, fd);
	return -err;
}

static int spawn(struct running *running, char *const argv[], struct pipes *theirs)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, pipe;
	int err;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE); /* what we ignore it need not */
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						      POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigdefault(&attributes, &pipe);
	posix_spawnattr_setpgroup(&attributes, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	err = add_pipe(&actions, STDIN_FILENO, &running->pipes.in, &theirs->in);
	if (!err)
		err = add_pipe(&actions, STDOUT_FILENO, &running->pipes.out, &theirs->out);
	if (!err)
		err = add_pipe(&actions, STDERR_FILENO, &running->pipes.err, &theirs->err);
	if (!err)
		err = -posix_spawnp(&running->pid, argv[0], &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return err;
}

static int start(struct running *running, char *const argv[])
{
	struct pipes theirs = {-1, -1, -1};
	int err = spawn(running, argv, &theirs);

	close_pipes(&theirs);
	if (!err)
		return 0;
	close_pipes(&running->pipes);
	return gw_fail(-err, "%s: it cannot be started: %s", argv[0], strerror(-err));
}

static bool is_over(ssize_t n)
{
	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void feed(struct running *running)
{
	ssize_t n = running->input_left
			    ? write(running->pipes.in, running->input, running->input_left)
			    : 0;

	/* It need not read what it is told. */
	if (is_over(n)) {
		gw_close(&running->pipes.in);
	} else if (n > 0) {
		running->input += n;
		running->input_left -= (size_t)n;
	}
}

static int hear(struct running *running)
{
	struct gw_ran *ran = running->ran;
	char *more = realloc(ran->out, ran->out_len + CHUNK + 1);
	ssize_t n;

	if (!more)
		return gw_fail(ENOMEM, "%s: no memory", running->name);
	ran->out = more;
	n = read(running->pipes.out, ran->out + ran->out_len, CHUNK);
	if (is_over(n))
		gw_close(&running->pipes.out);
	ran->out_len += n > 0 ? (size_t)n : 0;
	ran->out[ran->out_len] = 0;
	if (ran->out_len > running->out_max)
		return gw_fail(EFBIG, "%s: it says more than %zu bytes", running->name,
			       running->out_max);
	return 0;
}

/* The rest of what it complains about is read and dropped. */
static void hear_complaints(struct running *running)
{
	struct gw_ran *ran = running->ran;
	size_t room = sizeof(ran->err) - 1 - running->err_len, take;
	char chunk[CHUNK];
	ssize_t n = read(running->pipes.err, chunk, sizeof(chunk));

	if (is_over(n))
		gw_close(&running->pipes.err);
	take = n > 0 ? GW_MIN((size_t)n, room) : 0;
	memcpy(ran->err + running->err_len, chunk, take);
	running->err_len += take;
	ran->err[running->err_len] = 0;
}

static int talk_once(struct running *running)
{
	struct pollfd fds[] = {{running->pipes.in, POLLOUT, 0},
			       {running->pipes.out, POLLIN, 0},
			       {running->pipes.err, POLLIN, 0}};

	if (poll(fds, GW_ARRAY_LEN(fds), STEP_MS) < 0 && errno != EINTR)
		return gw_fail(errno, "%s: %s", running->name, strerror(errno));
	if (fds[0].fd >= 0 && fds[0].revents)
		feed(running);
	if (fds[2].fd >= 0 && fds[2].revents)
		hear_complaints(running);
	return fds[1].fd >= 0 && fds[1].revents ? hear(running) : 0;
}

/* Has it ended? What its own children still hold open is not waited for. */
static bool has_ended(struct running *running)
{
	int status;

	if (waitpid(running->pid, &status, WNOHANG) != running->pid)
		return false;
	running->pid = -1;
	running->ran->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	running->ran->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return true;
}

static int talk(struct running *running)
{
	bool ended = false;
	int err = 0;

	while (!err && !ended) {
		ended = has_ended(running);
		/* What it said before it ended is still in the pipes. */
		err = talk_once(running);
		if (!err && !ended && now_ms() > running->deadline)
			err = gw_fail(ETIMEDOUT, "%s: it does not come to an end", running->name);
	}
	while (!err && running->pipes.out >= 0) {
		size_t before = running->ran->out_len;

		err = hear(running);
		if (running->ran->out_len == before)
			break;
	}
	return err;
}

int gw_run(struct gw_ran *ran, char *const argv[], const char *input, size_t input_len,
	   size_t out_max, unsigned seconds)
{
	struct running running = {.name = argv[0],
				  .pid = -1,
				  .pipes = {-1, -1, -1},
				  .input = input,
				  .input_left = input_len,
				  .out_max = out_max,
				  .deadline = now_ms() + seconds * (long long)MS_PER_S,
				  .ran = ran};
	void (*sigpipe)(int) = signal(SIGPIPE, SIG_IGN);
	int err;

	*ran = (struct gw_ran){.out = calloc(1, 1)};
	err = ran->out ? start(&running, argv) : gw_fail(ENOMEM, "%s: no memory", argv[0]);
	if (!err)
		err = talk(&running);
	close_pipes(&running.pipes);
	if (running.pid > 0) {
		kill(-running.pid, SIGKILL);
		waitpid(running.pid, NULL, 0);
	}
	if (err)
		free(gw_take_ptr(ran->out));
	signal(SIGPIPE, sigpipe);
	return err;
}
