/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/scratch.c - memory for one piece of work: zero, apart, grown in place, given back. */
#include <stdint.h>
#include <string.h>

#include "base/bigpage.h"
#include "base/scratch.h"
#include "cmocka-all.h"

#define LINE 64u

static struct gw_scratch scratch;

static int tear_down(void **state)
{
	(void)state;
	gw_scratch_free(&scratch);
	gw_big_release();
	return 0;
}

static char *take(size_t len)
{
	char *taken = gw_scratch_take(&scratch, len);

	assert_non_null(taken);
	assert_int_equal((uintptr_t)taken % LINE, 0);
	return taken;
}

static bool all_are(const char *bytes, size_t len, char wanted)
{
	while (len && bytes[len - 1] == wanted)
		len--;
	return !len;
}

static void test_what_is_taken_is_zero_and_apart(void **state)
{
	static const size_t sizes[] = {1, 63, 64, 65, 4096, 100000, 3 * GW_BIG_PAGE, 7};
	char *taken[sizeof(sizes) / sizeof(*sizes)];
	size_t count = sizeof(sizes) / sizeof(*sizes);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		taken[i] = take(sizes[i]);
		assert_true(all_are(taken[i], sizes[i], 0));
		memset(taken[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < count; i++)
		assert_true(all_are(taken[i], sizes[i], (char)(i + 1)));
}

static void test_the_last_grows_in_place(void **state)
{
	char *first = take(100), *grown;

	(void)state;
	memset(first, 'a', 100);
	grown = gw_scratch_grow(&scratch, first, 100, 5000);
	assert_ptr_equal(grown, first);
	assert_true(all_are(grown, 100, 'a'));
	assert_true(all_are(grown + 100, 4900, 0));
	memset(grown, 'b', 5000);
	assert_true(all_are(take(100), 100, 0));
}

static void test_another_one_is_copied(void **state)
{
	char *first = take(100), *second = take(10), *grown;

	(void)state;
	memset(first, 'a', 100);
	memset(second, 'b', 10);
	grown = gw_scratch_grow(&scratch, first, 100, 200);
	assert_ptr_not_equal(grown, first);
	assert_true(all_are(grown, 100, 'a'));
	memset(grown, 'c', 200);
	assert_true(all_are(second, 10, 'b'));
}

static void test_it_grows_beyond_a_block(void **state)
{
	size_t len = 10;
	char *bytes = gw_scratch_grow(&scratch, NULL, 0, len);

	(void)state;
	memset(bytes, 'a', len);
	while (len < 5 * (size_t)GW_BIG_PAGE) {
		bytes = gw_scratch_grow(&scratch, bytes, len, 2 * len);
		assert_non_null(bytes);
		memset(bytes + len, 'a', len);
		len *= 2;
	}
	assert_true(all_are(bytes, len, 'a'));
}

static void test_what_is_ready_comes_first(void **state)
{
	(void)state;
	gw_big_prepare(GW_BIG_PAGE);
	assert_true(gw_big_is_ready());
	take(1);
	assert_false(gw_big_is_ready());
}

static void test_too_much_is_refused(void **state)
{
	char *first = take(100);

	(void)state;
	memset(first, 'a', 100);
	assert_null(gw_scratch_take(&scratch, SIZE_MAX));
	assert_null(gw_scratch_take(&scratch, SIZE_MAX - LINE));
	assert_null(gw_scratch_grow(&scratch, first, 100, SIZE_MAX));
	assert_null(gw_scratch_grow(&scratch, first, 100, SIZE_MAX / 2 - LINE));
	assert_true(all_are(first, 100, 'a'));
	memset(take(100), 'b', 100);
}

static void test_it_is_used_again(void **state)
{
	(void)state;
	memset(take(1000), 'a', 1000);
	gw_scratch_free(&scratch);
	assert_true(all_are(take(1000), 1000, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_what_is_taken_is_zero_and_apart, tear_down),
		cmocka_unit_test_teardown(test_the_last_grows_in_place, tear_down),
		cmocka_unit_test_teardown(test_another_one_is_copied, tear_down),
		cmocka_unit_test_teardown(test_it_grows_beyond_a_block, tear_down),
		cmocka_unit_test_teardown(test_what_is_ready_comes_first, tear_down),
		cmocka_unit_test_teardown(test_too_much_is_refused, tear_down),
		cmocka_unit_test_teardown(test_it_is_used_again, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
