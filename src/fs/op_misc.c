/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_misc.c - LOOKUP, the FORGETs, INTERRUPT, STATFS, SYNCFS. */
#include <fcntl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attr.h"
#include "fs/ops.h"
#include "fs/pool.h"
#include "fs/waits.h"

/* How many of a BATCH_FORGET are copied at once. */
#define FORGET_CHUNK 64

int fs_op_lookup(struct fs_request *req)
{
	struct fs *fs = req->fs;
	FS_AUTO_INODE struct fs_inode *parent = fs_inode_get(fs->inodes, req->in.nodeid);
	struct fuse_entry_out entry;
	struct statx stx;
	uint64_t nodeid;
	int ret;

	if (!parent)
		return -ESTALE;
	ret = fs_inode_lookup(fs->inodes, parent, req->name, &nodeid, &stx);
	if (ret < 0)
		return ret;
	fs_entry_fill(fs, parent, &entry, nodeid, &stx);
	return fs_reply(req, &entry, sizeof(entry));
}

int fs_op_forget(struct fs_request *req)
{
	const struct fuse_forget_in *in = req->arg;

	fs_inode_forget(req->fs->inodes, req->in.nodeid, in->nlookup);
	return FS_NO_REPLY;
}

int fs_op_batch_forget(struct fs_request *req)
{
	const struct fuse_batch_forget_in *in = req->arg;
	size_t left = GW_MIN(req->data_len / sizeof(struct fuse_forget_one), (size_t)in->count);
	struct fuse_forget_one chunk[FORGET_CHUNK];
	size_t offset = req->data_offset;

	if (left < in->count)
		fs_complain(req, EINVAL, "says it has %u, %zu came", in->count, left);
	while (left) {
		size_t count = GW_MIN(left, (size_t)FORGET_CHUNK);

		gw_elem_copy_from(req->elem, offset, chunk, count * sizeof(chunk[0]));
		for (size_t i = 0; i < count; i++)
			fs_inode_forget(req->fs->inodes, chunk[i].nodeid, chunk[i].nlookup);
		offset += count * sizeof(chunk[0]);
		left -= count;
	}
	return FS_NO_REPLY;
}

/* Linux sends none over virtio-fs (7.45); other guests may. */
int fs_op_interrupt(struct fs_request *req)
{
	const struct fuse_interrupt_in *in = req->arg;

	if (!fs_waits_interrupt(req->fs, in->unique))
		fs_pool_interrupt(req->fs->pool, in->unique);
	return FS_NO_REPLY;
}

int fs_op_statfs(struct fs_request *req)
{
	FS_AUTO_AT struct fs_at at = FS_AT_INIT;
	struct fuse_statfs_out out;
	struct statfs st;
	int ret = fs_at_get(req, req->in.nodeid, &at);

	if (ret < 0)
		return ret;
	if (fstatfs(at.path.fd, &st) < 0)
		return -errno;
	out = (struct fuse_statfs_out){.st = {
					       .blocks = st.f_blocks,
					       .bfree = st.f_bfree,
					       .bavail = st.f_bavail,
					       .files = st.f_files,
					       .ffree = st.f_ffree,
					       .bsize = (uint32_t)st.f_bsize,
					       .namelen = (uint32_t)st.f_namelen,
					       .frsize = (uint32_t)st.f_frsize,
				       }};
	return fs_reply(req, &out, sizeof(out));
}

int fs_op_syncfs(struct fs_request *req)
{
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(req->fs->inodes, req->in.nodeid);
	GW_AUTO_FD int fd = -1;

	if (!inode)
		return -ESTALE;
	fd = fs_inode_open(inode, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	return syncfs(fd) < 0 ? -errno : 0;
}
