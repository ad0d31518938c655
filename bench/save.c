/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/save.c - how long SAVE takes with so many cached inodes, collected beside the guest or not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"
#include "fs/collector.h"
#include "fs/handle.h"
#include "fs/records.h"
#include "fs/root.h"
#include "fs/table.h"
#include "godwit/error.h"
#include "state/stream.h"

/*
 * The device alone, in this process, over a directory that is made for it; the stream goes into a
 * pipe that another thread empties, as the front-end does.
 */
#define PER_DIRECTORY 1000
#define OPEN_MAX_     1000
#define SAVES	      5
#define SERVE_MS      500

static struct fs_host host;
static struct fs fs = {.host = &host};

static double ms_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) * 1e3 +
	       (double)(now.tv_nsec - then->tv_nsec) / 1e6;
}

static void check(int err, const char *what)
{
	if (err >= 0)
		return;
	fprintf(stderr, "bench-save: %s: %s: %s\n", what, strerror(-err), gw_last_error());
	exit(1);
}

static struct fs_inode *look_up(struct fs_inode *parent, const char *name)
{
	struct statx stx;
	uint64_t id;

	check(fs_inode_lookup(fs.inodes, parent, name, &id, &stx), name);
	return fs_inode_get(fs.inodes, id);
}

static void cache_file(struct fs_inode *dir, const char *name, int dir_fd, bool open_it)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	int fd = openat(dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	uint64_t handle;

	check(fd < 0 ? -errno : 0, name);
	close(fd);
	inode = look_up(dir, name);
	if (open_it)
		check(fs_handle_add(fs.handles, inode, fs_inode_open(inode, O_RDWR), O_RDWR, NULL,
				    &handle),
		      name);
}

static void fill(unsigned count)
{
	for (unsigned i = 0; i < count; i += PER_DIRECTORY) {
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(fs.inodes, FS_ROOT_ID);
		FS_AUTO_INODE struct fs_inode *dir = NULL;
		FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
		char name[32];

		snprintf(name, sizeof(name), "d%u", i / PER_DIRECTORY);
		check(mkdirat(fs.root_fd, name, 0700) && errno != EEXIST ? -errno : 0, name);
		dir = look_up(root, name);
		check(fs_inode_fd(dir, &fd), name);
		for (unsigned j = i; j < i + PER_DIRECTORY && j < count; j++) {
			snprintf(name, sizeof(name), "file-%010u", j);
			cache_file(dir, name, fd.fd, j < OPEN_MAX_);
		}
	}
}

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
	struct timespec then;
	pthread_t drainer;
	int ends[2];
	double ms;

	check(pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0, "pipe");
	check(gw_thread_start(&drainer, GW_THREAD_POOL, "drain", drain, &ends[0]), "thread");
	channel.fd = ends[1];
	clock_gettime(CLOCK_MONOTONIC, &then);
	check(gw_state_writer_new(&writer, &channel, &header), "writer");
	check(fs_save(&fs, writer, GW_PHASE_STOPPED, SIZE_MAX), "save");
	check(gw_state_writer_end(writer), "end");
	ms = ms_since(&then);
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
	struct timespec then;

	clock_gettime(CLOCK_MONOTONIC, &then);
	check(fs_prepare(&fs, true), "prepare");
	while (!fs_collector_rounds(fs.collector))
		nanosleep(&pause, NULL);
	return ms_since(&then);
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

/* Look-ups that are answered in a second, of files all over the tree. */
static double rate(unsigned count)
{
	static unsigned file;
	struct timespec then;
	unsigned n = 0;

	clock_gettime(CLOCK_MONOTONIC, &then);
	while (ms_since(&then) < SERVE_MS) {
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(fs.inodes, FS_ROOT_ID);
		FS_AUTO_INODE struct fs_inode *dir = NULL;
		FS_AUTO_INODE struct fs_inode *inode = NULL;
		char name[32];

		file = (file + 7919) % count;
		snprintf(name, sizeof(name), "d%u", file / PER_DIRECTORY);
		dir = look_up(root, name);
		snprintf(name, sizeof(name), "file-%010u", file);
		inode = look_up(dir, name);
		n++;
	}
	return n / ms_since(&then) * 1e3;
}

/* In turn, so that a machine whose speed drifts drifts for both. */
static double rate_while_collecting(unsigned count)
{
	double without = 0, with = 0;

	for (unsigned i = 0; i < SAVES; i++) {
		fs_prepare(&fs, false);
		while (fs_tracking_is_on(&fs.inodes->tracking))
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		without += rate(count);
		check(fs_prepare(&fs, true), "prepare");
		with += rate(count);
	}
	return with / without;
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

static void open_tables(const char *path)
{
	host = (struct fs_host){.shared_dir = path};
	fs.session = (struct fs_session){.initialised = true, .minor = 39};
	check(fs_root_open(&fs), path);
	check(fs_inodes_new(&fs.inodes, &fs), "inodes");
	check(fs_handles_new(&fs.handles, &fs), "handles");
	check(fs_collector_new(&fs.collector, &fs), "collector");
}

int main(int argc, char **argv)
{
	unsigned count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	double at_once, ahead, collecting, touched, served;
	uint64_t bytes;
	long before, with;

	if (!count) {
		fprintf(stderr, "usage: bench-save EMPTY-DIRECTORY INODES\n");
		return 2;
	}
	open_tables(argv[1]);
	fill(count);
	at_once = save_often(&bytes);
	before = resident_kb();
	collecting = collect();
	with = resident_kb();
	ahead = save_often(&bytes);
	touched = save_touched(count, 100, &bytes);
	served = rate_while_collecting(count);
	printf("%u inodes, %.1f bytes each, %.0f resident (%.0f more while collecting)\n", count,
	       (double)bytes / count, (double)before * 1024 / count,
	       (double)(with - before) * 1024 / count);
	printf("SAVE at once %.1f ms; collected in %.0f ms, then %.2f ms; every 100th inode "
	       "changed since: %.2f ms\n",
	       at_once, collecting, ahead, touched);
	printf("look-ups served while collecting: %.0f %% of the rate without\n", served * 100);
	fs_collector_free(fs.collector);
	fs_handles_free(fs.handles);
	fs_inodes_free(fs.inodes);
	fs_root_close(&fs);
	return 0;
}
