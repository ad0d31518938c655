/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/evidence.c - what an inode is, so that another one is never taken for it. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/checked.h"
#include "fs/evidence.h"
#include "fs/open.h"

static_assert(FS_FHANDLE_MAX == MAX_HANDLE_SZ, "the kernel's limit");

/* struct file_handle ends in a flexible array. */
union handle_buffer {
	struct file_handle handle;
	char room[sizeof(struct file_handle) + FS_FHANDLE_MAX];
};

int fs_fhandle_set(struct fs_fhandle *handle, int32_t type, const void *bytes, size_t len)
{
	if (len > FS_FHANDLE_MAX)
		return -EINVAL;
	handle->type = type;
	handle->len = (uint16_t)len;
	memcpy(handle->bytes, bytes, len);
	return 0;
}

int fs_fhandle_of(int fd, struct fs_fhandle *handle)
{
	union handle_buffer buffer;
	int mount_id;

	buffer.handle.handle_bytes = FS_FHANDLE_MAX;
	if (name_to_handle_at(fd, "", &buffer.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	return fs_fhandle_set(handle, buffer.handle.handle_type, buffer.handle.f_handle,
			      buffer.handle.handle_bytes);
}

bool fs_fhandle_equal(const struct fs_fhandle *a, const struct fs_fhandle *b)
{
	return a->type == b->type && a->len == b->len && !memcmp(a->bytes, b->bytes, a->len);
}

int fs_fhandle_open(int mount_fd, const struct fs_fhandle *handle)
{
	union handle_buffer buffer;
	int fd;

	buffer.handle.handle_bytes = handle->len;
	buffer.handle.handle_type = handle->type;
	memcpy(buffer.handle.f_handle, handle->bytes, handle->len);
	fd = open_by_handle_at(mount_fd, &buffer.handle, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

bool fs_fhandle_is_portable(uint64_t f_type)
{
	static const uint32_t promising[] = {
		FS_MAGIC_EXT4, FS_MAGIC_XFS,  FS_MAGIC_BTRFS, FS_MAGIC_NFS,
		FS_MAGIC_CEPH, FS_MAGIC_GFS2, FS_MAGIC_OCFS2, FS_MAGIC_LUSTRE,
	};

	for (size_t i = 0; i < GW_ARRAY_LEN(promising); i++) {
		if (promising[i] == (uint32_t)f_type)
			return true;
	}
	return false;
}

static bool handle_fits(const struct fs_fhandle *expected, int fd)
{
	struct fs_fhandle found = {.len = 0};

	return !fs_fhandle_of(fd, &found) && fs_fhandle_equal(expected, &found);
}

bool fs_evidence_fits(const struct fs_evidence *expected, int fd, const struct statx *stx)
{
	uint64_t btime = fs_btime(stx);

	if ((stx->stx_mode & S_IFMT) != expected->type || stx->stx_ino != expected->ino)
		return false;
	if (btime && expected->btime && btime != expected->btime)
		return false;
	return !expected->handle || handle_fits(expected->handle, fd);
}
