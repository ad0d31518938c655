/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/op_node.c - what makes, removes and moves names: SYMLINK to LINK. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fs/acl.h"
#include "fs/attr.h"
#include "fs/creds.h"
#include "fs/hidden.h"
#include "fs/journal.h"
#include "fs/label.h"
#include "fs/open.h"
#include "fs/ops.h"
#include "fs/redo.h"
#include "fs/table.h"

#define FD_NAME_MAX 16

/* The answer to whatever made a name: the entry that is there now. */
static int reply_entry(struct fs_request *req, struct fs_inode *parent)
{
	struct fs *fs = req->fs;
	struct fuse_entry_out entry;
	struct statx stx;
	uint64_t nodeid;
	int ret = fs_inode_lookup(fs->inodes, parent, req->name, &nodeid, &stx);

	if (ret < 0)
		return ret;
	fs_entry_fill(fs, parent, &entry, nodeid, &stx);
	return fs_reply(req, &entry, sizeof(entry));
}

/* The system call of one operation, under @name: 0, or -1 and errno. */
typedef int make_fn(struct fs_request *req, int parent, const char *name);

static int make_symlink(struct fs_request *req, int parent, const char *name)
{
	return symlinkat(req->name2, parent, name);
}

static int make_node(struct fs_request *req, int parent, const char *name)
{
	const struct fuse_mknod_in *in = req->arg;

	return mknodat(parent, name, fs_acl_mode(req, parent, in->mode, in->umask), in->rdev);
}

static int make_dir(struct fs_request *req, int parent, const char *name)
{
	const struct fuse_mkdir_in *in = req->arg;

	return mkdirat(parent, name, fs_acl_mode(req, parent, in->mode, in->umask));
}

/*
 * As the request's user. The process's own umask is 0 (device.c); the guest's is in the mode
 * already unless FUSE_DONT_MASK was agreed on, and applied again does no harm.
 */
static int make_as_user(struct fs_request *req, int parent, const char *name, make_fn *fn)
{
	FS_AUTO_CREDS struct fs_creds creds = FS_CREDS_INIT;
	int ret = fs_creds_enter(&creds, req);

	if (ret < 0)
		return ret;
	return fn(req, parent, name) < 0 ? -errno : 0;
}

static void unmake(struct fs_request *req, int parent, const char *name)
{
	unlinkat(parent, name, req->in.opcode == FUSE_MKDIR ? AT_REMOVEDIR : 0);
}

/*
 * What is no regular file cannot be made without a name. So that nothing is ever seen under its
 * name without its label, it gets that under another one, and is moved. Who dies in between leaves
 * something of such a name behind, in plain sight.
 */
#define UNLABELLED     ".godwit-unlabelled-"
#define UNLABELLED_MAX (sizeof(UNLABELLED) + 2 * 16)

static void name_unlabelled(char name[UNLABELLED_MAX])
{
	static _Atomic uint64_t count;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, UNLABELLED_MAX, UNLABELLED "%llx%llx",
		 (unsigned long long)now.tv_sec << 30 | (unsigned long long)now.tv_nsec,
		 (unsigned long long)atomic_fetch_add(&count, 1) & UINT32_MAX);
}

static int label(struct fs_request *req, int parent, const char *name)
{
	GW_AUTO_FD int fd = fs_open_beneath(parent, name, O_PATH, 0);

	return fd < 0 ? fd : fs_label_set(req, fd);
}

static int make_labelled_as(struct fs_request *req, int parent, const char *name, make_fn *fn)
{
	int ret = make_as_user(req, parent, name, fn);

	if (ret < 0)
		return ret;
	ret = label(req, parent, name);
	if (ret == 0 && name != req->name &&
	    syscall(SYS_renameat2, parent, name, parent, req->name, RENAME_NOREPLACE) < 0)
		ret = -errno;
	if (ret < 0)
		unmake(req, parent, name);
	return ret;
}

