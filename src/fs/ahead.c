/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ahead.c - unnamed files that go while the guest runs, and what of them changed since. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/ahead.h"
#include "fs/handle.h"
#include "fs/open.h"
#include "godwit/error.h"

/* Of most file systems' blocks: what is between two of them is data or a hole as a whole. */
#define PIECE 4096u

static int no_memory(void)
{
	return gw_fail(ENOMEM, "save: no memory for what is sent of unnamed files");
}

/*
 * Files.
 */

/* Where @id is, or would be. */
static size_t place_of(const struct fs_ahead *ahead, uint64_t id)
{
	size_t from = 0, to = ahead->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (ahead->files[middle].record.inode < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static struct fs_ahead_file *find(const struct fs_ahead *ahead, uint64_t id)
{
	size_t at = place_of(ahead, id);

	return at < ahead->count && ahead->files[at].record.inode == id ? &ahead->files[at] : NULL;
}

static struct fs_ahead_file *add(struct fs_ahead *ahead, uint64_t id)
{
	size_t at = place_of(ahead, id);

	if (ahead->count == ahead->room) {
		size_t room = ahead->room ? ahead->room * 2 : 16;
		struct fs_ahead_file *files = realloc(ahead->files, room * sizeof(*files));

		if (!files)
			return NULL;
		ahead->files = files;
		ahead->room = room;
	}
	memmove(&ahead->files[at + 1], &ahead->files[at],
		(ahead->count - at) * sizeof(*ahead->files));
	ahead->count++;
	ahead->files[at] = (struct fs_ahead_file){.record.inode = id};
	return &ahead->files[at];
}

void fs_ahead_fini(struct fs_ahead *ahead)
{
	for (size_t i = 0; i < ahead->count; i++)
		free(ahead->files[i].pieces);
	free(ahead->files);
	ahead->files = NULL;
	ahead->count = ahead->room = 0;
}

int fs_ahead_gone(struct fs_ahead *ahead, const struct fs_unnamed_list *unnamed,
		  struct gw_state_writer *writer)
{
	size_t kept = 0;
	int err = 0;

	for (size_t i = 0; i < unnamed->count; i++) {
		struct fs_ahead_file *file = find(ahead, fs_inode_id(unnamed->files[i].inode));

		if (file)
			file->listed = unnamed->files[i].fate == FS_UNNAMED_GOES;
	}
	for (size_t i = 0; i < ahead->count; i++) {
		struct fs_ahead_file *file = &ahead->files[i];

		if (!file->listed) {
			err = err ? err : gw_state_delete(writer, &gw_fs_orphan_v1, &file->record);
			free(file->pieces);
			continue;
		}
		file->listed = false;
		ahead->files[kept++] = *file;
	}
	ahead->count = kept;
	return err;
}

/*
 * What changed of one.
 */
struct change {
	struct fs_ahead *ahead;
	struct fs_ahead_file *file;
	struct fs_orphan *orphan;
	struct fs_ahead_piece *now; /* takes the place of the file's */
	size_t count, room;
	size_t old;	 /* the first of the file's that was not looked at */
	uint64_t done;	 /* up to here the stream says what is there */
	uint64_t offset; /* pieces side by side go as one */
	const char *data;
	size_t len;
};

static int put(struct change *change, uint64_t offset, const char *data, size_t len)
{
	const struct gw_fs_content_v1 record = {.inode = change->file->record.inode,
						.offset = offset,
						.data = {.data = data, .len = len}};

	change->ahead->bytes += len;
	change->ahead->again += len;
	return gw_state_put(change->orphan->writer, &gw_fs_content_v1, &record);
}

static int put_pieces(struct change *change)
{
	size_t len = change->len;

	change->len = 0;
	return len ? put(change, change->offset, change->data, len) : 0;
}

static int put_later(struct change *change, uint64_t offset, const char *data, size_t len)
{
	int err = 0;

	if (offset != change->offset + change->len || data != change->data + change->len) {
		err = put_pieces(change);
		change->offset = offset;
		change->data = data;
	}
	change->len += len;
	return err;
}

/* Where pieces were that are none before @limit. Behind the end there is nothing to be told of. */
static int put_holes(struct change *change, uint64_t limit)
{
	static const char zeros[PIECE];
	uint64_t size = change->file->record.size;
	int err = 0;

	for (; change->old < change->file->count && !err; change->old++) {
		const struct fs_ahead_piece *piece = &change->file->pieces[change->old];
		uint64_t from = GW_MAX(piece->offset, change->done);
		uint64_t to = GW_MIN(piece->offset + piece->len, size);

		if (piece->offset >= limit)
			break;
		if (from >= to)
			continue;
		err = put_pieces(change);
		if (!err)
			err = put(change, from, zeros, to - from);
	}
	return err;
}

static bool is_as_sent(struct change *change, const struct fs_ahead_piece *piece)
{
	const struct fs_ahead_piece *old =
		change->old < change->file->count ? &change->file->pieces[change->old] : NULL;
	bool same = old && old->offset == piece->offset && old->len == piece->len &&
		    !memcmp(old->sum, piece->sum, sizeof(piece->sum));

	if (same)
		change->old++;
	return same;
}

static int note(struct change *change, const struct fs_ahead_piece *piece)
{
	if (change->count == change->room) {
		size_t room = change->room ? change->room * 2 : 16;
		struct fs_ahead_piece *now = realloc(change->now, room * sizeof(*now));

		if (!now)
			return no_memory();
		change->now = now;
		change->room = room;
	}
	change->now[change->count++] = *piece;
	return 0;
}

static int look_at_piece(struct change *change, uint64_t offset, const char *data, size_t len)
{
	XXH128_hash_t sum = XXH3_128bits(data, len);
	const struct fs_ahead_piece piece = {
		.offset = offset, .len = (uint32_t)len, .sum = {sum.low64, sum.high64}};
	int err = put_holes(change, offset);

	if (!err && !is_as_sent(change, &piece))
		err = put_later(change, offset, data, len);
	change->done = offset + len;
	return err ? err : note(change, &piece);
}

/* The buffer is another one's when this returns. */
static int look_at(void *opaque, uint64_t offset, const char *data, size_t len)
{
	struct change *change = opaque;
	size_t at = 0;
	int err = 0;

	while (at < len && !err) {
		size_t room = PIECE - (offset + at) % PIECE;
		size_t n = GW_MIN(len - at, room);

		err = look_at_piece(change, offset + at, data + at, n);
		at += n;
	}
	return err ? err : put_pieces(change);
}

static int send_content(struct fs_ahead *ahead, struct fs_ahead_file *file,
			struct fs_orphan *orphan)
{
	struct change change = {.ahead = ahead, .file = file, .orphan = orphan};
	int err = fs_orphan_read(orphan, look_at, &change);

	if (!err)
		err = put_holes(&change, UINT64_MAX);
	free(file->pieces);
	file->pieces = change.now;
	file->count = change.count;
	file->room = change.room;
	return err;
}

static int sum_xattr(void *opaque, const struct gw_fs_xattr_v1 *record)
{
	uint64_t *sum = opaque;
	uint64_t name = XXH3_64bits_withSeed(record->name.data, record->name.len, *sum + 1);

	*sum = XXH3_64bits_withSeed(record->value.data, record->value.len, name);
	return 0;
}

static bool same_record(const struct gw_fs_orphan_v1 *a, const struct gw_fs_orphan_v1 *b)
{
	return a->mode == b->mode && a->uid == b->uid && a->gid == b->gid && a->rdev == b->rdev &&
	       a->size == b->size && a->atime == b->atime && a->mtime == b->mtime &&
	       a->atime_ns == b->atime_ns && a->mtime_ns == b->mtime_ns;
}

static int put_record(struct fs_ahead_file *file, struct fs_orphan *orphan,
		      const struct gw_fs_orphan_v1 *record)
{
	int err = gw_state_put(orphan->writer, &gw_fs_orphan_v1, record);

	file->record = *record;
	file->record.target = (struct gw_bytes){0};
	return err;
}

/* Anew, because it is new, or because it lost an attribute, perhaps, which is too rare for a record
 * that would say so. */
static int put_anew(struct fs_ahead_file *file, struct fs_orphan *orphan,
		    const struct gw_fs_orphan_v1 *record, bool is_new, uint64_t xattrs)
{
	int err = is_new ? 0 : gw_state_delete(orphan->writer, &gw_fs_orphan_v1, record);

	if (!err)
		err = put_record(file, orphan, record);
	file->count = 0;
	file->xattrs = xattrs;
	return err ? err : fs_orphan_xattrs(orphan, fs_orphan_put_xattr, orphan->writer);
}

/* @orphan is open. */
static int send(struct fs_ahead *ahead, struct fs_orphan *orphan)
{
	struct fs_ahead_file *file = find(ahead, fs_inode_id(orphan->inode));
	bool is_new = !file;
	struct gw_fs_orphan_v1 record;
	uint64_t xattrs = 0;
	int err = fs_orphan_look(orphan, &record);

	if (!err)
		err = fs_orphan_xattrs(orphan, sum_xattr, &xattrs);
	if (err)
		return err;
	if (is_new)
		file = add(ahead, record.inode);
	if (!file)
		return no_memory();
	if (is_new || file->xattrs != xattrs)
		err = put_anew(file, orphan, &record, is_new, xattrs);
	else if (!same_record(&file->record, &record))
		err = put_record(file, orphan, &record);
	if (!err && S_ISREG(record.mode))
		err = send_content(ahead, file, orphan);
	return err;
}

int fs_ahead_send(struct fs_ahead *ahead, struct fs *fs, const struct fs_unnamed *unnamed,
		  struct gw_state_writer *writer)
{
	struct fs_orphan orphan = {.fs = fs, .writer = writer, .inode = unnamed->inode};
	uint64_t limit = fs_orphan_limit(fs);
	GW_AUTO_FD int fd = -1;

	if ((ahead->bytes + unnamed->bytes) / FS_AHEAD_TIMES > limit)
		return 0;
	fd = fs_unnamed_open_unseen(fs, unnamed->inode);
	if (fd < 0)
		return 0; /* the end will tell */
	orphan.fd = fd;
	return send(ahead, &orphan);
}

int fs_ahead_put(struct fs_ahead *ahead, struct fs_orphan *orphan)
{
	GW_AUTO_FD int fd = fs_unnamed_open(orphan->fs, orphan->inode);

	if (fd < 0)
		return gw_fail(-fd, "save: unnamed inode %llu: it cannot be opened: %s",
			       (unsigned long long)fs_inode_id(orphan->inode), strerror(-fd));
	orphan->fd = fd;
	return send(ahead, orphan);
}

void fs_ahead_end_round(struct fs_ahead *ahead)
{
	atomic_store(&ahead->changed, ahead->again);
	ahead->again = 0;
}
