/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue_thread.c - a queue's thread: wait, serve the device, drain, end. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/cleanup.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

/* How often a ring without a kick descriptor is looked at. */
#define POLL_MS 1

_Thread_local struct gw_queue *gw_queue_current;

void gw_queue_break(struct gw_queue *queue, const char *why)
{
	if (atomic_exchange(&queue->broken, true))
		return;
	gw_error("queue %u: the ring is broken: %s", queue->index, why);
	gw_bell_ring(&queue->err);
}

void gw_queue_watch_kick(struct gw_queue *queue)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = queue->kick};

	queue->polled = queue->kick < 0;
	if (queue->kick < 0 || epoll_ctl(queue->epoll, EPOLL_CTL_ADD, queue->kick, &event) == 0)
		return;
	gw_warn("queue %u: kick descriptor %d cannot be waited for: %s; the ring is polled",
		queue->index, queue->kick, strerror(errno));
	queue->polled = true;
}

/* It leaves the epoll set by name: closing is not enough, the peer holds the same open file. */
void gw_queue_drop_kick(struct gw_queue *queue)
{
	if (queue->kick >= 0 && queue->epoll >= 0)
		epoll_ctl(queue->epoll, EPOLL_CTL_DEL, queue->kick, NULL);
	gw_close(&queue->kick);
}

/*
 * The count is taken out as a courtesy to whoever uses the descriptor next. Nothing depends on it
 * (edge-triggered), so what cannot be read without blocking is not read.
 */
static void on_kick(struct gw_queue *queue, uint32_t events)
{
	uint64_t count;
	struct iovec iov = {.iov_base = &count, .iov_len = sizeof(count)};
	ssize_t n = preadv2(queue->kick, &iov, 1, -1, RWF_NOWAIT);

	(void)n;
	if (!(events & (EPOLLERR | EPOLLHUP)))
		return;
	gw_warn("queue %u: kick descriptor %d was hung up: dropped", queue->index, queue->kick);
	gw_queue_drop_kick(queue);
}

static void wait_for_event(struct gw_queue *queue)
{
	bool poll = queue->polled && gw_queue_may_pop(queue);
	struct epoll_event events[2];
	int n = epoll_wait(queue->epoll, events, 2, poll ? POLL_MS : -1);

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == queue->kick)
			on_kick(queue, events[i].events);
	}
}

/* The queue is another thread's by now (queue_relief.c): hands off. */
static bool is_relieved(const struct gw_queue *queue)
{
	return gw_queue_current != queue;
}

static bool has_work(struct gw_queue *queue)
{
	return queue->parked.next < queue->parked.end || queue->ring.ops->more(&queue->ring);
}

/*
 * Let the device pop. Returns true if the ring is to be looked at again before waiting: the device
 * took something, or something came after it had seen the ring empty. A device that leaves
 * elements on the ring on purpose is called again at the next event of any kind.
 */
static bool look_at_ring(struct gw_queue *queue)
{
	struct gw_ring *ring = &queue->ring;
	unsigned long popped = queue->popped;

	if (!gw_queue_may_pop(queue))
		return false;
	queue->saw_empty = true;
	if (has_work(queue)) {
		queue->saw_empty = false;
		queue->listening = false;
		ring->ops->quiet(ring);
		if (queue->ops.ready)
			queue->ops.ready(queue->opaque, queue);
		if (is_relieved(queue))
			return false;
		gw_queue_flush(queue);
	}
	if (!gw_queue_may_pop(queue))
		return false;
	if (!queue->listening) {
		queue->listening = true;
		ring->ops->listen(ring);
	}
	return has_work(queue) && (queue->saw_empty || queue->popped != popped);
}

static void apply_change(struct gw_queue *queue)
{
	gw_queue_publish(queue);
	queue->change_result = gw_queue_apply(queue, &queue->change, true);
	queue->listening = false;
	atomic_store(&queue->change_applied, true);
	gw_loop_post_embedded(queue->loop, &queue->change_post);
}

static void begin_stop(struct gw_queue *queue)
{
	queue->stop_begun = true;
	if (queue->ops.stop)
		queue->ops.stop(queue->opaque, queue);
	else
		atomic_store(&queue->device_stopped, true);
	gw_queue_flush(queue);
}

static void serve_requests(struct gw_queue *queue)
{
	unsigned requests = atomic_exchange(&queue->requests, 0);

	if (requests & GW_REQUEST_BREAK)
		gw_queue_break(queue, "the device has failed");
	if (requests & GW_REQUEST_CHANGE)
		apply_change(queue);
	if (requests & GW_REQUEST_STOP)
		begin_stop(queue);
}

static bool is_drained(struct gw_queue *queue)
{
	return queue->stop_begun && atomic_load(&queue->device_stopped) &&
	       !atomic_load(&queue->in_flight) && !atomic_load(&queue->returned);
}

static void start_device(struct gw_queue *queue)
{
	int err = queue->ops.start ? queue->ops.start(queue->opaque, queue) : 0;

	if (err < 0)
		gw_queue_break(queue, gw_last_error());
}

/* Another thread may still be between its last push and its return. */
static void wait_for_callers(struct gw_queue *queue)
{
	while (atomic_load(&queue->callers))
		sched_yield();
}

/* False: another thread goes on. */
static bool serve(struct gw_queue *queue)
{
	for (;;) {
		bool again;

		serve_requests(queue);
		gw_queue_flush(queue);
		if (is_drained(queue))
			return true;
		again = look_at_ring(queue);
		if (is_relieved(queue))
			return false;
		if (!again)
			wait_for_event(queue);
	}
}

void gw_queue_serve(struct gw_queue *queue)
{
	while (!serve(queue)) {
		if (!gw_queue_await_turn(queue, true))
			return;
	}
	queue->base = queue->ring.ops->base(&queue->ring);
	gw_park_forget_handed_out(queue);
	wait_for_callers(queue);
	gw_loop_post_embedded(queue->loop, &queue->stop_post);
}

void *gw_queue_main(void *opaque)
{
	struct gw_queue *queue = opaque;

	gw_queue_current = queue;
	if (queue->call_owed)
		queue->call_owed = !gw_bell_ring(&queue->call);
	start_device(queue);
	gw_queue_serve(queue);
	return NULL;
}
