/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied.c - a state that came ahead of itself: kept, and compared with the state itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/locks.h"
#include "fs/precopied_internal.h"
#include "fs/stage.h"
#include "godwit/error.h"
#include "state/decode.h"

#define UNITS (FS_SLOTS_MAX / FS_UNIT)

/* -- memory -------------------------------------------------------------------------------- */

#define MAP_BYTES \
	(UNITS *  \
	 (FS_PRECOPIED_KINDS * (sizeof(struct fs_precopied_piece) + 1) + 1 + sizeof(uint64_t)))

static int map_arrays(struct fs_precopied *precopied)
{
	char *at = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return gw_fail(errno, "precopy: no memory: %s", strerror(errno));
	precopied->map = at;
	for (int kind = 0; kind < FS_PRECOPIED_KINDS; kind++) {
		precopied->pieces[kind] = (void *)at;
		at += UNITS * sizeof(struct fs_precopied_piece);
	}
	precopied->inodes_stay = (void *)at;
	at += UNITS * sizeof(uint64_t);
	for (int kind = 0; kind < FS_PRECOPIED_KINDS; kind++, at += UNITS)
		precopied->differs[kind] = (void *)at;
	precopied->names_same = (void *)at;
	return 0;
}

static void free_pieces(struct fs_precopied *precopied)
{
	for (uint32_t unit = 0; unit < precopied->units_end; unit++) {
		for (int kind = 0; kind < FS_PRECOPIED_KINDS; kind++)
			free(precopied->pieces[kind][unit].bytes);
	}
}

static void free_came(struct fs_came *came)
{
	for (size_t i = 0; i < came->copy_count; i++)
		free((void *)came->copies[i].bytes.data);
	free(came->copies);
	free(came->inodes);
	free(came->names);
	free(came->buckets);
}

static void close_opened(struct fs_precopied *precopied)
{
	for (size_t i = 0; i < precopied->opened_count; i++)
		gw_close(&precopied->opened[i].fd);
	precopied->opened_count = 0;
}

void fs_precopied_free(struct fs_precopied *precopied)
{
	if (!precopied)
		return;
	if (precopied->map) {
		free_pieces(precopied);
		munmap(precopied->map, MAP_BYTES);
	}
	free_came(&precopied->came);
	close_opened(precopied);
	free(precopied->opened);
	fs_loading_free(&precopied->loading);
	free(precopied);
}

static int make(struct fs_precopied **out, struct fs *fs)
{
	struct fs_precopied *precopied = calloc(1, sizeof(*precopied));
	int err;

	if (!precopied)
		return gw_fail(ENOMEM, "precopy: no memory");
	err = fs_loading_new(&precopied->loading, fs);
	if (!err)
		err = map_arrays(precopied);
	if (err) {
		fs_precopied_free(precopied);
		return err;
	}
	precopied->loading.precopied = precopied;
	*out = precopied;
	return 0;
}

/* -- records ------------------------------------------------------------------------------- */

static const struct gw_layout *layout_of(enum fs_precopied_kind kind)
{
	return kind == FS_PRECOPIED_INODES ? &gw_fs_inode_v1 : &gw_fs_name_v1;
}

/* Whose it is: names are their inode's. */
static uint64_t id_of(enum fs_precopied_kind kind, const union fs_precopied_object *object)
{
	return kind == FS_PRECOPIED_INODES ? object->inode.id : object->name.inode;
}

int fs_precopied_each(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		      const struct gw_bytes *payload, fs_precopied_fn *fn)
{
	uint64_t previous[GW_WIRE_FIELDS_MAX] = {0};
	const uint8_t *at = payload->data;
	struct gw_cursor in = {at, at + payload->len};
	union fs_precopied_object object;
	enum gw_wire_op op;
	int err = 0;

	while (!err && in.at < in.end) {
		err = gw_op_decode(&in, &op);
		if (!err)
			err = gw_object_decode(&in, layout_of(kind), &object, op, previous);
		if (!err)
			err = fn(precopied, kind, &object, op == GW_WIRE_PUT);
	}
	return err;
}

/* -- keeping ------------------------------------------------------------------------------- */

