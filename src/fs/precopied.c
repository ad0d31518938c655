/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/precopied.c - a state that came ahead of itself: loaded, and kept until the state comes. */
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

/* -- memory -------------------------------------------------------------------------------- */

#define MAP_BYTES             \
	(FS_PRECOPIED_UNITS * \
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
		at += FS_PRECOPIED_UNITS * sizeof(struct fs_precopied_piece);
	}
	precopied->inodes_stay = (void *)at;
	at += FS_PRECOPIED_UNITS * sizeof(uint64_t);
	for (int kind = 0; kind < FS_PRECOPIED_KINDS; kind++, at += FS_PRECOPIED_UNITS)
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

void fs_precopied_close_opened(struct fs_precopied *precopied)
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
	fs_precopied_close_opened(precopied);
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
	if (!put || fs_precopied_id_of(kind, object) >> 32 == FS_SLOTS_FOREIGN ||
	    (uint32_t)fs_precopied_id_of(kind, object) >= FS_SLOTS_MAX)
		precopied->unknown = true;
	else
		mix(&precopied->pieces[kind][fs_unit_of(fs_precopied_id_of(kind, object))]);
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

		if (!good || (uint32_t)fs_precopied_id_of(kind, &object) >= FS_SLOTS_MAX)
			return false;
		if (!first && fs_unit_of(fs_precopied_id_of(kind, &object)) != *unit)
			return false;
		*unit = fs_unit_of(fs_precopied_id_of(kind, &object));
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

void fs_precopied_keep(struct fs_precopied *precopied, enum fs_precopied_kind kind,
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
