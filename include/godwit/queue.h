/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit/queue.h - a virtqueue as a device sees it: elements in, elements out. */
#ifndef GODWIT_QUEUE_H
#define GODWIT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A queue that is started has a thread of its own, which the library owns and on which it calls
 * the device (godwit/device.h). Split and packed rings (VIRTIO 1.3, 2.7 and 2.8), indirect
 * descriptors and event indices are all hidden here.
 */
struct gw_queue;

/* No more segments are accepted in one chain: what preadv2() takes (IOV_MAX). */
#define GW_ELEM_SEGS_MAX 1024

enum gw_elem_flags {
	/* It was handed out before: parked across a stop, or in flight when a back-end died. */
	GW_ELEM_AGAIN = 1 << 0,
};

/*
 * One descriptor chain. @out is what the driver wrote for the device, @in is what the device may
 * write. The iovec arrays are private (checked, inside guest memory, neighbours merged); what they
 * point to is guest memory and changes under you: copy before you parse.
 *
 * An element belongs to the device from gw_queue_pop() until gw_elem_push() or gw_park(). It keeps
 * the memory that it points to mapped.
 */
struct gw_elem {
	struct gw_queue *queue;
	struct iovec *out, *in;
	unsigned out_count, in_count;
	size_t out_len, in_len; /* sums over the arrays */
	unsigned flags;
	void *device_data; /* the device's own, NULL when popped */
	/* Which request of its queue it is: the same when it comes again after a crash, and no
	 * other's ever. 0 where nobody keeps account of requests. */
	uint64_t serial;
};

/*
 * The next available chain, or NULL if there is none, the ring is disabled, stopping or broken.
 * On the queue's thread only. A chain that is malformed breaks the ring: a log line, the err
 * descriptor signalled, nothing popped any more until it is set up anew.
 */
struct gw_elem *gw_queue_pop(struct gw_queue *queue);

/*
 * Give the element back to the driver with @written bytes of its @in part filled, from the start.
 * @written above in_len is cut to it, with a log line. Any thread; on the queue's own thread no
 * lock is taken. Marks the dirty log, and notifies the driver: at once from other threads, on the
 * queue's thread when the queue_ready callback returns or at gw_queue_flush().
 */
void gw_elem_push(struct gw_elem *elem, size_t written);

/*
 * This element stays open: a stop does not wait for it. The library keeps its place, hands it out
 * again (GW_ELEM_AGAIN, from gw_queue_pop()) at the next start, here or, through the state stream,
 * at the destination. Only while the queue is stopping, or before it; any thread. The device
 * forgets the element.
 */
void gw_park(struct gw_elem *elem);

/*
 * Between these two a device does what may block, for the element that it popped last: the queue is
 * not touched meanwhile, other than by gw_elem_push() and gw_park() on other threads. If it takes
 * long (some 50 ms), another thread goes on with the queue and calls the device for it. Then enter
 * returns false: this thread is the queue's no longer. It may end its element, as any thread may,
 * and leaves the callback. On the queue's thread, from queue_ready.
 */
void gw_queue_leave(struct gw_queue *queue);
bool gw_queue_enter(struct gw_queue *queue);

/* Publish and notify what was pushed so far, in the middle of a batch. Queue's thread. */
void gw_queue_flush(struct gw_queue *queue);

/*
 * A device whose queue_stop callback is set calls this once for each such call, any thread, when
 * it will start nothing more for this queue. The stop is complete when also every element popped
 * is pushed or parked.
 */
void gw_queue_stopped(struct gw_queue *queue);

/* True from the moment a stop or a disable is asked for: long work should end early. Any thread. */
bool gw_queue_stopping(const struct gw_queue *queue);

unsigned gw_queue_index(const struct gw_queue *queue);
/* How many descriptors its ring has, once it is started. */
unsigned gw_queue_size(const struct gw_queue *queue);
/* The device's own pointer for this queue; NULL at start. Queue's thread. */
void gw_queue_set_data(struct gw_queue *queue, void *data);
void *gw_queue_data(const struct gw_queue *queue);

/*
 * Copy between an element and private memory, from byte @offset of the @out (from) or @in (to)
 * part; return how many bytes were copied, fewer than @len at the end of the part.
 */
size_t gw_elem_copy_from(const struct gw_elem *elem, size_t offset, void *to, size_t len);
size_t gw_elem_copy_to(const struct gw_elem *elem, size_t offset, const void *from, size_t len);

/*
 * The range [@offset, @offset + @len) of @iov as an iovec array in @slice, which has room for
 * @slice_max entries (never more than @count are needed). Returns the number of entries; the range
 * is cut where @iov ends.
 */
unsigned gw_iov_slice(const struct iovec *iov, unsigned count, size_t offset, size_t len,
		      struct iovec *slice, unsigned slice_max);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
