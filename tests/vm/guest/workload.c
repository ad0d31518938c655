// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/workload.c - processes that work on the share, whatever happens to their machine. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

/* Shared between init, which reports, and the process that works. */
struct state {
	atomic_bool stop;
	atomic_uint steps;
	atomic_int error;
	atomic_uint longest_ms; /* the longest that one step took, in the guest's time */
};

static struct {
	const struct worker *worker;
	struct state *state;
	pid_t pid;
} running[] = {{.worker = &log_worker}, {.worker = &churn_worker}};
#define WORKERS (sizeof(running) / sizeof(running[0]))

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void note_time(struct state *state, uint64_t since)
{
	unsigned int took = (unsigned int)(now_ms() - since);

	if (took > atomic_load(&state->longest_ms))
		atomic_store(&state->longest_ms, took);
}

/* Until it is told to stop, or the first error. */
static int work(const struct worker *worker, struct state *state)
{
	const struct timespec pause = {0, (long)worker->interval_ms * 1000000};
	int err = worker->begin();

	for (unsigned int number = 1; !err && !atomic_load(&state->stop); number++) {
		uint64_t start = now_ms();

		err = worker->step(number);
		if (!err)
			atomic_store(&state->steps, number);
		note_time(state, start);
		nanosleep(&pause, NULL);
	}
	return err;
}

static int start(const struct worker *worker, struct state **state, pid_t *pid)
{
	*state = mmap(NULL, sizeof(**state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (*state == MAP_FAILED)
		return -errno;
	*pid = fork();
	if (*pid == 0) {
		atomic_store(&(*state)->error, work(worker, *state));
		_exit(0);
	}
	return *pid < 0 ? -errno : 0;
}

void workload_start(void)
{
	for (size_t i = 0; i < WORKERS; i++) {
		int err = start(running[i].worker, &running[i].state, &running[i].pid);

		if (err)
			channel_say("fail %s cannot start: %s", running[i].worker->name,
				    strerror(-err));
	}
}

void workload_report(void)
{
	for (size_t i = 0; i < WORKERS; i++) {
		const char *name = running[i].worker->name;
		unsigned int steps = atomic_load(&running[i].state->steps);
		int err = atomic_load(&running[i].state->error);

		if (err)
			channel_say("fail %s after %u steps: %s", name, steps, strerror(-err));
		else
			channel_say("worker %s %u %u", name, steps,
				    atomic_load(&running[i].state->longest_ms));
	}
}

static void verify(const struct worker *worker, unsigned int steps)
{
	errno = 0;
	if (worker->verify(steps) < 0)
		channel_say("fail %s %s", worker->name, check_reason);
	else
		channel_say("ok %s", worker->name);
}

void workload_stop(void)
{
	for (size_t i = 0; i < WORKERS; i++) {
		atomic_store(&running[i].state->stop, true);
		waitpid(running[i].pid, NULL, 0);
	}
	workload_report();
	drop_caches();
	for (size_t i = 0; i < WORKERS; i++)
		verify(running[i].worker, atomic_load(&running[i].state->steps));
}
