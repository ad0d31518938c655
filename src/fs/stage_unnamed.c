/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage_unnamed.c - what has no name: made anew as it comes, and put right if it comes again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/ahead.h"
#include "fs/precopied.h"
#include "fs/stage.h"
#include "godwit/error.h"

/* No honest guest comes near this; each takes a descriptor anyway. */
#define NEWBORNS_MAX (1u << 20)

static struct fs_newborn *newborn_of(struct fs_loading *loading, uint64_t id)
{
	/* Content follows its file at once. */
	for (size_t i = loading->newborn_count; i; i--) {
		if (loading->newborns[i - 1].record.inode == id)
			return &loading->newborns[i - 1];
	}
	return NULL;
}

static struct fs_newborn *new_newborn(struct fs_loading *loading)
{
	if (loading->newborn_count == loading->newborn_room) {
		size_t room = loading->newborn_room ? loading->newborn_room * 2 : 16;
		struct fs_newborn *newborns =
			room > NEWBORNS_MAX ? NULL
					    : realloc(loading->newborns, room * sizeof(*newborns));

		if (!newborns)
			return NULL;
		loading->newborns = newborns;
		loading->newborn_room = room;
	}
	return &loading->newborns[loading->newborn_count];
}

/* @again: the source's guest went on, and so it may come as often as there are rounds. */
static int check_orphan(struct fs_loading *loading, const struct gw_fs_orphan_v1 *record,
			bool *again)
{
	const struct fs_inode *inode = fs_staged_inode(loading, record->inode);

	if (!inode || record->inode == FS_ROOT_ID ||
	    (mode_t)inode->type << 12 != (record->mode & S_IFMT) || record->mode > UINT16_MAX)
		return gw_fail(EINVAL, "load: unnamed inode %llu with mode %o",
			       (unsigned long long)record->inode, record->mode);
	*again = fs_inode_has(inode, FS_INODE_NEWBORN);
	if ((*again && !fs_precopied_is_put_right(loading)) || fs_inode_has(inode, FS_INODE_LOST))
		return gw_fail(EINVAL, "load: unnamed inode %llu comes twice",
			       (unsigned long long)record->inode);
	if (S_ISLNK(record->mode) &&
	    (!record->target.len || memchr(record->target.data, 0, record->target.len)))
		return gw_fail(EINVAL, "load: symbolic link %llu leads nowhere",
			       (unsigned long long)record->inode);
	return 0;
}

int fs_stage_put_lost(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_lost_v1 *record = object;
	struct fs_inode *inode = fs_staged_inode(loading, record->inode);

	if (!inode || record->inode == FS_ROOT_ID || fs_inode_has(inode, FS_INODE_NEWBORN))
		return gw_fail(EINVAL, "load: inode %llu cannot be lost",
			       (unsigned long long)record->inode);
	if (fs_restage(loading, inode))
		return -ENOMEM;
	fs_stage_let_file_go(loading, inode);
	fs_mark_lost(loading, inode);
	return 0;
}

static int make(struct fs_loading *loading, const struct gw_fs_orphan_v1 *record)
{
	struct fs_inode *inode = fs_staged_inode(loading, record->inode);
	struct fs_newborn *newborn = fs_restage(loading, inode) ? NULL : new_newborn(loading);
	int err = 0;

	if (!newborn)
		return gw_fail(ENOMEM, "load: no memory for unnamed files");
	*newborn = (struct fs_newborn){
		.record = *record,
		.fd = fs_handed_take(loading, FS_HANDED_INODE, record->inode, 0, inode)};
	newborn->handed = newborn->fd >= 0;
	fs_stage_let_file_go(loading, inode);
	newborn->record.target = (struct gw_bytes){0};
	if (!newborn->handed)
		err = fs_newborn_make(newborn, loading->fs, fs_birthplace(loading, inode), record);
	if (newborn->fd >= 0) {
		newborn->inode = fs_inode_pin(inode);
		atomic_fetch_or(&newborn->inode->flags, FS_INODE_NEWBORN);
		loading->newborn_count++;
	}
	return err;
}

int fs_stage_put_orphan(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_orphan_v1 *record = object;
	struct fs_newborn *newborn;
	bool again;
	int err = check_orphan(loading, record, &again);

	if (err || !again)
		return err ? err : make(loading, record);
	newborn = newborn_of(loading, record->inode);
	return newborn->handed ? 0 : fs_newborn_again(newborn, record);
}

/* It has a name by now, or nobody knows it any more: what was made of it is nobody's. */
int fs_stage_remove_orphan(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_orphan_v1 *record = object;
	struct fs_newborn *newborn = newborn_of(loading, record->inode);

	if (!newborn || !fs_precopied_is_put_right(loading))
		return gw_fail(EINVAL, "load: unnamed inode %llu is taken back, but was not there",
			       (unsigned long long)record->inode);
	gw_close(&newborn->fd);
	atomic_fetch_and(&newborn->inode->flags, (uint16_t)~FS_INODE_NEWBORN);
	fs_inode_put(newborn->inode);
	*newborn = loading->newborns[--loading->newborn_count];
	return 0;
}

/* As much as a source with the same limit sends, and never less than what needs no limit; more
 * times where it may have changed while the guest ran. */
static uint64_t content_limit(const struct fs_loading *loading)
{
	uint64_t limit = fs_orphan_limit(loading->fs), once = limit + limit / FS_IDLE_SHARE;

	return GW_MAX(once, (uint64_t)FS_ORPHAN_BYTES_MAX) *
	       (fs_precopied_is_put_right(loading) ? FS_AHEAD_TAKEN_TIMES : 1);
}

int fs_stage_put_content(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_content_v1 *record = object;
	struct fs_newborn *newborn = newborn_of(loading, record->inode);

	loading->content_bytes += record->data.len;
	if (!newborn)
		return gw_fail(EINVAL, "load: content of inode %llu: no such unnamed file",
			       (unsigned long long)record->inode);
	if (loading->content_bytes > content_limit(loading))
		return gw_fail(EFBIG,
			       "load: unnamed files hold more than %llu bytes, which is all that "
			       "is taken here without a higher --migration-orphan-limit",
			       (unsigned long long)content_limit(loading));
	return newborn->handed ? 0 : fs_newborn_write(newborn, record);
}

int fs_stage_put_xattr(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_xattr_v1 *record = object;
	struct fs_newborn *newborn = newborn_of(loading, record->inode);

	if (!newborn)
		return gw_fail(EINVAL, "load: attribute of inode %llu, which is not unnamed",
			       (unsigned long long)record->inode);
	return newborn->handed ? 0 : fs_newborn_xattr(newborn, loading->fs, record);
}

int fs_stage_put_unsent(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_unsent_v1 *record = object;
	const struct fs_newborn *newborn = newborn_of(loading, record->inode);

	if (newborn && newborn->handed)
		return 0;
	return gw_fail(ENODATA,
		       "load: unnamed inode %llu: its content is not in the state, only to be "
		       "handed over, which it was not",
		       (unsigned long long)record->inode);
}
