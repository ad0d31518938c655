/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/fs.c - request rates of godwit-fs beside virtiofsd, at a fixed queue depth. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "bench/figures.h"
#include "bench/peer.h"
#include "godwit/error.h"

/*
 * Both daemons run at the same time on the same share with a warm page cache. For each case they
 * are loaded in turn, in short bursts A B A B, so that a machine whose speed drifts drifts for
 * both; a run's figure is the ratio of their rates over all its bursts.
 */
#define DEPTH	    32
#define FILES	    1000
#define FILE_SIZE   (64 << 20)
#define BURST_MS    150
#define BURSTS	    8
#define RUNS_MAX    101
#define BLOCK_LARGE (1 << 20)

struct slot {
	char *out, *in;
	uint32_t out_len, in_len;
};

struct target {
	struct peer peer;
	uint64_t nodes[FILES];
	uint64_t big, fh; /* the file for reading and writing */
	struct slot slots[DEPTH];
	uint64_t random;
};

static uint64_t next_random(struct target *target)
{
	target->random ^= target->random << 13;
	target->random ^= target->random >> 7;
	target->random ^= target->random << 17;
	return target->random;
}

static void put_header(struct slot *slot, uint32_t opcode, uint64_t nodeid, uint32_t len)
{
	struct fuse_in_header header = {.len = (uint32_t)sizeof(header) + len,
					.opcode = opcode,
					.unique = 2,
					.nodeid = nodeid};

	memcpy(slot->out, &header, sizeof(header));
	slot->out_len = header.len;
}

static void fill_read(struct target *target, struct slot *slot, uint32_t size)
{
	struct fuse_read_in in = {.fh = target->fh, .size = size};

	in.offset = next_random(target) % (FILE_SIZE / size) * size;
	put_header(slot, FUSE_READ, target->big, sizeof(in));
	memcpy(slot->out + sizeof(struct fuse_in_header), &in, sizeof(in));
	slot->in_len = (uint32_t)sizeof(struct fuse_out_header) + size;
}

static void fill_read_4k(struct target *target, struct slot *slot)
{
	fill_read(target, slot, 4096);
}

static void fill_read_1m(struct target *target, struct slot *slot)
{
	fill_read(target, slot, BLOCK_LARGE);
}

static void fill_write_4k(struct target *target, struct slot *slot)
{
	struct fuse_write_in in = {.fh = target->fh, .size = 4096};

	in.offset = next_random(target) % (FILE_SIZE / 4096) * 4096;
	put_header(slot, FUSE_WRITE, target->big, sizeof(in) + 4096);
	memcpy(slot->out + sizeof(struct fuse_in_header), &in, sizeof(in));
	slot->in_len = sizeof(struct fuse_out_header) + sizeof(struct fuse_write_out);
}

static void fill_getattr(struct target *target, struct slot *slot)
{
	struct fuse_getattr_in in = {0};

	put_header(slot, FUSE_GETATTR, target->nodes[next_random(target) % FILES], sizeof(in));
	memcpy(slot->out + sizeof(struct fuse_in_header), &in, sizeof(in));
	slot->in_len = sizeof(struct fuse_out_header) + sizeof(struct fuse_attr_out);
}

static void fill_lookup(struct target *target, struct slot *slot)
{
	char name[32];
	int len = snprintf(name, sizeof(name), "file-%u", (unsigned)(next_random(target) % FILES));

	put_header(slot, FUSE_LOOKUP, 1, (uint32_t)len + 1);
	memcpy(slot->out + sizeof(struct fuse_in_header), name, (size_t)len + 1);
	slot->in_len = sizeof(struct fuse_out_header) + sizeof(struct fuse_entry_out);
}

