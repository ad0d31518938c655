/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/migration/fs-mutated.c - a real state with each field of each record changed: loaded or
 * refused, never a crash, and what is loaded can be used. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "fs/records.h"
#include "fs/table.h"
#include "move.h"
#include "state/stream.h"

#define OBJECTS_MAX 64

/* A real state, taken apart. */
static struct {
	const struct gw_layout *layout;
	char *object;
} objects[OBJECTS_MAX];
static size_t object_count;

static void own_bytes(const struct gw_layout *layout, char *object)
{
	for (const struct gw_field *f = layout->fields; f->name; f++) {
		struct gw_bytes *bytes = (void *)(object + f->offset);

		if (f->type == GW_FIELD_BYTES) {
			void *copy = malloc(bytes->len + 1);

			memcpy(copy, bytes->data, bytes->len);
			bytes->data = copy;
		}
	}
}

static int keep(const struct gw_layout *layout, const void *object)
{
	char *copy = malloc(layout->size);

	assert_true(object_count < OBJECTS_MAX);
	memcpy(copy, object, layout->size);
	own_bytes(layout, copy);
	objects[object_count].layout = layout;
	objects[object_count++].object = copy;
	return 0;
}

#define KEEPER(name_)                                             \
	static int keep_##name_(void *opaque, const void *object) \
	{                                                         \
		(void)opaque;                                     \
		return keep(&gw_fs_##name_##_v1, object);         \
	}
KEEPER(session)
KEEPER(mount)
KEEPER(inode)
KEEPER(name)
KEEPER(orphan)
KEEPER(content)
KEEPER(xattr)
KEEPER(handle)
KEEPER(dir)
KEEPER(lost)

static const struct gw_state_handler keepers[] = {
	{&gw_fs_session_v1, keep_session, NULL},
	{&gw_fs_mount_v1, keep_mount, NULL},
	{&gw_fs_inode_v1, keep_inode, NULL},
	{&gw_fs_name_v1, keep_name, NULL},
	{&gw_fs_orphan_v1, keep_orphan, NULL},
	{&gw_fs_content_v1, keep_content, NULL},
	{&gw_fs_xattr_v1, keep_xattr, NULL},
	{&gw_fs_handle_v1, keep_handle, NULL},
	{&gw_fs_dir_v1, keep_dir, NULL},
	{&gw_fs_lost_v1, keep_lost, NULL},
	{.layout = NULL},
};

static void take_apart(int stream)
{
	const struct gw_state_channel channel = {.fd = stream, .cancel = -1};
	struct gw_state_reader *reader;

	assert_int_equal(gw_state_reader_new(&reader, &channel), 0);
	assert_int_equal(gw_state_read(reader, keepers, NULL), 0);
	gw_state_reader_free(reader);
	close(stream);
}

/* One that was lost on the way here. */
static void lose(struct share *share)
{
	FS_AUTO_INODE struct fs_inode *inode = NULL;

	share_file(share, "lost", "");
	inode = fs_inode_get(share->fs.inodes, share_lookup(share, FS_ROOT_ID, "lost"));
	atomic_fetch_or(&inode->flags, FS_INODE_LOST);
	assert_int_equal(unlink(share_path(share, "lost")), 0);
}

static void make_state(struct share *share)
{
	uint64_t dir, file, unnamed;

	share_mkdir(share, "d");
	share_file(share, "d/f", "x");
	assert_int_equal(link(share_path(share, "d/f"), share_path(share, "g")), 0);
	dir = share_lookup(share, FS_ROOT_ID, "d");
	file = share_lookup(share, dir, "f");
	share_lookup(share, FS_ROOT_ID, "g");
	guest_open(share, file, O_RDWR);
	guest_opendir(share, dir);
	guest_tmpfile(share, "content", &unnamed);
	lose(share);
}

/* Which object is left out, taken back, or changed in which field and how. */
static size_t target;
static const struct gw_field *field;
static unsigned way;
static enum { CHANGE, LEAVE_OUT, TAKE_BACK, TWICE } how;

#define WAYS 7

static void change_number(char *at, size_t size)
{
	static const uint64_t values[WAYS] = {
		0, 1, 2, 3, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 31};
	uint64_t value = 0;

	memcpy(&value, at, size);
	value = way == 2 ? value + 1 : way == 3 ? value - 1 : values[way];
	memcpy(at, &value, size);
}

static void change_bytes(struct gw_bytes *bytes, size_t max)
{
	static char other[GW_OBJECT_MAX];
	static const size_t lengths[WAYS] = {0, 1, 2, 3, 200, SIZE_MAX, 255};

	memset(other, "a\0/.b\xffz"[way], sizeof(other));
	bytes->data = other;
	bytes->len = GW_MIN(lengths[way], max);
}

static void change(char *object)
{
	static const size_t sizes[] = {
		[GW_FIELD_U8] = 1,  [GW_FIELD_U16] = 2, [GW_FIELD_U32] = 4,
		[GW_FIELD_U64] = 8, [GW_FIELD_I64] = 8, [GW_FIELD_DELTA] = 8,
	};

	if (field->type == GW_FIELD_BYTES)
		change_bytes((struct gw_bytes *)(object + field->offset), field->max);
	else if (field->type == GW_FIELD_BOOL)
		object[field->offset] ^= 1;
	else
		change_number(object + field->offset, sizes[field->type]);
}

static void put_changed(struct gw_state_writer *writer)
{
	for (size_t i = 0; i < object_count; i++) {
		const struct gw_layout *layout = objects[i].layout;
		char object[512];

		assert_true(layout->size <= sizeof(object));
		memcpy(object, objects[i].object, layout->size);
		if (i == target && how == LEAVE_OUT)
			continue;
		if (i == target && how == CHANGE)
			change(object);
		assert_int_equal(gw_state_put(writer, layout, object), 0);
		if (i == target && how == TWICE)
			assert_int_equal(gw_state_put(writer, layout, object), 0);
		if (i == target && how == TAKE_BACK)
			assert_int_equal(gw_state_delete(writer, layout, object), 0);
	}
}

/* A guest that goes on with what it had. */
static void use(struct share *to)
{
	for (uint64_t id = 1; id < 8; id++) {
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to->fs.inodes, id);
		struct statx stx;

		if (inode)
			(void)!fs_inode_statx(inode, &stx);
	}
	fs_handles_clear(to->fs.handles);
	for (uint64_t id = 2; id < 8; id++)
		fs_inode_forget(to->fs.inodes, id, 1);
}

static unsigned loaded, refused;

static void try_it(const struct share *from)
{
	struct share to;

	move_twin(&to, from);
	to.host.on_error = way % 2 ? FS_ON_ERROR_GUEST : FS_ON_ERROR_ABORT;
	if (move_load(&to, move_stream(put_changed))) {
		refused++;
	} else {
		loaded++;
		use(&to);
	}
	move_twin_close(&to);
}

static void quiet(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	(void)line;
}

static void test_every_field(void **state)
{
	struct share from;

	(void)state;
	gw_log_set_sink(quiet, NULL);
	move_source(&from);
	make_state(&from);
	take_apart(move_save(&from));
	for (target = 0; target < object_count; target++) {
		how = CHANGE;
		for (field = objects[target].layout->fields; field->name; field++)
			for (way = 0; way < WAYS; way++)
				try_it(&from);
		for (how = LEAVE_OUT; how <= TWICE; how++)
			for (way = 0; way < 2; way++)
				try_it(&from);
	}
	assert_true(loaded > 0 && refused > 0);
	share_close(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_field)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
