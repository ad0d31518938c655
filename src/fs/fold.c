/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold.c - a checkpoint and what the journal says after it come down to one state. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/journal.h"
#include "fs/locks_kept.h"
#include "fs/redo.h"
#include "godwit/error.h"

#define BUCKETS_MIN    1024u
#define GENERATION(id) ((uint32_t)((id) >> 32))

/* An object by its key, and its latest value; in the order in which keys came. */
struct item {
	struct item *chain, *next;
	uint64_t hash;
	bool gone;
	bool named, held, kept; /* inodes: by a name; as parent or by a handle; by a descriptor */
	bool lost;
	uint64_t order; /* names: when it was told of; inodes: of its latest name */
	struct gw_fs_flocking_v1 flocking; /* handles */
	int fd;				   /* inodes: borrowed, of what has no name */
	union {
		struct gw_fs_inode_v1 inode;
		struct gw_fs_name_v1 name;
		struct gw_fs_handle_v1 handle;
	};
	char bytes[]; /* of the name, or of the inode's handle */
};

struct map {
	struct item **buckets, *first, **last;
	size_t mask, count;
};

struct fold {
	struct fs *fs;
	uint64_t order; /* of names */
	struct map inodes, names, handles;
	struct fs_fold_locks *locks;
	bool mounts[FS_MOUNTS_MAX];
	struct gw_fs_session_v1 session;
	bool has_session;
	uint32_t inode_generation, handle_generation; /* highest that was given */
};

static int map_init(struct map *map)
{
	*map = (struct map){.mask = BUCKETS_MIN - 1, .last = &map->first};
	map->buckets = calloc(BUCKETS_MIN, sizeof(*map->buckets));
	return map->buckets ? 0 : -ENOMEM;
}

static void map_free(struct map *map)
{
	struct item *next;

	for (struct item *item = map->first; item; item = next) {
		next = item->next;
		free(item);
	}
	free(map->buckets);
}

static void map_grow(struct map *map)
{
	size_t mask = map->mask * 4 + 3;
	struct item **buckets = calloc(mask + 1, sizeof(*buckets));

	if (!buckets)
		return; /* slower */
	for (struct item *item = map->first; item; item = item->next) {
		item->chain = buckets[item->hash & mask];
		buckets[item->hash & mask] = item;
	}
	free(map->buckets);
	map->buckets = buckets;
	map->mask = mask;
}

static struct item *map_add(struct map *map, uint64_t hash, size_t bytes)
{
	struct item *item = calloc(1, sizeof(*item) + bytes);

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

static struct item *find_inode(struct fold *fold, uint64_t id)
{
	struct item *item = fold->inodes.buckets[fs_mix(id) & fold->inodes.mask];

	while (item && item->inode.id != id)
		item = item->chain;
	return item;
}

static struct item *live_inode(struct fold *fold, uint64_t id)
{
	struct item *item = find_inode(fold, id);

