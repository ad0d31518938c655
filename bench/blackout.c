/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/blackout.c - how long a guest stands still while its share moves to another process. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "bench/announce.h"
#include "bench/cached.h"
#include "bench/figures.h"
#include "godwit/error.h"

/*
 * Two daemons of a kind as processes of their own, the front-end of this project between them, and
 * a tree of directories with CACHED_FILES_PER_DIR files each, all looked up, some open. The
 * migration is announced (dirty logging), and after some time for collecting the rings are stopped.
 * The state is read into memory, as by a VMM that sends it on when it has it, and written from
 * there to the other daemon, each through a pipe; the rings start there and a file that was open is
 * read. The clock runs from the first message of the stop to that answer, less the time for
 * connecting to the destination, which a VMM does before. Then a file is looked up, for which a
 * device may have put something off; that is told beside the phases, and is none.
 *
 * With --stream the state goes through one pipe from one daemon to the other, so that the second
 * loads while the first still saves; the phases then say less.
 *
 * With --announced the second is told before how large the state is (migration-expect), as by
 * `godwit migrate`; with --precopied it is also brought most of it (migration-precopy-...).
 *
 * With --cold the source ends in between, with the descriptors that keep the host's caches, and the
 * caches are dropped; then the phases are what is added up.
 */
#define RUNS_MAX      101u
#define OPEN_MAX      100000u
#define PIPE_BYTES    (1 << 20)
#define STATE_MAX     (256u << 20)
#define LATENCIES_MAX (1u << 21)
#define LATENCY_S     5

struct settings {
	struct cached_tree tree;
	unsigned open, runs, settle_ms;
	bool cold, latency, stream, announced, precopied;
};

/* LOOKUP comes when the blackout is over. */
enum phase { STOP, SAVE, LOAD, START, FIRST, PHASES, LOOKUP = PHASES, TIMES };
static const char *const time_names[TIMES] = {"stop", "save", "load", "start", "first", "lookup"};

struct sample {
	double ms[TIMES], total;
	double steady_us, after_us; /* 99th percentiles of requests */
	uint64_t bytes;
};

/*
 * Latency of single requests: GETATTR of what is cached, anywhere.
 */

static double latency_us(struct peer *peer, const struct cached_guest *guest,
			 const struct settings *settings)
{
	static double took[LATENCIES_MAX];
	struct fuse_getattr_in in = {0};
	struct fuse_attr_out out;
	double end = bench_ms() + LATENCY_S * 1e3, before;
	unsigned count = 0;

	while ((before = bench_ms()) < end && count < LATENCIES_MAX) {
		peer_call(peer, FUSE_GETATTR,
			  guest->nodes[(unsigned)rand() % settings->tree.inodes], &in, sizeof(in),
			  &out, sizeof(out));
		took[count++] = (bench_ms() - before) * 1e3;
	}
	bench_sort(took, count);
	return took[count * 99ul / 100];
}

/*
 * The migration.
 */

static void need(int err, const struct peer *peer, const char *what)
{
	if (err)
		die("%s: %s: %s", peer->name, what, gw_last_error());
}

static void offer(struct peer *peer, bool load, int fd)
{
	enum gw_transfer_reply reply;
	int own_fd;

	need(gw_frontend_transfer_offer(peer->frontend, load, GW_PHASE_STOPPED, fd, &own_fd,
					&reply),
	     peer, load ? "LOAD" : "SAVE");
	if (own_fd >= 0)
		die("%s: it wants a channel of its own", peer->name);
}

static void make_pipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe: %s", strerror(errno));
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
}

/* Both at once; the source's verdict ends its phase. */
static void transfer_stream(struct peer *from, struct peer *to, struct sample *sample)
{
	double start = bench_ms(), saved;
	int ends[2];

	make_pipe(ends);
	offer(to, true, ends[0]);
	offer(from, false, ends[1]);
	close(ends[0]);
	close(ends[1]);
	need(gw_frontend_transfer_check(from->frontend), from, "SAVE");
	saved = bench_ms();
	need(gw_frontend_transfer_check(to->frontend), to, "LOAD");
	sample->ms[SAVE] = saved - start;
	sample->ms[LOAD] = bench_ms() - saved;
}

/* What a VMM has room for is no part of this: memory that was used before. */
static char *state_memory(void)
{
	static char *memory;

	if (!memory) {
		memory = malloc(STATE_MAX);
		if (!memory)
			die("no memory for a state");
		memset(memory, 1, STATE_MAX);
	}
	return memory;
}

