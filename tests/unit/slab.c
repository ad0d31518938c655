/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/slab.c - small objects: apart from each other, found again, and their memory given
 * back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bigpage.h"
#include "base/slab.h"
#include "cmocka-all.h"

#define OBJECTS 40000u /* several chunks of each size */

static struct gw_slab slab;
static uint32_t refs[OBJECTS];

static int set_up(void **state)
{
	(void)state;
	return gw_slab_init(&slab);
}

static int tear_down(void **state)
{
	(void)state;
	gw_slab_fini(&slab);
	return 0;
}

static size_t size_of(uint32_t i)
{
	return 1 + i % GW_SLAB_OBJECT_MAX;
}

static void make(uint32_t i)
{
	refs[i] = gw_slab_alloc(&slab, size_of(i));
	assert_int_not_equal(refs[i], 0);
	memset(gw_slab_at(&slab, refs[i]), (int)(i * 7), size_of(i));
}

static void check(uint32_t i)
{
	const unsigned char *bytes = gw_slab_at(&slab, refs[i]);

	assert_int_equal((uintptr_t)bytes % GW_SLAB_GRANULE, 0);
	for (size_t at = 0; at < size_of(i); at++) {
		if (bytes[at] != (unsigned char)(i * 7))
			fail_msg("object %u differs at byte %zu", i, at);
	}
}

static void test_objects_of_all_sizes_lie_apart(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < OBJECTS; i++)
		make(i);
	for (uint32_t i = 0; i < OBJECTS; i += 3)
		gw_slab_free(&slab, refs[i]);
	for (uint32_t i = 0; i < OBJECTS; i += 3)
		make(i);
	for (uint32_t i = 0; i < OBJECTS; i++)
		check(i);
}

static void test_no_such_size(void **state)
{
	(void)state;
	assert_int_equal(gw_slab_alloc(&slab, 0), 0);
	assert_int_equal(gw_slab_alloc(&slab, GW_SLAB_OBJECT_MAX + 1), 0);
	assert_null(gw_slab_at(&slab, 0));
	gw_slab_free(&slab, 0);
}

static void test_freed_memory_is_used_again(void **state)
{
	uint64_t bytes;

	(void)state;
	for (uint32_t i = 0; i < OBJECTS; i++)
		refs[i] = gw_slab_alloc(&slab, 36);
	bytes = atomic_load(&slab.bytes);
	for (int round = 0; round < 10; round++) {
		for (uint32_t i = round % 2; i < OBJECTS; i += 2)
			gw_slab_free(&slab, refs[i]);
		for (uint32_t i = round % 2; i < OBJECTS; i += 2)
			refs[i] = gw_slab_alloc(&slab, 36);
		assert_int_equal(atomic_load(&slab.bytes), bytes);
	}
	/* Nothing is lost between them. */
	assert_in_range(bytes, OBJECTS * 36, OBJECTS * 36 + 2 * GW_SLAB_CHUNK);
}

static void test_whole_chunks_are_given_back(void **state)
{
	(void)state;
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < OBJECTS; i++)
			make(i);
		for (uint32_t i = 0; i < OBJECTS; i++)
			gw_slab_free(&slab, refs[OBJECTS - 1 - i]);
		/* One of each class stays, for who comes next. */
		assert_true(atomic_load(&slab.bytes) <= GW_SLAB_CLASSES * GW_SLAB_CHUNK);
	}
}

static void check_many(unsigned expected)
{
	uint32_t some[100];

	assert_int_equal(gw_slab_alloc_many(&slab, 36, some, 100), expected);
	for (uint32_t i = 0; i < expected; i++)
		memset(gw_slab_at(&slab, some[i]), (int)i, 36);
	for (uint32_t i = 0; i < expected; i++) {
		for (uint32_t j = 0; j < 36; j++)
			assert_int_equal(((uint8_t *)gw_slab_at(&slab, some[i]))[j], (uint8_t)i);
	}
}

static void test_many_at_once(void **state)
{
	uint32_t none;

	(void)state;
	assert_int_equal(gw_slab_class(33), gw_slab_class(36));
	assert_int_not_equal(gw_slab_class(36), gw_slab_class(37));
	for (int i = 0; i < 1000; i++) /* several chunks */
		check_many(100);
	assert_int_equal(atomic_load(&slab.used), 1000 * 100 * 36);
	assert_int_equal(gw_slab_alloc_many(&slab, GW_SLAB_OBJECT_MAX + 1, &none, 1), 0);
}

/* What is expected is there, and what is not used of it goes with the slab. */
static void test_expected(void **state)
{
	(void)state;
	gw_slab_expect(&slab, 3u << 20);
	for (int i = 0; i < 1000; i++)
		check_many(100);
	gw_slab_expect(&slab, 3u << 20);
	check_many(100);
}

static void test_ready_memory(void **state)
{
	char *first, *second;

	(void)state;
	gw_big_prepare(2 * (size_t)GW_BIG_PAGE);
	gw_big_prepare(2 * (size_t)GW_BIG_PAGE);
	assert_true(gw_big_is_ready());
	first = gw_big_map(GW_BIG_PAGE);
	assert_non_null(first);
	assert_int_equal((uintptr_t)first % GW_BIG_PAGE, 0);
	/* More than there is left. */
	second = gw_big_map(2 * (size_t)GW_BIG_PAGE);
	assert_non_null(second);
	assert_int_equal((uintptr_t)second % GW_BIG_PAGE, 0);
	assert_true(gw_big_is_ready());
	gw_big_release();
	assert_false(gw_big_is_ready());
	for (size_t i = 0; i < GW_BIG_PAGE; i += 4096) {
		assert_int_equal(first[i], 0);
		first[i] = second[i] = 1;
	}
	munmap(first, GW_BIG_PAGE);
	munmap(second, 2 * (size_t)GW_BIG_PAGE);
	gw_big_release();
}

/* What is ready is as much as was asked for last, if that was more; what comes too late is not
 * wanted. */
static void test_more_is_made_ready(void **state)
{
	char *memory;

	(void)state;
	gw_big_prepare(GW_BIG_PAGE);
	gw_big_prepare(4 * (size_t)GW_BIG_PAGE);
	gw_big_prepare(2 * (size_t)GW_BIG_PAGE);
	memory = gw_big_map(4 * (size_t)GW_BIG_PAGE);
	assert_non_null(memory);
	assert_false(gw_big_is_ready());
	munmap(memory, 4 * (size_t)GW_BIG_PAGE);
	gw_big_prepare(GW_BIG_PAGE);
	assert_true(gw_big_is_ready());
	gw_big_release();
	assert_false(gw_big_is_ready());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_expected, set_up, tear_down),
		cmocka_unit_test(test_ready_memory),
		cmocka_unit_test(test_more_is_made_ready),
		cmocka_unit_test_setup_teardown(test_objects_of_all_sizes_lie_apart, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_no_such_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_freed_memory_is_used_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_chunks_are_given_back, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
