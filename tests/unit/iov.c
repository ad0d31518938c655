/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/iov.c - copies to and from an element's segments, and slices of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "godwit/queue.h"

static char a[3] = "abc", b[1] = "d", c[4] = "efgh";
static struct iovec iov[] = {{a, 3}, {NULL, 0}, {b, 1}, {c, 4}};

static void test_copy_from(void **state)
{
	struct gw_elem elem = {.out = iov, .out_count = 4, .out_len = 8};
	char to[16] = {0};

	(void)state;
	for (size_t offset = 0; offset <= 9; offset++) {
		for (size_t len = 0; len <= 9; len++) {
			size_t left = offset < 8 ? 8 - offset : 0;
			size_t want = len < left ? len : left;

			assert_int_equal(gw_elem_copy_from(&elem, offset, to, len), want);
			assert_memory_equal(to, &"abcdefgh"[offset < 8 ? offset : 8], want);
		}
	}
	assert_int_equal(gw_elem_copy_from(&elem, SIZE_MAX, to, 4), 0);
	assert_int_equal(gw_elem_copy_to(&elem, 0, to, 4), 0); /* no in part */
}

static void test_copy_to(void **state)
{
	char x[2] = "..", y[3] = "...";
	struct iovec in[] = {{x, 2}, {y, 3}};
	struct gw_elem elem = {.in = in, .in_count = 2, .in_len = 5};

	(void)state;
	assert_int_equal(gw_elem_copy_to(&elem, 1, "123456", 6), 4);
	assert_memory_equal(x, ".1", 2);
	assert_memory_equal(y, "234", 3);
	assert_int_equal(gw_elem_copy_to(&elem, 2, "9", 1), 1);
	assert_memory_equal(y, "934", 3);
}

static void test_slice(void **state)
{
	struct iovec slice[4];

	(void)state;
	assert_int_equal(gw_iov_slice(iov, 4, 2, 3, slice, 4), 3);
	assert_ptr_equal(slice[0].iov_base, a + 2);
	assert_int_equal(slice[0].iov_len, 1);
	assert_ptr_equal(slice[1].iov_base, b);
	assert_ptr_equal(slice[2].iov_base, c);
	assert_int_equal(slice[2].iov_len, 1);
	assert_int_equal(gw_iov_slice(iov, 4, 3, SIZE_MAX, slice, 4), 2);
	assert_int_equal(slice[1].iov_len, 4);
	assert_int_equal(gw_iov_slice(iov, 4, 8, 1, slice, 4), 0);
	assert_int_equal(gw_iov_slice(iov, 4, 0, 0, slice, 4), 0);
	assert_int_equal(gw_iov_slice(iov, 4, 0, 8, slice, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_from),
		cmocka_unit_test(test_copy_to),
		cmocka_unit_test(test_slice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
