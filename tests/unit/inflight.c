/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/inflight.c - a back-end dies and the next one finds in the region what was not done.
 */
#include <errno.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "rig.h"
#include "virtio/track_layout.h"
#include "virtio/track.h"

#define NUM 4

static struct gw_inflight *region;
static int region_fd;
static struct gw_track *track;
static struct gw_track_ring ring;
static struct vring_packed_desc descs[NUM];
static uint64_t serials[2 * NUM];
static unsigned serial_count;

static void set_up(bool packed)
{
	memset(descs, 0, sizeof(descs));
	ring = (struct gw_track_ring){
		.num = NUM, .packed = packed, .used_wrap = true, .desc = descs};
	assert_int_equal(gw_inflight_create(&region, packed, 2, NUM, &region_fd), 0);
	assert_int_equal(gw_track_open(&track, region, 1, &ring), 0);
}

static void tear_down(void)
{
	gw_track_close(track);
	gw_inflight_unref(region);
	close(region_fd);
}

/* As if the process had died here and another one mapped what it left. */
static void die(void)
{
	gw_track_close(track);
	track = NULL;
	serial_count = gw_inflight_serials(region, 1, serials);
	assert_in_range(serial_count, 0, NUM);
	assert_int_equal(gw_inflight_serials(region, 0, serials + NUM), 0);
	assert_int_equal(gw_track_open(&track, region, 1, &ring), 0);
}

/* Known before the ring was set up? */
static bool had_serial(uint64_t serial)
{
	for (unsigned i = 0; i < serial_count; i++)
		if (serials[i] == serial)
			return true;
	return false;
}

static void expect_found(unsigned count, const uint16_t *entries)
{
	assert_int_equal(gw_track_count(track), count);
	for (unsigned i = 0; i < count; i++) {
		const struct gw_track_entry found = gw_track_entry_at(track, i);

		assert_int_equal(found.entry, entries[i]);
		assert_true(had_serial(found.counter + 1));
	}
}
#define EXPECT_FOUND(...) \
	expect_found(sizeof((uint16_t[]){__VA_ARGS__}) / 2, (uint16_t[]){__VA_ARGS__})

static void test_split_order(void **state)
{
	(void)state;
	set_up(false);
	gw_track_pop(track, 3, NULL, 1);
	gw_track_pop(track, 0, NULL, 1);
	gw_track_pop(track, 2, NULL, 1);
	die();
	EXPECT_FOUND(3, 0, 2);
	die(); /* twice is the same */
	EXPECT_FOUND(3, 0, 2);
	gw_track_pop(track, 1, NULL, 1); /* the counter goes on */
	die();
	EXPECT_FOUND(3, 0, 2, 1);
	tear_down();
}

/* The process dies at each step of publishing a batch of two out of three. */
static void split_dies_at(unsigned step)
{
	bool published = step >= 2;

	set_up(false);
	for (uint16_t id = 0; id < 3; id++)
		gw_track_pop(track, id, NULL, 1);
	gw_track_push(track, 2);
	gw_track_push(track, 0);
	if (step >= 1)
		gw_track_publishing(track, 2, false);
	if (step >= 2)
		ring.used = 2;
	if (step >= 3)
		gw_track_published(track);
	die();
	if (published)
		EXPECT_FOUND(1);
	else
		EXPECT_FOUND(0, 1, 2);
	tear_down();
}

static void test_split_batch(void **state)
{
	(void)state;
	for (unsigned step = 0; step <= 3; step++)
		split_dies_at(step);
}

/* Between the stores of gw_track_published(): one of two marks is off, used_idx is old. */
static void test_split_half_cleared(void **state)
{
	struct gw_track_split *part;

	(void)state;
	set_up(false);
	part = gw_inflight_part(region, 1, NUM, false);
	for (uint16_t id = 0; id < 3; id++)
		gw_track_pop(track, id, NULL, 1);
	gw_track_push(track, 2);
	gw_track_push(track, 0);
	gw_track_publishing(track, 2, false);
	ring.used = 2;
	part->desc[2].inflight = 0;
	die();
	EXPECT_FOUND(1);
	assert_int_equal(part->used_idx, 2);
	tear_down();
}

/* The guest was reset: the used index went backwards, and nothing of before is in flight. */
static void test_split_other_life(void **state)
{
	(void)state;
	ring.used = 0;
	set_up(false);
	ring.used = 100;
	die();
	gw_track_pop(track, 1, NULL, 1);
	ring.used = 0;
	die();
	assert_int_equal(gw_track_count(track), 0);
	tear_down();
}

