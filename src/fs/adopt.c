/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/adopt.c - a staged state against this share: what it speaks of is found, proven, and opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/identity.h"
#include "fs/load.h"
#include "fs/locks.h"
#include "fs/open.h"
#include "fs/precopied.h"
#include "fs/redo.h"
#include "fs/session.h"
#include "fs/stage.h"
#include "godwit/error.h"

typedef int staged_fn(struct fs_loading *loading, struct fs_inode *inode);

static int at_staged(struct fs_loading *loading, size_t i, staged_fn *fn)
{
	struct fs_inode *inode = fs_staged_at(loading, i);

	/* It may have been taken back, and its slot be another one's. */
	return fs_inode_has(inode, FS_INODE_STAGED) ? fn(loading, inode) : 0;
}

static int each_staged(struct fs_loading *loading, staged_fn *fn)
{
	int err = 0;

	for (size_t i = 0; i < loading->staged_count && !err; i++)
		err = at_staged(loading, i, fn);
	return err;
}

/* Where it is known who is one, nobody else is called into the processor's cache. */
static int each_staged_directory(struct fs_loading *loading, staged_fn *fn)
{
	int err = 0;

	for (size_t i = 0; i < loading->staged_count && !err; i++) {
		if (loading->unprinted || loading->prints[i] & FS_PRINT_DIRECTORY)
			err = at_staged(loading, i, fn);
	}
	return err;
}

/*
 * Is it whole? Every directory has at most one name, so that upwards there is one way, which must
 * end. A mark a slot tells who was here: on this way, or on one before.
 */
enum { UNSEEN, ON_THIS_WAY, ENDS_WELL };

static struct fs_inode *parent_of(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	const struct fs_name *name = fs_name_at(inodes, atomic_load(&inode->names));

	return name ? fs_slot_at(&inodes->slots, name->parent) : NULL;
}

static uint8_t *mark_of(struct fs_loading *loading, const struct fs_inode *inode)
{
	return &loading->ways[fs_slot_index(&inode->slot)];
}

static int check_way(struct fs_loading *loading, struct fs_inode *inode)
{
	struct fs_inodes *inodes = loading->inodes;
	struct fs_inode *at = inode;

	for (; at && at != inodes->root && *mark_of(loading, at) == UNSEEN;
	     at = parent_of(inodes, at))
		*mark_of(loading, at) = ON_THIS_WAY;
	if (at && at != inodes->root && *mark_of(loading, at) == ON_THIS_WAY)
		return gw_fail(EINVAL, "load: inode %llu is its own ancestor",
			       (unsigned long long)fs_inode_id(at));
	for (at = inode; at && at != inodes->root && *mark_of(loading, at) == ON_THIS_WAY;
	     at = parent_of(inodes, at))
		*mark_of(loading, at) = ENDS_WELL;
	return 0;
}

/* Only directories are on the way of others; other names of a file lead to directories as well. */
static int check_tree(struct fs_loading *loading, struct fs_inode *inode)
{
	return inode->type == S_IFDIR >> 12 ? check_way(loading, inode) : 0;
}

/* For every slot that there is: a way may lead on over what came in a round before. */
static bool have_marks(struct fs_loading *loading)
{
	size_t end = fs_slots_end(&loading->inodes->slots);

	if (end <= loading->ways_end) {
		memset(loading->ways, UNSEEN, end);
		return true;
	}
	loading->ways = gw_scratch_take(&loading->scratch, end);
	loading->ways_end = loading->ways ? end : 0;
	return loading->ways;
}

int fs_adopt_check_ways(struct fs_loading *loading)
{
	if (!have_marks(loading))
		return gw_fail(ENOMEM, "load: no memory for %u marks",
			       fs_slots_end(&loading->inodes->slots));
	return each_staged_directory(loading, check_tree);
}

static int check_session(struct fs_loading *loading)
{
	const struct gw_fs_session_v1 *session = &loading->session;
	int err;

	if (!loading->has_session || !loading->has_root)
		return gw_fail(EINVAL, "load: the state has no %s",
			       loading->has_session ? "root" : "session");
	if (fs_slots_set_floor(&loading->inodes->slots, session->inode_generation) ||
	    fs_slots_set_floor(&loading->handles->slots, session->handle_generation))
		return gw_fail(EINVAL, "load: generations %u and %u are too high",
			       session->inode_generation, session->handle_generation);
	loading->inodes->numbers.next = session->next_number;
	/* Parameters are adopted with the state, not with what came ahead of it. */
	if (!session->initialised || fs_precopied_is_kept(loading))
		return 0;
	err = fs_session_check(loading->fs, session);
	return err ? gw_fail_in(err, "load") : 0;
}