static void save(struct peer *from, struct sample *sample)
{
	char *state = state_memory();
	double start = bench_ms();
	ssize_t n;
	int ends[2];

	make_pipe(ends);
	offer(from, false, ends[1]);
	close(ends[1]);
	while (sample->bytes < STATE_MAX &&
	       (n = read(ends[0], state + sample->bytes, STATE_MAX - sample->bytes)) > 0)
		sample->bytes += (uint64_t)n;
	close(ends[0]);
	need(gw_frontend_transfer_check(from->frontend), from, "SAVE");
	sample->ms[SAVE] = bench_ms() - start;
}

static void load(struct peer *to, struct sample *sample)
{
	const char *state = state_memory();
	double start = bench_ms();
	int ends[2];

	make_pipe(ends);
	offer(to, true, ends[0]);
	close(ends[0]);
	for (uint64_t at = 0; at < sample->bytes;) {
		ssize_t n = write(ends[1], state + at, sample->bytes - at);

		if (n < 0)
			die("%s: LOAD: %s", to->name, strerror(errno));
		at += (uint64_t)n;
	}
	close(ends[1]);
	need(gw_frontend_transfer_check(to->frontend), to, "LOAD");
	sample->ms[LOAD] = bench_ms() - start;
}

static void drop_caches(void)
{
	GW_AUTO_FD int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	sync();
	if (fd < 0 || write(fd, "2", 1) != 1)
		die("drop_caches: %s", strerror(errno));
}

/* One after the other. */
static void transfer(struct peer *from, struct peer *to, const struct settings *settings,
		     struct sample *sample)
{
	save(from, sample);
	if (settings->cold) {
		peer_stop(from);
		drop_caches();
	}
	load(to, sample);
}

static void first_request(struct peer *to, const struct cached_guest *guest)
{
	struct fuse_read_in in = {.fh = guest->handles[0], .size = 4096};
	char data[4096];

	peer_call(to, FUSE_READ, guest->nodes[0], &in, sizeof(in), data, sizeof(data));
}

/* The last of all. */
static void look_up(struct peer *to, const struct settings *settings)
{
	unsigned last = settings->tree.inodes - 1;
	char name[32];
	uint64_t dir;

	snprintf(name, sizeof(name), "%u", last / CACHED_FILES_PER_DIR);
	dir = peer_lookup(to, 1, name);
	snprintf(name, sizeof(name), CACHED_NAME_FORMAT, last);
	peer_lookup(to, dir, name);
}

/* All that was open is; else nothing was measured. */
static void check_open(struct peer *to, const struct cached_guest *guest,
		       const struct settings *settings)
{
	for (unsigned i = 0; i < settings->open; i++) {
		struct fuse_read_in in = {.fh = guest->handles[i], .size = 4096};
		char data[4096];

		peer_call(to, FUSE_READ, guest->nodes[i * (settings->tree.inodes / settings->open)],
			  &in, sizeof(in), data, sizeof(data));
	}
}

static double lap(double *from)
{
	double now = bench_ms(), took = now - *from;

	*from = now;
	return took;
}

static void migrate(struct cached_guest *guest, struct peer *to, const struct settings *settings,
		    struct sample *sample)
{
	struct peer *from = &guest->peer;
	double mark;

	state_memory();
	signal(SIGPIPE, SIG_IGN);
	if (settings->announced) {
		peer_await(to, from);
		announce(from, to, settings->precopied);
	}
	mark = bench_ms();
	need(gw_frontend_stop(from->frontend), from, "stop");
	sample->ms[STOP] = lap(&mark);
	if (settings->announced)
		need(gw_frontend_take_over(to->frontend, from->frontend), to, "take over");
	else
		peer_connect(to, from);
	if (settings->stream)
		transfer_stream(from, to, sample);
	else
		transfer(from, to, settings, sample);
	mark = bench_ms();
	need(gw_frontend_start(to->frontend), to, "start");
	sample->ms[START] = lap(&mark);
	first_request(to, guest);
	sample->ms[FIRST] = lap(&mark);
	look_up(to, settings);
	sample->ms[LOOKUP] = lap(&mark);
	for (unsigned i = 0; i < PHASES; i++)
		sample->total += sample->ms[i];
}

static void run_once(const char *name, const char *command, const struct settings *settings,
		     struct sample *sample)
{
	struct cached_guest guest = {0};
	struct peer to;

	*sample = (struct sample){0};
	peer_start(&guest.peer, name, command, settings->tree.dir);
	peer_prepare(&to, name, command, settings->tree.dir);
	cached_fill(&guest, &settings->tree, settings->open);
	if (settings->latency)
		sample->steady_us = latency_us(&guest.peer, &guest, settings);
	need(gw_frontend_log(guest.peer.frontend, true), &guest.peer, "dirty logging");
	usleep(settings->settle_ms * 1000);
	migrate(&guest, &to, settings, sample);
	if (settings->latency)
		sample->after_us = latency_us(&to, &guest, settings);
	check_open(&to, &guest, settings);
	peer_stop(&to);
	if (!settings->cold)
		peer_stop(&guest.peer);
	free(guest.nodes);
	free(guest.handles);
}

