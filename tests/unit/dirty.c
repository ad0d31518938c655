/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/dirty.c - the dirty log: bits, bounds, a table that shrinks, what a queue marks. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rig.h"

static int log_fd(size_t size, uint8_t **bits)
{
	int fd = memfd_create("log", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	*bits = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(*bits != MAP_FAILED);
	return fd;
}

static bool is_marked(const uint8_t *bits, uint64_t gpa)
{
	return bits[gpa / 4096 / 8] >> (gpa / 4096 % 8) & 1;
}

static unsigned count(const uint8_t *bits, size_t size)
{
	unsigned n = 0;

	for (size_t i = 0; i < size; i++)
		n += (unsigned)__builtin_popcount(bits[i]);
	return n;
}

static void test_pages(void **state)
{
	struct gw_dirty *dirty;
	uint8_t *bits;
	int fd = log_fd(4096, &bits);

	(void)state;
	assert_int_equal(gw_dirty_new(&dirty, fd, 0, 4096), 0);
	gw_dirty_mark(dirty, 0, 1);
	gw_dirty_mark(dirty, 8 * 4096, 4096);
	gw_dirty_mark(dirty, 20 * 4096 - 1, 2);
	gw_dirty_mark(dirty, 30 * 4096, 0);
	assert_int_equal(bits[0], 1);
	assert_int_equal(bits[1], 1);
	assert_true(is_marked(bits, 19 * 4096));
	assert_true(is_marked(bits, 20 * 4096));
	assert_int_equal(count(bits, 4096), 4);
	gw_dirty_mark(NULL, 0, 4096);
	gw_dirty_unref(dirty);
	munmap(bits, 4096);
	close(fd);
}

static void test_bounds(void **state)
{
	struct gw_dirty *dirty;
	uint8_t *bits;
	int fd = log_fd(4096, &bits);

	(void)state;
	/* One byte of table: 8 pages. What follows it in the file is not ours. */
	assert_int_equal(gw_dirty_new(&dirty, fd, 16, 1), 0);
	gw_dirty_mark(dirty, 7 * 4096, 3 * 4096);
	gw_dirty_mark(dirty, UINT64_MAX - 1, 4);
	gw_dirty_mark(dirty, UINT64_MAX, UINT64_MAX);
	assert_int_equal(bits[16], 0x80);
	assert_int_equal(count(bits, 4096), 1);
	gw_dirty_mark(dirty, 4096, UINT64_MAX);
	assert_int_equal(bits[16], 0xfe);
	gw_dirty_unref(dirty);
	assert_int_equal(gw_dirty_new(&dirty, fd, 0, 4097), -EINVAL);
	assert_int_equal(gw_dirty_new(&dirty, fd, UINT64_MAX, 2), -EINVAL);
	munmap(bits, 4096);
	close(fd);
}

static void test_table_shrinks(void **state)
{
	struct gw_dirty *dirty;
	uint8_t *bits;
	int fd = log_fd(8192, &bits);

	(void)state;
	assert_int_equal(gw_dirty_new(&dirty, fd, 0, 8192), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	gw_dirty_mark(dirty, 0, 4096);
	gw_dirty_unref(dirty);
	munmap(bits, 8192);
	close(fd);
}

static void fill_half(void *opaque, struct gw_queue *queue)
{
	struct gw_elem *elem;

	(void)opaque;
	while ((elem = gw_queue_pop(queue)))
		gw_elem_push(elem, 4097);
}

/* What a queue logs: the data written and no more, the used ring where it was told to be, and its
 * avail_event; nothing before logging is on. */
static void check_queue_log(bool packed)
{
	const struct gw_queue_ops ops = {.ready = fill_half};
	const struct rig_seg seg = {RIG_GPA + RIG_DATA, 3 * 4096, true};
	struct rig rig = {
		.num = 8, .packed = packed, .base = packed ? 0x80008000 : 0, .event_idx = true};
	struct gw_queue_change on = {.what = GW_QUEUE_LOG | GW_QUEUE_ADDR,
				     .log_on = true,
				     .log_used = true,
				     .log_gpa = RIG_GPA + RIG_USED,
				     .desc = RIG_UADDR + RIG_DESC,
				     .avail = RIG_UADDR + RIG_AVAIL,
				     .used = RIG_UADDR + RIG_USED};
	struct gw_queue_change no_table = {.what = GW_QUEUE_LOG, .log_on = true};
	uint8_t *bits;
	int fd = log_fd(4096, &bits);
	uint16_t id;
	uint32_t len;

	rig_memory(&rig);
	rig_queue(&rig, &ops, NULL);
	rig_start(&rig);
	assert_int_equal(rig_change(&rig, &no_table), 0);
	rig_add(&rig, &seg, 1);
	assert_true(rig_get(&rig, &id, &len));
	assert_int_equal(gw_dirty_new(&on.log, fd, 0, 4096), 0);
	assert_int_equal(rig_change(&rig, &on), 0);
	gw_dirty_unref(on.log);
	memset(bits, 0, 4096);
	rig_add(&rig, &seg, 1);
	assert_true(rig_get(&rig, &id, &len));
	rig_stop(&rig);
	assert_true(is_marked(bits, RIG_GPA + RIG_DATA));
	assert_true(is_marked(bits, RIG_GPA + RIG_DATA + 4096));
	assert_false(is_marked(bits, RIG_GPA + RIG_DATA + 8192));
	assert_true(is_marked(bits, RIG_GPA + RIG_USED));
	assert_int_equal(is_marked(bits, RIG_GPA + RIG_DESC), packed);
	assert_int_equal(count(bits, 4096), packed ? 4 : 3);
	rig_free(&rig);
	munmap(bits, 4096);
	close(fd);
}

static void test_queue_split(void **state)
{
	(void)state;
	check_queue_log(false);
}

static void test_queue_packed(void **state)
{
	(void)state;
	check_queue_log(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),	      cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_table_shrinks), cmocka_unit_test(test_queue_split),
		cmocka_unit_test(test_queue_packed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
