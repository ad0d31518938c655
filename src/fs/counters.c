/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/counters.c - what was done for the guest, and what is being done. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/counters.h"
#include "fs/request.h"
#include "godwit/error.h"

#define QUEUES_MAX FS_QUEUES_MAX

struct block {
	struct fs_op_counts ops[FS_OPCODES_MAX];
	_Atomic uint64_t bytes_read, bytes_written;
	/* The request that is worked on; begin_ns 0: none. */
	_Atomic uint64_t begin_ns, nodeid;
	_Atomic uint32_t opcode;
	_Atomic bool taken; /* by a thread that serves a queue */
};

struct fs_counters {
	struct block others; /* of threads that have none of their own */
	unsigned blocks_max;
	struct block *_Atomic blocks[];
};

static _Thread_local struct block *mine;

int fs_counters_new(struct fs_counters **out, unsigned threads)
{
	size_t most = QUEUES_MAX + threads, size;
	struct fs_counters *counters;

	size = gw_round_up(sizeof(*counters) + most * sizeof(counters->blocks[0]), 64);
	counters = aligned_alloc(64, size);
	if (!counters)
		return gw_fail(ENOMEM, "virtio-fs: no memory");
	memset(counters, 0, size);
	counters->blocks_max = (unsigned)most;
	*out = counters;
	return 0;
}

void fs_counters_free(struct fs_counters *counters)
{
	for (unsigned i = 0; counters && i < counters->blocks_max; i++)
		free(counters->blocks[i]);
	free(counters);
}

/* NULL without memory: then the thread's counts go where the others' go. */
static struct block *block_at(struct fs_counters *counters, unsigned index)
{
	struct block *there = atomic_load_explicit(&counters->blocks[index], memory_order_acquire);
	struct block *block;

	if (there)
		return there;
	block = aligned_alloc(64, sizeof(*block));
	if (!block)
		return NULL;
	memset(block, 0, sizeof(*block));
	/* Two threads may have the same thought. */
	if (atomic_compare_exchange_strong(&counters->blocks[index], &there, block))
		return block;
	free(block);
	return there;
}

static bool take(struct block *block)
{
	if (!block || atomic_exchange_explicit(&block->taken, true, memory_order_acquire))
		return false;
	mine = block;
	return true;
}

/* While a queue's thread hangs in a request, whoever goes on with the queue takes the block of a
 * queue that is not there. */
void fs_counters_of_queue(struct fs_counters *counters, unsigned queue)
{
	mine = NULL;
	if (take(block_at(counters, queue)))
		return;
	for (unsigned i = QUEUES_MAX; i-- && !take(block_at(counters, i));)
		;
}

void fs_counters_leave_queue(void)
{
	fs_counters_working(NULL);
	if (mine)
		atomic_store_explicit(&mine->taken, false, memory_order_release);
	mine = NULL;
}

void fs_counters_of_pool(struct fs_counters *counters, unsigned thread)
{
	mine = block_at(counters, QUEUES_MAX + thread);
}

/* The block's own thread. */
static void set(_Atomic uint64_t *value, uint64_t to)
{
	atomic_store_explicit(value, to, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

static void add(_Atomic uint64_t *value, uint64_t by)
{
	if (mine)
		set(value, get(value) + by);
	else
		atomic_fetch_add_explicit(value, by, memory_order_relaxed);
}

static unsigned bucket_of(uint64_t ns)
{
	unsigned log2 = 63 - (unsigned)__builtin_clzll(ns | 1);

	if (log2 < FS_LATENCY_FIRST_LOG2)
		return 0;
	return GW_MIN((log2 - FS_LATENCY_FIRST_LOG2) / 2 + 1, FS_LATENCY_BUCKETS - 1U);
}

static unsigned op_of(const struct fs_request *req)
{
	return req->op && req->in.opcode < FS_OPCODES_MAX ? req->in.opcode : 0;
}

void fs_counters_working(const struct fs_request *req)
{
	if (!mine)
		return;
	if (req) {
		set(&mine->nodeid, req->in.nodeid);
		atomic_store_explicit(&mine->opcode, req->in.opcode, memory_order_relaxed);
	}
	set(&mine->begin_ns, req ? req->begin_ns : 0);
}

uint64_t fs_counters_done(struct fs_counters *counters, const struct fs_request *req, int result)
{
	struct block *block = mine ? mine : &counters->others;
	struct fs_op_counts *op = &block->ops[op_of(req)];
	uint64_t now = gw_clock_ns(), ns = now - req->begin_ns;

	add(&op->ns, ns);
	add(&op->latency[bucket_of(ns)], 1);
	if (result < 0)
		add(&op->errors, 1);
	else if (req->in.opcode == FUSE_READ)
		add(&block->bytes_read, req->done);
	else if (req->in.opcode == FUSE_WRITE)
		add(&block->bytes_written, req->done);
	return now;
}

/* -- who reads ----------------------------------------------------------------------------- */

/* The block at *@at and *@at past it; NULL at the end. */
static const struct block *next_block(const struct fs_counters *counters, unsigned *at)
{
	while (*at < counters->blocks_max) {
		const struct block *block =
			atomic_load_explicit(&counters->blocks[(*at)++], memory_order_acquire);

		if (block)
			return block;
	}
	return (*at)++ == counters->blocks_max ? &counters->others : NULL;
}

void fs_counters_op(const struct fs_counters *counters, unsigned opcode, struct fs_op_sums *sums)
{
	const struct block *block;
	unsigned at = 0;

	memset(sums, 0, sizeof(*sums));
	while ((block = next_block(counters, &at))) {
		const struct fs_op_counts *op = &block->ops[opcode];

		sums->errors += get(&op->errors);
		sums->ns += get(&op->ns);
		for (unsigned i = 0; i < FS_LATENCY_BUCKETS; i++)
			sums->latency[i] += get(&op->latency[i]);
	}
	for (unsigned i = 0; i < FS_LATENCY_BUCKETS; i++)
		sums->requests += sums->latency[i];
}

void fs_counters_content(const struct fs_counters *counters, uint64_t *read, uint64_t *written)
{
	const struct block *block;
	unsigned at = 0;

	*read = *written = 0;
	while ((block = next_block(counters, &at))) {
		*read += get(&block->bytes_read);
		*written += get(&block->bytes_written);
	}
}

void fs_counters_working_since(const struct fs_counters *counters, uint64_t ns,
			       void (*fn)(void *opaque, const struct fs_working *working),
			       void *opaque)
{
	uint64_t now = gw_clock_ns();
	const struct block *block;
	unsigned at = 0;

	while ((block = next_block(counters, &at))) {
		struct fs_working working = {
			.opcode = atomic_load_explicit(&block->opcode, memory_order_relaxed),
			.nodeid = get(&block->nodeid),
			.begin_ns = get(&block->begin_ns),
		};

		if (working.begin_ns && working.begin_ns + ns <= now)
			fn(opaque, &working);
	}
}
