/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/counters.h - what was done for the guest, and what is being done. */
#ifndef GW_FS_COUNTERS_H
#define GW_FS_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "fs/fs.h"

/*
 * Each thread that serves requests has a block of its own, which it alone writes: a count is a load
 * and a store in a line of the cache that nobody else wants. Who reads adds the blocks up. What
 * other threads finish (a lock that was waited for) goes into one block by atomic operations.
 */
struct fs_counters;
struct fs_request;

#define FS_OPCODES_MAX	   64 /* above the highest that has a row; 0 stands for all others */
#define FS_LATENCY_BUCKETS 12
/* The first bucket ends at 2^12 ns, each at four times the one before, the last never. */
#define FS_LATENCY_FIRST_LOG2 12

/* Of one operation: two lines of the cache, the first of which nearly all requests make do with. */
struct fs_op_counts {
	_Alignas(64) _Atomic uint64_t ns; /* from the pop to the answer, of all */
	_Atomic uint64_t errors;
	_Atomic uint64_t latency[FS_LATENCY_BUCKETS]; /* how many took so long */
};

/* Zeroed blocks, made when a thread first counts. @threads: of the pool. */
int fs_counters_new(struct fs_counters **counters, unsigned threads);
void fs_counters_free(struct fs_counters *counters); /* NULL is allowed */

/* From here on this thread is that queue's, or that thread of the pool. */
void fs_counters_of_queue(struct fs_counters *counters, unsigned queue);
void fs_counters_leave_queue(void); /* the end of that */
void fs_counters_of_pool(struct fs_counters *counters, unsigned thread);

/* This thread works on @req from now on, or (NULL) on none. */
void fs_counters_working(const struct fs_request *req);
/* @req, begun at its begin_ns, has come to its end. Returns the time. */
uint64_t fs_counters_done(struct fs_counters *counters, const struct fs_request *req, int result);
/* The sums; racy snapshots. */
struct fs_op_sums {
	uint64_t requests, errors, ns;
	uint64_t latency[FS_LATENCY_BUCKETS];
};
void fs_counters_op(const struct fs_counters *counters, unsigned opcode, struct fs_op_sums *sums);
void fs_counters_content(const struct fs_counters *counters, uint64_t *read, uint64_t *written);

/* What a thread works on. */
struct fs_working {
	uint32_t opcode;
	uint64_t nodeid, begin_ns;
};
/* For each thread that has worked on one request for @ns or longer. */
void fs_counters_working_since(const struct fs_counters *counters, uint64_t ns,
			       void (*fn)(void *opaque, const struct fs_working *working),
			       void *opaque);

#endif