static void mix(struct fs_precopied_piece *piece)
{
	free(gw_take_ptr(piece->bytes));
	piece->mixed = true;
}

static int mix_unit(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		    const union fs_precopied_object *object, bool put)
{
	/* Which inode had a name that is taken back, nobody says. */
	if (!put || id_of(kind, object) >> 32 == FS_SLOTS_FOREIGN ||
	    (uint32_t)id_of(kind, object) >= FS_SLOTS_MAX)
		precopied->unknown = true;
	else
		mix(&precopied->pieces[kind][fs_unit_of(id_of(kind, object))]);
	return 0;
}

/* @unit: of all of its objects. */
static bool is_of_one_unit(enum fs_precopied_kind kind, const struct gw_bytes *payload,
			   uint32_t *unit)
{
	uint64_t previous[FS_FIELDS_MAX] = {0};
	const uint8_t *at = payload->data;
	struct gw_cursor in = {at, at + payload->len};
	union fs_precopied_object object;
	bool first = true;

	while (in.at < in.end) {
		bool good = kind == FS_PRECOPIED_INODES
				    ? fs_inode_decode(&in, &object.inode, previous)
				    : fs_name_decode(&in, &object.name, previous);

		if (!good || (uint32_t)id_of(kind, &object) >= FS_SLOTS_MAX)
			return false;
		if (!first && fs_unit_of(id_of(kind, &object)) != *unit)
			return false;
		*unit = fs_unit_of(id_of(kind, &object));
		first = false;
	}
	return !first;
}

static bool store(struct fs_precopied_piece *piece, const struct gw_bytes *payload)
{
	piece->bytes = malloc(payload->len);
	if (!piece->bytes)
		return false;
	memcpy(piece->bytes, payload->data, payload->len);
	piece->len = (uint32_t)payload->len;
	return true;
}

static void keep(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		 const struct gw_bytes *payload)
{
	struct fs_precopied_piece *piece;
	uint32_t unit;

	if (is_of_one_unit(kind, payload, &unit)) {
		piece = &precopied->pieces[kind][unit];
		precopied->units_end = GW_MAX(precopied->units_end, unit + 1);
		if (!piece->bytes && !piece->mixed && store(piece, payload))
			return;
	}
	if (fs_precopied_each(precopied, kind, payload, mix_unit))
		precopied->unknown = true;
}

/* -- comparing ----------------------------------------------------------------------------- */

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

static int no_memory(void)
{
	return gw_fail(ENOMEM, "load: no memory for what differs from the precopy");
}

static int came_inode(struct fs_precopied *precopied, const struct gw_fs_inode_v1 *record, bool put)
{
	struct fs_came *came = &precopied->came;

	if (!grow((void **)&came->inodes, came->inode_count, &came->inode_room,
		  sizeof(*came->inodes)))
		return no_memory();
	came->inodes[came->inode_count++] = (struct fs_came_inode){.put = put, .record = *record};
	return 0;
}

static int came_name(struct fs_precopied *precopied, const struct gw_fs_name_v1 *record, bool put)
{
	struct fs_came *came = &precopied->came;

	if (!grow((void **)&came->names, came->name_count, &came->name_room, sizeof(*came->names)))
		return no_memory();
	came->names[came->name_count++] = (struct fs_came_name){.put = put, .record = *record};
	return 0;
}

