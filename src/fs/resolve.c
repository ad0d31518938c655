/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/resolve.c - finding an inode again: by handle, else by path, proven by evidence. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/handles.h"
#include "fs/open.h"
#include "fs/table.h"
#include "godwit/device.h"
#include "godwit/error.h"
#include "godwit/report.h"

/* A path longer than PATH_MAX is walked in pieces, each of which is one more call deep. Host-side
 * renames can also make recorded names run in a circle, which ends here. */
#define PIECES_MAX 8

/* So often is looked for what renames of the guest may have hidden. */
#define MOVE_TRIES 1000u

static _Thread_local unsigned pieces;

bool fs_is_gone(int err)
{
	switch (-err) {
	case ENOENT:
	case ENOTDIR:
	case ESTALE:
	case ELOOP:	   /* a symbolic link has taken a directory's place */
	case EXDEV:	   /* what is there now leads out of the share */
	case ENAMETOOLONG: /* here names are shorter */
	case FS_TWO_FILES: /* of a copy: */
	case EEXIST:
		return true;
	default:
		return false;
	}
}

const char *fs_why_gone(int err)
{
	switch (-err) {
	case ESTALE:
		return "another file is in its place";
	case FS_TWO_FILES:
		return "its names, which are those of one file, lead to different files here";
	case EEXIST:
		return "it and another inode of the guest's are the same file here";
	default:
		return strerror(-err);
	}
}

/*
 * A handle out of a stream could open anything on the file system: it is evidence, until what it
 * describes has been found in the share (and it with that), unless the stream was signed or the
 * operator trusts it.
 */
static bool may_open_handle(const struct fs_inodes *inodes, const struct fs_inode *inode)
{
	return !fs_inode_has(inode, FS_INODE_UNRESOLVED) || inodes->trusts_handles;
}

static int open_by_handle(struct fs_inodes *inodes, struct fs_inode *inode)
{
	struct fs_fhandle handle;
	int mount_fd = fs_mount_fd(inodes, inode->mount);
	int fd;

	if (mount_fd < 0 || !may_open_handle(inodes, inode) || !fs_fhandle_recall(inode, &handle))
		return -EOPNOTSUPP;
	do {
		fd = fs_fhandle_open(mount_fd, &handle);
	} while (fs_inodes_relieve(inodes, fd));
	return fd;
}

/* A path that grows from its end. */
struct path {
	char bytes[PATH_MAX];
	size_t start;
};

static bool prepend(struct path *path, const char *name, size_t len)
{
	bool first = path->start == sizeof(path->bytes) - 1;

	if (path->start < len + 1)
		return false;
	if (!first)
		path->bytes[--path->start] = '/';
	path->start -= len;
	memcpy(path->bytes + path->start, name, len);
	return true;
}

/*
 * The nearest ancestor whose descriptor is at hand, @dir itself or above it; the names below it are
 * put before @path. Consumes the reference on @dir.
 */
static int nearest(struct fs_inodes *inodes, struct fs_inode *dir, struct path *path,
		   struct fs_fd *fd, struct fs_inode **ancestor)
{
	FS_AUTO_INODE struct fs_inode *at = dir;

	for (;;) {
		struct fs_name_copy copy;
		bool fitted;

		if (fs_inode_has(at, FS_INODE_LOST))
			return -ESTALE;
		if (fs_fdcache_try(at, fd))
			break;
		if (!fs_name_first(inodes, at, &copy))
			return -ESTALE;
		fitted = prepend(path, copy.name, copy.len);
		if (!fitted) {
			int err;

			fs_inode_put(copy.parent);
			if (pieces >= PIECES_MAX)
				return -ELOOP;
			pieces++;
			err = fs_inode_fd(at, fd);
			pieces--;
			if (err)
				return err;
			break;
		}
		fs_inode_put(at);
		at = copy.parent;
	}
	*ancestor = gw_take_ptr(at);
	return 0;
}

