/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/iterative.c - how long a guest that never rests stands still if its state is sent in
 * rounds. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cached.h"
#include "bench/figures.h"
#include "godwit/error.h"

/*
 * As bench/blackout.c, but that the guest goes on while its state is sent: it makes so many files a
 * second, and gives each another name. The destination loads from the first byte. When what is left
 * seems little the rings are stopped, the rest goes, the rings start there, and a file that was
 * open is read. The clock runs from the first message of the stop to that answer.
 */
#define RUNS_MAX   101u
#define OPEN_MAX   10000u
#define PIPE_BYTES (1 << 20)

struct settings {
	struct cached_tree tree;
	unsigned open, runs, rate, blackout_ms, rounds;
};

enum phase { STOP, REST, LOAD, START, FIRST, PHASES };
static const char *const phase_names[PHASES] = {"stop", "rest", "load", "start", "first"};

struct sample {
	double ms[PHASES], total, all_ms;
	unsigned rounds, made;
	uint64_t bytes, rest_bytes;
};

struct run {
	const struct settings *settings;
	struct cached_guest guest;
	struct peer to;
	struct sample *sample;
	uint64_t parent;
	double began, mark;
	uint64_t sent;
};

static double lap(struct run *run)
{
	double now = bench_ms(), took = now - run->mark;

	run->mark = now;
	return took;
}

static void need(int err, const struct peer *peer, const char *what)
{
	if (err)
		die("%s: %s: %s", peer->name, what, gw_last_error());
}

/*
 * The guest that goes on.
 */
static void make_one(struct run *run, unsigned number)
{
	struct {
		struct fuse_mknod_in in;
		char name[32];
	} __attribute__((packed)) make = {.in = {.mode = 0100644}};
	struct {
		struct fuse_rename_in in;
		char names[64];
	} __attribute__((packed)) rename = {.in = {.newdir = run->parent}};
	struct fuse_entry_out entry;
	int len = snprintf(make.name, sizeof(make.name), "made-%u", number) + 1;
	int from = snprintf(rename.names, 32, "made-%u", number) + 1;
	int to = snprintf(rename.names + from, 32, "moved-%u", number) + 1;

	peer_call(&run->guest.peer, FUSE_MKNOD, run->parent, &make,
		  (uint32_t)(sizeof(make.in) + (size_t)len), &entry, sizeof(entry));
	peer_call(&run->guest.peer, FUSE_RENAME, run->parent, &rename,
		  (uint32_t)(sizeof(rename.in) + (size_t)(from + to)), NULL, 0);
}

static int go_on(void *opaque, const struct gw_iterate_progress *progress)
{
	struct run *run = opaque;
	double due = (bench_ms() - run->began) * run->settings->rate / 1e3;

	while (run->sample->made < due)
		make_one(run, run->sample->made++);
	run->sample->rounds = progress->round;
	run->sent = progress->sent;
	return 0;
}

static int stop(void *opaque)
{
	struct run *run = opaque;
	int err;

	run->mark = bench_ms();
	run->sample->all_ms = run->mark - run->began;
	err = gw_frontend_stop(run->guest.peer.frontend);
	run->sample->ms[STOP] = lap(run);
	return err;
}

/*
 * The migration.
 */
static int begin_load(struct run *run)
{
	enum gw_transfer_reply reply;
	int ends[2], own;

	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	need(gw_frontend_transfer_offer(run->to.frontend, true, GW_PHASE_STOPPED, ends[0], &own,
					&reply),
	     &run->to, "LOAD");
	close(ends[0]);
	return ends[1];
}

static void migrate(struct run *run)
{
	const struct gw_iterate_config config = {
		.size = sizeof(config),
		.blackout_ms = run->settings->blackout_ms,
		.rounds = run->settings->rounds,
		.destination = run->to.frontend,
		.stop = stop,
		.progress = go_on,
		.opaque = run,
	};
	struct peer *from = &run->guest.peer, *to = &run->to;
	struct gw_iterate_progress result;
	struct fuse_read_in in = {.fh = run->guest.handles[0], .size = 4096};
	char data[4096];
	int fd = begin_load(run);

	run->began = bench_ms();
	need(gw_frontend_iterate(from->frontend, fd, &config, &result), from, "SAVE");
	close(fd);
	run->sample->ms[REST] = lap(run);
	run->sample->bytes = result.sent;
	need(gw_frontend_transfer_check(to->frontend), to, "LOAD");
	run->sample->ms[LOAD] = lap(run);
	need(gw_frontend_take_over(to->frontend, from->frontend), to, "take over");
	need(gw_frontend_start(to->frontend), to, "start");
	run->sample->ms[START] = lap(run);
	peer_call(to, FUSE_READ, run->guest.nodes[0], &in, sizeof(in), data, sizeof(data));
	run->sample->ms[FIRST] = lap(run);
	for (unsigned i = 0; i < PHASES; i++)
		run->sample->total += run->sample->ms[i];
}