static const struct bench_case {
	const char *name;
	void (*fill)(struct target *target, struct slot *slot);
} cases[] = {
	{"4 KiB read", fill_read_4k}, {"4 KiB write", fill_write_4k}, {"1 MiB read", fill_read_1m},
	{"GETATTR", fill_getattr},    {"LOOKUP", fill_lookup},
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void submit(struct target *target, const struct bench_case *bench, struct slot *slot)
{
	struct iovec out, in;

	bench->fill(target, slot);
	out = (struct iovec){slot->out, slot->out_len};
	in = (struct iovec){slot->in, slot->in_len};
	if (gw_driver_add(target->peer.frontend, PEER_QUEUE, &out, 1, &in, 1, slot))
		die("%s: %s", target->peer.name, gw_last_error());
}

static void check_answer(struct target *target, const struct bench_case *bench, struct slot *slot,
			 uint32_t len)
{
	const struct fuse_out_header *answer = (const void *)slot->in;

	if (len != slot->in_len || answer->error || answer->len != len)
		die("%s: %s: length %u (expected %u), error %d", target->peer.name, bench->name,
		    len, slot->in_len, answer->error);
}

/* Keep DEPTH requests in flight until @deadline, then let them finish; returns how many were. */
static uint64_t burst(struct target *target, const struct bench_case *bench, double deadline)
{
	struct gw_frontend *frontend = target->peer.frontend;
	uint64_t done = 0;
	unsigned in_flight = DEPTH;
	bool more = true;

	for (unsigned i = 0; i < DEPTH; i++)
		submit(target, bench, &target->slots[i]);
	gw_driver_kick(frontend, PEER_QUEUE);
	while (in_flight) {
		unsigned added = 0;
		uint32_t len;
		void *token;

		while (gw_driver_get(frontend, PEER_QUEUE, &token, &len)) {
			check_answer(target, bench, token, len);
			done++;
			if (more) {
				submit(target, bench, token);
				added++;
			} else {
				in_flight--;
			}
		}
		if (added)
			gw_driver_kick(frontend, PEER_QUEUE);
		more = more && now() < deadline;
		if (in_flight && gw_driver_wait(frontend, PEER_QUEUE, 10000))
			die("%s: %s: no answer in 10 s", target->peer.name, bench->name);
	}
	return done;
}

static double rate(struct target *target, const struct bench_case *bench, double *seconds)
{
	double start = now();
	uint64_t done = burst(target, bench, start + BURST_MS / 1e3);

	*seconds += now() - start;
	return (double)done;
}

static void open_target(struct target *target, const char *name, const char *command,
			const char *dir)
{
	peer_start(&target->peer, name, command, dir);
	target->random = 88172645463325252ULL;
	for (unsigned i = 0; i < FILES; i++) {
		char file[32];

		snprintf(file, sizeof(file), "file-%u", i);
		target->nodes[i] = peer_lookup(&target->peer, 1, file);
	}
	target->big = peer_lookup(&target->peer, 1, "big");
	target->fh = peer_open(&target->peer, target->big, O_RDWR);
	for (unsigned i = 0; i < DEPTH; i++) {
		target->slots[i].out = gw_frontend_alloc(target->peer.frontend, 8192);
		target->slots[i].in = gw_frontend_alloc(target->peer.frontend, BLOCK_LARGE + 4096);
		if (!target->slots[i].in)
			die("guest memory is too small");
	}
}

static void fill_share(const char *dir)
{
	GW_AUTO_FD int fd = -1;
	static char block[BLOCK_LARGE];
	char path[512];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/file-%u", dir, i);
		fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
		if (fd < 0)
			die("%s: %s", path, strerror(errno));
		gw_close(&fd);
	}
	snprintf(path, sizeof(path), "%s/big", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	for (unsigned i = 0; i < FILE_SIZE / sizeof(block); i++) {
		memset(block, (int)i, sizeof(block));
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
			die("%s: %s", path, strerror(errno));
	}
}

static void empty_share(const char *dir)
{
	char path[512];

	for (unsigned i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/file-%u", dir, i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/big", dir);
	unlink(path);
	rmdir(dir);
}

static void report(const struct bench_case *bench, double *ratios, const double *ours,
		   const double *theirs, unsigned runs)
{
	double sum_ours = 0, sum_theirs = 0;

	for (unsigned i = 0; i < runs; i++) {
		sum_ours += ours[i];
		sum_theirs += theirs[i];
	}
	bench_sort(ratios, runs);
	printf("%-12s %12.0f %12.0f %8.2f   %.2f .. %.2f\n", bench->name, sum_ours / runs,
	       sum_theirs / runs, ratios[runs / 2], ratios[0], ratios[runs - 1]);
	fflush(stdout);
}

static void run_case(struct target *ours, struct target *theirs, const struct bench_case *bench,
		     unsigned runs)
{
	double ratios[RUNS_MAX], rates[2][RUNS_MAX];
	double warm = 0;

	rate(ours, bench, &warm);
	rate(theirs, bench, &warm);
	for (unsigned run = 0; run < runs; run++) {
		double seconds[2] = {0}, done[2] = {0};

		for (unsigned i = 0; i < BURSTS; i++) {
			done[0] += rate(ours, bench, &seconds[0]);
			done[1] += rate(theirs, bench, &seconds[1]);
		}
		rates[0][run] = done[0] / seconds[0];
		rates[1][run] = done[1] / seconds[1];
		ratios[run] = rates[0][run] / rates[1][run];
	}
	report(bench, ratios, rates[0], rates[1], runs);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: bench-fs [--runs N] [--case NAME] [--dir DIR] OURS THEIRS\n"
		"OURS and THEIRS are commands, options included; socket and share are added.\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"runs", required_argument, NULL, 'n'},
						{"case", required_argument, NULL, 'c'},
						{"dir", required_argument, NULL, 'd'},
						{0}};
	static struct target ours, theirs;
	char dir[256] = "/tmp";
	const char *only = NULL;
	unsigned runs = 5;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			runs = (unsigned)atoi(optarg);
		else if (option == 'c')
			only = optarg;
		else if (option == 'd')
			snprintf(dir, sizeof(dir), "%s", optarg);
		else
			usage();
	}
	if (argc - optind != 2 || !runs || runs > RUNS_MAX)
		usage();
	strncat(dir, "/godwit-bench-XXXXXX", sizeof(dir) - strlen(dir) - 1);
	if (!mkdtemp(dir))
		die("%s: %s", dir, strerror(errno));
	gw_log_set_level(GW_LOG_ERROR);
	fill_share(dir);
	open_target(&ours, "godwit-fs", argv[optind], dir);
	open_target(&theirs, "virtiofsd", argv[optind + 1], dir);
	printf("%u in flight, one request queue, %u runs of %u bursts each; requests a second\n",
	       DEPTH, runs, BURSTS);
	printf("%-12s %12s %12s %8s   %s\n", "", "godwit-fs", "virtiofsd", "median", "ratio");
	for (size_t i = 0; i < GW_ARRAY_LEN(cases); i++) {
		if (!only || !strcmp(only, cases[i].name))
			run_case(&ours, &theirs, &cases[i], runs);
	}
	peer_stop(&ours.peer);
	peer_stop(&theirs.peer);
	empty_share(dir);
	return 0;
}
