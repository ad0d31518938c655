/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/stream.c - how fast a device-state stream is written and read, beside a plain pipe. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "bench/block.h"
#include "bench/figures.h"
#include "godwit/error.h"
#include "state/stream.h"

/*
 * Three ways over a pipe of 1 MiB, from one thread to another: bytes alone; a stream that is
 * written as a device would and drained by read(); and that stream, from memory, read as a device
 * would. They take turns, so that a machine whose speed drifts drifts for all; the figure is the
 * median of each round's ratio to the plain pipe.
 */
#define RECORD	   (64u * 1024)
#define BYTES	   (256u << 20) /* each way and round */
#define PIPE_SIZE  (1u << 20)
#define DRAIN_SIZE (256u * 1024)
#define ROUNDS	   9

static uint8_t content[RECORD];
static uint8_t *stream; /* what save() writes, for load() */
static size_t stream_len;

/*
 * Both ends of the pipe. Each takes its descriptor over, and returns how many bytes went by.
 */

static uint64_t write_bytes(int fd, const uint8_t *bytes, size_t len, size_t total)
{
	size_t done = 0;

	while (done < total) {
		size_t at = done % len;
		size_t piece = GW_MIN(len - at, (size_t)RECORD);
		ssize_t n = write(fd, bytes + at, GW_MIN(piece, total - done));

		if (n < 0)
			die("write");
		done += (size_t)n;
	}
	close(fd);
	return done;
}

static uint64_t write_plain(int fd)
{
	return write_bytes(fd, content, sizeof(content), BYTES);
}

static uint64_t write_stream(int fd)
{
	return write_bytes(fd, stream, stream_len, stream_len);
}

static uint64_t drain(int fd)
{
	static uint8_t buffer[DRAIN_SIZE];
	uint64_t done = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		done += (size_t)n;
	close(fd);
	return done;
}

static uint64_t save(int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = {.implementation = "bench",
					       .mode = GW_MODE_STATEFUL,
					       .model = "godwit-project.org/bench"};
	struct block bulk = {.bytes = {.data = content, .len = sizeof(content)}};
	struct gw_state_writer *writer;

	if (gw_state_writer_new(&writer, &channel, &header))
		die("save");
	for (; bulk.offset < BYTES; bulk.offset += RECORD) {
		if (gw_state_put(writer, &block_layout, &bulk))
			die("save");
	}
	if (gw_state_writer_end(writer))
		die("save");
	gw_state_writer_free(writer);
	close(fd);
	return BYTES;
}

static int take(void *opaque, const void *object)
{
	const struct block *bulk = object;
	uint64_t *done = opaque;

	*done += bulk->bytes.len;
	return 0;
}

static uint64_t load(int fd)
{
	static const struct gw_state_handler handlers[] = {{&block_layout, take, NULL},
							   {.layout = NULL}};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	struct gw_state_reader *reader;
	uint64_t done = 0;

	if (gw_state_reader_new(&reader, &channel) || gw_state_read(reader, handlers, &done))
		die("load");
	gw_state_reader_free(reader);
	close(fd);
	return done;
}

typedef uint64_t end_fn(int fd);

struct feeder {
	end_fn *write;
	int fd;
};

static void *run_feeder(void *opaque)
{
	const struct feeder *feeder = opaque;

	feeder->write(feeder->fd);
	return NULL;
}

/* Bytes a second. */
static double measure(end_fn *write, end_fn *read)
{
	int fds[2];
	struct feeder feeder = {.write = write};
	pthread_t thread;
	uint64_t bytes;
	double start;

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
	feeder.fd = fds[1];
	start = now();
	if (pthread_create(&thread, NULL, run_feeder, &feeder))
		die("thread");
	bytes = read(fds[0]);
	pthread_join(thread, NULL);
	if (bytes < BYTES)
		die("bytes are missing");
	return (double)bytes / (now() - start);
}

static void keep_stream(void)
{
	int fd = memfd_create("stream", MFD_CLOEXEC);

	save(dup(fd));
	stream_len = (size_t)lseek(fd, 0, SEEK_END);
	stream = mmap(NULL, stream_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (stream == MAP_FAILED)
		die("memory");
	close(fd);
}

static void report(const char *name, double rates[ROUNDS], double ratios[ROUNDS])
{
	bench_sort(rates, ROUNDS);
	bench_sort(ratios, ROUNDS);
	printf("%-12s %8.0f MB/s %8.2f   %.2f .. %.2f\n", name, rates[ROUNDS / 2] / 1e6,
	       ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
}

int main(void)
{
	static const struct {
		const char *name;
		end_fn *write, *read;
	} ways[] = {{"plain pipe", write_plain, drain},
		    {"save", save, drain},
		    {"load", write_stream, load}};
	double rates[GW_ARRAY_LEN(ways)][ROUNDS], ratios[GW_ARRAY_LEN(ways)][ROUNDS];

	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)(i * 2654435761u >> 13);
	keep_stream();
	for (int round = -1; round < ROUNDS; round++) {
		for (size_t i = 0; i < GW_ARRAY_LEN(ways); i++) {
			double rate = measure(ways[i].write, ways[i].read);

			if (round < 0) /* to get warm */
				continue;
			rates[i][round] = rate;
			ratios[i][round] = rate / rates[0][round];
		}
	}
	printf("records of %u KiB through a pipe, %u MiB a round, %d rounds\n", RECORD >> 10,
	       BYTES >> 20, ROUNDS);
	for (size_t i = 0; i < GW_ARRAY_LEN(ways); i++)
		report(ways[i].name, rates[i], ratios[i]);
	munmap(stream, stream_len);
	return 0;
}