static void test_split_hostile(void **state)
{
	struct gw_track_split *part;

	(void)state;
	set_up(false);
	part = gw_inflight_part(region, 1, NUM, false);
	gw_track_close(track);
	track = NULL;
	part->last_batch_head = NUM;
	ring.used = 1;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	part->last_batch_head = 0;
	part->desc[0].next = 65535;
	ring.used = 2;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	ring.used = 0;
	part->desc_num = NUM + 1;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	part->desc_num = NUM;
	part->version = 2;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	assert_int_equal(gw_track_open(&track, region, 2, &ring), -EINVAL); /* no such queue */
	ring.num = NUM * 2;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	ring.packed = true;
	ring.num = NUM;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	gw_inflight_unref(region);
	close(region_fd);
}

static uint16_t pop_packed(uint16_t id, unsigned count)
{
	struct vring_packed_desc copies[NUM];

	for (unsigned i = 0; i < count; i++)
		copies[i] = (struct vring_packed_desc){.addr = 0x1000u * id + i,
						       .len = i + 1,
						       .id = id,
						       .flags = VRING_DESC_F_NEXT};
	return gw_track_pop(track, id, copies, count);
}

static void test_packed_order(void **state)
{
	struct vring_packed_desc copies[NUM];
	uint16_t a, b, used;
	bool wrap;

	(void)state;
	set_up(true);
	assert_false(gw_track_is_old(track, &used, &wrap));
	a = pop_packed(7, 2);
	b = pop_packed(9, 1);
	die();
	assert_true(gw_track_is_old(track, &used, &wrap));
	assert_int_equal(used, 0);
	assert_true(wrap);
	EXPECT_FOUND(a, b);
	assert_int_equal(gw_track_entry_at(track, 0).descs, 2);
	gw_track_descs(track, 0, copies);
	assert_int_equal(copies[1].addr, 0x7001);
	assert_int_equal(copies[1].len, 2);
	assert_int_equal(copies[1].id, 7);
	/* One entry is left of four. */
	assert_int_equal(pop_packed(1, 2), GW_TRACK_NONE);
	assert_true(pop_packed(1, 1) < NUM);
	assert_int_equal(pop_packed(2, 1), GW_TRACK_NONE);
	tear_down();
}

/* As for split rings; that the batch was published shows in the first descriptor's flags. */
static void packed_dies_at(unsigned step)
{
	bool published = step >= 2, wrap;
	uint16_t entries[2], used;

	set_up(true);
	descs[0].flags = 1u << VRING_PACKED_DESC_F_AVAIL;
	entries[0] = pop_packed(5, 2);
	entries[1] = pop_packed(6, 2);
	gw_track_push(track, entries[1]);
	if (step >= 1)
		gw_track_publishing(track, 2, true);
	if (step >= 2)
		descs[0].flags = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
	if (step >= 3)
		gw_track_published(track);
	die();
	gw_track_is_old(track, &used, &wrap);
	assert_int_equal(used, published ? 2 : 0);
	if (published)
		EXPECT_FOUND(entries[0]);
	else
		EXPECT_FOUND(entries[0], entries[1]);
	/* The free list is whole. */
	if (published) {
		assert_true(pop_packed(1, 2) < NUM);
		assert_int_equal(pop_packed(2, 1), GW_TRACK_NONE);
	}
	tear_down();
}

static void test_packed_batch(void **state)
{
	(void)state;
	for (unsigned step = 0; step <= 3; step++)
		packed_dies_at(step);
}

/* Entries are used over and over, in changing order; the list never loses one. */
static void test_packed_many(void **state)
{
	uint16_t a, b, used;
	bool wrap = true;

	(void)state;
	set_up(true);
	for (unsigned n = 0; n < 50; n++) {
		a = pop_packed(1, 1 + n % 2);
		b = pop_packed(2, 2);
		assert_true(a < NUM && b < NUM);
		gw_track_push(track, n % 3 ? b : a);
		gw_track_push(track, n % 3 ? a : b);
		gw_track_publishing(track, n % NUM, wrap);
		gw_track_published(track);
	}
	die();
	assert_int_equal(gw_track_count(track), 0);
	gw_track_is_old(track, &used, &wrap);
	assert_int_equal(used, 49 % NUM);
	for (uint16_t i = 0; i < NUM; i++)
		assert_true(pop_packed(i, 1) < NUM);
	tear_down();
}

