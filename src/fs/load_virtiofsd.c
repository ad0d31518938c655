/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/load_virtiofsd.c - a guest of virtiofsd's is taken over: what its state speaks of is found. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/foreign_virtiofsd.h"
#include "fs/load.h"
#include "fs/open.h"
#include "fs/session.h"
#include "godwit/error.h"

/*
 * virtiofsd's state says little of what an inode is: a name in another one (no type, no inode
 * number), with --migration-verify-handles its handle, or a handle alone. So each is looked for
 * here first, parents before children; what is found becomes the objects that a state of ours has,
 * and goes the same way from there.
 */
struct takeover {
	struct fs_loading *loading;
	struct fs_virtiofsd state;
	int *mount_fds;	   /* of state.mounts, real ones; -1: not yet opened */
	uint64_t unproven; /* inodes that were found by a name alone */
};

/*
 * Params and session.
 */

static int told_params(const struct fs_virtiofsd *state, struct gw_params *params)
{
	/* Whether it is needed of a guest the operator says; this one has it, or not. */
	bool acl = state->posix_acl && gw_params_get(params, "posix-acl", FS_NEVER) == FS_NEVER;
	int err = gw_params_set(params, "writeback", state->writeback, NULL);

	if (!err)
		err = gw_params_set(params, "submounts", state->announce_submounts, NULL);
	if (!err && acl)
		err = gw_params_set(params, "posix-acl", FS_AUTO, NULL);
	return err;
}

/* virtiofsd has one request queue, whatever its host offers. Before INIT nothing was agreed on, and
 * the device is as one that starts here. */
static int params(const void *bytes, size_t len, struct gw_params *params)
{
	struct fs_virtiofsd state;
	int err = fs_virtiofsd_parse(&state, bytes, len);

	if (!err)
		err = gw_params_set(params, "num-request-queues", 1, NULL);
	if (!err)
		err = state.inode_count ? told_params(&state, params)
					: gw_params_apply_profile(params, NULL);
	fs_virtiofsd_clear(&state);
	return err;
}

static bool begins(const uint8_t *first, size_t len)
{
	return len && first[0] <= 1;
}

static int check(const void *bytes, size_t len)
{
	struct fs_virtiofsd state;
	int err = fs_virtiofsd_parse(&state, bytes, len);

	fs_virtiofsd_clear(&state);
	return err;
}

const struct gw_foreign_format fs_foreign_formats[] = {
	{.name = "virtiofsd", .begins = begins, .check = check, .params = params},
	{.name = NULL},
};

/*
 * Four options are told of. The rest is what this device agrees on with a guest that offers
 * everything, as Linux does: with the same options that is what virtiofsd agrees on.
 */
#define FLAGS_ACL	    (FUSE_POSIX_ACL | FUSE_DONT_MASK | FUSE_SETXATTR_EXT)
#define FLAGS_TOLD	    (FUSE_WRITEBACK_CACHE | FLAGS_ACL | FUSE_CREATE_SUPP_GROUP | FUSE_SUBMOUNTS)
#define VIRTIOFSD_MINOR	    38
#define VIRTIOFSD_MAX_WRITE (1024 * 1024)

static uint64_t agreed(const struct takeover *takeover)
{
	const struct fs_virtiofsd *state = &takeover->state;
	uint64_t flags = fs_session_flags(takeover->loading->fs) & ~FLAGS_TOLD;

	flags |= state->writeback ? FUSE_WRITEBACK_CACHE : 0;
	flags |= state->posix_acl ? FLAGS_ACL : 0;
	flags |= state->supp_groups ? FUSE_CREATE_SUPP_GROUP : 0;
	flags |= state->announce_submounts ? FUSE_SUBMOUNTS : 0;
	return flags;
}

static int stage_session(struct takeover *takeover)
{
	const struct fs_virtiofsd *state = &takeover->state;
	struct gw_fs_session_v1 session = {
		.initialised = state->inode_count, /* the root comes with INIT */
		.minor = VIRTIOFSD_MINOR,
		.flags = agreed(takeover),
		.max_write = VIRTIOFSD_MAX_WRITE,
		.max_pages = VIRTIOFSD_MAX_WRITE / FS_PAGE,
		.inode_generation = FS_SLOTS_GENERATION_MAX,
		.handle_generation = FS_SLOTS_GENERATION_MAX,
	};

	/* No id of ours is one that virtiofsd gave out. */
	if (state->next_inode >> 32 < FS_SLOTS_GENERATION_MAX)
		session.inode_generation = (uint32_t)(state->next_inode >> 32) + 1;
	if (state->next_open >> 32 < FS_SLOTS_GENERATION_MAX)
		session.handle_generation = (uint32_t)(state->next_open >> 32) + 1;
	return fs_stage(takeover->loading, &gw_fs_session_v1, &session);
}

