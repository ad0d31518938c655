/* SPDX-License-Identifier: BSD-3-Clause */
/* tests/fuzz/fs-load.c - any sequence of virtio-fs records: loaded or refused, and usable after. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../migration/precopy.h"
#include "base/checked.h"
#include "fs/hidden.h"
#include "fs/precopied.h"
#include "fs/records.h"
#include "harness.h"

/*
 * The input says which records with what in their fields; framing and checksums are right, or
 * nothing behind them would ever be reached. A record is a byte, its layout (modulo; the top bit:
 * taken back), and its fields: a number is a byte n < 9 and n bytes little-endian, bytes are a byte
 * n and n bytes. Inode number and birth time n (one byte) stand for those of the share's n-th file,
 * which no input could guess. The first byte says what the operator does, and whether some came
 * ahead: then the second says how many.
 */
struct input {
	const uint8_t *at, *end;
};

#define FILES 4
static const char *const names[FILES] = {"", "file", "dir", "dir/inner"};
static struct statx known[FILES];
static struct share share;
static struct input input;
static struct gw_state_writer *writer;

static uint8_t take_byte(void)
{
	return input.at < input.end ? *input.at++ : 0;
}

static uint64_t take_number(void)
{
	unsigned count = take_byte() % 9;
	uint64_t number = 0;

	for (unsigned i = 0; i < count; i++)
		number |= (uint64_t)take_byte() << 8 * i;
	return number;
}

static struct gw_bytes take_bytes(size_t max)
{
	size_t len = take_byte();
	struct gw_bytes bytes = {.data = input.at};

	len = GW_MIN(len, max);
	bytes.len = GW_MIN(len, (size_t)(input.end - input.at));
	input.at += bytes.len;
	return bytes;
}

static uint64_t as_known(const char *field, uint64_t number)
{
	if (number < FILES && !strcmp(field, "ino"))
		return known[number].stx_ino;
	if (number < FILES && !strcmp(field, "btime"))
		return (uint64_t)known[number].stx_btime.tv_sec * 1000000000 +
		       known[number].stx_btime.tv_nsec;
	return number;
}

static void take_field(const struct gw_field *field, char *object)
{
	static const size_t sizes[] = {
		[GW_FIELD_U8] = 1,  [GW_FIELD_U16] = 2,	 [GW_FIELD_U32] = 4,   [GW_FIELD_U64] = 8,
		[GW_FIELD_I64] = 8, [GW_FIELD_BOOL] = 1, [GW_FIELD_DELTA] = 8,
	};
	uint64_t number;

	if (field->type == GW_FIELD_BYTES) {
		*(struct gw_bytes *)(object + field->offset) = take_bytes(field->max);
		return;
	}
	if (field->type == GW_FIELD_FIXED) {
		struct gw_bytes bytes = take_bytes(field->max);

		memcpy(object + field->offset, bytes.data, bytes.len);
		return;
	}
	number = as_known(field->name, take_number());
	if (field->type == GW_FIELD_BOOL)
		number &= 1;
	memcpy(object + field->offset, &number, sizes[field->type]);
}

static void put_record(void)
{
	_Alignas(8) char object[256];
	size_t layouts = 0;
	uint8_t which = take_byte();
	const struct gw_layout *layout;

	while (fs_layouts[layouts])
		layouts++;
	layout = fs_layouts[(which & 0x7f) % layouts];
	if (layout->size > sizeof(object))
		abort();
	memset(object, 0, sizeof(object));
	for (const struct gw_field *field = layout->fields; field->name; field++)
		take_field(field, object);
	if (which & 0x80)
		gw_state_delete(writer, layout, object);
	else
		gw_state_put(writer, layout, object);
}

static void put_records(struct gw_state_writer *to)
{
	writer = to;
	while (input.at < input.end)
		put_record();
}

static void quiet(void *opaque, enum gw_log_level level, const char *line)
{
	(void)opaque;
	(void)level;
	(void)line;
}

static void close_share(void)
{
	share_close(&share);
}

static void set_up(void)
{
	gw_log_set_sink(quiet, NULL);
	share_open(&share, 64);
	/* Whatever a session may have agreed on. */
	share.fs.policy.posix_acl = share.fs.policy.security_label = FS_AUTO;
	share.fs.policy.submounts = true;
	share.fs.policy.writeback = share.fs.policy.mmap = share.fs.policy.killpriv = true;
	share.fs.policy.posix_lock = share.fs.policy.flock = true;
	share_file(&share, "file", "content");
	share_mkdir(&share, "dir");
	share_file(&share, "dir/inner", "more");
	for (int i = 0; i < FILES; i++) {
		if (statx(AT_FDCWD, share_path(&share, "%s", names[i]), 0,
			  STATX_BASIC_STATS | STATX_BTIME, &known[i]))
			abort();
	}
	atexit(close_share);
}

/* What was loaded is there to be used, saved, and forgotten. */
static void use(struct share *to)
{
	int stream;

	for (uint64_t id = 1; id < 16; id++) {
		FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(to->fs.inodes, id);
		struct statx stx;

		if (inode)
			(void)!fs_inode_statx(inode, &stx);
	}
	for (int i = 1; i < FILES; i++) {
		FS_AUTO_INODE struct fs_inode *root = fs_inode_get(to->fs.inodes, FS_ROOT_ID);
		struct statx stx;
		uint64_t id;

		if (!strchr(names[i], '/') &&
		    !fs_inode_lookup(to->fs.inodes, root, names[i], &id, &stx))
			fs_inode_forget(to->fs.inodes, id, 1);
	}
	(void)!move_save_result(to, &stream);
	close(stream);
	fs_handles_clear(to->fs.handles);
	fs_hidden_end(to->fs.hidden);
	fs_inodes_clear(to->fs.inodes);
}

static void load(struct share *to, const struct input *records)
{
	input = *records;
	if (!move_load(to, move_stream(put_records)))
		use(to);
	fs_precopied_free(atomic_exchange(&to->fs.precopied, NULL));
}

/* The first records came ahead; the state has them as well, or is something else. */
static void load_precopied(struct share *to, const struct input *all, bool again)
{
	size_t len = all->at < all->end ? *all->at : 0;
	struct input records = {.at = GW_MIN(all->at + 1, all->end), .end = all->end};

	input = records;
	input.end = input.at + len * (size_t)(all->end - input.at) / 256;
	precopy_made(put_records);
	if (!again)
		records.at = input.end;
	(void)!precopy_load(to);
	load(to, &records);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct input all = {.at = data + 1, .end = data + size};
	struct share to;

	if (!share.path[0])
		set_up();
	if (!size)
		return 0;
	move_twin(&to, &share);
	to.host.on_error = data[0] & 1 ? FS_ON_ERROR_GUEST : FS_ON_ERROR_ABORT;
	to.host.same = data[0] & 2 ? FS_SAME_TREE : FS_SAME_FS;
	to.host.verify = data[0] & 4 ? FS_VERIFY_NONE : FS_VERIFY_OPEN;
	if (data[0] & 8)
		load_precopied(&to, &all, data[0] & 16);
	else
		load(&to, &all);
	move_twin_close(&to);
	return 0;
}
