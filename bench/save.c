/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/save.c - how long SAVE takes with so many cached inodes, collected beside the guest or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "bench/share.h"
#include "fs/collector.h"
#include "fs/records.h"
#include "fs/table.h"
#include "state/stream.h"

/*
 * The device alone, in this process, over a directory that is made for it; the stream goes into a
 * pipe that another thread empties, as the front-end does.
 */
#define SAVES	 5
#define SERVE_MS 500

static struct fs_host host;
static struct fs fs;

static void *drain(void *opaque)
{
	static char buf[1 << 20];
	int fd = *(const int *)opaque;

	while (read(fd, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

static double save(uint64_t *bytes)
{
	static const struct gw_state_header header = {.implementation = "bench",
						      .mode = GW_MODE_STATEFUL,
						      .model = "godwit-project.org/virtio-fs\n"};
	struct gw_state_channel channel = {.cancel = -1};
	struct gw_state_writer *writer;
	pthread_t drainer;
	double then, ms;
	int ends[2];

	bench_check(pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0, "pipe");
	bench_check(gw_thread_start(&drainer, GW_THREAD_POOL, "drain", drain, &ends[0]), "thread");
	channel.fd = ends[1];
	then = bench_ms();
	bench_check(gw_state_writer_new(&writer, &channel, &header), "writer");
	bench_check(fs_save(&fs, writer, GW_PHASE_STOPPED, SIZE_MAX), "save");
	bench_check(gw_state_writer_end(writer), "end");
	ms = bench_ms() - then;
	*bytes = gw_state_written(writer);
	gw_state_writer_free(writer);
	close(ends[1]);
	pthread_join(drainer, NULL);
	close(ends[0]);
	return ms;
}

static double save_often(uint64_t *bytes)
{
	double best = save(bytes);

	for (unsigned i = 1; i < SAVES; i++) {
		double ms = save(bytes);

		best = ms < best ? ms : best;
	}
	return best;
}

static double collect(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	double then = bench_ms();

	bench_check(fs_prepare(&fs, true), "prepare");
	while (!fs_collector_rounds(fs.collector))
		nanosleep(&pause, NULL);
	return bench_ms() - then;
}

/* Look up every @step-th file once more: what a guest does between the last round and the stop. */
static double save_touched(unsigned count, unsigned step, uint64_t *bytes)
{
	fs_collector_hold(fs.collector);
	for (unsigned i = FS_ROOT_ID + 1; i < count; i += step) {
		struct fs_inode *inode = fs_slot_at(&fs.inodes->slots, i);

		fs_inode_changed(inode);
	}
	fs_collector_release(fs.collector);
	return save(bytes);
}

/* How long each look-up takes, in hundreds of ns; what is longer counts as the longest. */
#define TICKS_A_MS 10000
#define TICKS	   (1u << 20)

struct served {
	double rate; /* a second, the sum of all runs */
	unsigned count, ticks[TICKS];
};

static void note(struct served *served, double ms)
{
	unsigned tick = (unsigned)(ms * TICKS_A_MS);

	served->ticks[tick < TICKS ? tick : TICKS - 1]++;
	served->count++;
}

static double percentile_us(const struct served *served, unsigned percent)
{
	unsigned tick = 0, passed = served->ticks[0];

	while (tick < TICKS - 1 && (uint64_t)passed * 100 < (uint64_t)served->count * percent)
		passed += served->ticks[++tick];
	return (double)(tick + 1) * 1e3 / TICKS_A_MS;
}

/* Look-ups of files all over the tree, for a while. */
static void serve(struct served *served, unsigned count)
{
	static unsigned file;
	double then = bench_ms(), now = then, begin;
	unsigned n = 0;

	while (now - then < SERVE_MS) {
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(fs.inodes, FS_ROOT_ID);
		FS_AUTO_INODE struct fs_inode *dir = NULL;
		FS_AUTO_INODE struct fs_inode *inode = NULL;
		char name[32];

		file = (file + 7919) % count;
		snprintf(name, sizeof(name), "d%u", file / BENCH_PER_DIRECTORY);
		dir = bench_look_up(&fs, root, name);
		snprintf(name, sizeof(name), "file-%011u", file);
		inode = bench_look_up(&fs, dir, name);
		n++;
		begin = now;
		now = bench_ms();
		note(served, now - begin);
	}
	served->rate += n / (now - then) * 1e3;
}

/* In turn, so that a machine whose speed drifts drifts for both. */
static struct served without, with_it;

static void serve_with_and_without(unsigned count)
{
	for (unsigned i = 0; i < SAVES; i++) {
		fs_prepare(&fs, false);
		while (fs_tracking_is_on(&fs.inodes->tracking))
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		serve(&without, count);
		bench_check(fs_prepare(&fs, true), "prepare");
		serve(&with_it, count);
	}
}

static long resident_kb(void)
{
	long pages = 0, ignored;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	double at_once, ahead, collecting, touched;
	uint64_t bytes;
	long before, with;

	if (!count) {
		fprintf(stderr, "usage: bench-save DIRECTORY INODES\n");
		return 2;
	}
	bench_share_open(&fs, &host, argv[1], 0);
	bench_share_fill(&fs, count);
	at_once = save_often(&bytes);
	before = resident_kb();
	collecting = collect();
	with = resident_kb();
	ahead = save_often(&bytes);
	touched = save_touched(count, 100, &bytes);
	serve_with_and_without(count);
	printf("%u inodes, %.1f bytes each, %.0f resident (%.0f more while collecting)\n", count,
	       (double)bytes / count, (double)before * 1024 / count,
	       (double)(with - before) * 1024 / count);
	printf("SAVE at once %.1f ms; collected in %.0f ms, then %.2f ms; every 100th inode "
	       "changed since: %.2f ms\n",
	       at_once, collecting, ahead, touched);
	printf("look-ups served while collecting: %.0f %% of the rate without; 99th percentile "
	       "%.1f us "
	       "(%.1f without)\n",
	       with_it.rate / without.rate * 100, percentile_us(&with_it, 99),
	       percentile_us(&without, 99));
	bench_share_close(&fs);
	return 0;
}