/* Where a file system cannot move without replacing (NFS), it is labelled where it is. */
static int make_labelled(struct fs_request *req, int parent, make_fn *fn)
{
	char name[UNLABELLED_MAX];
	int ret;

	name_unlabelled(name);
	ret = make_labelled_as(req, parent, name, fn);
	return ret == -EINVAL ? make_labelled_as(req, parent, req->name, fn) : ret;
}

static int make(struct fs_request *req, make_fn *fn)
{
	FS_AUTO_AT struct fs_at parent = FS_AT_INIT;
	int ret = fs_at_get(req, req->in.nodeid, &parent);

	if (ret < 0)
		return ret;
	{
		FS_AUTO_LABEL struct fs_label_scope scope = {0};

		fs_name_settle(req->fs->inodes, parent.inode, req->name);
		if (fs_redo_made(req, parent.path.fd, req->name))
			return reply_entry(req, parent.inode);
		fs_intend_new(req, parent.path.fd, req->name);
		ret = fs_label_enter(&scope, req);
		if (ret == 0)
			ret = fs_label_due(&scope, req)
				      ? make_labelled(req, parent.path.fd, fn)
				      : make_as_user(req, parent.path.fd, req->name, fn);
	}
	return ret < 0 ? ret : reply_entry(req, parent.inode);
}

int fs_op_symlink(struct fs_request *req)
{
	return make(req, make_symlink);
}

int fs_op_mknod(struct fs_request *req)
{
	return make(req, make_node);
}

int fs_op_mkdir(struct fs_request *req)
{
	return make(req, make_dir);
}

static int remove_name(struct fs_request *req, int flags)
{
	FS_AUTO_AT struct fs_at parent = FS_AT_INIT;
	struct fs_victim victim;
	int ret = fs_at_get(req, req->in.nodeid, &parent);

	if (ret < 0)
		return ret;
	fs_name_removing(req->fs->inodes, parent.inode, req->name, &victim);
	if (fs_redo_gone(req, parent.path.fd, req->name)) {
		fs_name_removed(&victim, true);
		return 0;
	}
	fs_intend(req, victim.inode);
	if (flags ||
	    !fs_hide_name(req->fs->hidden, parent.inode, parent.path.fd, req->name, &victim))
		ret = unlinkat(parent.path.fd, req->name, flags) < 0 ? -errno : 0;
	fs_name_removed(&victim, ret == 0);
	return ret;
}

int fs_op_unlink(struct fs_request *req)
{
	return remove_name(req, 0);
}

int fs_op_rmdir(struct fs_request *req)
{
	return remove_name(req, AT_REMOVEDIR);
}

static void intend_move(struct fs_request *req, const struct fs_at *from, const struct fs_at *to,
			bool exchange)
{
	struct fs_inodes *inodes = req->fs->inodes;
	FS_AUTO_INODE struct fs_inode *inode = fs_name_pin(inodes, from->inode, req->name);
	FS_AUTO_INODE struct fs_inode *other =
		exchange ? fs_name_pin(inodes, to->inode, req->name2) : NULL;

	fs_intend_move(req, &(struct fs_moving){.from = from,
						.to = to,
						.inode = inode,
						.other = other,
						.exchange = exchange});
}

static int do_move(struct fs_request *req, const struct fs_at *from, const struct fs_at *to,
		   uint32_t flags)
{
	if (req->fs->outliving.journal)
		intend_move(req, from, to, flags & RENAME_EXCHANGE);
	/* The C library would take another call where there are no flags. */
	return syscall(SYS_renameat2, from->path.fd, req->name, to->path.fd, req->name2, flags) < 0
		       ? -errno
		       : 0;
}

static void tell_name(struct fs_request *req, const struct fs_at *dir, const char *name,
		      const struct fs_inode *inode)
{
	if (inode)
		fs_journal_name_ahead(dir->inode, name, inode, false);
}

/* What was moved by the process before this one: here, and in the journal, to which nobody has told
 * it where it is known by its new name already (fs_redo_settle()). */
