/* SPDX-License-Identifier: BSD-3-Clause */
/* bench/bulk.c - a state that is mostly one big block, through memory, beside memcpy(). */
#include <errno.h>
#include <fcntl.h>
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
 * A device with so many MiB of memory is saved into a memfd and loaded out of it, sealed, into
 * another device's memory; and the same bytes are copied by memcpy() into memory that is there, and
 * into a mapping of a new memfd. The memfd of a save was made ready (gw_state_memory_new()), as a
 * front-end does before it stops its guest; "plain" is one that merely has its pages (fallocate).
 * They take turns; figures are medians.
 */
#define ROUNDS 5

static size_t bytes_in_all;
static uint8_t *from, *to; /* the devices' memories */

static uint8_t *memory(int fill)
{
	uint8_t *block = mmap(NULL, bytes_in_all, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		die("memory");
	memset(block, fill, bytes_in_all);
	return block;
}

static uint64_t room(void)
{
	return bytes_in_all + bytes_in_all / 64 + (1 << 20);
}

static int plain_memfd(bool has_pages)
{
	int fd = memfd_create("state", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || (has_pages && fallocate(fd, 0, 0, (off_t)room()) < 0))
		die("memfd");
	return fd;
}

static int ready_memfd(void)
{
	int fd = gw_state_memory_new(room());

	if (fd < 0)
		die("memfd");
	return fd;
}

static void save(int fd)
{
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1};
	const struct gw_state_header header = {.implementation = "bench",
					       .mode = GW_MODE_STATEFUL,
					       .model = "godwit-project.org/bench"};
	struct gw_state_writer *writer;
	int err = gw_state_writer_new(&writer, &channel, &header);

	for (size_t at = 0; !err && at < bytes_in_all; at += BLOCK_PIECE) {
		const struct block block = {
			.offset = at,
			.bytes = {.data = from + at,
				  .len = GW_MIN((size_t)BLOCK_PIECE, bytes_in_all - at)}};

		err = gw_state_put(writer, &block_layout, &block);
	}
	if (!err)
		err = gw_state_writer_end(writer);
	if (err)
		die("save");
	gw_state_writer_free(writer);
}

static int take(void *opaque, const void *object)
{
	const struct block *block = object;
	uint64_t *done = opaque;

	if (!gw_range_within(block->offset, block->bytes.len, bytes_in_all))
		return gw_fail(EBADMSG, "a block beyond the memory");
	memcpy(to + block->offset, block->bytes.data, block->bytes.len);
	*done += block->bytes.len;
	return 0;
}

static void load(int fd)
{
	static const struct gw_state_handler handlers[] = {{&block_layout, take, NULL},
							   {.layout = NULL}};
	const struct gw_state_channel channel = {.fd = fd, .cancel = -1, .from_start = true};
	struct gw_state_reader *reader;
	uint64_t done = 0;

	if (gw_state_reader_new(&reader, &channel) || gw_state_read(reader, handlers, &done) ||
	    done != bytes_in_all)
		die("load");
	gw_state_reader_free(reader);
}

enum way { WARM, FRESH, SAVE, LOAD, LOAD_READ, SAVE_PLAIN, LOAD_PLAIN, WAYS };
static const char *const names[WAYS] = {"memcpy, memory that is there",
					"memcpy, new memfd",
					"save",
					"load, sealed",
					"load, not sealed",
					"save, plain",
					"load, plain, sealed"};

static double seconds[WAYS][ROUNDS];

static void copy_fresh(void)
{
	int fd = plain_memfd(false);
	void *map;

	if (ftruncate(fd, (off_t)bytes_in_all) < 0)
		die("memfd");
	map = mmap(NULL, bytes_in_all, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("memory");
	memcpy(map, from, bytes_in_all);
	munmap(map, bytes_in_all);
	close(fd);
}

static void time_load(int fd, double *took)
{
	memset(to, 0, bytes_in_all);
	*took = -now();
	load(fd);
	*took += now();
	if (memcmp(from, to, bytes_in_all) != 0)
		die("what was loaded is not what was saved");
}

static void time_save(int fd, double *took)
{
	*took = -now();
	save(fd);
	*took += now();
}

static void time_ready(int round)
{
	int fd = ready_memfd();

	time_save(fd, &seconds[SAVE][round]);
	/* What was made ready is longer than what was saved, which is where it is sealed. */
	if (ftruncate(fd, lseek(fd, 0, SEEK_CUR)) < 0)
		die("memfd");
	time_load(fd, &seconds[LOAD_READ][round]);
	if (gw_state_memory_seal(fd))
		die("seal");
	time_load(fd, &seconds[LOAD][round]);
	close(fd);
}

static void time_plain(int round)
{
	int fd = plain_memfd(true);

	time_save(fd, &seconds[SAVE_PLAIN][round]);
	if (gw_state_memory_seal(fd))
		die("seal");
	time_load(fd, &seconds[LOAD_PLAIN][round]);
	close(fd);
}

static void play_round(int round)
{
	double mark[] = {now(), 0, 0};

	memcpy(to, from, bytes_in_all);
	mark[1] = now();
	copy_fresh();
	mark[2] = now();
	seconds[WARM][round] = mark[1] - mark[0];
	seconds[FRESH][round] = mark[2] - mark[1];
	time_ready(round);
	time_plain(round);
}

int main(int argc, char **argv)
{
	unsigned mib = argc > 1 ? (unsigned)atoi(argv[1]) : 1024;
	double ratios[WAYS][ROUNDS];

	bytes_in_all = (size_t)mib << 20;
	from = memory(0);
	to = memory(1);
	for (size_t i = 0; i < bytes_in_all; i += sizeof(i))
		memcpy(from + i, &(size_t){i * 2654435761u}, sizeof(i));
	play_round(0); /* to get warm */
	for (int round = 0; round < ROUNDS; round++)
		play_round(round);
	for (unsigned way = 0; way < WAYS; way++) {
		for (unsigned i = 0; i < ROUNDS; i++)
			ratios[way][i] = seconds[WARM][i] / seconds[way][i];
	}
	printf("%u MiB, median of %d rounds\n%-30s %9s %16s\n", mib, ROUNDS, "", "GB/s",
	       "part of memcpy");
	for (unsigned way = 0; way < WAYS; way++) {
		bench_sort(ratios[way], ROUNDS);
		bench_sort(seconds[way], ROUNDS);
		printf("%-30s %9.2f %16.2f\n", names[way],
		       (double)bytes_in_all / 1e9 / seconds[way][ROUNDS / 2],
		       ratios[way][ROUNDS / 2]);
	}
	return 0;
}