	return item && !item->gone ? item : NULL;
}

static int put_inode(void *opaque, const void *object)
{
	const struct gw_fs_inode_v1 *record = object;
	struct fold *fold = opaque;
	struct item *item = find_inode(fold, record->id);

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
	struct fold *fold = opaque;
	struct item *item = find_inode(fold, record->id);

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

static struct item *find_name(struct fold *fold, const struct gw_fs_name_v1 *record, uint64_t hash)
{
	struct item *item = fold->names.buckets[hash & fold->names.mask];

	while (item && (item->hash != hash || item->name.parent != record->parent ||
			item->name.name.len != record->name.len ||
			memcmp(item->bytes, record->name.data, record->name.len) != 0))
		item = item->chain;
	return item;
}

static int put_name(void *opaque, const void *object)
{
	const struct gw_fs_name_v1 *record = object;
	struct fold *fold = opaque;
	uint64_t hash = hash_name(record);
	struct item *item = find_name(fold, record, hash);

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
	struct item *item = find_name(opaque, record, hash_name(record));

	if (item)
		item->gone = true;
	return 0;
}

static struct item *find_handle(struct fold *fold, uint64_t id)
{
	struct item *item = fold->handles.buckets[fs_mix(id) & fold->handles.mask];

	while (item && item->handle.id != id)
		item = item->chain;
	return item;
}

static int put_handle(void *opaque, const void *object)
{
	const struct gw_fs_handle_v1 *record = object;
	struct fold *fold = opaque;
	struct item *item = find_handle(fold, record->id);

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
	struct item *item = find_handle(opaque, record->id);

	if (item)
		item->gone = true;
	return 0;
}

static int put_mount(void *opaque, const void *object)
{
	const struct gw_fs_mount_v1 *record = object;
	struct fold *fold = opaque;

	if (record->index < FS_MOUNTS_MAX)
		fold->mounts[record->index] = true;
	return 0;
}

static int put_session(void *opaque, const void *object)
{
	struct fold *fold = opaque;

	fold->session = *(const struct gw_fs_session_v1 *)object;
	fold->has_session = true;
	return 0;
}

static int put_lost(void *opaque, const void *object)
{
	const struct gw_fs_lost_v1 *record = object;
	struct item *item = find_inode(opaque, record->inode);

	if (item)
		item->lost = true;
	return 0;
}

static int put_locking(void *opaque, const void *object)
{
	struct fold *fold = opaque;

	return fs_fold_locking(fold->locks, object);
}

static int put_flocking(void *opaque, const void *object)
{
	const struct gw_fs_flocking_v1 *record = object;
	struct item *item = find_handle(opaque, record->handle);

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

static int apply(struct fold *fold, const struct gw_journal_record *record)
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
	struct fold *fold = opaque;
	int err = fs_redo_note(fold->fs, record);

	return err || !record->since ? err : apply(fold, record);
}

static int read_journal(struct fold *fold, const struct gw_outliving *outliving)
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

/*
 * What hangs together.
 */
static void take_kept(struct fold *fold, const struct gw_outliving *outliving)
{
	struct stat st;
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		struct item *item = live_inode(fold, id);

		if (!item)
			continue;
		/* It may have been kept and have its name still. */
		if (fstat(fd, &st) < 0 || st.st_nlink) {
			outliving->let_go(outliving->opaque, id);
			continue;
		}
		item->kept = true;
		item->fd = fd;
	}
}

static void link_names(struct fold *fold)
{
	for (struct item *item = fold->names.first; item; item = item->next) {
		struct item *parent = live_inode(fold, item->name.parent);
		struct item *inode = live_inode(fold, item->name.inode);

		item->gone |= !parent || !inode || parent->inode.type != DT_DIR ||
			      parent == inode || inode->inode.id == FS_ROOT_ID || inode->kept;
		if (item->gone)
			continue;
		inode->named = true;
		parent->held = true;
	}
}

static void link_handles(struct fold *fold)
{
	for (struct item *item = fold->handles.first; item; item = item->next) {
		struct item *inode = live_inode(fold, item->handle.inode);

		item->gone |=
			!inode || inode->inode.type != (item->handle.directory ? DT_DIR : DT_REG);
		if (!item->gone)
			inode->held = true;
	}
}

/* True: one that is gone has a name still, which may be all that holds another one. */
static bool drop_unheld(struct fold *fold)
{
	bool again = false;

	for (struct item *item = fold->inodes.first; item; item = item->next) {
		bool unheld = !item->gone && item->inode.id != FS_ROOT_ID && !item->inode.lookups &&
			      !item->held;

		again |= unheld && item->named;
		item->gone |= unheld;
		item->named = item->held = false;
	}
	return again;
}

/* Who dies in a rename leaves both names; of a directory the later one is right. */
static void drop_old_names(struct fold *fold)
{
	for (struct item *item = fold->names.first; item; item = item->next) {
		struct item *inode = live_inode(fold, item->name.inode);

		if (inode && !item->gone)
			inode->order = GW_MAX(inode->order, item->order);
	}
	for (struct item *item = fold->names.first; item; item = item->next) {
		const struct item *inode = live_inode(fold, item->name.inode);

		item->gone |= inode && inode->inode.type == DT_DIR && item->order < inode->order;
	}
}

static void link_all(struct fold *fold)
{
	drop_old_names(fold);
	do {
		link_handles(fold);
		link_names(fold);
	} while (drop_unheld(fold));
	link_names(fold);
	for (struct item *item = fold->inodes.first; item; item = item->next) {
		if (!item->gone && item->inode.mount < FS_MOUNTS_MAX)
			fold->mounts[item->inode.mount] = true;
	}
}

static bool is_lost(const struct item *item)
{
	return item->inode.id != FS_ROOT_ID && !item->kept && (item->lost || !item->named);
}

/*
 * And as a stream.
 */
static int write_session(struct fold *fold, struct gw_state_writer *writer)
{
	struct gw_fs_session_v1 *session = &fold->session;

	session->inode_generation = GW_MAX(session->inode_generation, fold->inode_generation + 1);
	session->handle_generation =
		GW_MAX(session->handle_generation, fold->handle_generation + 1);
	for (struct item *item = fold->inodes.first; item; item = item->next) {
		if (!item->gone && item->inode.number >= session->next_number)
			session->next_number = item->inode.number + 1;
	}
	return gw_state_put(writer, &gw_fs_session_v1, session);
}

static int write_mounts(const struct fold *fold, struct gw_state_writer *writer)
{
	int err = 0;

	for (unsigned i = 1; i < FS_MOUNTS_MAX && !err; i++) {
		const struct gw_fs_mount_v1 record = {.index = i};

		if (fold->mounts[i])
			err = gw_state_put(writer, &gw_fs_mount_v1, &record);
	}
	return err;
}

static int write_inode(const struct item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_inode_v1, &item->inode);
}

static int write_name(const struct item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_name_v1, &item->name);
}