static void was_moved(struct fs_request *req, const struct fs_at *from, const struct fs_at *to,
		      bool exchange)
{
	struct fs_inodes *inodes = req->fs->inodes;
	FS_AUTO_INODE struct fs_inode *known = fs_name_pin(inodes, to->inode, req->name2);
	FS_AUTO_INODE struct fs_inode *inode = NULL;
	FS_AUTO_INODE struct fs_inode *other = NULL;

	if (!exchange || !known || !fs_redo_is_who(req, known))
		fs_name_moved(inodes, from->inode, req->name, to->inode, req->name2, exchange);
	inode = fs_name_pin(inodes, to->inode, req->name2);
	other = exchange ? fs_name_pin(inodes, from->inode, req->name) : NULL;
	tell_name(req, to, req->name2, inode);
	tell_name(req, from, req->name, other);
	if (inode && !other)
		fs_journal_name_ahead(from->inode, req->name, inode, true);
}

static int move_name(struct fs_request *req, uint64_t newdir, uint32_t flags)
{
	FS_AUTO_AT struct fs_at from = FS_AT_INIT;
	FS_AUTO_AT struct fs_at to = FS_AT_INIT;
	struct fs_inodes *inodes = req->fs->inodes;
	bool exchange = flags & RENAME_EXCHANGE;
	struct fs_victim victim = {.inodes = inodes};
	struct fs_hiding hiding = {.attic = NULL};
	int ret = fs_at_get(req, req->in.nodeid, &from);

	if (ret == 0)
		ret = fs_at_get(req, newdir, &to);
	if (ret < 0)
		return ret;
	if (fs_redo_moved(req, &to, req->name2)) {
		was_moved(req, &from, &to, exchange);
		return 0;
	}
	fs_name_moving(inodes, from.inode, req->name, to.inode, req->name2);
	if (!exchange) {
		fs_name_removing(inodes, to.inode, req->name2, &victim);
		fs_hide_target(req->fs->hidden, &hiding, to.inode, to.path.fd, req->name2, &victim);
	}
	ret = do_move(req, &from, &to, flags);
	if (!exchange) {
		fs_hide_target_end(req->fs->hidden, &hiding, &victim, ret == 0);
		fs_name_removed(&victim, ret == 0);
	}
	if (ret == 0)
		fs_name_moved(inodes, from.inode, req->name, to.inode, req->name2, exchange);
	fs_name_move_ended(inodes);
	return ret;
}

int fs_op_rename(struct fs_request *req)
{
	const struct fuse_rename_in *in = req->arg;

	return move_name(req, in->newdir, 0);
}

int fs_op_rename2(struct fs_request *req)
{
	const struct fuse_rename2_in *in = req->arg;

	return move_name(req, in->newdir, in->flags);
}

/* Through the magic link, which leads to the inode itself (a symbolic link is not followed on);
 * AT_EMPTY_PATH would need CAP_DAC_READ_SEARCH. */
int fs_op_link(struct fs_request *req)
{
	const struct fuse_link_in *in = req->arg;
	FS_AUTO_AT struct fs_at parent = FS_AT_INIT;
	FS_AUTO_AT struct fs_at old = FS_AT_INIT;
	char path[FD_NAME_MAX];
	int ret = fs_at_get(req, req->in.nodeid, &parent);

	if (ret == 0)
		ret = fs_at_get(req, in->oldnodeid, &old);
	if (ret < 0)
		return ret;
	fs_name_settle(req->fs->inodes, parent.inode, req->name);
	if (fs_redo_linked(req, parent.path.fd, req->name, old.path.fd))
		return reply_entry(req, parent.inode);
	fs_intend_new(req, parent.path.fd, req->name);
	snprintf(path, sizeof(path), "%d", old.path.fd);
	if (linkat(req->fs->proc_fd, path, parent.path.fd, req->name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return reply_entry(req, parent.inode);
}
