/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied_compare.c - a state, as it comes, beside what came ahead of it. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/precopied_internal.h"
#include "fs/stage.h"
#include "godwit/error.h"
#include "state/decode.h"

static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 64;
	void *grown;

	if (count < *room)
		return true;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return false;
	*array = grown;
	*room = more;
	return true;
}

static int came_inode(struct fs_precopied *precopied, const struct gw_fs_inode_v1 *record, bool put)
{
	struct fs_came *came = &precopied->came;

	if (!grow((void **)&came->inodes, came->inode_count, &came->inode_room,
		  sizeof(*came->inodes)))
		return fs_precopied_no_memory();
	came->inodes[came->inode_count++] = (struct fs_came_inode){.put = put, .record = *record};
	return 0;
}

static int came_name(struct fs_precopied *precopied, const struct gw_fs_name_v1 *record, bool put)
{
	struct fs_came *came = &precopied->came;

	if (!grow((void **)&came->names, came->name_count, &came->name_room, sizeof(*came->names)))
		return fs_precopied_no_memory();
	came->names[came->name_count++] = (struct fs_came_name){.put = put, .record = *record};
	return 0;
}

static int came_object(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		       const union fs_precopied_object *object, bool put)
{
	uint64_t id = fs_precopied_id_of(kind, object);

	if ((uint32_t)id < FS_SLOTS_MAX)
		precopied->differs[kind][fs_unit_of(id)] = true;
	return kind == FS_PRECOPIED_INODES ? came_inode(precopied, &object->inode, put)
					   : came_name(precopied, &object->name, put);
}

/* The reader has its own use for the memory that it came in. */
static int note(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		const struct gw_bytes *payload)
{
	struct fs_came *came = &precopied->came;
	struct gw_bytes copy = {.data = malloc(payload->len), .len = payload->len};

	if (!copy.data || !grow((void **)&came->copies, came->copy_count, &came->copy_room,
				sizeof(*came->copies))) {
		free((void *)copy.data);
		return fs_precopied_no_memory();
	}
	came->copies[came->copy_count++] = (struct fs_came_copy){.kind = kind, .bytes = copy};
	memcpy((void *)copy.data, payload->data, payload->len);
	return fs_precopied_each(precopied, kind, &copy, came_object);
}

bool fs_precopied_begins_at(enum fs_precopied_kind kind, const struct gw_bytes *payload,
			    uint32_t *unit)
{
	uint64_t previous[FS_FIELDS_MAX] = {0};
	const uint8_t *at = payload->data;
	struct gw_cursor in = {at, at + payload->len};
	union fs_precopied_object object;
	bool good = kind == FS_PRECOPIED_INODES ? fs_inode_decode(&in, &object.inode, previous)
						: fs_name_decode(&in, &object.name, previous);

	*unit = good ? fs_unit_of(fs_precopied_id_of(kind, &object)) : FS_PRECOPIED_UNITS;
	return *unit < FS_PRECOPIED_UNITS;
}

static bool is_same(const struct fs_precopied *precopied, enum fs_precopied_kind kind,
		    const struct gw_bytes *payload, uint32_t *unit)
{
	const struct fs_precopied_piece *piece;

	if (precopied->unknown || !fs_precopied_begins_at(kind, payload, unit) ||
	    precopied->differs[kind][*unit])
		return false;
	piece = &precopied->pieces[kind][*unit];
	return piece->bytes && piece->len == payload->len &&
	       !memcmp(piece->bytes, payload->data, payload->len);
}

static void compare(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		    const struct gw_bytes *payload)
{
	uint32_t unit;

	if (!is_same(precopied, kind, payload, &unit)) {
		precopied->loading.fs->loaded.different++;
		if (!precopied->error)
			precopied->error = note(precopied, kind, payload);
		return;
	}
	precopied->loading.fs->loaded.same++;
	if (kind == FS_PRECOPIED_INODES)
		precopied->inodes_stay[unit] = UINT64_MAX;
	else
		precopied->names_same[unit] = true;
}

/* While it is kept it is staged one by one, too; after it is settled, what comes of inodes is as in
 * any later round. */
