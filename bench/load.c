/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/load.c - how long LOAD takes with so many cached inodes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "bench/share.h"
#include "fs/pool.h"
#include "fs/records.h"
#include "fs/table.h"
#include "state/stream.h"

/*
 * Two devices in this process, over a directory that is made, or there already; the stream waits in
 * memory, as it does where a VMM has it. What each load begins with, empty tables and the threads
 * that help, is there before, as in a daemon that waits.
 */
#define RUNS_MAX 1001

struct sample {
	double ms, cpu_ms;
};

static int by_ms(const void *a, const void *b)
{
	double x = ((const struct sample *)a)->ms, y = ((const struct sample *)b)->ms;

	return x < y ? -1 : x > y;
}

static double cpu_ms(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static int save(struct fs *fs)
{
	static const struct gw_state_header header = {.implementation = "bench",
						      .mode = GW_MODE_STATEFUL,
						      .model = "godwit-project.org/virtio-fs\n"};
	int fd = memfd_create("state", MFD_CLOEXEC);
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_writer *writer;

	bench_check(gw_state_writer_new(&writer, &channel, &header), "writer");
	bench_check(fs_save(fs, writer, GW_PHASE_STOPPED, SIZE_MAX), "save");
	bench_check(gw_state_writer_end(writer), "end");
	gw_state_writer_free(writer);
	return fd;
}

static struct sample load(const char *path, unsigned threads, int state, unsigned count)
{
	const struct gw_state_channel channel = {.fd = state, .cancel = -1};
	struct gw_state_reader *reader;
	struct fs_host host;
	struct fs fs;
	struct sample sample;

	bench_share_open(&fs, &host, path, threads);
	lseek(state, 0, SEEK_SET);
	sample = (struct sample){bench_ms(), cpu_ms()};
	bench_check(gw_state_reader_new(&reader, &channel), "reader");
	bench_check(fs_load(&fs, reader), "load");
	gw_state_reader_free(reader);
	sample = (struct sample){bench_ms() - sample.ms, cpu_ms() - sample.cpu_ms};
	if (atomic_load(&fs.inodes->slots.alive) < count)
		bench_check(-1, "inodes are missing");
	bench_share_close(&fs);
	return sample;
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	unsigned runs = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 21;
	unsigned threads =
		argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : (unsigned)FS_POOL_THREADS_DEFAULT;
	static struct sample samples[RUNS_MAX];
	struct fs_host host;
	struct fs fs;
	double cpu = 1e9;
	int state;

	if (!count || !runs || runs > RUNS_MAX) {
		fprintf(stderr, "usage: bench-load DIRECTORY INODES [RUNS [THREADS]]\n");
		return 2;
	}
	bench_share_open(&fs, &host, argv[1], 0);
	bench_share_fill(&fs, count);
	state = save(&fs);
	bench_share_close(&fs);
	for (unsigned i = 0; i < runs; i++) {
		samples[i] = load(argv[1], threads, state, count);
		cpu = GW_MIN(cpu, samples[i].cpu_ms);
	}
	qsort(samples, runs, sizeof(*samples), by_ms);
	printf("%u inodes, %u open, %u threads of the pool: LOAD %.2f ms (least %.2f); processor "
	       "time at least %.2f ms\n",
	       count, GW_MIN(count, BENCH_OPEN), threads, samples[runs / 2].ms, samples[0].ms, cpu);
	close(state);
	return 0;
}
