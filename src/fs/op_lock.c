/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_lock.c - GETLK, SETLK, SETLKW. */
#include <fcntl.h>

#include "fs/handle.h"
#include "fs/locks.h"
#include "fs/ops.h"
#include "fs/waits.h"

int fs_lock_parse(const struct fuse_file_lock *lk, struct fs_range *range)
{
	if (lk->start > INT64_MAX || lk->end > INT64_MAX || lk->start > lk->end)
		return -EINVAL;
	if (lk->type != F_RDLCK && lk->type != F_WRLCK && lk->type != F_UNLCK)
		return -EINVAL;
	*range = (struct fs_range){
		.start = (int64_t)lk->start, .end = (int64_t)lk->end, .type = (short)lk->type};
	return 0;
}

/* Linux asks for no locks that were not agreed on. */
static int check(const struct fs_request *req, const struct fs_handle *handle)
{
	const struct fuse_lk_in *in = req->arg;
	bool of_flock = in->lk_flags & FUSE_LK_FLOCK;

	if (!fs_has(req->fs, of_flock ? FUSE_FLOCK_LOCKS : FUSE_POSIX_LOCKS))
		return -ENOSYS;
	return fs_handle_check(handle);
}

/* Who holds it is somebody on this host or in another guest: no process that the guest has. */
int fs_op_getlk(struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct fuse_lk_out out = {0};
	struct fs_range range;
	int ret = check(req, handle);

	if (ret == 0)
		ret = fs_lock_parse(&in->lk, &range);
	if (ret == 0)
		ret = fs_lock_get(req->fs, handle->inode, in->owner, &range);
	if (ret < 0)
		return ret;
	out.lk.type = (uint32_t)range.type;
	if (range.type != F_UNLCK) {
		out.lk.start = (uint64_t)range.start;
		out.lk.end = (uint64_t)range.end;
	}
	return fs_reply(req, &out, sizeof(out));
}

int fs_op_setlk(struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct fs_range range;
	int ret = check(req, handle);

	if (ret == 0)
		ret = fs_lock_parse(&in->lk, &range);
	if (ret < 0)
		return ret;
	ret = in->lk_flags & FUSE_LK_FLOCK
		      ? fs_flock_set(handle, (int)in->lk.type)
		      : fs_lock_set(req->fs, handle->inode, in->owner, in->fh, &range);
	if (ret == 0 && in->lk.type != F_WRLCK)
		fs_waits_wake(req->fs, req->in.nodeid);
	return ret;
}

/* The host's kernel looks for no circles among locks of open file descriptions. */
static int lock_or_wait(struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;
	int ret = fs_op_setlk(req);

	if (ret == -EAGAIN && !(in->lk_flags & FUSE_LK_FLOCK) && fs_lock_closes_circle(req))
		return -EDEADLK;
	return ret;
}

/* A lock that is given back is not waited for. */
int fs_op_setlkw(struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;

	if (in->lk.type == F_UNLCK)
		return fs_to_pool(req, fs_op_setlk);
	return req->fs->policy.lock_wait ? fs_wait(req, lock_or_wait) : -EOPNOTSUPP;
}
