/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold_read.c - a checkpoint, and what the journal says after it, object by object. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/fold_internal.h"
#include "godwit/error.h"

#define BUCKETS_MIN    1024u
#define GENERATION(id) ((uint32_t)((id) >> 32))

int fs_fold_map_init(struct fs_fold_map *map)
{
	*map = (struct fs_fold_map){.mask = BUCKETS_MIN - 1, .last = &map->first};
	map->buckets = calloc(BUCKETS_MIN, sizeof(*map->buckets));
	return map->buckets ? 0 : -ENOMEM;
}

void fs_fold_map_free(struct fs_fold_map *map)
{
	struct fs_fold_item *next;

	for (struct fs_fold_item *item = map->first; item; item = next) {
		next = item->next;
		free(item);
	}
	free(map->buckets);
}

static void map_grow(struct fs_fold_map *map)
{
	size_t mask = map->mask * 4 + 3;
	struct fs_fold_item **buckets = calloc(mask + 1, sizeof(*buckets));

	if (!buckets)
		return; /* slower */
	for (struct fs_fold_item *item = map->first; item; item = item->next) {
		item->chain = buckets[item->hash & mask];
		buckets[item->hash & mask] = item;
	}
	free(map->buckets);
	map->buckets = buckets;
	map->mask = mask;
}

static struct fs_fold_item *map_add(struct fs_fold_map *map, uint64_t hash, size_t bytes)
{
	struct fs_fold_item *item = calloc(1, sizeof(*item) + bytes);

	if (!item)
		return NULL;
	if (map->count++ > 2 * map->mask)
		map_grow(map);
	item->hash = hash;
	item->fd = -1;
	item->chain = map->buckets[hash & map->mask];
	map->buckets[hash & map->mask] = item;
	*map->last = item;
	map->last = &item->next;
	return item;
}

static struct fs_fold_item *find_inode(struct fs_fold *fold, uint64_t id)
{
	struct fs_fold_item *item = fold->inodes.buckets[fs_mix(id) & fold->inodes.mask];

	while (item && item->inode.id != id)
		item = item->chain;
	return item;
}

struct fs_fold_item *fs_fold_live_inode(struct fs_fold *fold, uint64_t id)
{
	struct fs_fold_item *item = find_inode(fold, id);

	return item && !item->gone ? item : NULL;
}

static int put_inode(void *opaque, const void *object)
{
	const struct gw_fs_inode_v1 *record = object;
	struct fs_fold *fold = opaque;
	struct fs_fold_item *item = find_inode(fold, record->id);

	fold->inode_generation = GW_MAX(fold->inode_generation, GENERATION(record->id));
	if (!item)
		item = map_add(&fold->inodes, fs_mix(record->id), FS_FHANDLE_MAX);
	if (!item)
		return -ENOMEM;
	item->inode = *record;
	item->gone = false;
	memcpy(item->bytes, record->handle.data,
	       GW_MIN(record->handle.len, (size_t)FS_FHANDLE_MAX));
	item->inode.handle.data = item->bytes;
	return 0;
}

static int remove_inode(void *opaque, const void *object)
{
	const struct gw_fs_inode_v1 *record = object;
	struct fs_fold *fold = opaque;
	struct fs_fold_item *item = find_inode(fold, record->id);

	fold->inode_generation = GW_MAX(fold->inode_generation, GENERATION(record->id));
	if (item)
		item->gone = true;
	return 0;
}

static uint64_t hash_name(const struct gw_fs_name_v1 *record)
{
	uint64_t hash = fs_mix(record->parent);

	for (size_t i = 0; i < record->name.len; i++)
		hash = (hash ^ ((const uint8_t *)record->name.data)[i]) * UINT64_C(0x100000001b3);
	return fs_mix(hash);
}

static struct fs_fold_item *find_name(struct fs_fold *fold, const struct gw_fs_name_v1 *record,
				      uint64_t hash)
{
	struct fs_fold_item *item = fold->names.buckets[hash & fold->names.mask];

	while (item && (item->hash != hash || item->name.parent != record->parent ||
			item->name.name.len != record->name.len ||
			memcmp(item->bytes, record->name.data, record->name.len) != 0))
		item = item->chain;
	return item;
}

static int put_name(void *opaque, const void *object)
{
	const struct gw_fs_name_v1 *record = object;
	struct fs_fold *fold = opaque;
	uint64_t hash = hash_name(record);
	struct fs_fold_item *item = find_name(fold, record, hash);

	if (!item)
		item = map_add(&fold->names, hash, record->name.len);
	if (!item)
		return -ENOMEM;
	item->gone = false;
	item->order = ++fold->order;
	item->name = *record;
	memcpy(item->bytes, record->name.data, record->name.len);
	item->name.name.data = item->bytes;
	return 0;
}

