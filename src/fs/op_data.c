/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_data.c - the contents of files: READ, WRITE, FSYNC, FALLOCATE, LSEEK, COPY_FILE_RANGE. */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/checked.h"
#include "fs/handle.h"
#include "fs/ops.h"
#include "fs/redo.h"
#include "fs/privs.h"
#include "godwit/error.h"

/* A stop of the queue waits for one such piece at most (20 ms at 200 MB/s). */
#define COPY_PIECE (4u << 20)

/* One READ or WRITE: which file, where, and the part of guest memory that is still to do. */
struct transfer {
	struct fs_handle *handle;
	const struct iovec *iov;
	unsigned iov_count;
	size_t iov_offset; /* where the data starts in iov */
	size_t len;
	off_t offset;
	int flags; /* RWF_* */
	ssize_t (*vec)(int fd, const struct iovec *iov, int count, off_t offset, int flags);
};

/*
 * One system call for what is left. Returns the bytes moved, or a negative errno. Data goes
 * straight between file and guest memory; a hole that the guest tore there is EFAULT, its own
 * mistake.
 */
static ssize_t transfer_once(struct fs_request *req, const struct transfer *t, int extra)
{
	struct iovec slice[GW_ELEM_SEGS_MAX];
	unsigned count = gw_iov_slice(t->iov, t->iov_count, t->iov_offset + req->done,
				      t->len - req->done, slice, GW_ELEM_SEGS_MAX);
	ssize_t moved = t->vec(t->handle->fd, slice, (int)count, t->offset + (off_t)req->done,
			       t->flags | extra);

	return moved < 0 ? -errno : moved;
}

/* To the end, waiting where it must. A failure behind a part that was done is told next time. */
static int transfer_rest(struct fs_request *req, const struct transfer *t)
{
	while (req->done < t->len) {
		ssize_t moved = transfer_once(req, t, 0);

		if (moved == -EINTR)
			continue;
		if (moved < 0)
			return req->done ? 0 : (int)moved;
		if (moved == 0)
			break;
		req->done += (size_t)moved;
	}
	return 0;
}

/*
 * Without waiting, as far as that goes. 0: all is done that there is; -EAGAIN: the rest would
 * block. A file system that can not do this is not asked again for the same handle.
 */
static int transfer_nowait(struct fs_request *req, const struct transfer *t, _Atomic bool *able)
{
	while (req->done < t->len) {
		ssize_t moved = transfer_once(req, t, RWF_NOWAIT);

		if (moved == -EOPNOTSUPP) {
			*able = false;
			return -EOPNOTSUPP;
		}
		if (moved < 0)
			return (int)moved;
		if (moved == 0)
			break;
		req->done += (size_t)moved;
	}
	return 0;
}

static int read_setup(struct fs_request *req, struct fs_handle *handle, struct transfer *t)
{
	const struct fuse_read_in *in = req->arg;
	int ret = fs_handle_check(handle);

	if (ret < 0)
		return ret;
	if (in->offset > (uint64_t)INT64_MAX - in->size)
		return -EINVAL;
	if (in->size > fs_reply_room(req))
		return fs_complain(req, EINVAL, "%u bytes are to be read into %zu", in->size,
				   fs_reply_room(req));
	*t = (struct transfer){
		.handle = handle,
		.iov = req->elem->in,
		.iov_count = req->elem->in_count,
		.iov_offset = sizeof(struct fuse_out_header),
		.len = in->size,
		.offset = (off_t)in->offset,
		.vec = preadv2,
	};
	return 0;
}

/* In the pool. The handle may have been released since: then it is gone for this request too. */
static int read_rest(struct fs_request *req)
{
	const struct fuse_read_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct transfer t = {0};
	int ret = read_setup(req, handle, &t);

	if (ret == 0)
		ret = transfer_rest(req, &t);
	return ret < 0 ? ret : fs_reply_data(req, req->done);
}

/* What the page cache holds is read at once; for the rest the queue does not wait. */
int fs_op_read(struct fs_request *req)
{
	const struct fuse_read_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct transfer t = {0};
	int ret = read_setup(req, handle, &t);

	if (ret < 0)
		return ret;
	if (!handle->nowait_read)
		return fs_to_pool(req, read_rest);
	ret = transfer_nowait(req, &t, &handle->nowait_read);
	if (ret == -EAGAIN || ret == -EOPNOTSUPP || (ret < 0 && req->done))
		return fs_to_pool(req, read_rest);
	return ret < 0 ? ret : fs_reply_data(req, req->done);
}

/*
 * O_APPEND is done here, write by write, since the guest may set and clear it on an open file. What
 * comes out of the guest's page cache has its place.
 */
static int write_flags(const struct fuse_write_in *in)
{
	return in->flags & O_APPEND && !(in->write_flags & FUSE_WRITE_CACHE) ? RWF_APPEND : 0;
}

static int write_setup(struct fs_request *req, struct fs_handle *handle, struct transfer *t)
{
	const struct fuse_write_in *in = req->arg;
	int ret = fs_handle_check(handle);

	if (ret < 0)
		return ret;
	if (in->offset > (uint64_t)INT64_MAX - in->size)
		return -EFBIG;
	if (in->size > req->data_len)
		return fs_complain(req, EINVAL, "%u bytes are to be written, %zu came", in->size,
				   req->data_len);
	*t = (struct transfer){
		.handle = handle,
		.iov = req->elem->out,
		.iov_count = req->elem->out_count,
		.iov_offset = req->data_offset,
		.len = in->size,
		.offset = (off_t)in->offset,
		.flags = write_flags(in),
		.vec = pwritev2,
	};
	return 0;
}