static int came_object(struct fs_precopied *precopied, enum fs_precopied_kind kind,
		       const union fs_precopied_object *object, bool put)
{
	uint64_t id = id_of(kind, object);

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
		return no_memory();
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

	*unit = good ? fs_unit_of(id_of(kind, &object)) : UNITS;
	return *unit < UNITS;
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
		keep(precopied, kind, &payloads[i]);
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
	close_opened(precopied);
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
	close_opened(loading->precopied);
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

/* -- the device's operation ---------------------------------------------------------------- */

static int check(const struct fs *fs, struct gw_state_reader *reader)
{
	const struct gw_foreign_format *format;
	struct gw_bytes bytes;

	if (fs->recovering || fs->host->same == FS_SAME_TREE)
		return gw_fail(EOPNOTSUPP, "precopy: %s",
			       fs->recovering ? "a process that died is gone on with"
					      : "a copy of the share can not be one before the "
						"source's guest is at rest");
	if (!gw_state_read_foreign(reader, &format, &bytes))
		return gw_fail(EOPNOTSUPP, "precopy: a stream of %s is loaded whole", format->name);
	return 0;
}

/* Its handles are none, so that they hold nobody that the state does not know; what is open stays.
 */
static int keep_opened(struct fs_precopied *precopied)
{
	struct fs_handles *handles = precopied->loading.handles;
	struct fs_open *open;
	uint32_t at = 0;

	precopied->opened = calloc(fs_handles_count(handles) + 1, sizeof(*precopied->opened));
	if (!precopied->opened)
		return gw_fail(ENOMEM, "precopy: no memory for open files");
	while ((open = fs_slots_next(&handles->slots, &at))) {
		const struct fs_handle *handle = &open->handle;

		if (!open->slot.id || !handle->inode || handle->fd < 0)
			continue;
		precopied->opened[precopied->opened_count++] =
			(struct fs_precopied_open){.record = {.id = fs_slot_id(&open->slot),
							      .inode = fs_inode_id(handle->inode),
							      .flags = handle->flags},
						   .ino = handle->inode->ino,
						   .btime = handle->inode->btime,
						   .mount = handle->inode->mount,
						   .fd = gw_take_fd(&open->handle.fd)};
	}
	fs_stage_free_handles(handles);
	fs_handles_free(handles);
	precopied->loading.handles = NULL;
	return fs_handles_new(&precopied->loading.handles, precopied->loading.fs);
}

static int put_handle(void *opaque, const void *object)
{
	const struct gw_fs_handle_v1 *record = object;

	/* Where it is being read the state says. */
	if (record->directory)
		return gw_fail(EINVAL, "precopy: handle %#llx is of a directory",
			       (unsigned long long)record->id);
	return fs_stage_put_handle(opaque, object);
}

/* What a source sends ahead. All else stands in the state alone: what was staged of it here would
 * be of the state, whatever that says. */
static const struct gw_state_handler handlers[] = {
	{&gw_fs_session_v1, fs_stage_put_session, NULL},
	{&gw_fs_mount_v1, fs_stage_put_mount, NULL},
	{&gw_fs_inode_v1, fs_stage_put_inode, fs_stage_remove_inode, fs_stage_inodes},
	{&gw_fs_name_v1, fs_stage_put_name, fs_stage_remove_name, fs_stage_names},
	{&gw_fs_handle_v1, put_handle, fs_stage_remove_handle},
	{.layout = NULL},
};

static int read_ahead(struct fs_precopied *precopied, struct gw_state_reader *reader)
{
	struct fs_loading *loading = &precopied->loading;
	int err;

	fs_slots_fill(&loading->inodes->slots);
	fs_slots_fill(&loading->handles->slots);
	gw_state_at_phase(reader, fs_arrived, loading);
	err = gw_state_read(reader, handlers, loading);
	if (!err && (!loading->phased || !loading->has_session || !loading->has_root))
		err = gw_fail(EINVAL, "precopy: there is no state in it");
	if (!err)
		err = keep_opened(precopied);
	return err;
}

static int load_ahead(struct fs *fs, struct gw_state_reader *reader)
{
	struct fs_precopied *precopied = NULL;
	int err = check(fs, reader);

	if (!err)
		err = make(&precopied, fs);
	if (!err)
		err = read_ahead(precopied, reader);
	if (!err && atomic_load(&fs->precopy_given_up))
		err = gw_fail(ECANCELED, "precopy: given up");
	if (err)
		fs_precopied_free(precopied);
	else
		atomic_store(&fs->precopied, precopied);
	return err;
}

int fs_precopy_load(void *dev, struct gw_state_reader *reader)
{
	struct fs *fs = dev;

	atomic_store(&fs->precopy_given_up, !reader);
	fs_precopied_free(atomic_exchange(&fs->precopied, NULL));
	return reader ? load_ahead(fs, reader) : 0;
}