/* What was made last is there under its second name, what was open is open. */
static void check(struct run *run)
{
	const struct settings *settings = run->settings;
	char name[32];

	for (unsigned i = 0; i < settings->open; i++) {
		struct fuse_read_in in = {.fh = run->guest.handles[i], .size = 4096};
		char data[4096];

		peer_call(&run->to, FUSE_READ,
			  run->guest.nodes[i * (settings->tree.inodes / settings->open)], &in,
			  sizeof(in), data, sizeof(data));
	}
	for (unsigned i = 0; i < run->sample->made; i++) {
		snprintf(name, sizeof(name), "moved-%u", i);
		if (!peer_lookup(&run->to, run->parent, name))
			die("%s: it is not there", name);
	}
}

static void clean(struct run *run)
{
	char path[330];

	for (unsigned i = 0; i < run->sample->made; i++) {
		snprintf(path, sizeof(path), "%s/0/moved-%u", run->settings->tree.dir, i);
		unlink(path);
	}
}

static void run_once(const char *command, const struct settings *settings, struct sample *sample)
{
	struct run run = {.settings = settings, .sample = sample};

	*sample = (struct sample){0};
	peer_start(&run.guest.peer, "godwit-fs", command, settings->tree.dir);
	peer_prepare(&run.to, "godwit-fs", command, settings->tree.dir);
	cached_fill(&run.guest, &settings->tree, settings->open);
	run.parent = peer_lookup(&run.guest.peer, 1, "0");
	peer_await(&run.to, &run.guest.peer);
	migrate(&run);
	check(&run);
	peer_stop(&run.to);
	peer_stop(&run.guest.peer);
	clean(&run);
	free(run.guest.nodes);
	free(run.guest.handles);
}

static double of_all(const struct sample *samples, unsigned runs, size_t offset, unsigned at)
{
	double values[RUNS_MAX];

	for (unsigned i = 0; i < runs; i++)
		memcpy(&values[i], (const char *)&samples[i] + offset, sizeof(double));
	bench_sort(values, runs);
	return values[at];
}

static void print(const struct sample *samples, const struct settings *settings)
{
	const unsigned runs = settings->runs;

	printf("%-8s %9s", "", "blackout");
	for (unsigned i = 0; i < PHASES; i++)
		printf(" %9s", phase_names[i]);
	printf("\n%-8s %9.2f", "median",
	       of_all(samples, runs, offsetof(struct sample, total), runs / 2));
	for (unsigned i = 0; i < PHASES; i++)
		printf(" %9.2f",
		       of_all(samples, runs, offsetof(struct sample, ms) + i * sizeof(double),
			      runs / 2));
	printf("\n%-8s %9.2f\n", "worst",
	       of_all(samples, runs, offsetof(struct sample, total), runs - 1));
	for (unsigned i = 0; i < runs; i++)
		printf("run %u: %.2f ms; before it %u rounds, %.0f ms, %.1f MB, %u files made\n", i,
		       samples[i].total, samples[i].rounds, samples[i].all_ms,
		       (double)samples[i].bytes / 1e6, samples[i].made);
}

static void usage(void)
{
	fprintf(stderr, "usage: bench-iterative [--inodes N] [--open N] [--rate N] [--blackout MS] "
			"[--rounds N]\n"
			"                       [--runs N] [--dir DIR | --tree DIR] COMMAND\n"
			"COMMAND offers --experimental=iterative; socket and share are added.\n");
	exit(2);
}

static void parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {CACHED_OPTIONS,
						{"open", required_argument, NULL, 'o'},
						{"rate", required_argument, NULL, 'r'},
						{"blackout", required_argument, NULL, 'b'},
						{"rounds", required_argument, NULL, 'R'},
						{"runs", required_argument, NULL, 'n'},
						{0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (cached_option(&settings->tree, option, optarg))
			continue;
		if (option == 'o')
			settings->open = (unsigned)atoi(optarg);
		else if (option == 'r')
			settings->rate = (unsigned)atoi(optarg);
		else if (option == 'b')
			settings->blackout_ms = (unsigned)atoi(optarg);
		else if (option == 'R')
			settings->rounds = (unsigned)atoi(optarg);
		else if (option == 'n')
			settings->runs = (unsigned)atoi(optarg);
		else
			usage();
	}
	if (!settings->tree.inodes || !settings->open || settings->open > OPEN_MAX ||
	    settings->open > settings->tree.inodes || !settings->runs ||
	    settings->runs > RUNS_MAX || argc - optind != 1)
		usage();
}

int main(int argc, char **argv)
{
	static struct sample samples[RUNS_MAX];
	struct settings settings = {.tree = {.inodes = 100000, .dir = "/var/tmp"},
				    .open = 1000,
				    .rate = 1000,
				    .blackout_ms = 5,
				    .rounds = 30,
				    .runs = 5};

	parse(argc, argv, &settings);
	gw_log_set_level(GW_LOG_ERROR);
	cached_make(&settings.tree);
	cached_name_file_system(&settings.tree);
	printf("%u inodes cached, %u files open, %u made and renamed a second; %u runs, ms\n",
	       settings.tree.inodes, settings.open, settings.rate, settings.runs);
	for (unsigned i = 0; i < settings.runs; i++)
		run_once(argv[optind], &settings, &samples[i]);
	print(samples, &settings);
	if (!settings.tree.keep)
		cached_remove(&settings.tree);
	return 0;
}
