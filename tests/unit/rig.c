/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/rig.c - guest memory with one ring in it, built by hand, and a queue on it. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

#define PATIENCE_MS 5000

void rig_memory(struct rig *rig)
{
	struct gw_mem_region first = {
		.gpa = RIG_GPA, .size = RIG_HALF, .uaddr = RIG_UADDR, .offset = RIG_HALF};
	struct gw_mem_region second = {
		.gpa = RIG_GPA + RIG_HALF, .size = RIG_HALF, .uaddr = RIG_UADDR + RIG_HALF};
	struct gw_mem *one;

	rig->fd = memfd_create("rig", MFD_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(ftruncate(rig->fd, 2 * RIG_HALF), 0);
	rig->ram = mmap(NULL, 2 * RIG_HALF, PROT_READ | PROT_WRITE, MAP_SHARED, rig->fd, 0);
	assert_true(rig->ram != MAP_FAILED);
	assert_int_equal(gw_mem_add(&one, NULL, &first, rig->fd), 0);
	assert_int_equal(gw_mem_add(&rig->mem, one, &second, rig->fd), 0);
	gw_mem_unref(one);
	rig->avail_wrap = rig->used_wrap = true;
}

void *rig_at(const struct rig *rig, uint64_t gpa)
{
	uint64_t offset = gpa - RIG_GPA;

	return rig->ram + (offset < RIG_HALF ? offset + RIG_HALF : offset - RIG_HALF);
}

void rig_queue(struct rig *rig, const struct gw_queue_ops *ops, void *opaque)
{
	struct gw_queue_change change = {
		.what = GW_QUEUE_NUM | GW_QUEUE_ADDR | GW_QUEUE_BASE | GW_QUEUE_KICK |
			GW_QUEUE_CALL | GW_QUEUE_ERR | GW_QUEUE_ENABLE | GW_QUEUE_MEM |
			GW_QUEUE_FEATURES | GW_QUEUE_INFLIGHT,
		.num = rig->num,
		.desc = RIG_UADDR + RIG_DESC,
		.avail = RIG_UADDR + RIG_AVAIL,
		.used = RIG_UADDR + RIG_USED,
		.base = rig->base,
		.enable = true,
		.mem = rig->mem,
		.inflight = rig->inflight,
		.features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			    (uint64_t)rig->event_idx << VIRTIO_RING_F_EVENT_IDX |
			    (uint64_t)rig->packed << VIRTIO_F_RING_PACKED};

	rig->kick = eventfd(0, EFD_CLOEXEC);
	rig->call = eventfd(0, EFD_CLOEXEC);
	rig->err = eventfd(0, EFD_CLOEXEC);
	change.kick = dup(rig->kick);
	change.call = dup(rig->call);
	change.err = dup(rig->err);
	if (!rig->loop)
		assert_int_equal(gw_loop_new(&rig->loop), 0);
	assert_int_equal(gw_queue_new(&rig->queue, rig->loop, ops, opaque, 0), 0);
	assert_int_equal(gw_queue_change(rig->queue, &change, NULL, NULL), 0);
}

void rig_start(struct rig *rig)
{
	assert_int_equal(gw_queue_start(rig->queue), 0);
}

static void on_done(void *opaque, int result)
{
	gw_loop_quit(opaque, result);
}

int rig_change(struct rig *rig, const struct gw_queue_change *change)
{
	int err = gw_queue_change(rig->queue, change, on_done, rig->loop);

	return err == -EINPROGRESS ? gw_loop_run(rig->loop) : err;
}

void rig_stop(struct rig *rig)
{
	assert_int_equal(gw_queue_stop(rig->queue, on_done, rig->loop), -EINPROGRESS);
	assert_int_equal(gw_loop_run(rig->loop), 0);
	assert_false(gw_queue_is_started(rig->queue));
}

static void on_time(void *opaque)
{
	gw_loop_quit(opaque, 0);
}

void rig_turn(struct rig *rig, unsigned ms)
{
	struct gw_source *timer;

	assert_int_equal(gw_loop_add_timer(rig->loop, ms, on_time, rig->loop, &timer), 0);
	gw_loop_run(rig->loop);
	gw_source_remove(timer);
}

void rig_free(struct rig *rig)
{
	if (rig->queue && gw_queue_is_started(rig->queue))
		rig_stop(rig);
	gw_queue_free(rig->queue);
	gw_loop_free(rig->loop);
	gw_mem_unref(rig->mem);
	gw_inflight_unref(rig->inflight);
	munmap(rig->ram, 2 * RIG_HALF);
	close(rig->fd);
	if (rig->queue) {
		close(rig->kick);
		close(rig->call);
		close(rig->err);
	}
	memset(rig, 0, sizeof(*rig));
}

void rig_kick(struct rig *rig)
{
	uint64_t one = 1;

	assert_int_equal(write(rig->kick, &one, sizeof(one)), sizeof(one));
}

bool rig_wait(int fd, int ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint64_t count;

	if (poll(&ready, 1, ms) != 1)
		return false;
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	return true;
}

static uint16_t add_split(struct rig *rig, const struct rig_seg *segs, unsigned count)
{
	struct vring_desc *desc = rig_at(rig, RIG_GPA + RIG_DESC);
	struct vring_avail *avail = rig_at(rig, RIG_GPA + RIG_AVAIL);
	uint16_t head = rig->next;

	for (unsigned i = 0; i < count; i++) {
		uint16_t at = (uint16_t)((head + i) % rig->num);

		desc[at] = (struct vring_desc){.addr = segs[i].gpa,
					       .len = segs[i].len,
					       .flags = segs[i].in ? VRING_DESC_F_WRITE : 0,
					       .next = (uint16_t)((at + 1) % rig->num)};
		if (i + 1 < count)
			desc[at].flags |= VRING_DESC_F_NEXT;
	}
	rig->next = (uint16_t)((head + count) % rig->num);
	avail->ring[rig->avail % rig->num] = head;
	__atomic_store_n(&avail->idx, ++rig->avail, __ATOMIC_SEQ_CST);
	return head;
}

static uint16_t packed_flags(const struct rig *rig)
{
	return (uint16_t)(rig->avail_wrap << VRING_PACKED_DESC_F_AVAIL |
			  !rig->avail_wrap << VRING_PACKED_DESC_F_USED);
}

static uint16_t add_packed(struct rig *rig, const struct rig_seg *segs, unsigned count)
{
	struct vring_packed_desc *desc = rig_at(rig, RIG_GPA + RIG_DESC);
	uint16_t id = rig->next, head = rig->avail, head_flags = 0;

	for (unsigned i = 0; i < count; i++) {
		uint16_t flags = packed_flags(rig);

		if (segs[i].in)
			flags |= VRING_DESC_F_WRITE;
		if (i + 1 < count)
			flags |= VRING_DESC_F_NEXT;
		desc[rig->avail].addr = segs[i].gpa;
		desc[rig->avail].len = segs[i].len;
		desc[rig->avail].id = id;
		if (i)
			desc[rig->avail].flags = flags;
		else
			head_flags = flags;
		if (++rig->avail == rig->num) {
			rig->avail = 0;
			rig->avail_wrap = !rig->avail_wrap;
		}
	}
	rig->next = (uint16_t)((id + count) % rig->num);
	__atomic_store_n(&desc[head].flags, head_flags, __ATOMIC_SEQ_CST);
	return id;
}

uint16_t rig_add_quietly(struct rig *rig, const struct rig_seg *segs, unsigned count)
{
	return rig->packed ? add_packed(rig, segs, count) : add_split(rig, segs, count);
}

uint16_t rig_add(struct rig *rig, const struct rig_seg *segs, unsigned count)
{
	uint16_t id = rig_add_quietly(rig, segs, count);

	rig_kick(rig);
	return id;
}

static bool get_split(struct rig *rig, uint16_t *id, uint32_t *len)
{
	struct vring_used *used = rig_at(rig, RIG_GPA + RIG_USED);

	if (__atomic_load_n(&used->idx, __ATOMIC_SEQ_CST) == rig->used)
		return false;
	*id = (uint16_t)used->ring[rig->used % rig->num].id;
	*len = used->ring[rig->used % rig->num].len;
	rig->used++;
	return true;
}

/* Tests with packed rings use chains of one descriptor, or look at the ring themselves: the
 * number of descriptors of an id is not kept. */
static bool get_packed(struct rig *rig, uint16_t *id, uint32_t *len)
{
	struct vring_packed_desc *desc = rig_at(rig, RIG_GPA + RIG_DESC);
	uint16_t flags = __atomic_load_n(&desc[rig->used].flags, __ATOMIC_SEQ_CST);
	bool avail = flags >> VRING_PACKED_DESC_F_AVAIL & 1;
	bool used = flags >> VRING_PACKED_DESC_F_USED & 1;

	if (avail != used || used != rig->used_wrap)
		return false;
	*id = desc[rig->used].id;
	*len = desc[rig->used].len;
	if (++rig->used == rig->num) {
		rig->used = 0;
		rig->used_wrap = !rig->used_wrap;
	}
	return true;
}

bool rig_get_now(struct rig *rig, uint16_t *id, uint32_t *len)
{
	return rig->packed ? get_packed(rig, id, len) : get_split(rig, id, len);
}

bool rig_get(struct rig *rig, uint16_t *id, uint32_t *len)
{
	for (int i = 0; i < PATIENCE_MS; i++) {
		if (rig_get_now(rig, id, len))
			return true;
		usleep(1000);
	}
	return false;
}
