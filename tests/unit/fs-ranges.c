/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/fs-ranges.c - a list of locked ranges says of each byte what was said of it last. */
#include "cmocka-all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/ranges.h"

#define BYTES  12
#define TRIALS 20000

static struct fs_ranges ranges;

static int change(int64_t start, int64_t end, int type)
{
	const struct fs_range range = {start, end, (short)type};
	struct fs_ranges next;
	int ret = fs_ranges_with(&ranges, &range, &next);

	if (ret < 0)
		return ret;
	fs_ranges_free(&ranges);
	ranges = next;
	return 0;
}

/* In order, apart, and neighbours differ. */
static void assert_canonical(void)
{
	for (unsigned i = 0; i < ranges.count; i++) {
		const struct fs_range *at = &ranges.at[i];

		assert_true(at->start <= at->end);
		assert_true(at->type == F_RDLCK || at->type == F_WRLCK);
		if (!i)
			continue;
		assert_true(at[-1].end < at->start);
		assert_true(at[-1].end + 1 < at->start || at[-1].type != at->type);
	}
}

static short type_of(int64_t byte)
{
	for (unsigned i = 0; i < ranges.count; i++) {
		if (ranges.at[i].start <= byte && byte <= ranges.at[i].end)
			return ranges.at[i].type;
	}
	return F_UNLCK;
}

/* Of a file of a few bytes; the last one stands for all that follow. */
static void test_any_changes(void **state)
{
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	short model[BYTES];

	(void)state;
	srand(1);
	for (int i = 0; i < BYTES; i++)
		model[i] = F_UNLCK;
	for (int trial = 0; trial < TRIALS; trial++) {
		int start = rand() % BYTES, end = start + rand() % (BYTES - start);
		short type = types[rand() % 3];
		struct fs_range range;

		for (int i = start; i <= end; i++)
			model[i] = type;
		range = (struct fs_range){start, end == BYTES - 1 ? INT64_MAX : end, type};
		assert_int_equal(change(range.start, range.end, type), 0);
		assert_canonical();
		for (int i = 0; i < BYTES; i++)
			assert_int_equal(type_of(i), model[i]);
		assert_int_equal(type_of(INT64_MAX), model[BYTES - 1]);
		assert_int_equal(fs_ranges_touch(&ranges, &range), type != F_UNLCK);
	}
	fs_ranges_free(&ranges);
}

/* Beyond the bound nothing changes; what makes room is always possible. */
static void test_bound(void **state)
{
	(void)state;
	for (int64_t i = 0; i < FS_RANGES_MAX; i++)
		assert_int_equal(change(4 * i, 4 * i + 2, F_WRLCK), 0);
	assert_int_equal(change(INT64_MAX, INT64_MAX, F_RDLCK), -ENOLCK);
	assert_int_equal(change(1, 1, F_UNLCK), -ENOLCK);
	assert_int_equal(ranges.count, FS_RANGES_MAX);
	assert_int_equal(change(0, 7, F_UNLCK), 0);
	assert_int_equal(ranges.count, FS_RANGES_MAX - 2);
	assert_int_equal(change(0, INT64_MAX, F_RDLCK), 0);
	assert_int_equal(ranges.count, 1);
	assert_int_equal(change(0, INT64_MAX, F_UNLCK), 0);
	assert_int_equal(ranges.count, 0);
	fs_ranges_free(&ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_changes),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
