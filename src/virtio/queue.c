/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio/queue.c - a virtqueue as its owner sees it: changes, start and stop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "godwit/error.h"
#include "virtio/queue_internal.h"

/* Not while started: the thread's arrays and position depend on them. */
#define STOPPED_ONLY (GW_QUEUE_NUM | GW_QUEUE_BASE | GW_QUEUE_INFLIGHT | GW_QUEUE_RESUME)
#define PACKED	     (1ULL << VIRTIO_F_RING_PACKED)

static void on_changed(void *opaque);
static void on_stopped(void *opaque);

int gw_queue_new(struct gw_queue **out, struct gw_loop *loop, const struct gw_queue_ops *ops,
		 void *opaque, unsigned index)
{
	struct gw_queue *queue = calloc(1, sizeof(*queue));

	if (!queue)
		return gw_fail(ENOMEM, "queue %u: no memory", index);
	queue->loop = loop;
	queue->ops = *ops;
	queue->opaque = opaque;
	queue->index = index;
	queue->kick = queue->call.fd = queue->err.fd = queue->epoll = -1;
	queue->change_post = (struct gw_post){.fn = on_changed, .opaque = queue};
	queue->stop_post = (struct gw_post){.fn = on_stopped, .opaque = queue};
	gw_relief_init(queue);
	queue->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (queue->wake < 0) {
		int err = errno;

		gw_queue_free(queue);
		return gw_fail(err, "queue %u: eventfd: %s", index, strerror(err));
	}
	*out = queue;
	return 0;
}

void gw_queue_free(struct gw_queue *queue)
{
	if (!queue)
		return;
	gw_queue_parked_clear(queue);
	free(queue->parked.items);
	gw_close(&queue->wake);
	gw_close(&queue->kick);
	gw_close(&queue->call.fd);
	gw_close(&queue->err.fd);
	gw_queue_use_drop(queue->use);
	gw_dirty_unref(queue->log);
	gw_inflight_unref(queue->inflight);
	gw_relief_fini(queue);
	free(queue);
}