/*
 * Finding.
 */

static int compare_fhandle(int fd, const struct fs_virtiofsd_fhandle *expected)
{
	struct fs_fhandle found;
	int err = fs_fhandle_of(fd, &found);

	if (err)
		return err;
	return found.type == expected->type && found.len == expected->bytes.len &&
			       !memcmp(found.bytes, expected->bytes.data, found.len)
		       ? 0
		       : -ESTALE;
}

static int stage_root(struct takeover *takeover)
{
	const struct fs_virtiofsd *state = &takeover->state;
	struct gw_fs_inode_v1 record = {.id = FS_ROOT_ID, .type = S_IFDIR >> 12};
	int fd = takeover->loading->fs->root_fd;
	struct statx stx;
	int err = fs_statx_fd(fd, &stx);

	if (!err && state->inode_count && state->inodes[0].has_fhandle)
		err = compare_fhandle(fd, &state->inodes[0].fhandle);
	if (err)
		return gw_fail(-err, "load: shared directory %s: %s",
			       takeover->loading->fs->host->shared_dir,
			       err == -ESTALE ? "it is not the one that the source has"
					      : strerror(-err));
	record.ino = stx.stx_ino;
	record.btime = fs_btime(&stx);
	return fs_stage(takeover->loading, &gw_fs_inode_v1, &record);
}

/* What has the name now; *@fd is opened only where a handle tells whether it is the same. */
static int find_named(struct takeover *takeover, const struct fs_virtiofsd_inode *inode,
		      struct statx *stx)
{
	struct fs_inodes *inodes = takeover->loading->inodes;
	struct fs_inode *parent = fs_slot_adopted(&inodes->slots, inode->parent_id);
	FS_AUTO_PATHFD struct fs_fd dir = FS_PATHFD_INIT;
	GW_AUTO_FD int fd = -1;
	char name[FS_NAME_MAX + 1] = "";
	int err = parent ? fs_inode_fd(parent, &dir) : -ENOENT;

	if (err)
		return err;
	memcpy(name, inode->name.data, inode->name.len);
	if (!inode->has_fhandle) {
		takeover->unproven++;
		return fs_statx_at(dir.fd, name, stx);
	}
	do {
		fd = fs_open_beneath(dir.fd, name, O_PATH, 0);
	} while (fs_inodes_relieve(inodes, fd));
	if (fd < 0)
		return fd;
	err = compare_fhandle(fd, &inode->fhandle);
	return err ? err : fs_statx_fd(fd, stx);
}

