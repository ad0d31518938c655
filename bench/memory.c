/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/memory.c - memory and processor time that a daemon needs for each inode the guest caches.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "bench/peer.h"
#include "godwit/error.h"

/*
 * The share is a tree of directories with FILES files each, all of which the guest looks up, once.
 * What is measured is by how much VmRSS of the daemon grows meanwhile. The rings, the requests'
 * memory and the daemon's own start are there before, by a first directory that does not count.
 */
#define FILES	    1000u
#define DEPTH	    32u
#define NAME_FORMAT "file-%011u" /* 16 bytes */
#define NAME_MAX_   32

struct request {
	char *out, *in;
};

struct run {
	struct peer peer;
	struct request requests[DEPTH];
	uint64_t *nodes; /* of what was looked up */
	uint64_t count;
};

static void make_tree(const char *dir, unsigned dirs)
{
	char path[512];

	for (unsigned d = 0; d < dirs; d++) {
		GW_AUTO_FD int at = -1;

		snprintf(path, sizeof(path), "%s/%u", dir, d);
		if (mkdir(path, 0755) < 0)
			die("%s: %s", path, strerror(errno));
		at = open(path, O_PATH | O_CLOEXEC);
		for (unsigned i = 0; i < FILES; i++) {
			char name[NAME_MAX_];
			int fd;

			snprintf(name, sizeof(name), NAME_FORMAT, d * FILES + i);
			fd = openat(at, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
			if (fd < 0)
				die("%s/%s: %s", path, name, strerror(errno));
			close(fd);
		}
	}
}

static void remove_tree(const char *dir, unsigned dirs)
{
	char path[512];

	for (unsigned d = 0; d < dirs; d++) {
		for (unsigned i = 0; i < FILES; i++) {
			snprintf(path, sizeof(path), "%s/%u/" NAME_FORMAT, dir, d, d * FILES + i);
			unlink(path);
		}
		snprintf(path, sizeof(path), "%s/%u", dir, d);
		rmdir(path);
	}
	rmdir(dir);
}

static void submit(struct run *run, struct request *request, uint64_t parent, unsigned number)
{
	char name[NAME_MAX_];
	uint32_t name_len = (uint32_t)snprintf(name, sizeof(name), NAME_FORMAT, number) + 1;
	struct fuse_in_header header = {.len = (uint32_t)sizeof(header) + name_len,
					.opcode = FUSE_LOOKUP,
					.unique = 2,
					.nodeid = parent};
	struct iovec out = {request->out, header.len};
	struct iovec in = {request->in,
			   sizeof(struct fuse_out_header) + sizeof(struct fuse_entry_out)};

	memcpy(request->out, &header, sizeof(header));
	memcpy(request->out + sizeof(header), name, name_len);
	if (gw_driver_add(run->peer.frontend, PEER_QUEUE, &out, 1, &in, 1, request))
		die("%s: %s", run->peer.name, gw_last_error());
}

static void take_answer(struct run *run, const struct request *request)
{
	struct fuse_out_header header;
	struct fuse_entry_out entry;

	memcpy(&header, request->in, sizeof(header));
	if (header.error)
		die("%s: LOOKUP: error %d", run->peer.name, header.error);
	memcpy(&entry, request->in + sizeof(header), sizeof(entry));
	run->nodes[run->count++] = entry.nodeid;
}

static void look_up_directory(struct run *run, unsigned dir)
{
	struct gw_frontend *frontend = run->peer.frontend;
	unsigned asked = 0, answered = 0;
	char name[16];
	uint64_t parent;

	snprintf(name, sizeof(name), "%u", dir);
	parent = peer_lookup(&run->peer, 1, name);
	run->nodes[run->count++] = parent;
	while (asked < DEPTH)
		submit(run, &run->requests[asked], parent, dir * FILES + asked), asked++;
	gw_driver_kick(frontend, PEER_QUEUE);
	while (answered < FILES) {
		struct request *request;
		uint32_t len;
		void *token;

		while (gw_driver_get(frontend, PEER_QUEUE, &token, &len)) {
			request = token;
			take_answer(run, request);
			answered++;
			if (asked < FILES)
				submit(run, request, parent, dir * FILES + asked++);
		}
		gw_driver_kick(frontend, PEER_QUEUE);
		if (answered < FILES && gw_driver_wait(frontend, PEER_QUEUE, 10000))
			die("%s: no answer in 10 s", run->peer.name);
	}
}

/* FORGET has no answer: the LOOKUP behind the last one on the same ring tells that all are done. */
static void forget_all(struct run *run)
{
	struct gw_frontend *frontend = run->peer.frontend;
	struct fuse_forget_in forget = {.nlookup = 1};

	for (uint64_t i = run->count; i; i--) {
		struct request *request = &run->requests[i % DEPTH];
		struct fuse_in_header header = {.len = sizeof(header) + sizeof(forget),
						.opcode = FUSE_FORGET,
						.unique = 2,
						.nodeid = run->nodes[i - 1]};
		struct iovec out = {request->out, header.len};
		uint32_t len;
		void *token;

		memcpy(request->out, &header, sizeof(header));
		memcpy(request->out + sizeof(header), &forget, sizeof(forget));
		if (gw_driver_add(frontend, PEER_QUEUE, &out, 1, NULL, 0, request))
			die("%s: %s", run->peer.name, gw_last_error());
		gw_driver_kick(frontend, PEER_QUEUE);
		while (!gw_driver_get(frontend, PEER_QUEUE, &token, &len)) {
			if (gw_driver_wait(frontend, PEER_QUEUE, 10000))
				die("%s: FORGET is not taken", run->peer.name);
		}
	}
}

/* In KiB. */
static long resident(pid_t pid)
{
	char path[64], line[256];
	GW_AUTO_FCLOSE FILE *status = NULL;
	long kib = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	while (status && kib < 0 && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "VmRSS: %ld kB", &kib) != 1)
			kib = -1;
	}
	if (kib < 0)
		die("%s: no VmRSS", path);
	return kib;
}

