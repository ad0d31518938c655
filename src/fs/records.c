/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/records.c - the layouts: one description of saving, loading and showing. Never changed once
 * released. */
#include <assert.h>

#include "base/checked.h"
#include "fs/evidence.h"
#include "fs/records.h"
#include "state/decode.h"

#define LAYOUT(name_, offset_) LAYOUT_SINCE(name_, offset_, 0)
/* Of states with this number or a higher one. */
#define LAYOUT_SINCE(name_, offset_, since_)          \
	const struct gw_layout name_ = {              \
		.name = #name_,                       \
		.type = GW_RECORD_DEVICE + (offset_), \
		.size = sizeof(struct name_),         \
		.fields = name_##_fields,             \
		.since = (since_),                    \
	}

static const struct gw_field gw_fs_session_v1_fields[] = {
	GW_FIELD(struct gw_fs_session_v1, initialised, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_session_v1, minor, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, flags, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_session_v1, max_write, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, max_readahead, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, max_pages, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, inode_generation, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, handle_generation, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_session_v1, next_number, GW_FIELD_U64),
	{.name = NULL},
};
LAYOUT(gw_fs_session_v1, 0);

static const struct gw_field gw_fs_mount_v1_fields[] = {
	GW_KEY(struct gw_fs_mount_v1, index, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_mount_v1, f_type, GW_FIELD_U64),
	{.name = NULL},
};
LAYOUT(gw_fs_mount_v1, 1);

static const struct gw_field gw_fs_inode_v1_fields[] = {
	GW_KEY(struct gw_fs_inode_v1, id, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_inode_v1, type, GW_FIELD_U16),
	GW_FIELD(struct gw_fs_inode_v1, mount, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_inode_v1, ino, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_inode_v1, btime, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_inode_v1, lookups, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_inode_v1, number, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_inode_v1, links, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_inode_v1, handle_type, GW_FIELD_I64),
	GW_FIELD_SIZED(struct gw_fs_inode_v1, handle, GW_FIELD_BYTES, FS_FHANDLE_MAX),
	{.name = NULL},
};
LAYOUT(gw_fs_inode_v1, 2);

static const struct gw_field gw_fs_name_v1_fields[] = {
	GW_KEY(struct gw_fs_name_v1, parent, GW_FIELD_DELTA),
	{.name = "name",
	 .type = GW_FIELD_BYTES,
	 .offset = offsetof(struct gw_fs_name_v1, name),
	 .max = FS_NAME_MAX,
	 .key = true},
	GW_FIELD(struct gw_fs_name_v1, inode, GW_FIELD_DELTA),
	{.name = NULL},
};
LAYOUT(gw_fs_name_v1, 3);

static const struct gw_field gw_fs_orphan_v1_fields[] = {
	GW_KEY(struct gw_fs_orphan_v1, inode, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_orphan_v1, mode, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_orphan_v1, uid, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_orphan_v1, gid, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_orphan_v1, rdev, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_orphan_v1, size, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_orphan_v1, atime, GW_FIELD_I64),
	GW_FIELD(struct gw_fs_orphan_v1, mtime, GW_FIELD_I64),
	GW_FIELD(struct gw_fs_orphan_v1, atime_ns, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_orphan_v1, mtime_ns, GW_FIELD_U32),
	GW_FIELD_SIZED(struct gw_fs_orphan_v1, target, GW_FIELD_BYTES, FS_RECORD_TARGET_MAX),
	{.name = NULL},
};
LAYOUT(gw_fs_orphan_v1, 4);

static const struct gw_field gw_fs_content_v1_fields[] = {
	GW_KEY(struct gw_fs_content_v1, inode, GW_FIELD_DELTA),
	GW_KEY(struct gw_fs_content_v1, offset, GW_FIELD_U64),
	GW_FIELD_SIZED(struct gw_fs_content_v1, data, GW_FIELD_BYTES, FS_RECORD_DATA_MAX),
	{.name = NULL},
};
LAYOUT(gw_fs_content_v1, 5);

static const struct gw_field gw_fs_xattr_v1_fields[] = {
	GW_KEY(struct gw_fs_xattr_v1, inode, GW_FIELD_DELTA),
	{.name = "name",
	 .type = GW_FIELD_BYTES,
	 .offset = offsetof(struct gw_fs_xattr_v1, name),
	 .max = FS_NAME_MAX,
	 .key = true},
	GW_FIELD_SIZED(struct gw_fs_xattr_v1, value, GW_FIELD_BYTES, FS_RECORD_XATTR_MAX),
	{.name = NULL},
};
LAYOUT(gw_fs_xattr_v1, 6);

