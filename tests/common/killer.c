/* SPDX-License-Identifier: BSD-3-Clause */
/* common/killer.c - a daemon with --recover, and who kills it again and again. */
#include "../unit/cmocka-all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "killer.h"

#define OPTIONS_MAX 32
#define PATIENCE_MS 20000

static void pause_us(unsigned us)
{
	const struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};

	nanosleep(&pause, NULL);
}

void killer_start(struct killer *killer, const char *const *given)
{
	const char *argv[OPTIONS_MAX + 4];
	char path[64];
	unsigned n = 0;

	memset(killer, 0, sizeof(*killer));
	strcpy(killer->dir, "/tmp/gw-recover.XXXXXX");
	assert_non_null(mkdtemp(killer->dir));
	snprintf(killer->socket, sizeof(killer->socket), "%s/s", killer->dir);
	snprintf(killer->control, sizeof(killer->control), "%s.control", killer->socket);
	snprintf(path, sizeof(path), "--socket-path=%s", killer->socket);
	while (given[n] && n < OPTIONS_MAX) {
		argv[n] = given[n];
		n++;
	}
	argv[n++] = "--recover";
	argv[n++] = path;
	argv[n] = NULL;
	killer->daemon = fork();
	assert_true(killer->daemon >= 0);
	if (!killer->daemon) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
}

void killer_join(struct killer *killer)
{
	int status;

	assert_int_equal(waitpid(killer->daemon, &status, 0), killer->daemon);
	if (status)
		fail_msg("the daemon ended with status %x", (unsigned)status);
	assert_int_equal(access(killer->socket, F_OK), -1);
	assert_int_equal(rmdir(killer->dir), 0);
}

static pid_t child_of(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &child) != 1)
		child = 0;
	fclose(f);
	return child;
}

pid_t killer_target(const struct killer *killer)
{
	pid_t pid = child_of(killer->daemon), next = pid;

	while (next && (next = child_of(pid)))
		pid = next;
	return pid;
}

/* Descriptors of processes do not come again, numbers do. */
static void kill_and_wait(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	poll(&ended, 1, PATIENCE_MS);
	close(fd);
}

void killer_kill(const struct killer *killer)
{
	pid_t pid;

	while (!(pid = killer_target(killer)))
		pause_us(100);
	kill_and_wait(pid);
}

/* The C library's random numbers have a lock that is not ours to take here. */
static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void *run(void *opaque)
{
	struct killer *killer = opaque;
	unsigned random = (unsigned)time(NULL) ^ (unsigned)getpid();

	while (killer->done < killer->rounds && !killer->stop) {
		pause_us(next_random(&random) % (killer->interval_ms * 1000));
		killer_kill(killer);
		killer->done++;
	}
	return NULL;
}

void killer_begin(struct killer *killer, unsigned rounds, unsigned interval_ms)
{
	killer->rounds = rounds;
	killer->interval_ms = interval_ms;
	assert_int_equal(pthread_create(&killer->thread, NULL, run, killer), 0);
}

void killer_end(struct killer *killer)
{
	killer->stop = true;
	pthread_join(killer->thread, NULL);
}
