// SPDX-License-Identifier: BSD-3-Clause
/* vm/guest/workload.c - a process that appends to a log, whatever happens to its machine. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define LINES_PER_FSYNC 32

/* Shared between init, which reports, and the process that writes. */
static struct {
	atomic_bool stop;
	atomic_uint lines;
	atomic_int error;
	atomic_uint longest_ms; /* the longest that one append took, in the guest's time */
} * shared;
static pid_t writer;

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* "00000042 0000012345 1a2b3c4d\n": number, guest's time in ms, CRC of what stands before it. */
static int format_line(char line[static 32], unsigned int number, uint64_t ms)
{
	int n = snprintf(line, 32, "%08u %010u ", number, (unsigned int)ms);

	return n + snprintf(line + n, 32 - (size_t)n, "%08x\n", crc32_of(0, line, (size_t)n));
}

static int append_line(int fd, unsigned int number)
{
	uint64_t before = now_ms(), took;
	char line[32];
	int len = format_line(line, number, before);
	ssize_t wrote = write(fd, line, (size_t)len);

	if (wrote != len)
		return wrote < 0 ? -errno : -EIO;
	if (number % LINES_PER_FSYNC == 0 && fsync(fd) < 0)
		return -errno;
	took = now_ms() - before;
	if (took > atomic_load(&shared->longest_ms))
		atomic_store(&shared->longest_ms, (unsigned int)took);
	return 0;
}

static int write_log(const char *path, unsigned int interval_ms)
{
	struct timespec pause = {0, (long)interval_ms * 1000000};
	int err = 0, fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	for (unsigned int number = 1; !err && !atomic_load(&shared->stop); number++) {
		err = append_line(fd, number);
		if (!err)
			atomic_store(&shared->lines, number);
		nanosleep(&pause, NULL);
	}
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

int workload_start(const char *path, unsigned int interval_ms)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -errno;
	writer = fork();
	if (writer < 0)
		return -errno;
	if (writer == 0) {
		atomic_store(&shared->error, write_log(path, interval_ms));
		_exit(0);
	}
	return 0;
}

void workload_stop(void)
{
	if (writer <= 0)
		return;
	atomic_store(&shared->stop, true);
	waitpid(writer, NULL, 0);
	writer = 0;
}

void workload_report(void)
{
	int error = shared ? atomic_load(&shared->error) : -ENOENT;

	if (error)
		channel_say("fail log after %u lines: %s", shared ? atomic_load(&shared->lines) : 0,
			    strerror(-error));
	else
		channel_say("log %u %u", atomic_load(&shared->lines),
			    atomic_load(&shared->longest_ms));
}

/* Number of the first line that is not as it was written, or 0. */
static unsigned int first_bad_line(FILE *log, unsigned int *lines)
{
	char line[64], want[32];
	unsigned int number = 0, ms;

	while (fgets(line, sizeof(line), log)) {
		number++;
		if (sscanf(line, "%*u %u", &ms) != 1)
			return number;
		format_line(want, number, ms);
		if (strcmp(line, want) != 0)
			return number;
	}
	*lines = number;
	return 0;
}

void workload_verify(const char *path)
{
	FILE *log = fopen(path, "re");
	unsigned int lines = 0, bad;

	if (!log) {
		channel_say("fail log cannot be opened: %s", strerror(errno));
		return;
	}
	bad = first_bad_line(log, &lines);
	if (bad)
		channel_say("fail log line %u is damaged", bad);
	else if (ferror(log))
		channel_say("fail log cannot be read: %s", strerror(errno));
	else if (lines != atomic_load(&shared->lines))
		channel_say("fail log has %u lines, %u were written", lines,
			    atomic_load(&shared->lines));
	else
		channel_say("ok log");
	fclose(log);
	host_expects(path);
}