/* Without the right root nothing would be right. Before INIT the guest has seen none. */
static int check_root(struct fs_loading *loading)
{
	const struct fs_evidence expected = {
		.type = S_IFDIR, .ino = loading->root.ino, .btime = loading->root.btime};
	int fd = loading->fs->root_fd;
	struct statx stx;
	int err = fs_statx_fd(fd, &stx);

	if (err)
		return gw_fail(-err, "load: the shared directory: %s", strerror(-err));
	if (loading->is_copy)
		return 0;
	if (loading->session.initialised && !fs_evidence_fits(&expected, fd, &stx))
		return gw_fail(ENOENT,
			       "load: shared directory %s is not the one of the source: inode "
			       "number %llu, born %llu ns; expected %llu, %llu ns",
			       loading->fs->host->shared_dir, (unsigned long long)stx.stx_ino,
			       (unsigned long long)fs_btime(&stx), (unsigned long long)expected.ino,
			       (unsigned long long)expected.btime);
	return 0;
}

/*
 * What was handed over is seen through a mount of the process that gave it. Where files can be
 * opened by handle it is looked at through our own, so that it can be linked to a name there.
 */
static int open_path(struct fs_loading *loading, const struct fs_newborn *newborn)
{
	int mount_fd = fs_mount_fd(loading->inodes, newborn->inode->mount);
	struct fs_fhandle handle;
	int fd = -1;

	if (newborn->handed && mount_fd >= 0 && !fs_fhandle_of(newborn->fd, &handle))
		fd = fs_fhandle_open(mount_fd, &handle);
	return fd >= 0 ? fd : fs_open_again(loading->fs->proc_fd, newborn->fd, O_PATH);
}

static int keep_open(struct fs_loading *loading, const struct fs_newborn *newborn)
{
	struct fs_inode *inode = newborn->inode;
	int fd = open_path(loading, newborn);

	if (fd >= 0)
		fd = fs_fdcache_install(loading->inodes, inode, fd);
	if (fd < 0)
		return fd;
	fs_fdcache_pin(inode);
	fs_fd_put(&(struct fs_fd){.fd = fd, .inode = inode});
	fs_inode_unmark(inode, FS_INODE_UNRESOLVED | FS_INODE_COPIED);
	atomic_fetch_add(&loading->inodes->found_early, 1);
	if (loading->fs->recovering)
		atomic_fetch_or(&inode->flags, FS_INODE_KEPT);
	return 0;
}

/*
 * What was made anew is another file for the host; the guest keeps its number.
 */
static int adopt_newborn(struct fs_loading *loading, struct fs_newborn *newborn)
{
	struct fs_inodes *inodes = loading->inodes;
	struct fs_inode *inode = newborn->inode;
	uint64_t number = fs_number_seen(inodes, inode);
	struct statx stx;
	unsigned mount;
	int err;

	if (newborn->handed) /* it is the very file, under the number that it has */
		return keep_open(loading, newborn);
	loading->unprinted = true;
	err = fs_newborn_finish(newborn, loading->fs);
	if (err)
		return err;
	err = fs_statx_fd(newborn->fd, &stx);
	if (!err)
		err = fs_mount_get(inodes, &stx, 0, &mount);
	if (err)
		return err;
	fs_mount_put(inodes, inode->mount);
	inode->mount = (uint16_t)mount;
	inode->ino = stx.stx_ino;
	inode->btime = fs_btime(&stx);
	fs_fhandle_forget(inode);
	fs_number_drop(inodes, inode);
	err = fs_number_keep(inodes, inode, number);
	return err ? err : keep_open(loading, newborn);
}

static int adopt_newborns(struct fs_loading *loading)
{
	for (size_t i = 0; i < loading->newborn_count; i++) {
		struct fs_newborn *newborn = &loading->newborns[i];
		int err = adopt_newborn(loading, newborn);

		if (err)
			return gw_fail_in(err, "load: unnamed inode %llu",
					  (unsigned long long)newborn->record.inode);
	}
	return 0;
}

int fs_miss(struct fs_loading *loading, struct fs_inode *inode, int err, const char *what)
{
	bool tolerated =
		loading->fs->host->on_error == FS_ON_ERROR_GUEST || loading->fs->recovering;
	char text[FS_DESCRIBE_MAX];

	if (tolerated && loading->lost++)
		return 0;
	gw_fail(-err, "load: %s: inode %llu (host's number %llu) %s: %s",
		fs_describe(loading->inodes, inode, text), (unsigned long long)fs_inode_id(inode),
		(unsigned long long)inode->ino, what, fs_why_gone(err));
	if (!tolerated)
		return err;
	gw_warn("%s; the guest will get errors for it (and for others that are missing)",
		gw_last_error());
	return 0;
}