/* A real descriptor of the mount's own directory, kept. */
static int mount_fd(struct takeover *takeover, uint64_t id)
{
	const struct fs_virtiofsd_mount *mount = fs_virtiofsd_mount(&takeover->state, id);
	int *fd = &takeover->mount_fds[mount - takeover->state.mounts];
	GW_AUTO_FREE char *path = NULL;

	if (*fd >= 0)
		return *fd;
	path = strndup(mount->path.data, mount->path.len);
	if (!path)
		return -ENOMEM;
	*fd = fs_open_beneath(takeover->loading->fs->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
	return *fd;
}

/* O_PATH of what the handle means. It could mean anything on the file system: the operator, who
 * asked for this, answers for the front-end that gave it. */
static int open_handle(struct takeover *takeover, const struct fs_virtiofsd_inode *inode,
		       int *where)
{
	struct fs_fhandle handle;
	int fd, mount = mount_fd(takeover, inode->fhandle.mount);

	if (mount < 0)
		return mount;
	*where = mount;
	fd = fs_fhandle_set(&handle, inode->fhandle.type, inode->fhandle.bytes.data,
			    inode->fhandle.bytes.len);
	if (fd)
		return fd;
	do {
		fd = fs_fhandle_open(mount, &handle);
	} while (fs_inodes_relieve(takeover->loading->inodes, fd));
	return fd;
}

/*
 * Staging.
 */

static int stage_id(struct takeover *takeover, bool handle, uint64_t id)
{
	const struct gw_fs_foreign_id_v1 record = {.handle = handle, .id = id};

	return fs_stage(takeover->loading, &gw_fs_foreign_id_v1, &record);
}

static void clear_flag(struct fs_inode *inode, enum fs_inode_flags flag)
{
	fs_inode_unmark(inode, flag);
}

static struct gw_fs_inode_v1 record_of(const struct fs_virtiofsd_inode *inode)
{
	return (struct gw_fs_inode_v1){
		.id = inode->id,
		.type = (inode->directory ? S_IFDIR : S_IFREG) >> 12,
		.lookups = inode->references - inode->children,
	};
}

static int stage_name(struct takeover *takeover, const struct fs_virtiofsd_inode *inode)
{
	const struct gw_fs_name_v1 record = {
		.parent = inode->parent_id, .name = inode->name, .inode = inode->id};

	return fs_stage(takeover->loading, &gw_fs_name_v1, &record);
}

/* The guest has it, and will get errors for it; unless that is not what the operator wants. */
static int stage_lost(struct takeover *takeover, const struct fs_virtiofsd_inode *inode, int why)
{
	struct fs_loading *loading = takeover->loading;
	const struct gw_fs_inode_v1 record = record_of(inode);
	struct fs_inode *lost;
	int err = fs_stage(loading, &gw_fs_inode_v1, &record);

	if (!err && inode->kind == FS_VIRTIOFSD_PATH)
		err = stage_name(takeover, inode);
	if (err)
		return err;
	lost = fs_slot_adopted(&loading->inodes->slots, inode->id);
	fs_mark_lost(loading, lost);
	return fs_miss(loading, lost, why,
		       inode->kind == FS_VIRTIOFSD_INVALID ? "was lost by the source already"
							   : "is not to be found");
}

static int stage_found(struct takeover *takeover, const struct fs_virtiofsd_inode *inode,
		       const struct statx *stx)
{
	struct fs_loading *loading = takeover->loading;
	struct gw_fs_inode_v1 record = record_of(inode);
	unsigned mount;
	int err = fs_mount_get(loading->inodes, stx, 0, &mount);

	if (err)
		return gw_fail(-err, "load: mounts: %s", strerror(-err));
	record.type = (stx->stx_mode & S_IFMT) >> 12;
	record.mount = mount;
	record.ino = stx->stx_ino;
	record.btime = fs_btime(stx);
	record.number = stx->stx_ino; /* virtiofsd's guests see the host's, on all mounts */
	record.links = stx->stx_nlink > 1 && !S_ISDIR(stx->stx_mode);
	if (inode->kind == FS_VIRTIOFSD_HANDLE) {
		record.handle_type = inode->fhandle.type;
		record.handle = inode->fhandle.bytes;
	}
	err = fs_stage(loading, &gw_fs_inode_v1, &record);
	fs_mount_put(loading->inodes, mount);
	if (!err)
		clear_flag(fs_slot_adopted(&loading->inodes->slots, inode->id),
			   FS_INODE_UNRESOLVED);
	return err;
}

static bool fits(const struct fs_virtiofsd_inode *inode, const struct statx *stx)
{
	return !inode->directory || S_ISDIR(stx->stx_mode);
}

static int stage_named(struct takeover *takeover, const struct fs_virtiofsd_inode *inode)
{
	struct statx stx;
	int err = find_named(takeover, inode, &stx);

	if (!err && !fits(inode, &stx))
		err = -ESTALE;
	if (err == -ENOMEM || err == -EMFILE || err == -ENFILE)
		return gw_fail(-err, "load: inodes: %s", strerror(-err));
	if (err)
		return stage_lost(takeover, inode, err);
	err = stage_found(takeover, inode, &stx);
	return err ? err : stage_name(takeover, inode);
}

/* It has no name here before one is looked for. Where it can be opened by its handle again, its
 * descriptor may go; else not. */
static int keep(struct fs_inodes *inodes, struct fs_inode *inode, int fd, int where)
{
	if (fs_mount_fd(inodes, inode->mount) < 0)
		fs_mount_offer(inodes, inode->mount, where);
	fd = fs_fdcache_install(inodes, inode, fd);
	if (fd < 0)
		return gw_fail(-fd, "load: inodes: %s", strerror(-fd));
	if (fs_mount_fd(inodes, inode->mount) < 0)
		fs_fdcache_pin(inode);
	fs_fd_put(&(struct fs_fd){.fd = fd, .inode = inode});
	return 0;
}

static int stage_by_handle(struct takeover *takeover, const struct fs_virtiofsd_inode *inode)
{
	struct fs_inodes *inodes = takeover->loading->inodes;
	int where = -1;
	GW_AUTO_FD int fd = open_handle(takeover, inode, &where);
	struct statx stx;
	int err = fd < 0 ? fd : fs_statx_fd(fd, &stx);

	if (err == -EPERM)
		return gw_fail(EPERM, "load: opening by file handle takes CAP_DAC_READ_SEARCH, "
				      "which this process has not");
	if (!err && !fits(inode, &stx))
		err = -ESTALE;
	if (err)
		return stage_lost(takeover, inode, err);
	err = stage_found(takeover, inode, &stx);
	return err ? err
		   : keep(inodes, fs_slot_adopted(&inodes->slots, inode->id), gw_take_fd(&fd),
			  where);
}

static int stage_inode(struct takeover *takeover, const struct fs_virtiofsd_inode *inode)
{
	int err;

	if (inode->kind == FS_VIRTIOFSD_ROOT)
		return 0;
	err = stage_id(takeover, false, inode->id);
	if (err)
		return err;
	switch (inode->kind) {
	case FS_VIRTIOFSD_PATH:
		return stage_named(takeover, inode);
	case FS_VIRTIOFSD_HANDLE:
		return stage_by_handle(takeover, inode);
	default:
		return stage_lost(takeover, inode, -ENOENT);
	}
}

/* Where directories are is the host's business: cookies are those of its file system, as they were
 * virtiofsd's. */
static int stage_open(struct takeover *takeover, const struct fs_virtiofsd_open *open)
{
	struct fs_loading *loading = takeover->loading;
	uint64_t id = takeover->state.inodes[open->inode].id;
	struct fs_inode *inode = fs_slot_adopted(&loading->inodes->slots, id);
	mode_t type = fs_inode_type(inode);
	const struct gw_fs_handle_v1 record = {
		.id = open->id,
		.inode = id,
		.flags = (uint32_t)open->flags,
		.directory = type == S_IFDIR,
		.blind = type == S_IFDIR,
	};
	int err;

	if (type != S_IFDIR && type != S_IFREG)
		return fs_miss(loading, inode, -ESTALE, "is nothing that could be open");
	err = stage_id(takeover, true, open->id);
	return err ? err : fs_stage(loading, &gw_fs_handle_v1, &record);
}

/* Opening by handle leaves the share if the handle does. */
static int check_mode(const struct takeover *takeover)
{
	const struct fs_virtiofsd *state = &takeover->state;

	if (takeover->loading->fs->host->migration_mode == FS_MIGRATION_HANDLES)
		return 0;
	for (uint32_t i = 0; i < state->inode_count; i++) {
		if (state->inodes[i].kind == FS_VIRTIOFSD_HANDLE)
			return gw_fail(EPERM,
				       "load: virtiofsd tells of inodes by file handle; "
				       "--migration-mode=file-handles allows that here, "
				       "--migration-mode=find-paths at the source avoids it");
	}
	return 0;
}

static int open_nothing_yet(struct takeover *takeover)
{
	uint32_t count = takeover->state.mount_count;

	takeover->mount_fds = malloc(((size_t)count + 1) * sizeof(*takeover->mount_fds));
	if (!takeover->mount_fds)
		return gw_fail(ENOMEM, "load: no memory for mounts");
	for (uint32_t i = 0; i < count; i++)
		takeover->mount_fds[i] = -1;
	return 0;
}

static int stage_all(struct takeover *takeover)
{
	const struct fs_virtiofsd *state = &takeover->state;
	int err = check_mode(takeover);

	if (!err)
		err = open_nothing_yet(takeover);
	if (!err)
		err = stage_session(takeover);
	if (!err)
		err = stage_root(takeover);
	for (uint32_t i = 0; i < state->inode_count && !err; i++)
		err = stage_inode(takeover, &state->inodes[state->order[i]]);
	for (uint32_t i = 0; i < state->open_count && !err; i++)
		err = stage_open(takeover, &state->opens[i]);
	return err;
}

int fs_stage_virtiofsd(struct fs_loading *loading, const struct gw_bytes *bytes)
{
	struct takeover takeover = {.loading = loading};
	int err = fs_virtiofsd_parse(&takeover.state, bytes->data, bytes->len);

	if (err)
		return err;
	err = stage_all(&takeover);
	if (!err && takeover.unproven)
		gw_warn("load: virtiofsd tells of %llu inodes by name alone: a file that was put "
			"in "
			"another one's place meanwhile is not noticed "
			"(--migration-verify-handles at the source)",
			(unsigned long long)takeover.unproven);
	for (uint32_t i = 0; takeover.mount_fds && i < takeover.state.mount_count; i++)
		gw_close(&takeover.mount_fds[i]);
	free(takeover.mount_fds);
	fs_virtiofsd_clear(&takeover.state);
	return err;
}
