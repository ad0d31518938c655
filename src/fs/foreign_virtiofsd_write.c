/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/foreign_virtiofsd_write.c - virtiofsd's device state, written. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "fs/foreign_virtiofsd.h"
#include "godwit/error.h"

#define FIRST_ROOM (64 * 1024)

/* What does not fit any more is noticed once, at the end. */
struct output {
	uint8_t *bytes;
	size_t len, room;
	bool full;
};

static bool reserve(struct output *out, size_t more)
{
	size_t room = out->room ? out->room : FIRST_ROOM;
	uint8_t *bytes;

	if (out->full || more > GW_FOREIGN_MAX - out->len) {
		out->full = true;
		return false;
	}
	while (room < out->len + more)
		room *= 2;
	if (room == out->room)
		return true;
	bytes = realloc(out->bytes, room);
	out->full = !bytes;
	if (!bytes)
		return false;
	out->bytes = bytes;
	out->room = room;
	return true;
}

static void put_u64(struct output *out, uint64_t number)
{
	if (!reserve(out, 10))
		return;
	for (; number > 0x7f; number >>= 7)
		out->bytes[out->len++] = (uint8_t)(number | 0x80);
	out->bytes[out->len++] = (uint8_t)number;
}

static void put_i32(struct output *out, int32_t number)
{
	put_u64(out, ((uint32_t)number << 1) ^ (number < 0 ? UINT32_MAX : 0));
}

static void put_bytes(struct output *out, const struct gw_bytes *bytes)
{
	put_u64(out, bytes->len);
	if (!bytes->len || !reserve(out, bytes->len))
		return;
	memcpy(out->bytes + out->len, bytes->data, bytes->len);
	out->len += bytes->len;
}

static void put_inode(struct output *out, const struct fs_virtiofsd_inode *inode)
{
	put_u64(out, inode->id);
	put_u64(out, inode->references);
	put_u64(out, inode->kind);
	if (inode->kind == FS_VIRTIOFSD_PATH) {
		put_u64(out, inode->parent_id);
		put_bytes(out, &inode->name);
	}
	put_u64(out, false); /* a handle as evidence */
}

static void put_open(struct output *out, const struct fs_virtiofsd *state,
		     const struct fs_virtiofsd_open *open)
{
	put_u64(out, open->id);
	put_u64(out, state->inodes[open->inode].id);
	put_u64(out, 0); /* kind */
	put_i32(out, open->flags);
}

int fs_virtiofsd_encode(const struct fs_virtiofsd *state, void **bytes, size_t *len)
{
	struct output out = {0};
	struct fs_virtiofsd again;
	int err;

	put_u64(&out, state->version - 1);
	put_u64(&out, state->inode_count);
	for (uint32_t i = 0; i < state->inode_count; i++)
		put_inode(&out, &state->inodes[i]);
	put_u64(&out, state->next_inode);
	put_u64(&out, state->open_count);
	for (uint32_t i = 0; i < state->open_count; i++)
		put_open(&out, state, &state->opens[i]);
	put_u64(&out, state->next_open);
	put_u64(&out, state->writeback);
	put_u64(&out, state->announce_submounts);
	put_u64(&out, state->posix_acl);
	put_u64(&out, state->supp_groups);
	put_u64(&out, 0); /* mounts: of handles only */
	if (out.full) {
		free(out.bytes);
		return gw_fail(ENOMEM, "save: no memory, or more than %d bytes", GW_FOREIGN_MAX);
	}
	/* Its reader would not notice what is wrong. */
	err = fs_virtiofsd_parse(&again, out.bytes, out.len);
	fs_virtiofsd_clear(&again);
	if (err) {
		free(out.bytes);
		return gw_fail_in(err, "save");
	}
	*bytes = out.bytes;
	*len = out.len;
	return 0;
}
