/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_dir.c - OPENDIR, READDIR, READDIRPLUS, RELEASEDIR. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "fs/attr.h"
#include "fs/dir.h"
#include "fs/dir_read.h"
#include "fs/dispatch.h"
#include "fs/handle.h"
#include "fs/ops.h"

int fs_op_opendir(struct fs_request *req)
{
	struct fs *fs = req->fs;
	FS_AUTO_INODE struct fs_inode *inode = fs_inode_get(fs->inodes, req->in.nodeid);
	struct fuse_open_out out = {0};
	struct fs_dir *dir;
	int fd, ret;

	if (!inode)
		return -ESTALE;
	out.open_flags = fs_cache_policy(fs, inode)->dir_flags;
	fd = fs_inode_open(inode, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	ret = fs_dir_new(&dir, fs_dir_limit(fs));
	if (ret < 0) {
		close(fd);
		return ret;
	}
	ret = fs_handle_add(fs->handles, inode, fd, O_RDONLY | O_DIRECTORY, dir, &out.fh);
	return ret < 0 ? ret : fs_reply(req, &out, sizeof(out));
}

int fs_op_releasedir(struct fs_request *req)
{
	const struct fuse_release_in *in = req->arg;

	return fs_handle_release(req->fs->handles, in->fh);
}

/* An answer to READDIR or READDIRPLUS as it grows. */
struct listing {
	struct fs_request *req;
	struct fs_inode *inode;
	bool plus;
	size_t room, used;
};

static bool is_dot(const struct fs_listed *entry)
{
	return entry->name[0] == '.' &&
	       (entry->len == 1 || (entry->len == 2 && entry->name[1] == '.'));
}

/* The number of the directory itself is its own in the guest, and above the root there is nothing.
 */
static uint64_t dot_ino(const struct listing *listing, const struct fs_listed *entry)
{
	struct statx stx;

	if (entry->len == 2 && fs_inode_id(listing->inode) != FS_ROOT_ID)
		return entry->ino;
	return fs_inode_statx(listing->inode, &stx) < 0 ? entry->ino : stx.stx_ino;
}

/*
 * What LOOKUP would say, with the reference that it gives. An entry that is gone by now, or that
 * the guest has itself ("." and ".."), has node id 0: the guest then takes the name alone.
 */
static void fill_entry(struct listing *listing, const struct fs_listed *entry,
		       struct fuse_direntplus *plus)
{
	struct fs *fs = listing->req->fs;
	struct statx stx;
	uint64_t nodeid;

	memset(&plus->entry_out, 0, sizeof(plus->entry_out));
	if (is_dot(entry))
		return;
	if (fs_inode_lookup(fs->inodes, listing->inode, entry->name, &nodeid, &stx) < 0)
		return;
	fs_entry_fill(fs, listing->inode, &plus->entry_out, nodeid, &stx);
	plus->dirent.ino = stx.stx_ino;
	plus->dirent.type = (stx.stx_mode & S_IFMT) >> 12;
}

static int put_entry(void *opaque, const struct fs_listed *entry)
{
	struct listing *listing = opaque;
	size_t skip = listing->plus ? 0 : offsetof(struct fuse_direntplus, dirent);
	size_t head = sizeof(struct fuse_direntplus) - skip;
	size_t len = FUSE_REC_ALIGN(head + entry->len);
	union {
		struct fuse_direntplus plus;
		char bytes[sizeof(struct fuse_direntplus) + FS_NAME_MAX + 1 + 8];
	} out;
	char *name = out.bytes + sizeof(out.plus);

	if (!is_dot(entry) && fs_name_filter(entry->name, entry->len) < 0)
		return FS_LIST_PASSED;
	if (len > listing->room - listing->used)
		return FS_LIST_FULL;
	out.plus.dirent = (struct fuse_dirent){
		.ino = is_dot(entry) ? dot_ino(listing, entry)
				     : fs_inode_number(listing->inode, entry->name, entry->ino),
		.off = entry->cookie,
		.namelen = (uint32_t)entry->len,
		.type = entry->type,
	};
	memset(name, 0, FUSE_REC_ALIGN(entry->len) + 8);
	memcpy(name, entry->name, entry->len);
	if (listing->plus)
		fill_entry(listing, entry, &out.plus);
	gw_elem_copy_to(listing->req->elem, sizeof(struct fuse_out_header) + listing->used,
			out.bytes + skip, len);
	listing->used += len;
	return FS_LIST_TAKEN;
}

static int list(struct fs_request *req, bool plus)
{
	const struct fuse_read_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct listing listing = {.req = req, .plus = plus, .room = in->size};
	int ret;

	if (!handle || !handle->dir)
		return -EBADF;
	if (in->size > fs_reply_room(req))
		return fs_complain(req, EINVAL, "%u bytes are to be read into %zu", in->size,
				   fs_reply_room(req));
	listing.inode = handle->inode;
	/* What the host gives is shorter than what the guest gets, by a known factor with PLUS. */
	ret = fs_dir_read(handle->dir, handle->fd, in->offset, plus ? in->size / 6 : in->size,
			  put_entry, &listing);
	/* A failure after some entries is told when the guest comes for the rest. */
	if (ret < 0 && !listing.used)
		return ret;
	return fs_reply_data(req, listing.used);
}

int fs_op_readdir(struct fs_request *req)
{
	return list(req, false);
}

int fs_op_readdirplus(struct fs_request *req)
{
	return list(req, true);
}
