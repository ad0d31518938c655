/* SPDX-License-Identifier: BSD-3-Clause */
/* unit/state-unnamed.c - pieces of content that lie over each other come down to one content. */
#include "cmocka-all.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/state/unnamed.h"

static const struct gw_field content_fields[] = {
	{.name = "inode"}, {.name = "offset"}, {.name = "data"}, {0}};
static const struct gw_field file_fields[] = {{.name = "inode"}, {.name = "size"}, {0}};
static const struct gw_field xattr_fields[] = {{.name = "inode"}, {.name = "name"}, {0}};
static const struct gw_layout content = {.name = "gw_fs_content_v1", .fields = content_fields};
static const struct gw_layout file = {.name = "gw_fs_orphan_v1", .fields = file_fields};
static const struct gw_layout xattr = {.name = "gw_fs_xattr_v1", .fields = xattr_fields};
static const struct gw_layout other = {.name = "gw_fs_name_v1", .fields = file_fields};

static struct gw_unnamed unnamed;
static uint32_t order;

static int set_up(void **state)
{
	(void)state;
	unnamed = (struct gw_unnamed){0};
	order = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	gw_unnamed_fini(&unnamed);
	return 0;
}

static int put(uint64_t inode, uint64_t offset, const char *text)
{
	const struct gw_value values[] = {
		{.number = inode}, {.number = offset}, {.bytes = {text, strlen(text)}}};
	bool taken = false;
	int err = gw_unnamed_take(&unnamed, &content, false, values, order++, &taken);

	assert_true(taken);
	return err;
}

static void tell(uint64_t inode, uint64_t size, bool deleted)
{
	const struct gw_value values[] = {{.number = inode}, {.number = size}};
	bool taken = true;

	assert_int_equal(gw_unnamed_take(&unnamed, &file, deleted, values, order++, &taken), 0);
	assert_false(taken);
}

static void assert_block(size_t at, uint64_t inode, uint64_t number, size_t offset,
			 const char *text)
{
	const struct gw_block *block = &unnamed.blocks[at];

	assert_true(at < unnamed.count);
	assert_int_equal(block->file, inode);
	assert_int_equal(block->number, number);
	assert_memory_equal(block->bytes + offset, text, strlen(text));
	assert_int_equal(block->bytes[offset + strlen(text)], 0);
}

static void later_over_earlier(void **state)
{
	(void)state;
	put(5, 10, "abcdef");
	put(5, 12, "XY");
	assert_int_equal(unnamed.count, 1);
	assert_block(0, 5, 0, 10, "abXYef");
}

/* In whatever pieces and order it came. */
static void across_blocks_and_files(void **state)
{
	(void)state;
	put(9, 0, "nine");
	put(5, 3 * GW_BLOCK, "far");
	put(5, GW_BLOCK - 2, "over");
	assert_int_equal(unnamed.count, 4);
	assert_int_equal(unnamed.blocks[0].bytes[GW_BLOCK - 1], 'v');
	assert_block(1, 5, 1, 0, "er");
	assert_block(2, 5, 3, 0, "far");
	assert_block(3, 9, 0, 0, "nine");
}

static void behind_the_end_is_nothing(void **state)
{
	(void)state;
	put(4, GW_BLOCK, "another's");
	put(5, 0, "abcdef");
	put(5, GW_BLOCK, "gone");
	put(6, 0, "another's");
	tell(5, 3, false);
	tell(5, 3 * GW_BLOCK, false);
	assert_int_equal(unnamed.count, 3);
	assert_block(1, 5, 0, 0, "abc");
	tell(5, 0, false);
	assert_int_equal(unnamed.count, 2);
	/* At the edge of a block. */
	put(5, 0, "kept");
	put(5, GW_BLOCK, "gone");
	tell(5, GW_BLOCK, false);
	assert_int_equal(unnamed.count, 3);
	assert_block(1, 5, 0, 0, "kept");
}

static void zeros_are_a_hole(void **state)
{
	(void)state;
	put(5, 100, "x");
	assert_false(gw_block_is_empty(&unnamed.blocks[0]));
	tell(5, 50, false);
	assert_true(gw_block_is_empty(&unnamed.blocks[0]));
}

static void taken_back(void **state)
{
	const struct gw_value values[] = {{.number = 5}, {.bytes = {"user.a", 6}}};

	(void)state;
	assert_int_equal(gw_unnamed_file(&xattr, values), 5);
	assert_int_equal(gw_unnamed_file(&other, values), 0);
	put(5, 0, "abc");
	assert_false(gw_unnamed_went(&unnamed, 5, order));
	tell(5, 0, true);
	assert_int_equal(unnamed.count, 0);
	assert_true(gw_unnamed_went(&unnamed, 5, 0));
	assert_false(gw_unnamed_went(&unnamed, 5, order)); /* it came again */
	assert_false(gw_unnamed_went(&unnamed, 6, 0));
}

/* As a stream that nobody wrote may say. */
static void what_cannot_be(void **state)
{
	const struct gw_value bytes[] = {{.bytes = {"x", 1}}, {.bytes = {"x", 1}}, {0}};
	const struct gw_layout bare = {.name = "gw_fs_content_v1", .fields = file_fields + 2};
	bool taken;

	(void)state;
	assert_int_equal(put(5, UINT64_MAX, "x"), 0);
	assert_int_equal(put(5, INT64_MAX, "x"), 0);
	assert_int_equal(gw_unnamed_take(&unnamed, &bare, false, bytes, 0, &taken), 0);
	assert_int_equal(unnamed.count, 0);
	tell(5, UINT64_MAX, false);
}

static void too_much(void **state)
{
	(void)state;
	unnamed.blocks = calloc(GW_BLOCKS_MAX, sizeof(*unnamed.blocks));
	unnamed.count = unnamed.room = GW_BLOCKS_MAX;
	assert_int_equal(put(5, 0, "x"), -ENOMEM);
	assert_int_equal(unnamed.count, GW_BLOCKS_MAX);
}

int main(void)
{
#define EMPTY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		EMPTY(later_over_earlier),
		EMPTY(across_blocks_and_files),
		EMPTY(behind_the_end_is_nothing),
		EMPTY(zeros_are_a_hole),
		EMPTY(taken_back),
		EMPTY(what_cannot_be),
		EMPTY(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