static int open_below(struct fs_inodes *inodes, struct fs_inode *parent, const char *name,
		      size_t len, int flags)
{
	struct path path;
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	FS_AUTO_INODE struct fs_inode *ancestor = NULL;
	int fd;

	path.start = sizeof(path.bytes) - 1;
	path.bytes[path.start] = 0;
	prepend(&path, name, len);
	fd = nearest(inodes, parent, &path, &dir, &ancestor);
	if (fd < 0)
		return fd;
	do {
		fd = fs_open_beneath(dir.fd, path.bytes + path.start, flags, 0);
	} while (fs_inodes_relieve(inodes, fd));
	fs_fd_put(&dir);
	return fd;
}

int fs_open_named(struct fs_inodes *inodes, struct fs_inode *parent, const char *name, size_t len)
{
	return open_below(inodes, parent, name, len, O_PATH);
}

/* A handle that came out of a stream counts only where the file system promises that handles mean
 * the same everywhere; adopt.c drops the others. */
static bool meaningful_handle(struct fs_inodes *inodes, struct fs_inode *inode,
			      const struct statx *stx, int fd, struct fs_fhandle *handle)
{
	if (fs_inode_has(inode, FS_INODE_UNRESOLVED)) {
		if (inode->mount && S_ISDIR(stx->stx_mode))
			fs_mount_offer(inodes, inode->mount, fd);
		if (!atomic_load(&inodes->mounts[inode->mount].portable))
			return false;
	}
	return fs_fhandle_recall(inode, handle);
}

/* Type, number, birth; a mount that is not known yet becomes known by the first inode that fits. */
static bool fits(struct fs_inodes *inodes, struct fs_inode *inode, const struct statx *stx)
{
	const struct fs_evidence expected = {
		.type = (mode_t)inode->type << 12, .ino = inode->ino, .btime = inode->btime};

	return fs_evidence_fits(&expected, -1, stx) && fs_mount_learn(inodes, inode->mount, stx);
}

/* The first look at what came from another host is one at the server. */
static int look(const struct fs_inode *inode, int dir, const char *name, struct statx *stx)
{
	if (fs_inode_has(inode, FS_INODE_UNRESOLVED))
		return fs_statx_fresh(dir, name, stx);
	return *name ? fs_statx_at(dir, name, stx) : fs_statx_fd(dir, stx);
}

int fs_inode_prove(struct fs_inodes *inodes, struct fs_inode *inode, int fd)
{
	struct fs_evidence expected = {.type = (mode_t)inode->type << 12, .ino = inode->ino};
	struct fs_fhandle handle;
	struct statx stx;
	int err = look(inode, fd, "", &stx);

	if (err)
		return err;
	if (!fits(inodes, inode, &stx))
		return -ESTALE;
	expected.handle = &handle;
	if (meaningful_handle(inodes, inode, &stx, fd, &handle) &&
	    !fs_evidence_fits(&expected, fd, &stx))
		return -ESTALE;
	fs_identity_confirm(inodes, inode);
	return 0;
}

/* Of what went wrong at one name and at another: what says that it may well be there counts most,
 * then another file in its place. */
static int worse(int before, int err)
{
	return before == -ENOENT || (before == -ESTALE && !fs_is_gone(err)) ? err : before;
}

typedef int named_fn(struct fs_inodes *inodes, struct fs_inode *inode,
		     const struct fs_name_copy *name);

/* By its names, all of them: any may have become wrong behind our back. */
static int by_all_names(struct fs_inodes *inodes, struct fs_inode *inode, named_fn *fn)
{
	struct fs_name_copy *names;
	unsigned count;
	int result = fs_names_copy(inodes, inode, &names, &count);

	if (result)
		return result;
	result = -ENOENT;
	for (unsigned i = 0; i < count && result < 0; i++) {
		int found = fn(inodes, inode, &names[i]);

		result = found < 0 ? worse(result, found) : found;
	}
	fs_names_copy_free(names, count);
	return result;
}

/* The latest is the right one, nearly always. */
static int by_names(struct fs_inodes *inodes, struct fs_inode *inode, named_fn *fn)
{
	struct fs_name_copy name;
	int result;

	if (!fs_name_first(inodes, inode, &name))
		return -ENOENT;
	result = fn(inodes, inode, &name);
	fs_inode_put(name.parent);
	return result < 0 ? by_all_names(inodes, inode, fn) : result;
}