static int reply_written(struct fs_request *req)
{
	struct fuse_write_out out = {.size = (uint32_t)req->done};

	return fs_reply(req, &out, sizeof(out));
}

static int write_rest(struct fs_request *req)
{
	const struct fuse_write_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct transfer t = {0};
	int ret = write_setup(req, handle, &t);

	if (ret == 0)
		ret = transfer_rest(req, &t);
	return ret < 0 ? ret : reply_written(req);
}

/*
 * Where the file system knows of writes without waiting, what would wait goes to the pool. Where it
 * does not (ext4 with buffered writes) the write is done here: into the page cache, as a rule.
 */
int fs_op_write(struct fs_request *req)
{
	const struct fuse_write_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct transfer t = {0};
	int ret = write_setup(req, handle, &t);

	if (ret < 0)
		return ret;
	if (!handle->dirty)
		handle->dirty = true;
	if (t.flags & RWF_APPEND)
		req->done = fs_redo_appended(req, handle, req->data_offset, t.len);
	fs_privs_drop(req->fs, handle->fd, in->write_flags & FUSE_WRITE_KILL_SUIDGID);
	if (handle->flags & (O_SYNC | O_DSYNC)) /* it waits for the disk, without fail */
		return fs_to_pool(req, write_rest);
	if (handle->nowait_write) {
		ret = transfer_nowait(req, &t, &handle->nowait_write);
		if (ret == -EAGAIN)
			return fs_to_pool(req, write_rest);
		if (ret < 0 && ret != -EOPNOTSUPP && !req->done)
			return ret;
		if (ret == 0)
			return reply_written(req);
	}
	ret = transfer_rest(req, &t);
	return ret < 0 ? ret : reply_written(req);
}

/* Of files and directories alike. */
int fs_op_fsync(struct fs_request *req)
{
	const struct fuse_fsync_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	int ret;

	if (!handle)
		return -EBADF;
	/* Before the call: what is written while it runs is not covered by it. */
	handle->dirty = false;
	if (in->fsync_flags & FUSE_FSYNC_FDATASYNC)
		ret = fdatasync(handle->fd);
	else
		ret = fsync(handle->fd);
	if (ret == 0)
		return 0;
	handle->dirty = true;
	return -errno;
}

int fs_op_fallocate(struct fs_request *req)
{
	const struct fuse_fallocate_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	int ret = fs_handle_check(handle);

	if (ret < 0)
		return ret;
	if (in->offset > INT64_MAX || in->length > INT64_MAX - in->offset)
		return -EFBIG;
	handle->dirty = true;
	fs_privs_drop(req->fs, handle->fd, fs_privs_killed_by_user(req));
	if (fallocate(handle->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		return -errno;
	return 0;
}

/* Only what needs the host's knowledge; the guest keeps positions itself. */
int fs_op_lseek(struct fs_request *req)
{
	const struct fuse_lseek_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct fuse_lseek_out out;
	off_t offset;
	int ret = fs_handle_check(handle);

	if (ret < 0)
		return ret;
	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	offset = lseek(handle->fd, (off_t)in->offset, (int)in->whence);
	if (offset < 0)
		return -errno;
	out.offset = (uint64_t)offset;
	return fs_reply(req, &out, sizeof(out));
}

/* Piece by piece, so that a stop of the queue is soon answered: the guest is told how far it came,
 * and asks for the rest. *@copied or a negative errno. */
static int copy(struct fs_request *req, uint64_t limit, uint64_t *copied)
{
	const struct fuse_copy_file_range_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *from = fs_handle_get(req->fs->handles, in->fh_in);
	FS_AUTO_HANDLE struct fs_handle *to = fs_handle_get(req->fs->handles, in->fh_out);
	uint64_t len = GW_MIN(in->len, limit);
	off_t off_in = (off_t)in->off_in, off_out = (off_t)in->off_out;

	int ret = fs_handle_check(from);

	*copied = 0;
	if (ret == 0)
		ret = fs_handle_check(to);
	if (ret < 0)
		return ret;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX)
		return -EINVAL;
	to->dirty = true;
	fs_privs_drop(req->fs, to->fd, fs_privs_killed_by_user(req));
	do {
		ssize_t piece = copy_file_range(from->fd, &off_in, to->fd, &off_out,
						GW_MIN(len - *copied, (uint64_t)COPY_PIECE),
						(unsigned)in->flags);

		if (piece < 0)
			return *copied ? 0 : -errno;
		if (piece == 0)
			return 0;
		*copied += (uint64_t)piece;
	} while (*copied < len && !gw_queue_stopping(req->elem->queue));
	return 0;
}

int fs_op_copy_file_range(struct fs_request *req)
{
	struct fuse_write_out out = {.size = 0};
	uint64_t copied;
	/* The answer has 32 bits; whole pages, for the sake of file systems that share extents. */
	int ret = copy(req, UINT32_MAX & ~UINT32_C(4095), &copied);

	if (ret < 0)
		return ret;
	out.size = (uint32_t)copied;
	return fs_reply(req, &out, sizeof(out));
}

int fs_op_copy_file_range_64(struct fs_request *req)
{
	struct fuse_copy_file_range_out out;
	int ret = copy(req, INT64_MAX & ~UINT64_C(4095), &out.bytes_copied);

	return ret < 0 ? ret : fs_reply(req, &out, sizeof(out));
}