static int remove_name(void *opaque, const void *object)
{
	const struct gw_fs_name_v1 *record = object;
	struct fs_fold_item *item = find_name(opaque, record, hash_name(record));

	if (item)
		item->gone = true;
	return 0;
}

static struct fs_fold_item *find_handle(struct fs_fold *fold, uint64_t id)
{
	struct fs_fold_item *item = fold->handles.buckets[fs_mix(id) & fold->handles.mask];

	while (item && item->handle.id != id)
		item = item->chain;
	return item;
}

static int put_handle(void *opaque, const void *object)
{
	const struct gw_fs_handle_v1 *record = object;
	struct fs_fold *fold = opaque;
	struct fs_fold_item *item = find_handle(fold, record->id);

	fold->handle_generation = GW_MAX(fold->handle_generation, GENERATION(record->id));
	if (!item)
		item = map_add(&fold->handles, fs_mix(record->id), 0);
	if (!item)
		return -ENOMEM;
	item->gone = false;
	item->handle = *record;
	return 0;
}

static int remove_handle(void *opaque, const void *object)
{
	const struct gw_fs_handle_v1 *record = object;
	struct fs_fold_item *item = find_handle(opaque, record->id);

	if (item)
		item->gone = true;
	return 0;
}

static int put_mount(void *opaque, const void *object)
{
	const struct gw_fs_mount_v1 *record = object;
	struct fs_fold *fold = opaque;

	if (record->index < FS_MOUNTS_MAX)
		fold->mounts[record->index] = true;
	return 0;
}

static int put_session(void *opaque, const void *object)
{
	struct fs_fold *fold = opaque;

	fold->session = *(const struct gw_fs_session_v1 *)object;
	fold->has_session = true;
	return 0;
}

static int put_lost(void *opaque, const void *object)
{
	const struct gw_fs_lost_v1 *record = object;
	struct fs_fold_item *item = find_inode(opaque, record->inode);

	if (item)
		item->lost = true;
	return 0;
}

static int put_locking(void *opaque, const void *object)
{
	struct fs_fold *fold = opaque;

	return fs_fold_locking(fold->locks, object);
}

static int put_flocking(void *opaque, const void *object)
{
	const struct gw_fs_flocking_v1 *record = object;
	struct fs_fold_item *item = find_handle(opaque, record->handle);

	if (item)
		item->flocking = *record;
	return 0;
}

static const struct gw_state_handler handlers[] = {
	{&gw_fs_session_v1, put_session, NULL},
	{&gw_fs_mount_v1, put_mount, NULL},
	{&gw_fs_inode_v1, put_inode, remove_inode},
	{&gw_fs_name_v1, put_name, remove_name},
	{&gw_fs_lost_v1, put_lost, NULL},
	{&gw_fs_handle_v1, put_handle, remove_handle},
	{&gw_fs_locking_v1, put_locking, NULL},
	{&gw_fs_flocking_v1, put_flocking, NULL},
	{.layout = NULL},
};

static int apply(struct fs_fold *fold, const struct gw_journal_record *record)
{
	for (const struct gw_state_handler *handler = handlers; handler->layout; handler++) {
		if (handler->layout != record->layout)
			continue;
		return record->deleted ? handler->remove(fold, record->object)
				       : handler->put(fold, record->object);
	}
	return 0;
}

static int read_one(void *opaque, const struct gw_journal_record *record)
{
	struct fs_fold *fold = opaque;
	int err = fs_redo_note(fold->fs, record);

	return err || !record->since ? err : apply(fold, record);
}

static int read_journal(struct fs_fold *fold, const struct gw_outliving *outliving)
{
	const struct gw_journal_walk walk = {
		.layouts = fs_journal_layouts,
		.unanswered = outliving->unanswered,
		.unanswered_opaque = outliving->unanswered_opaque,
		.fn = read_one,
		.opaque = fold,
	};
	int err = fs_redo_begin(fold->fs);

	if (!err)
		err = gw_journal_walk(outliving->journal, &walk);
	if (!err)
		fs_redo_end(fold->fs);
	return err;
}

int fs_fold_read(struct fs_fold *fold, struct gw_state_reader *reader,
		 const struct gw_outliving *outliving)
{
	int err = gw_state_read(reader, handlers, fold);

	return err ? err : read_journal(fold, outliving);
}
