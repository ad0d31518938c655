/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stop-copy.c - a stop behind a long copy is answered within 20 ms, as a rule.
 * usage: [MIB STOPS [DIRECTORY]]: of the file, how often, where; small numbers by default. */
#include "../common/fuse_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STOPS_MAX  100
#define LIMIT_MS   20.0
#define PIECE	   ((size_t)4 << 20) /* what a stop has to wait for at most (fs/op_data.c) */
#define SLOW_DISKS 4		     /* times as long as a piece takes here, when that is long */
#define TRIES	   10		     /* for each stop to come before its copy is over */

static struct fuse_client client;
static const char *share = NULL;
static uint64_t length = UINT64_C(256) << 20;
static unsigned stops = 9;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void make_source(void)
{
	static char block[1 << 20];
	int fd = open(share_path(&client, "stop-from"), O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	memset(block, 'x', sizeof(block));
	for (uint64_t i = 0; i < length; i += sizeof(block))
		assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
	/* What is measured is the copy, not the writing of its source. */
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

/* What this disk needs for one piece, without us. False: it shares extents. */
static bool measure_pieces(double *piece_ms)
{
	int from = open(share_path(&client, "stop-from"), O_RDONLY);
	int to = open(share_path(&client, "stop-to"), O_CREAT | O_TRUNC | O_RDWR, 0600);
	double times[STOPS_MAX];
	off_t in = 0, out = 0;

	for (unsigned i = 0; i < stops; i++) {
		double start = now_ms();

		assert_true(copy_file_range(from, &in, to, &out, PIECE, 0) > 0);
		times[i] = now_ms() - start;
	}
	fsync(to);
	*piece_ms = median(times, stops);
	/* Whole blocks of a file system that shares them are there in no time at all. */
	assert_int_equal(ftruncate(to, 0), 0);
	close(from);
	close(to);
	return *piece_ms > 0.05;
}

static void open_both(struct fuse_copy_file_range_in *in)
{
	struct fuse_open_out from, to;

	assert_true(fuse_open(&client, fuse_node(&client, 1, "stop-from"), O_RDONLY, &from) > 0);
	assert_true(fuse_open(&client, fuse_node(&client, 1, "stop-to"), O_RDWR, &to) > 0);
	*in = (struct fuse_copy_file_range_in){.fh_in = from.fh, .fh_out = to.fh, .len = length};
}

/*
 * One stop, and what it took. False: it came when the copy was over, as on a machine where others
 * get the processor meanwhile. Who waits for the whole copy is not to be excused by that: his took
 * long.
 */
static bool stop_once(const struct fuse_copy_file_range_in *in, unsigned turn, double limit,
		      double *took)
{
	struct fuse_copy_file_range_out out;
	struct fuse_call copy = {.opcode = FUSE_COPY_FILE_RANGE_64,
				 .arg = in,
				 .arg_len = sizeof(*in),
				 .answer = &out,
				 .room = sizeof(out)};
	struct timespec wait = {.tv_nsec = 10000000 + turn % 7 * 1500000};
	double start;

	fuse_begin(&client, 1, &copy);
	nanosleep(&wait, NULL);
	start = now_ms();
	assert_int_equal(gw_frontend_stop(client.frontend), 0);
	*took = now_ms() - start;
	assert_int_equal(gw_frontend_start(client.frontend), 0);
	fuse_wait(&client, 1, &copy);
	assert_int_equal(copy.result, sizeof(out));
	assert_in_range(out.bytes_copied, 1, length);
	return out.bytes_copied < length || *took >= limit;
}

static void test_stops(void **state)
{
	struct fuse_copy_file_range_in in;
	double times[STOPS_MAX], limit = LIMIT_MS, piece_ms, middle;

	(void)state;
	gw_log_set_level(GW_LOG_ERROR);
	fuse_start(&client, &(struct fuse_options){.share = share});
	make_source();
	if (!measure_pieces(&piece_ms)) {
		print_message("this file system shares extents: copies take no time\n");
		fuse_stop(&client);
		skip();
	}
	open_both(&in);
	if (piece_ms * SLOW_DISKS > limit)
		limit = piece_ms * SLOW_DISKS;
	for (unsigned i = 0, tries = 0; i < stops; tries++) {
		assert_true(tries < TRIES * stops);
		i += stop_once(&in, tries, limit, &times[i]);
	}
	middle = median(times, stops);
	print_message("%u stops behind a copy of %llu MiB: median %.1f ms, longest %.1f ms; 4 MiB "
		      "take %.1f ms\n",
		      stops, (unsigned long long)(length >> 20), middle, times[stops - 1],
		      piece_ms);
	unlink(share_path(&client, "stop-from"));
	unlink(share_path(&client, "stop-to"));
	fuse_stop(&client);
	if (middle >= limit)
		fail_msg("median of %.1f ms, at most %.1f are expected", middle, limit);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stops),
	};

	if (argc > 2) {
		length = strtoull(argv[1], NULL, 10) << 20;
		stops = (unsigned)strtoul(argv[2], NULL, 10);
		share = argc > 3 ? argv[3] : NULL;
	}
	if (length < stops * PIECE || !stops || stops > STOPS_MAX)
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