static size_t take(struct fs_loading *loading, enum fs_precopied_kind kind,
		   const struct gw_bytes *payloads, size_t count)
{
	struct fs_precopied *precopied = loading->precopied;

	for (size_t i = 0; i < count && precopied->step == FS_PRECOPIED_KEEPING; i++)
		fs_precopied_keep(precopied, kind, &payloads[i]);
	if (precopied->step != FS_PRECOPIED_COMPARING)
		return 0;
	for (size_t i = 0; i < count; i++)
		compare(precopied, kind, &payloads[i]);
	return count;
}

size_t fs_precopied_inodes(struct fs_loading *loading, const struct gw_bytes *payloads,
			   size_t count)
{
	return take(loading, FS_PRECOPIED_INODES, payloads, count);
}

size_t fs_precopied_names(struct fs_loading *loading, const struct gw_bytes *payloads, size_t count)
{
	return take(loading, FS_PRECOPIED_NAMES, payloads, count);
}

static int find_slot(const void *key, const void *at)
{
	uint32_t a = (uint32_t)((const struct gw_fs_handle_v1 *)key)->id;
	uint32_t b = (uint32_t)((const struct fs_precopied_open *)at)->record.id;

	return a < b ? -1 : a > b;
}

static bool is_of(const struct fs_precopied_open *open, const struct gw_fs_handle_v1 *record,
		  const struct fs_inode *inode)
{
	return open->record.id == record->id && open->record.inode == record->inode &&
	       open->record.flags == record->flags && open->ino == inode->ino &&
	       open->btime == inode->btime && open->mount == inode->mount;
}

int fs_precopied_opened(struct fs_loading *loading, const struct gw_fs_handle_v1 *record,
			const struct fs_inode *inode)
{
	struct fs_precopied *precopied = loading->precopied;
	struct fs_precopied_open *found = NULL;

	if (precopied && precopied->opened_count && !record->directory)
		found = bsearch(record, precopied->opened, precopied->opened_count, sizeof(*found),
				find_slot);
	return found && is_of(found, record, inode) ? gw_take_fd(&found->fd) : -1;
}

static int settle(struct fs_precopied *precopied)
{
	int err = precopied->error;

	if (precopied->step != FS_PRECOPIED_COMPARING)
		return 0;
	precopied->step = FS_PRECOPIED_SETTLED;
	if (err || !fs_precopied_is_anothers(precopied))
		return err ? err : fs_precopied_settle(precopied);
	fs_precopied_close_opened(precopied);
	return fs_precopied_whole(precopied);
}

int fs_precopied_at(void *opaque, const struct gw_layout *layout)
{
	struct fs_loading *loading = opaque;
	struct fs_precopied *precopied = loading->precopied;

	if (!precopied || layout == &gw_fs_session_v1 || layout == &gw_fs_mount_v1)
		return 0;
	if (layout == &gw_fs_name_v1)
		precopied->names_came = true;
	/* Names are of inodes that came before them. */
	if (layout == &gw_fs_name_v1 || (layout == &gw_fs_inode_v1 && !precopied->names_came))
		return 0;
	return settle(precopied);
}

bool fs_precopied_is_kept(const struct fs_loading *loading)
{
	return loading->precopied && loading->precopied->step == FS_PRECOPIED_KEEPING;
}

bool fs_precopied_is_put_right(const struct fs_loading *loading)
{
	return loading->phased && (!loading->precopied || fs_precopied_is_kept(loading));
}

int fs_precopied_end(struct fs_loading *loading)
{
	/* What the guest has open no more takes no descriptor from what it has. */
	fs_precopied_close_opened(loading->precopied);
	return settle(loading->precopied);
}

struct fs_loading *fs_precopied_begin(struct fs_precopied *precopied)
{
	precopied->step = FS_PRECOPIED_COMPARING;
	precopied->names_came = false;
	precopied->loading.marked = false;
	precopied->loading.has_session = false;
	precopied->loading.has_mounts = precopied->loading.old_looks = false;
	fs_mounts_unexpect(precopied->loading.inodes);
	return &precopied->loading;
}

int fs_precopied_pass(struct fs_loading *loading)
{
	struct fs *fs = loading->fs;
	int err;

	if (!loading->precopied || fs_precopied_is_kept(loading))
		return 0;
	fs_loading_free(loading);
	err = fs_loading_new(loading, fs);
	if (err)
		return err;
	loading->marked = true;
	fs_slots_fill(&loading->inodes->slots);
	fs_slots_fill(&loading->handles->slots);
	return 0;
}