static void test_packed_hostile(void **state)
{
	struct gw_track_packed *part, saved[1 + NUM];
	const size_t bytes = sizeof(*part) + NUM * sizeof(part->desc[0]);
	uint8_t *raw;

	(void)state;
	set_up(true);
	pop_packed(5, 2);
	part = gw_inflight_part(region, 1, NUM, true);
	memcpy(saved, part, bytes);
	gw_track_close(track);
	/* Every byte with every of some values: accepted or refused, never believed too much. */
	for (size_t at = 10; at < bytes; at++) {
		const uint8_t values[] = {0, 1, 2, 3, 4, 5, 0x7f, 0xff};

		for (unsigned v = 0; v < sizeof(values); v++) {
			memcpy(part, saved, bytes);
			raw = (uint8_t *)part;
			raw[at] = values[v];
			track = NULL;
			if (gw_track_open(&track, region, 1, &ring) < 0)
				continue;
			for (unsigned i = 0; i < gw_track_count(track); i++) {
				struct vring_packed_desc copies[NUM];

				assert_true(gw_track_entry_at(track, i).descs <= NUM);
				gw_track_descs(track, i, copies);
			}
			pop_packed(1, 1);
			gw_track_close(track);
		}
	}
	memcpy(part, saved, bytes);
	part->free_head = part->old_free_head = 0; /* a chain's entries are also free */
	part->desc[3].next = 2;
	part->desc[2].next = 3;
	part->free_head = part->old_free_head = 2; /* the free list is a ring */
	track = NULL;
	assert_int_equal(gw_track_open(&track, region, 1, &ring), -EINVAL);
	gw_inflight_unref(region);
	close(region_fd);
}

static void test_sizes(void **state)
{
	struct gw_inflight *no;
	int fd;

	(void)state;
	/* Parts begin on multiples of 64 bytes. */
	assert_int_equal(gw_inflight_size(false, 3, 128), 3 * 2112);
	assert_int_equal(gw_inflight_size(true, 2, 64), 2 * 2112);
	assert_int_equal(gw_inflight_create(&region, false, 2, 128, &fd), 0);
	assert_int_equal(ftruncate(fd, 0), -1); /* sealed: it cannot shrink under the other side */
	assert_int_equal(gw_inflight_map(&no, fd, 0, 4224, false, 3, 128), -EINVAL);
	assert_int_equal(gw_inflight_map(&no, fd, 64, 4224, false, 2, 128), -EINVAL);
	assert_int_equal(gw_inflight_map(&no, fd, 1, 2112, false, 1, 128), -EINVAL);
	assert_int_equal(gw_inflight_map(&no, fd, 0, 4224, false, 0, 128), -EINVAL);
	assert_int_equal(gw_inflight_map(&no, fd, 0, UINT64_MAX, false, 65535, 65535), -EINVAL);
	gw_inflight_unref(region);
	close(fd);
}

/* A device that keeps all it gets. */
static struct gw_elem *kept[8];
static _Atomic unsigned kept_count, again;
static char words[8][4];

static void keep(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue))) {
		gw_elem_copy_from(elem, 0, words[kept_count], 4);
		again += !!(elem->flags & GW_ELEM_AGAIN);
		kept[kept_count] = elem;
		kept_count++;
	}
}

static void wait_kept(unsigned count)
{
	for (int i = 0; i < 5000 && kept_count < count; i++)
		usleep(1000);
	assert_int_equal(kept_count, count);
}

/*
 * Three requests are in flight, the second is answered; then a second queue starts on the same
 * ring and region as if the first had died, at the base that QEMU gives then (the used index).
 */
