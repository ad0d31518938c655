/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/watch.c - what it costs who writes that --watch listens: processor time an operation. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/watch.h"
#include "godwit/error.h"

#define TIMES 50000
#define RUNS  3

static char buffer[65536];

static double processor_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int write_4k(int dir)
{
	GW_AUTO_FD int fd = openat(dir, "written", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	for (int i = 0; i < TIMES; i++) {
		if (pwrite(fd, buffer, 4096, 0) != 4096)
			return -1;
	}
	return unlinkat(dir, "written", 0);
}

static int make_and_remove(int dir)
{
	for (int i = 0; i < TIMES; i++) {
		int fd = openat(dir, "made", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

		if (fd < 0 || close(fd) < 0 || unlinkat(dir, "made", 0) < 0)
			return -1;
	}
	return 0;
}

/* What was heard is left to the kernel to merge or drop: reading it is another thread's time. */
static double measure(int (*operation)(int dir), int dir, const char *watched)
{
	GW_AUTO_FD int fd = watched ? fs_watch_open(watched, false) : -1;
	double start;

	if (watched && fd < 0) {
		fprintf(stderr, "%s\n", gw_last_error());
		exit(1);
	}
	start = processor_us();
	if (operation(dir) < 0) {
		perror("bench-watch");
		exit(1);
	}
	return (processor_us() - start) / TIMES;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*operation)(int dir);
	} cases[] = {{"4 KiB write", write_4k}, {"create, close, unlink", make_and_remove}};
	GW_AUTO_FD int dir = argc == 2 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0) {
		fprintf(stderr, "usage: bench-watch DIRECTORY\n");
		return 2;
	}
	for (int run = 0; run < RUNS; run++) {
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			printf("%-24s %6.2f us, watched %6.2f us\n", cases[i].name,
			       measure(cases[i].operation, dir, NULL),
			       measure(cases[i].operation, dir, argv[1]));
	}
	return 0;
}