static double median_of(const struct sample *samples, unsigned runs, size_t offset)
{
	double values[RUNS_MAX];

	for (unsigned i = 0; i < runs; i++)
		memcpy(&values[i], (const char *)&samples[i] + offset, sizeof(double));
	bench_sort(values, runs);
	return values[runs / 2];
}

static double measure(const char *name, const char *command, const struct settings *settings)
{
	static struct sample samples[RUNS_MAX];
	double total;

	for (unsigned i = 0; i < settings->runs; i++)
		run_once(name, command, settings, &samples[i]);
	total = median_of(samples, settings->runs, offsetof(struct sample, total));
	printf("%-12s %9.2f", name, total);
	for (unsigned i = 0; i < TIMES; i++)
		printf(" %9.2f", median_of(samples, settings->runs,
					   offsetof(struct sample, ms) + i * sizeof(double)));
	if (settings->latency)
		printf(" %12.0f %12.0f",
		       median_of(samples, settings->runs, offsetof(struct sample, steady_us)),
		       median_of(samples, settings->runs, offsetof(struct sample, after_us)));
	putchar('\n');
	fflush(stdout);
	return total;
}

static void print_head(const struct settings *settings)
{
	printf("%u inodes cached, %u files open, %s; median of %u runs, ms\n",
	       settings->tree.inodes, settings->open,
	       settings->cold	     ? "host's caches dropped"
	       : settings->precopied ? "warm, most of the state ahead"
	       : settings->stream    ? "warm, saved and loaded at once"
				     : "warm",
	       settings->runs);
	printf("%-12s %9s", "", "blackout");
	for (unsigned i = 0; i < TIMES; i++)
		printf(" %9s", time_names[i]);
	if (settings->latency)
		printf(" %12s %12s", "p99 us", "after, p99");
	putchar('\n');
}

static void usage(void)
{
	fprintf(stderr,
		"usage: bench-blackout [--inodes N] [--open N] [--cold | --stream]\n"
		"                      [--announced | --precopied] [--latency] [--runs N]\n"
		"                      [--settle MS] [--dir DIR | --tree DIR] OURS [THEIRS]\n"
		"A tree is made below DIR, or as DIR and kept for another time.\n"
		"OURS and THEIRS are commands, options included; socket and share are added.\n");
	exit(2);
}

static void parse(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {CACHED_OPTIONS,
						{"open", required_argument, NULL, 'o'},
						{"cold", no_argument, NULL, 'c'},
						{"stream", no_argument, NULL, 'm'},
						{"latency", no_argument, NULL, 'l'},
						{"runs", required_argument, NULL, 'n'},
						{"announced", no_argument, NULL, 'a'},
						{"precopied", no_argument, NULL, 'p'},
						{"settle", required_argument, NULL, 's'},
						{0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (cached_option(&settings->tree, option, optarg))
			continue;
		if (option == 'o')
			settings->open = (unsigned)atoi(optarg);
		else if (option == 'c')
			settings->cold = true;
		else if (option == 'm')
			settings->stream = true;
		else if (option == 'a')
			settings->announced = true;
		else if (option == 'p')
			settings->announced = settings->precopied = true;
		else if (option == 'l')
			settings->latency = true;
		else if (option == 'n')
			settings->runs = (unsigned)atoi(optarg);
		else if (option == 's')
			settings->settle_ms = (unsigned)atoi(optarg);
		else
			usage();
	}
	if (!settings->tree.inodes || !settings->open || settings->open > OPEN_MAX ||
	    settings->open > settings->tree.inodes || (settings->cold && settings->stream) ||
	    !settings->runs || settings->runs > RUNS_MAX)
		usage();
	/* Collecting takes some microseconds an inode. */
	if (!settings->settle_ms)
		settings->settle_ms = 500 + settings->tree.inodes / 40;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.tree = {.inodes = 100000, .dir = "/var/tmp"}, .open = 1000, .runs = 5};
	double ours, theirs;

	parse(argc, argv, &settings);
	if (argc - optind < 1 || argc - optind > 2)
		usage();
	gw_log_set_level(GW_LOG_ERROR);
	cached_make(&settings.tree);
	cached_name_file_system(&settings.tree);
	print_head(&settings);
	ours = measure("godwit-fs", argv[optind], &settings);
	if (argc - optind == 2) {
		theirs = measure("virtiofsd", argv[optind + 1], &settings);
		printf("ratio: 1/%.0f\n", theirs / ours);
	}
	if (!settings.tree.keep)
		cached_remove(&settings.tree);
	return 0;
}