static int open_at(struct fs_inodes *inodes, struct fs_inode *inode,
		   const struct fs_name_copy *name)
{
	GW_AUTO_FD int fd =
		fs_open_named(inodes, fs_inode_pin(name->parent), name->name, name->len);
	int err = fd < 0 ? fd : fs_inode_prove(inodes, inode, fd);

	return err ? err : gw_take_fd(&fd);
}

/*
 * One walk instead of two, and none through /proc. What is opened may be another file, until it is
 * proven: so this is for mounts where nothing is a device, and it does not wait for anybody.
 */
int fs_inode_open_named(struct fs_inode *inode, int flags)
{
	struct fs_inodes *inodes = fs_table_of(inode);
	struct fs_name_copy name;
	GW_AUTO_FD int fd = -1;
	int err;

	if (inode->mount || fs_inode_is_copied(inode) || !fs_name_first(inodes, inode, &name))
		return -EOPNOTSUPP;
	fd = open_below(inodes, name.parent, name.name, name.len, flags | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	err = fs_inode_prove(inodes, inode, fd);
	if (!err && fcntl(fd, F_SETFL, flags) < 0)
		err = -errno;
	return err ? err : gw_take_fd(&fd);
}

/* Does this path of the kernel's lead, below the share, to what @stx says? */
static bool leads_there(struct fs_inodes *inodes, const char *path, const struct statx *stx)
{
	GW_AUTO_FD int fd = fs_open_beneath(inodes->fs->root_fd, path, O_PATH, 0);
	struct statx found;

	return fd >= 0 && !fs_statx_fd(fd, &found) && found.stx_ino == stx->stx_ino &&
	       found.stx_dev_major == stx->stx_dev_major &&
	       found.stx_dev_minor == stx->stx_dev_minor;
}

/*
 * Even who is trusted with handles has no business outside the share. The kernel knows the path of
 * every directory, and that of a file which somebody has looked up lately. It says "/" for other
 * files, and inside a mount namespace for all that is not there: of files that is no answer, and
 * whoever made the stream is believed.
 */
static bool is_outside(struct fs_inodes *inodes, int fd)
{
	char root[PATH_MAX], path[PATH_MAX];
	int proc = inodes->fs->proc_fd;
	struct statx stx;
	size_t len;

	if (fs_statx_fd(fd, &stx) || fs_path_of(proc, fd, path, sizeof(path)) ||
	    fs_path_of(proc, inodes->fs->root_fd, root, sizeof(root)))
		return true;
	if (!S_ISDIR(stx.stx_mode) && !strcmp(path, "/"))
		return false;
	len = strcmp(root, "/") ? strlen(root) : 0;
	return strncmp(path, root, len) || path[len] != '/' || !path[len + 1] ||
	       !leads_there(inodes, path + len + 1, &stx);
}

/* A handle of a stream that may be opened; what it leads to is proven like all else. */
static int open_as_told(struct fs_inodes *inodes, struct fs_inode *inode)
{
	GW_AUTO_FD int fd = open_by_handle(inodes, inode);
	int err = fd < 0 ? fd : 0;

	if (!err && is_outside(inodes, fd))
		err = -EXDEV;
	if (!err)
		err = fs_inode_prove(inodes, inode, fd);
	return err ? err : gw_take_fd(&fd);
}

/* The device runs on this table, so there is nobody to ask: it is stale from here on. */
static void lose(struct fs_inodes *inodes, struct fs_inode *inode, int err)
{
	char text[FS_DESCRIBE_MAX];
	struct gw_report *data;

	if (!fs_identity_lose(inodes, inode))
		return;
	fs_describe(inodes, inode, text);
	if (atomic_load(&inodes->lazy.stale) == 1)
		gw_warn("%s: inode %llu is not here any more: %s; the guest gets errors for it "
			"(and for others that are missing)",
			text, (unsigned long long)fs_inode_id(inode), fs_why_gone(err));
	data = gw_report_new();
	gw_report_text(data, "path", text);
	gw_report_number(data, "nodeid", fs_inode_id(inode));
	gw_report_text(data, "reason", fs_why_gone(err));
	gw_device_event(inodes->fs, "INODE_STALE", data);
}

static bool is_staged(const struct fs_inode *inode)
{
	return fs_inode_has(inode, FS_INODE_STAGED);
}

/* Of a state in rounds what is not found now may be told of once more: who loads it decides. */
static bool is_in_use(const struct fs_inodes *inodes)
{
	return inodes == inodes->fs->inodes;
}

/* Handles only where the operator wants them first; else they are for what the path does not find.
 */
static int look_for(struct fs_inodes *inodes, struct fs_inode *inode)
{
	bool handle_first = inodes->fs->host->migration_mode == FS_MIGRATION_HANDLES;
	int fd = -ENOENT;

	if (fs_inode_is_copied(inode))
		return fs_copied_find(inodes, inode);
	if (handle_first)
		fd = open_as_told(inodes, inode);
	if (fd < 0)
		fd = by_names(inodes, inode, open_at);
	if (fs_is_gone(fd) && !handle_first) {
		int by_handle = open_as_told(inodes, inode);

		fd = by_handle < 0 ? fd : by_handle;
	}
	return fd;
}

/*
 * A path that the guest renames just now may be missed under either name, also for what is below
 * it. So who finds nothing meanwhile looks again; in the end it is stale for who asks now, and not
 * lost: a guest that gets ESTALE looks the path up anew.
 */
static int find_unresolved(struct fs_inodes *inodes, struct fs_inode *inode)
{
	unsigned tries = MOVE_TRIES;
	bool moving;
	int fd;

	do {
		uint32_t ended = atomic_load(&inodes->moves.ended);

		fd = look_for(inodes, inode);
		moving = atomic_load(&inodes->moves.begun) != ended;
	} while (fs_is_gone(fd) && moving && --tries && !sched_yield());
	if (!fs_is_gone(fd) || is_staged(inode) || !is_in_use(inodes))
		return fd;
	if (!moving)
		lose(inodes, inode, fd);
	return -ESTALE;
}

int fs_inode_find(struct fs_inodes *inodes, struct fs_inode *inode)
{
	int fd;

	if (fs_inode_has(inode, FS_INODE_LOST))
		return -ESTALE;
	if (fs_inode_is_unresolved(inode))
		return find_unresolved(inodes, inode);
	fd = open_by_handle(inodes, inode);
	if (fd < 0)
		fd = by_names(inodes, inode, open_at);
	/* The host may have removed what the guest has open. */
	if (fs_is_gone(fd))
		fd = fs_handles_path(inodes->fs->handles, inode);
	return fs_is_gone(fd) ? -ESTALE : fd;
}

static int check_at(struct fs_inodes *inodes, struct fs_inode *inode,
		    const struct fs_name_copy *name)
{
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	GW_AUTO_FD int fd = -1;
	struct statx stx;
	int err = fs_inode_fd(name->parent, &dir);

	if (!err)
		err = look(inode, dir.fd, name->name, &stx);
	if (err)
		return err;
	if (!fits(inodes, inode, &stx))
		return -ESTALE;
	if (!fs_fhandle_is_known(inode)) {
		fs_identity_confirm(inodes, inode);
		return 0;
	}
	do {
		fd = fs_open_beneath(dir.fd, name->name, O_PATH, 0);
	} while (fs_inodes_relieve(inodes, fd));
	return fd < 0 ? fd : fs_inode_prove(inodes, inode, fd);
}

int fs_inode_check(struct fs_inodes *inodes, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err;

	if (fs_inode_is_copied(inode)) {
		GW_AUTO_FD int found = fs_inode_find(inodes, inode);

		return found < 0 ? found : 0;
	}
	err = by_names(inodes, inode, check_at);
	/* There may be other ways than by its names. */
	return fs_is_gone(err) ? fs_inode_fd(inode, &fd) : err;
}