/* What it has used of a processor, in us. */
static double processor_time(pid_t pid)
{
	char path[64];
	GW_AUTO_FCLOSE FILE *stat = NULL;
	unsigned long user, kernel;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	stat = fopen(path, "r");
	if (!stat ||
	    fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &kernel) != 2)
		die("%s: no times", path);
	return (double)(user + kernel) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void measure(const char *name, const char *command, const char *dir, unsigned dirs)
{
	static struct run run;
	long before, full, empty;
	double times[3];
	uint64_t counted;

	run = (struct run){0};
	peer_start(&run.peer, name, command, dir);
	run.nodes = calloc((size_t)(dirs + 1) * (FILES + 1), sizeof(*run.nodes));
	for (unsigned i = 0; i < DEPTH; i++) {
		run.requests[i].out = gw_frontend_alloc(run.peer.frontend, 4096);
		run.requests[i].in = gw_frontend_alloc(run.peer.frontend, 4096);
	}
	look_up_directory(&run, 0);
	before = resident(run.peer.pid);
	counted = run.count;
	times[0] = processor_time(run.peer.pid);
	for (unsigned d = 1; d <= dirs; d++)
		look_up_directory(&run, d);
	times[1] = processor_time(run.peer.pid);
	full = resident(run.peer.pid);
	counted = run.count - counted;
	forget_all(&run);
	times[2] = processor_time(run.peer.pid);
	empty = resident(run.peer.pid);
	printf("%-12s %10llu %12.1f %12.1f %12.2f %12.2f\n", name, (unsigned long long)counted,
	       (double)(full - before) * 1024 / (double)counted,
	       (double)(empty - before) * 1024 / (double)counted,
	       (times[1] - times[0]) / (double)counted, (times[2] - times[1]) / (double)counted);
	fflush(stdout);
	free(run.nodes);
	peer_stop(&run.peer);
}

static void usage(void)
{
	fprintf(stderr, "usage: bench-memory [--inodes N] [--dir DIR] OURS [THEIRS]\n"
			"OURS and THEIRS are commands, options included; socket and share are "
			"added.\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"inodes", required_argument, NULL, 'n'},
						{"dir", required_argument, NULL, 'd'},
						{0}};
	char dir[256] = "/tmp";
	unsigned dirs = 1000;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'n')
			dirs = (unsigned)atoi(optarg) / FILES;
		else if (option == 'd')
			snprintf(dir, sizeof(dir), "%s", optarg);
		else
			usage();
	}
	if (argc - optind < 1 || argc - optind > 2 || !dirs || dirs > 10000)
		usage();
	strncat(dir, "/godwit-bench-XXXXXX", sizeof(dir) - strlen(dir) - 1);
	if (!mkdtemp(dir))
		die("%s: %s", dir, strerror(errno));
	gw_log_set_level(GW_LOG_ERROR);
	make_tree(dir, dirs + 1);
	printf("%-12s %10s %12s %12s %12s %12s\n", "", "inodes", "bytes each", "after FORGET",
	       "us a LOOKUP", "us a FORGET");
	measure("godwit-fs", argv[optind], dir, dirs);
	if (argc - optind == 2)
		measure("virtiofsd", argv[optind + 1], dir, dirs);
	remove_tree(dir, dirs + 1);
	return 0;
}