static const struct gw_field gw_fs_handle_v1_fields[] = {
	GW_KEY(struct gw_fs_handle_v1, id, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_handle_v1, inode, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_handle_v1, flags, GW_FIELD_U32),
	GW_FIELD(struct gw_fs_handle_v1, directory, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_handle_v1, blind, GW_FIELD_BOOL),
	{.name = NULL},
};
LAYOUT(gw_fs_handle_v1, 7);

static const struct gw_field gw_fs_dir_v1_fields[] = {
	GW_KEY(struct gw_fs_dir_v1, handle, GW_FIELD_DELTA),
	GW_KEY(struct gw_fs_dir_v1, position, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_dir_v1, cookie, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_dir_v1, hash, GW_FIELD_U64),
	{.name = NULL},
};
LAYOUT(gw_fs_dir_v1, 8);

static const struct gw_field gw_fs_lost_v1_fields[] = {
	GW_KEY(struct gw_fs_lost_v1, inode, GW_FIELD_DELTA),
	{.name = NULL},
};
LAYOUT(gw_fs_lost_v1, 9);

static const struct gw_field gw_fs_foreign_id_v1_fields[] = {
	GW_KEY(struct gw_fs_foreign_id_v1, handle, GW_FIELD_BOOL),
	GW_KEY(struct gw_fs_foreign_id_v1, id, GW_FIELD_DELTA),
	{.name = NULL},
};
LAYOUT(gw_fs_foreign_id_v1, 10);

static const struct gw_field gw_fs_lock_v1_fields[] = {
	GW_KEY(struct gw_fs_lock_v1, inode, GW_FIELD_DELTA),
	GW_KEY(struct gw_fs_lock_v1, owner, GW_FIELD_DELTA),
	GW_KEY(struct gw_fs_lock_v1, start, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_lock_v1, end, GW_FIELD_U64),
	GW_FIELD(struct gw_fs_lock_v1, write, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_lock_v1, handle, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_lock_v1, lost, GW_FIELD_BOOL),
	{.name = NULL},
};
LAYOUT_SINCE(gw_fs_lock_v1, 11, 2);

static const struct gw_field gw_fs_flock_v1_fields[] = {
	GW_KEY(struct gw_fs_flock_v1, handle, GW_FIELD_DELTA),
	GW_FIELD(struct gw_fs_flock_v1, shared, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_flock_v1, exclusive, GW_FIELD_BOOL),
	GW_FIELD(struct gw_fs_flock_v1, lost, GW_FIELD_BOOL),
	{.name = NULL},
};
LAYOUT_SINCE(gw_fs_flock_v1, 12, 2);

static const struct gw_field gw_fs_handover_v1_fields[] = {
	GW_FIELD_SIZED(struct gw_fs_handover_v1, ticket, GW_FIELD_FIXED, 16),
	{.name = NULL},
};
const struct gw_layout gw_fs_handover_v1 = {
	.name = "gw_fs_handover_v1",
	.type = GW_RECORD_DEVICE + 13,
	.optional = true,
	.size = sizeof(struct gw_fs_handover_v1),
	.fields = gw_fs_handover_v1_fields,
};

static const struct gw_field gw_fs_unsent_v1_fields[] = {
	GW_KEY(struct gw_fs_unsent_v1, inode, GW_FIELD_DELTA),
	{.name = NULL},
};
LAYOUT_SINCE(gw_fs_unsent_v1, 14, 2);

const struct gw_layout *const fs_layouts[] = {
	&gw_fs_session_v1, &gw_fs_mount_v1,    &gw_fs_inode_v1,	     &gw_fs_name_v1,
	&gw_fs_orphan_v1,  &gw_fs_content_v1,  &gw_fs_xattr_v1,	     &gw_fs_handle_v1,
	&gw_fs_dir_v1,	   &gw_fs_lost_v1,     &gw_fs_foreign_id_v1, &gw_fs_lock_v1,
	&gw_fs_flock_v1,   &gw_fs_handover_v1, &gw_fs_unsent_v1,     NULL,
};

/* Of these two kinds there are millions. */
#define PLAIN_DECODE(name_, in, record, previous)                                              \
	({                                                                                     \
		enum { COUNT = GW_ARRAY_LEN(name_##_fields) - 1 };                             \
		static_assert(COUNT <= GW_PLAIN_FIELDS_MAX && COUNT <= FS_FIELDS_MAX, #name_); \
		gw_plain_decode(in, name_##_fields, COUNT, record, previous);                  \
	})

bool fs_inode_decode(struct gw_cursor *in, struct gw_fs_inode_v1 *record, uint64_t *previous)
{
	return PLAIN_DECODE(gw_fs_inode_v1, in, record, previous);
}

bool fs_name_decode(struct gw_cursor *in, struct gw_fs_name_v1 *record, uint64_t *previous)
{
	return PLAIN_DECODE(gw_fs_name_v1, in, record, previous);
}
