/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/ahead.h - unnamed files that go while the guest runs, and what of them changed since. */
#ifndef GW_FS_AHEAD_H
#define GW_FS_AHEAD_H

#include "fs/orphan.h"

/*
 * What is sent of a file is remembered by pieces of 4 KiB, as hashes; later it is read again, and
 * what has another hash goes again. So nothing that the guest writes has to be noted while it
 * writes, and what is missed by nobody's fault (the host writes, too) cannot be: reading what the
 * page cache has is some 20 times as fast as making it anew at the destination. What went and is a
 * hole by now goes as zeros.
 *
 * Of states with this number or a higher one: destinations before it take an unnamed file once.
 */
#define FS_AHEAD_STATE 3u
/* Content that goes ahead in all is so many times what unnamed files may hold; a guest that goes on
 * writing all of it has the rest to wait for. A destination takes so many times as much: the rest,
 * too, and zeros for all that was data. */
#define FS_AHEAD_TIMES	     2u
#define FS_AHEAD_TAKEN_TIMES 4u

struct fs_ahead_piece {
	uint64_t offset;
	uint32_t len;
	uint64_t sum[2];
};

struct fs_ahead_file {
	struct gw_fs_orphan_v1 record; /* as it was sent; target is not kept */
	uint64_t xattrs;
	struct fs_ahead_piece *pieces; /* in the order of offsets; what is between is a hole */
	size_t count, room;
	bool listed;
};

/* Transfer thread, but for the two that are atomic. */
struct fs_ahead {
	struct fs_ahead_file *files; /* in the order of ids */
	size_t count, room;
	uint64_t bytes;		  /* of content that went ahead */
	_Atomic uint64_t changed; /* of these, those of the last round that went again */
	uint64_t again;		  /* of this round */
};

void fs_ahead_fini(struct fs_ahead *ahead);
/* Those that go (FS_UNNAMED_GOES); all others are taken back: delete records of what was sent. */
int fs_ahead_gone(struct fs_ahead *ahead, const struct fs_unnamed_list *unnamed,
		  struct gw_state_writer *writer);
/* While the guest runs: what of @unnamed, which the stream has, is new or another thing by now; as
 * far as that can be had without anybody's noticing. */
int fs_ahead_send(struct fs_ahead *ahead, struct fs *fs, const struct fs_unnamed *unnamed,
		  struct gw_state_writer *writer);
/* With the guest at rest, one of those that go: all that the stream lacks. @orphan has no
 * descriptor yet. */
int fs_ahead_put(struct fs_ahead *ahead, struct fs_orphan *orphan);
void fs_ahead_end_round(struct fs_ahead *ahead);

#endif