static int write_handle(const struct item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_handle_v1, &item->handle);
}

static int write_lost(const struct item *item, struct gw_state_writer *writer)
{
	const struct gw_fs_lost_v1 record = {.inode = item->inode.id};

	return is_lost(item) ? gw_state_put(writer, &gw_fs_lost_v1, &record) : 0;
}

static bool is_flocked(const struct item *item)
{
	return !item->gone &&
	       (item->flocking.shared || item->flocking.exclusive || item->flocking.lost);
}

static int write_flocking(const struct item *item, struct gw_state_writer *writer)
{
	return is_flocked(item) ? gw_state_put(writer, &gw_fs_flocking_v1, &item->flocking) : 0;
}

static bool is_alive(void *opaque, uint64_t inode)
{
	return live_inode(opaque, inode);
}

static bool is_wanted(struct fold *fold, uint32_t kept)
{
	for (const struct item *item = fold->handles.first; item; item = item->next)
		if (item->flocking.kept == kept && is_flocked(item))
			return true;
	return fs_fold_locks_has(fold->locks, kept, is_alive, fold);
}

/* Who died between taking a lock and saying so left one that is nobody's: its request comes again.
 */
static void forsake_locks(struct fold *fold, const struct gw_outliving *outliving, bool any_wanted)
{
	struct flock none = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		if (!fs_kept_is_lock(id) ||
		    (any_wanted && is_wanted(fold, fs_kept_lock_number(id))))
			continue;
		fcntl(fd, F_OFD_SETLK, &none);
		flock(fd, LOCK_UN);
		outliving->let_go(outliving->opaque, id);
	}
}

/* What is kept open has no name; what the record says of it is for who has to make it anew. */
static int write_orphan(const struct item *item, struct gw_state_writer *writer)
{
	struct gw_fs_orphan_v1 record = {.inode = item->inode.id};
	struct stat st;

	if (!item->kept || item->named)
		return 0;
	if (fstat(item->fd, &st) < 0)
		return gw_fail(errno, "recovery: inode %llu: %s",
			       (unsigned long long)item->inode.id, strerror(errno));
	record.mode = st.st_mode;
	record.uid = st.st_uid;
	record.gid = st.st_gid;
	record.rdev = st.st_rdev;
	record.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (S_ISLNK(st.st_mode))
		record.target = (struct gw_bytes){"-", 1};
	return gw_state_put(writer, &gw_fs_orphan_v1, &record);
}

static int write_each(const struct map *map, struct gw_state_writer *writer,
		      int (*fn)(const struct item *item, struct gw_state_writer *writer))
{
	int err = 0;

	for (const struct item *item = map->first; item && !err; item = item->next)
		err = item->gone ? 0 : fn(item, writer);
	return err;
}

static int write_all(struct fold *fold, struct gw_state_writer *writer)
{
	int err = write_session(fold, writer);

	if (!err)
		err = write_mounts(fold, writer);
	if (!err)
		err = write_each(&fold->inodes, writer, write_inode);
	if (!err)
		err = write_each(&fold->names, writer, write_name);
	if (!err)
		err = write_each(&fold->inodes, writer, write_lost);
	if (!err)
		err = write_each(&fold->inodes, writer, write_orphan);
	if (!err)
		err = write_each(&fold->handles, writer, write_handle);
	if (!err)
		err = write_each(&fold->handles, writer, write_flocking);
	return err ? err : fs_fold_locks_write(fold->locks, writer, is_alive, fold);
}

static int fold_all(struct fold *fold, struct gw_state_reader *reader,
		    const struct gw_outliving *outliving, struct gw_state_writer *writer)
{
	int err = gw_state_read(reader, handlers, fold);

	if (!err)
		err = read_journal(fold, outliving);
	if (err)
		return err;
	/* A guest that has not begun finds a device that has not, either. */
	if (!fold->has_session || !fold->session.initialised) {
		forsake_locks(fold, outliving, false);
		return -ENODATA;
	}
	gw_journal_number(outliving->journal, GW_JOURNAL_RECOVERIES, 1);
	take_kept(fold, outliving);
	link_all(fold);
	forsake_locks(fold, outliving, true);
	return write_all(fold, writer);
}

int fs_fold(void *dev, struct gw_state_reader *reader, const struct gw_outliving *outliving,
	    struct gw_state_writer *writer)
{
	struct fs *fs = dev;
	struct fold fold = {.fs = fs};
	int err = map_init(&fold.inodes);

	fs->outliving = *outliving;
	fs->recovering = true;

	if (!err)
		err = map_init(&fold.names);
	if (!err)
		err = map_init(&fold.handles);
	if (!err)
		err = fs_fold_locks_new(&fold.locks);
	if (!err)
		err = fold_all(&fold, reader, outliving, writer);
	map_free(&fold.inodes);
	map_free(&fold.names);
	map_free(&fold.handles);
	fs_fold_locks_free(fold.locks);
	return err;
}
