/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/unit/fs-changed.c - what changed lately is marked, for as long as was promised. */
#include "cmocka-all.h"

#include <stdlib.h>

#include "fs/changed.h"

#define START 1000000
/* What may be added by rounding. */
#define SLACK_MS 200

static struct fs_changed *changed;

static int set_up(void **state)
{
	(void)state;
	changed = calloc(1, sizeof(*changed));
	return changed ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(changed);
	return 0;
}

static uint64_t key_of(unsigned n)
{
	return fs_changed_key(1, &n, sizeof(n));
}

static void test_quiet_at_first(void **state)
{
	(void)state;
	assert_true(fs_changed_quiet(changed));
	assert_false(fs_changed_all(changed, START));
	for (unsigned n = 0; n < 1000; n++)
		assert_false(fs_changed_has(changed, key_of(n), n));
}

static void test_holds_as_long_as_promised(void **state)
{
	uint64_t end = START + FS_CHANGED_HOLD_MS;

	(void)state;
	fs_changed_note(changed, key_of(1), START);
	assert_false(fs_changed_quiet(changed));
	assert_true(fs_changed_has(changed, key_of(1), START));
	assert_true(fs_changed_has(changed, key_of(1), end));
	assert_false(fs_changed_has(changed, key_of(1), end + SLACK_MS));
	assert_false(fs_changed_has(changed, key_of(2), START));
	assert_false(fs_changed_all(changed, START));
}

/* Until it is quiet: each change counts from its own time. */
static void test_the_last_change_counts(void **state)
{
	(void)state;
	fs_changed_note(changed, key_of(1), START);
	fs_changed_note(changed, key_of(1), START + FS_CHANGED_HOLD_MS);
	assert_true(fs_changed_has(changed, key_of(1), START + 2 * FS_CHANGED_HOLD_MS));
}

static void test_quiet_again(void **state)
{
	(void)state;
	fs_changed_note(changed, key_of(1), START);
	fs_changed_note(changed, key_of(2), START + 1000);
	fs_changed_age(changed, START + FS_CHANGED_HOLD_MS + 1000);
	assert_false(fs_changed_quiet(changed));
	fs_changed_age(changed, START + FS_CHANGED_HOLD_MS + 1000 + SLACK_MS);
	assert_true(fs_changed_quiet(changed));
	fs_changed_note(changed, key_of(3), START + 20000);
	assert_false(fs_changed_quiet(changed));
	assert_false(fs_changed_has(changed, key_of(1), START + 20000));
}

static void test_all(void **state)
{
	(void)state;
	fs_changed_note_all(changed, START);
	assert_false(fs_changed_quiet(changed));
	for (unsigned n = 0; n < 100; n++)
		assert_true(fs_changed_has(changed, key_of(n), START + FS_CHANGED_HOLD_MS));
	fs_changed_age(changed, START + FS_CHANGED_HOLD_MS + SLACK_MS);
	assert_true(fs_changed_quiet(changed));
	assert_false(fs_changed_has(changed, key_of(1), START + FS_CHANGED_HOLD_MS + SLACK_MS));
}

/* Any number of files: at worst all are doubted, and none that changed is believed in. */
static void test_more_than_there_are_marks(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 3 * FS_CHANGED_MARKS; n++)
		fs_changed_note(changed, key_of(n), START);
	for (unsigned n = 0; n < 3 * FS_CHANGED_MARKS; n++)
		assert_true(fs_changed_has(changed, key_of(n), START));
}

/* A few changes leave almost all others believed in. */
static void test_few_share_a_mark(void **state)
{
	unsigned doubted = 0;

	(void)state;
	for (unsigned n = 0; n < 600; n++)
		fs_changed_note(changed, key_of(n), START);
	for (unsigned n = 1000; n < 11000; n++)
		doubted += fs_changed_has(changed, key_of(n), START);
	assert_in_range(doubted, 0, 200); /* 1 % expected */
}

static void test_type_is_part_of_the_key(void **state)
{
	(void)state;
	assert_true(fs_changed_key(1, "same", 4) != fs_changed_key(2, "same", 4));
	assert_true(fs_changed_key(1, "same", 4) == fs_changed_key(1, "same", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_quiet_at_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_holds_as_long_as_promised, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_last_change_counts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_quiet_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_more_than_there_are_marks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_few_share_a_mark, set_up, tear_down),
		cmocka_unit_test(test_type_is_part_of_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
