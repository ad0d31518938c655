/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/state/unnamed.c - what files without names come down to, whose content comes in pieces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "cli/state/unnamed.h"

static const char file_layout[] = "gw_fs_orphan_v1", content_layout[] = "gw_fs_content_v1",
		  xattr_layout[] = "gw_fs_xattr_v1";

/* By name, since the layouts are those of the stream. */
static const struct gw_value *value_of(const struct gw_layout *layout,
				       const struct gw_value *values, const char *name)
{
	static const struct gw_value none;

	for (unsigned i = 0; layout->fields[i].name; i++)
		if (!strcmp(layout->fields[i].name, name))
			return &values[i];
	return &none;
}

/*
 * Blocks, in order.
 */
static size_t place_of(const struct gw_unnamed *unnamed, uint64_t file, uint64_t number)
{
	size_t from = 0, to = unnamed->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;
		const struct gw_block *block = &unnamed->blocks[middle];

		if (block->file < file || (block->file == file && block->number < number))
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static struct gw_block *insert(struct gw_unnamed *unnamed, size_t at, uint64_t file,
			       uint64_t number)
{
	size_t room = unnamed->room ? unnamed->room * 2 : 64;
	uint8_t *bytes = unnamed->count < GW_BLOCKS_MAX ? calloc(1, GW_BLOCK) : NULL;
	struct gw_block *blocks = unnamed->blocks;

	if (bytes && unnamed->count == unnamed->room)
		blocks = reallocarray(blocks, room, sizeof(*blocks));
	if (!bytes || !blocks) {
		free(bytes);
		return NULL;
	}
	if (unnamed->count == unnamed->room)
		unnamed->room = room;
	unnamed->blocks = blocks;
	memmove(&blocks[at + 1], &blocks[at], (unnamed->count++ - at) * sizeof(*blocks));
	blocks[at] = (struct gw_block){.file = file, .number = number, .bytes = bytes};
	return &blocks[at];
}

static struct gw_block *block_of(struct gw_unnamed *unnamed, uint64_t file, uint64_t number)
{
	size_t at = place_of(unnamed, file, number);
	struct gw_block *block = &unnamed->blocks[at];

	if (at < unnamed->count && block->file == file && block->number == number)
		return block;
	return insert(unnamed, at, file, number);
}

static int put(struct gw_unnamed *unnamed, uint64_t file, uint64_t offset, struct gw_bytes data)
{
	const uint8_t *bytes = data.data;

	if (!gw_range_within(offset, data.len, INT64_MAX))
		return 0; /* in no file; who loads it refuses it */
	while (data.len) {
		struct gw_block *block = block_of(unnamed, file, offset / GW_BLOCK);
		size_t within = offset % GW_BLOCK, len = GW_MIN(data.len, GW_BLOCK - within);

		if (!block)
			return -ENOMEM;
		memcpy(block->bytes + within, bytes, len);
		bytes += len;
		offset += len;
		data.len -= len;
	}
	return 0;
}

static void drop(struct gw_unnamed *unnamed, size_t from, size_t to)
{
	if (from == to)
		return;
	for (size_t i = from; i < to; i++)
		free(unnamed->blocks[i].bytes);
	memmove(&unnamed->blocks[from], &unnamed->blocks[to],
		(unnamed->count - to) * sizeof(*unnamed->blocks));
	unnamed->count -= to - from;
}

/* Nothing is behind its end. */
static void cut(struct gw_unnamed *unnamed, uint64_t file, uint64_t size)
{
	size_t at = place_of(unnamed, file, size / GW_BLOCK), end = at;
	size_t within = size % GW_BLOCK;

	if (within && at < unnamed->count && unnamed->blocks[at].file == file &&
	    unnamed->blocks[at].number == size / GW_BLOCK)
		memset(unnamed->blocks[at++].bytes + within, 0, GW_BLOCK - within);
	for (end = at; end < unnamed->count && unnamed->blocks[end].file == file;)
		end++;
	drop(unnamed, at, end);
}

bool gw_block_is_empty(const struct gw_block *block)
{
	return !block->bytes[0] && !memcmp(block->bytes, block->bytes + 1, GW_BLOCK - 1);
}

/*
 * Files.
 */
static int take_back(struct gw_unnamed *unnamed, uint64_t file, uint32_t order)
{
	size_t room = unnamed->gone_room ? unnamed->gone_room * 2 : 16;
	struct gw_taken_back *gone = unnamed->gone;

	cut(unnamed, file, 0);
	if (unnamed->gone_count == unnamed->gone_room) {
		gone = reallocarray(gone, room, sizeof(*gone));
		if (!gone)
			return -ENOMEM;
		unnamed->gone = gone;
		unnamed->gone_room = room;
	}
	gone[unnamed->gone_count++] = (struct gw_taken_back){file, order};
	return 0;
}

int gw_unnamed_take(struct gw_unnamed *unnamed, const struct gw_layout *layout, bool deleted,
		    const struct gw_value *values, uint32_t order, bool *taken)
{
	uint64_t file = value_of(layout, values, "inode")->number;

	*taken = !strcmp(layout->name, content_layout);
	if (*taken)
		return put(unnamed, file, value_of(layout, values, "offset")->number,
			   value_of(layout, values, "data")->bytes);
	if (strcmp(layout->name, file_layout) != 0)
		return 0;
	if (deleted)
		return take_back(unnamed, file, order);
	cut(unnamed, file, value_of(layout, values, "size")->number);
	return 0;
}

uint64_t gw_unnamed_file(const struct gw_layout *layout, const struct gw_value *values)
{
	return strcmp(layout->name, xattr_layout) ? 0 : value_of(layout, values, "inode")->number;
}

bool gw_unnamed_went(const struct gw_unnamed *unnamed, uint64_t file, uint32_t order)
{
	for (size_t i = unnamed->gone_count; i; i--)
		if (unnamed->gone[i - 1].file == file)
			return unnamed->gone[i - 1].order > order;
	return false;
}

void gw_unnamed_fini(struct gw_unnamed *unnamed)
{
	drop(unnamed, 0, unnamed->count);
	free(unnamed->blocks);
	free(unnamed->gone);
}