/* A full counter (EAGAIN) wakes as well. */
void gw_queue_wake(struct gw_queue *queue)
{
	uint64_t one = 1;

	if (write(queue->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
		gw_error("queue %u: its thread cannot be woken: %s", queue->index, strerror(errno));
}

static int change_check(struct gw_queue *queue, const struct gw_queue_change *change)
{
	if ((change->what & GW_QUEUE_NUM) && (!change->num || change->num > GW_QUEUE_SIZE_MAX))
		return gw_fail(EINVAL, "queue %u: a size of %u is not in 1..%d", queue->index,
			       change->num, GW_QUEUE_SIZE_MAX);
	if (!queue->started)
		return 0;
	if (queue->change_sent)
		return gw_fail(EBUSY, "queue %u: another change is on its way", queue->index);
	if (change->what & STOPPED_ONLY)
		return gw_fail(EBUSY,
			       "queue %u: size, base and in-flight region change only while "
			       "it is stopped",
			       queue->index);
	return 0;
}

static void change_close(const struct gw_queue_change *change)
{
	if ((change->what & GW_QUEUE_KICK) && change->kick >= 0)
		close(change->kick);
	if ((change->what & GW_QUEUE_CALL) && change->call >= 0)
		close(change->call);
	if ((change->what & GW_QUEUE_ERR) && change->err >= 0)
		close(change->err);
}

static void change_ref(const struct gw_queue_change *change)
{
	if (change->what & GW_QUEUE_MEM)
		gw_mem_ref(change->mem);
	if (change->what & GW_QUEUE_LOG)
		gw_dirty_ref(change->log);
	if (change->what & GW_QUEUE_INFLIGHT)
		gw_inflight_ref(change->inflight);
}

/* Of what was not taken over. */
static void change_unref(const struct gw_queue_change *change)
{
	if (change->what & GW_QUEUE_MEM)
		gw_mem_unref(change->mem);
	if (change->what & GW_QUEUE_LOG)
		gw_dirty_unref(change->log);
	if (change->what & GW_QUEUE_INFLIGHT)
		gw_inflight_unref(change->inflight);
}

/* Enabling needs no thread to be in force: pop reads the flag each time. */
static void set_enabled(struct gw_queue *queue, bool enable)
{
	atomic_store(&queue->enabled, enable);
	if (queue->started)
		gw_queue_wake(queue);
}

int gw_queue_change(struct gw_queue *queue, const struct gw_queue_change *given,
		    gw_queue_done *done, void *opaque)
{
	struct gw_queue_change change = *given;
	int err = 0;

	if (change.what & ~(unsigned)GW_QUEUE_ENABLE)
		err = change_check(queue, &change);
	if (err) {
		change_close(&change);
		return err;
	}
	if (change.what & GW_QUEUE_ENABLE)
		set_enabled(queue, change.enable);
	change.what &= ~(unsigned)GW_QUEUE_ENABLE;
	if (!change.what)
		return 0;
	change_ref(&change);
	if (!queue->started) {
		err = gw_queue_apply(queue, &change, false);
		if (err) {
			change_close(&change);
			change_unref(&change);
		}
		return err;
	}
	queue->change = change;
	queue->change_done = done;
	queue->change_opaque = opaque;
	queue->change_sent = true;
	atomic_store(&queue->change_applied, false);
	atomic_fetch_or(&queue->requests, GW_REQUEST_CHANGE);
	gw_queue_wake(queue);
	return -EINPROGRESS;
}

static void change_finish(struct gw_queue *queue)
{
	if (!queue->change_sent)
		return;
	queue->change_sent = false;
	if (queue->change_result < 0) {
		change_close(&queue->change);
		change_unref(&queue->change);
	}
	if (queue->change_done)
		queue->change_done(queue->change_opaque, queue->change_result);
}

static void on_changed(void *opaque)
{
	change_finish(opaque);
}

int gw_queue_start(struct gw_queue *queue)
{
	char name[16];
	int err;

	if (queue->started)
		return gw_fail(EALREADY, "queue %u: it is started", queue->index);
	err = gw_queue_set_up(queue);
	if (err)
		return gw_fail_in(err, "queue %u", queue->index);
	snprintf(name, sizeof(name), "queue-%u", queue->index % 10000);
	err = gw_thread_start(&queue->thread, GW_THREAD_QUEUE, name, gw_queue_main, queue);
	if (err) {
		gw_queue_tear_down(queue);
		return err;
	}
	queue->started = true;
	return 0;
}

int gw_queue_stop(struct gw_queue *queue, gw_queue_done *done, void *opaque)
{
	if (!queue->started)
		return 0;
	if (queue->stop_asked)
		return gw_fail(EALREADY, "queue %u: it is stopping", queue->index);
	queue->stop_asked = true;
	queue->stop_done = done;
	queue->stop_opaque = opaque;
	atomic_store(&queue->stopping, true);
	atomic_fetch_or(&queue->requests, GW_REQUEST_STOP);
	gw_queue_wake(queue);
	return -EINPROGRESS;
}

/* The thread has ended or is about to. A change that came too late for it is applied here. */
static void on_stopped(void *opaque)
{
	struct gw_queue *queue = opaque;
	gw_queue_done *done = queue->stop_done;
	void *done_opaque = queue->stop_opaque;

	gw_relief_end(queue);
	gw_queue_tear_down(queue);
	queue->started = queue->stop_asked = false;
	if (queue->change_sent && !atomic_load(&queue->change_applied))
		queue->change_result = gw_queue_apply(queue, &queue->change, false);
	change_finish(queue);
	if (done)
		done(done_opaque, 0);
}

bool gw_queue_is_started(const struct gw_queue *queue)
{
	return queue->started;
}

bool gw_queue_is_enabled(const struct gw_queue *queue)
{
	return atomic_load(&queue->enabled);
}

bool gw_queue_is_broken(const struct gw_queue *queue)
{
	return atomic_load(&queue->broken);
}

uint32_t gw_queue_base(const struct gw_queue *queue)
{
	return queue->base;
}

unsigned gw_queue_in_flight(const struct gw_queue *queue)
{
	return atomic_load(&queue->in_flight);
}

unsigned gw_queue_parked_count(const struct gw_queue *queue)
{
	return atomic_load(&queue->parked_count);
}

/* The thread looks at the ring whenever it wakes. */
void gw_queue_kick(struct gw_queue *queue)
{
	if (queue->started)
		gw_queue_wake(queue);
}

void gw_queue_give_up(struct gw_queue *queue)
{
	if (!queue->started)
		return;
	atomic_fetch_or(&queue->requests, GW_REQUEST_BREAK);
	gw_queue_wake(queue);
}

void gw_queue_stopped(struct gw_queue *queue)
{
	atomic_fetch_add(&queue->callers, 1);
	atomic_store(&queue->device_stopped, true);
	gw_queue_wake(queue);
	atomic_fetch_sub(&queue->callers, 1);
}

bool gw_queue_stopping(const struct gw_queue *queue)
{
	return atomic_load_explicit(&queue->stopping, memory_order_relaxed) ||
	       !atomic_load_explicit(&queue->enabled, memory_order_relaxed);
}

unsigned gw_queue_index(const struct gw_queue *queue)
{
	return queue->index;
}

unsigned gw_queue_size(const struct gw_queue *queue)
{
	return queue->num;
}

void gw_queue_set_data(struct gw_queue *queue, void *data)
{
	queue->data = data;
}

void *gw_queue_data(const struct gw_queue *queue)
{
	return queue->data;
}