/* A handle that promises nothing here is no evidence. */
static int judge_handle(struct fs_loading *loading, struct fs_inode *inode)
{
	const struct fs_mount *mount = &loading->inodes->mounts[inode->mount];

	if (fs_inode_has(inode, FS_INODE_UNRESOLVED) && mount->known && !mount->portable)
		fs_fhandle_forget(inode);
	return 0;
}

static void look_for_twins(struct fs_loading *loading, size_t i)
{
	(void)i;
	loading->have_twins =
		fs_have_twins(loading->inodes, &loading->scratch, loading->staged,
			      loading->unprinted ? NULL : loading->prints, loading->staged_count);
}

/* Names first: what was moved and not told of is to be opened under its new one. */
static int reopen_settled(struct fs_loading *loading)
{
	struct fs_work work = fs_reopen_work(loading);
	int err = fs_stage_hash_names(loading);

	if (err)
		return err;
	fs_redo_settle(loading);
	fs_do(loading, &work, 1);
	return 0;
}

/*
 * May the hashes wait until the device runs? Not where what is put into them may turn out not to be
 * what it says, or who loads looks for it there.
 */
static bool can_wait(const struct fs_loading *loading)
{
	return !loading->names_hashed && !loading->phased && !loading->is_copy &&
	       !loading->has_attics && !loading->fs->recovering;
}

/*
 * What takes long, all of it side by side. Files are looked for and opened by the lists of names
 * that inodes have, which takes no hash.
 */
static int do_all(struct fs_loading *loading)
{
	struct fs_work works[] = {
		{.fn = look_for_twins, .count = can_wait(loading)},
		fs_reopen_work(loading),
		fs_verify_sample(loading),
	};

	if (loading->fs->recovering)
		return reopen_settled(loading);
	fs_do(loading, works, GW_ARRAY_LEN(works));
	return 0;
}

/* All of it now, each compared with those before it. */
static int fill_hashes(struct fs_loading *loading)
{
	struct fs_inode *twin = NULL;
	int err = fs_stage_hash_names(loading);

	if (err)
		return err;
	err = fs_identities_adopt(loading->inodes, loading->staged, loading->staged_count, &twin);
	return err ? gw_fail(EINVAL, "load: two inodes, one of them %llu, are the same file",
			     (unsigned long long)fs_inode_id(twin))
		   : 0;
}

static int conclude(struct fs_loading *loading)
{
	struct fs_inodes *inodes = loading->inodes;

	if (can_wait(loading) && !loading->have_twins && !atomic_load(&loading->any_lost))
		loading->index =
			fs_index_new(inodes, loading->staged_count, &loading->staged_memory);
	if (!loading->index)
		return fill_hashes(loading);
	atomic_store(&inodes->lazy.unresolved,
		     loading->staged_count - atomic_load(&inodes->found_early));
	return 0;
}

static int look_and_open(struct fs_loading *loading)
{
	/* What is to be proven of a process that died is so when it is used. */
	bool proves = !loading->fs->recovering;
	int err = proves ? fs_verify_all(loading) : 0;

	if (!err && atomic_load(&loading->inodes->fhandle_slab.used))
		err = each_staged(loading, judge_handle);
	if (!err)
		err = fs_reopen_list(loading);
	if (!err)
		err = do_all(loading);
	if (!err && proves)
		err = fs_verify_sampled(loading);
	return err ? err : fs_reopen_settle(loading);
}

int fs_adopt_check_share(struct fs_loading *loading)
{
	int err = fs_names_feed_end(loading->inodes, &loading->feed)
			  ? gw_fail(ENOMEM, "load: no memory for names")
			  : check_session(loading);

	return err ? err : check_root(loading);
}

void fs_adopt_judge(struct fs_loading *loading)
{
	each_staged(loading, judge_handle);
}

int fs_adopt_all(struct fs_loading *loading)
{
	int err = fs_adopt_check_share(loading);

	if (!err)
		err = fs_adopt_check_ways(loading);
	if (!err)
		err = fs_verify_mounts(loading);
	if (!err)
		err = adopt_newborns(loading);
	if (!err)
		err = look_and_open(loading);
	if (!err)
		err = fs_locks_adopt(loading);
	return err ? err : conclude(loading);
}
