/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/fold_write.c - what was read of a process that died, as one state. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "fs/fold_internal.h"
#include "godwit/error.h"

static bool is_lost(const struct fs_fold_item *item)
{
	return item->inode.id != FS_ROOT_ID && !item->kept && (item->lost || !item->named);
}

static int write_session(struct fs_fold *fold, struct gw_state_writer *writer)
{
	struct gw_fs_session_v1 *session = &fold->session;

	session->inode_generation = GW_MAX(session->inode_generation, fold->inode_generation + 1);
	session->handle_generation =
		GW_MAX(session->handle_generation, fold->handle_generation + 1);
	for (struct fs_fold_item *item = fold->inodes.first; item; item = item->next) {
		if (!item->gone && item->inode.number >= session->next_number)
			session->next_number = item->inode.number + 1;
	}
	return gw_state_put(writer, &gw_fs_session_v1, session);
}

static int write_mounts(const struct fs_fold *fold, struct gw_state_writer *writer)
{
	int err = 0;

	for (unsigned i = 1; i < FS_MOUNTS_MAX && !err; i++) {
		const struct gw_fs_mount_v1 record = {.index = i};

		if (fold->mounts[i])
			err = gw_state_put(writer, &gw_fs_mount_v1, &record);
	}
	return err;
}

static int write_inode(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_inode_v1, &item->inode);
}

static int write_name(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_name_v1, &item->name);
}

static int write_handle(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	return gw_state_put(writer, &gw_fs_handle_v1, &item->handle);
}

static int write_lost(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	const struct gw_fs_lost_v1 record = {.inode = item->inode.id};

	return is_lost(item) ? gw_state_put(writer, &gw_fs_lost_v1, &record) : 0;
}

bool fs_fold_is_flocked(const struct fs_fold_item *item)
{
	return !item->gone &&
	       (item->flocking.shared || item->flocking.exclusive || item->flocking.lost);
}

static int write_flocking(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	return fs_fold_is_flocked(item) ? gw_state_put(writer, &gw_fs_flocking_v1, &item->flocking)
					: 0;
}

bool fs_fold_is_alive(void *opaque, uint64_t inode)
{
	return fs_fold_live_inode(opaque, inode);
}

/* What is kept open has no name; what the record says of it is for who has to make it anew. */
static int write_orphan(const struct fs_fold_item *item, struct gw_state_writer *writer)
{
	struct gw_fs_orphan_v1 record = {.inode = item->inode.id};
	struct stat st;

	if (!item->kept || item->named)
		return 0;
	if (fstat(item->fd, &st) < 0)
		return gw_fail(errno, "recovery: inode %llu: %s",
			       (unsigned long long)item->inode.id, strerror(errno));
	record.mode = st.st_mode;
	record.uid = st.st_uid;
	record.gid = st.st_gid;
	record.rdev = st.st_rdev;
	record.size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (S_ISLNK(st.st_mode))
		record.target = (struct gw_bytes){"-", 1};
	return gw_state_put(writer, &gw_fs_orphan_v1, &record);
}

static int write_each(const struct fs_fold_map *map, struct gw_state_writer *writer,
		      int (*fn)(const struct fs_fold_item *item, struct gw_state_writer *writer))
{
	int err = 0;

	for (const struct fs_fold_item *item = map->first; item && !err; item = item->next)
		err = item->gone ? 0 : fn(item, writer);
	return err;
}

int fs_fold_write(struct fs_fold *fold, struct gw_state_writer *writer)
{
	int err = write_session(fold, writer);

	if (!err)
		err = write_mounts(fold, writer);
	if (!err)
		err = write_each(&fold->inodes, writer, write_inode);
	if (!err)
		err = write_each(&fold->names, writer, write_name);
	if (!err)
		err = write_each(&fold->inodes, writer, write_lost);
	if (!err)
		err = write_each(&fold->inodes, writer, write_orphan);
	if (!err)
		err = write_each(&fold->handles, writer, write_handle);
	if (!err)
		err = write_each(&fold->handles, writer, write_flocking);
	return err ? err : fs_fold_locks_write(fold->locks, writer, fs_fold_is_alive, fold);
}