static void whole_queue(bool packed)
{
	const struct gw_queue_ops ops = {.ready = keep};
	uint32_t first = packed ? 0x80008000 : 0;
	struct rig rig = {.num = 8, .packed = packed, .base = first};
	struct gw_queue *dead;
	struct gw_elem *left[2];
	uint16_t id;
	uint32_t len;
	int fd;

	kept_count = again = 0;
	assert_int_equal(gw_inflight_create(&rig.inflight, packed, 1, 8, &fd), 0);
	rig_memory(&rig);
	rig_queue(&rig, &ops, NULL);
	rig_start(&rig);
	for (unsigned i = 0; i < 3; i++) {
		struct rig_seg seg = {RIG_GPA + RIG_DATA + 4096 * i, 4, false};

		memcpy(rig_at(&rig, seg.gpa), &"one.two.thr."[4 * i], 4);
		rig_add(&rig, &seg, 1);
	}
	wait_kept(3);
	gw_elem_push(kept[1], 0);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 1);
	left[0] = kept[0];
	left[1] = kept[2];

	/* It plays dead: its thread only waits. */
	dead = rig.queue;
	rig.base = packed ? first : 1;
	close(rig.kick);
	close(rig.call);
	close(rig.err);
	kept_count = 0;
	rig_queue(&rig, &ops, NULL);
	rig_start(&rig);
	wait_kept(2);
	assert_int_equal(again, 2);
	assert_memory_equal(words[0], "one.", 4);
	assert_memory_equal(words[1], "thr.", 4);
	gw_elem_push(kept[1], 0);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 2);
	gw_elem_push(kept[0], 0);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 0);
	rig_stop(&rig);
	assert_int_equal(gw_queue_base(rig.queue), packed ? 0x80038003 : 3);

	/* Nothing is left to hand out. */
	kept_count = 0;
	rig_start(&rig);
	rig_turn(&rig, 20);
	assert_int_equal(kept_count, 0);
	rig_stop(&rig);

	gw_elem_push(left[0], 0);
	gw_elem_push(left[1], 0);
	gw_queue_free(rig.queue);
	rig.queue = dead;
	rig_stop(&rig);
	rig_free(&rig);
	close(fd);
}

/*
 * Dies with a batch written to the ring and not published: the first of two used descriptors is
 * withheld, the second stands there. It must not be what the driver finds when the next back-end
 * answers only the first of them, and another one later.
 */
static sem_t buried;
static _Atomic bool is_dead;

static void push_and_die(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem[2];

	(void)opaque;
	elem[0] = gw_queue_pop(queue);
	elem[1] = gw_queue_pop(queue);
	if (!elem[0] || !elem[1])
		return;
	gw_elem_push(elem[0], 0);
	gw_elem_push(elem[1], 0);
	is_dead = true;
	sem_wait(&buried);
}

static void test_unpublished(void **state)
{
	const struct gw_queue_ops dying = {.ready = push_and_die}, living = {.ready = keep};
	struct rig_seg segs[] = {{RIG_GPA + RIG_DATA, 4, false},
				 {RIG_GPA + RIG_DATA + 4096, 4, false}};
	struct rig rig = {.num = 8, .packed = true, .base = 0x80008000};
	struct gw_queue *dead;
	uint16_t id;
	uint32_t len;
	int fd, kicks;

	(void)state;
	kept_count = again = 0;
	sem_init(&buried, 0, 0);
	assert_int_equal(gw_inflight_create(&rig.inflight, true, 1, 8, &fd), 0);
	rig_memory(&rig);
	rig_queue(&rig, &dying, NULL);
	rig_add_quietly(&rig, &segs[0], 1);
	rig_add_quietly(&rig, &segs[1], 1);
	rig_start(&rig);
	for (int i = 0; i < 5000 && !is_dead; i++)
		usleep(1000);
	assert_false(rig_get_now(&rig, &id, &len));

	dead = rig.queue;
	kicks = rig.kick;
	close(rig.call);
	close(rig.err);
	rig_queue(&rig, &living, NULL);
	rig_start(&rig);
	wait_kept(2);
	gw_elem_push(kept[0], 0);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 0);
	assert_false(rig_get_now(&rig, &id, &len));
	gw_elem_push(kept[1], 0);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(id, 1);
	assert_false(rig_get_now(&rig, &id, &len));
	rig_stop(&rig);

	/* The dead one is let go on memory that nobody looks at any more. */
	gw_queue_free(rig.queue);
	rig.queue = dead;
	sem_post(&buried);
	rig_stop(&rig);
	close(kicks);
	rig_free(&rig);
	close(fd);
	sem_destroy(&buried);
}

static void test_queue_split(void **state)
{
	(void)state;
	whole_queue(false);
}

static void test_queue_packed(void **state)
{
	(void)state;
	whole_queue(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split_order),	   cmocka_unit_test(test_split_batch),
		cmocka_unit_test(test_split_half_cleared), cmocka_unit_test(test_split_other_life),
		cmocka_unit_test(test_split_hostile),	   cmocka_unit_test(test_packed_order),
		cmocka_unit_test(test_packed_batch),	   cmocka_unit_test(test_packed_many),
		cmocka_unit_test(test_packed_hostile),	   cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_queue_split),	   cmocka_unit_test(test_queue_packed),
		cmocka_unit_test(test_unpublished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
