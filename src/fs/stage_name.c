/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/stage_name.c - names of a state, staged one by one. */
#include <dirent.h>
#include <errno.h>

#include "fs/attic.h"
#include "fs/dispatch.h"
#include "fs/stage.h"
#include "godwit/error.h"

int fs_stage_check_name(struct fs_loading *loading, const struct gw_fs_name_v1 *record,
			struct fs_inode **parent, struct fs_inode **inode)
{
	*parent = fs_staged_inode(loading, record->parent);
	*inode = fs_staged_inode(loading, record->inode);
	if (!*parent || !*inode || *inode == loading->inodes->root || *parent == *inode ||
	    (*parent)->type != DT_DIR)
		return gw_fail(EINVAL, "load: inode %llu cannot have a name in inode %llu",
			       (unsigned long long)record->inode,
			       (unsigned long long)record->parent);
	if (fs_name_check(record->name.data, record->name.len))
		return gw_fail(EINVAL, "load: a name of inode %llu is no file name",
			       (unsigned long long)record->inode);
	return 0;
}

int fs_stage_hash_names(struct fs_loading *loading)
{
	struct fs_names_hashing *hashing;

	if (loading->names_hashed)
		return 0;
	hashing = fs_names_hashing_new(loading->inodes, &loading->scratch);
	if (!hashing)
		return gw_fail(ENOMEM, "load: no memory for names");
	fs_names_hash(hashing, loading->staged, loading->staged_count);
	fs_names_hashed(hashing);
	fs_names_hashing_end(hashing);
	loading->names_hashed = true;
	return 0;
}

/* Who stages names one by one looks at what is there already. */
static int begin_one_by_one(struct fs_loading *loading)
{
	if (loading->names_one_by_one)
		return 0;
	loading->names_one_by_one = true;
	return fs_stage_hash_names(loading);
}

int fs_stage_put_name(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_name_v1 *record = object;
	struct fs_inode *parent, *inode;
	int err = fs_stage_check_name(loading, record, &parent, &inode);

	if (err)
		return err;
	if (begin_one_by_one(loading))
		return -ENOMEM;
	/* Whether its way ends has to be looked at again. */
	if (loading->phased && inode->type == DT_DIR && fs_restage(loading, inode))
		return -ENOMEM;
	if (fs_attic_is_name(record->name.data, record->name.len))
		loading->has_attics = true;
	if (fs_name_feed(loading->inodes, &loading->feed, inode, parent, record->name.data,
			 record->name.len, inode->type == DT_DIR))
		return gw_fail(ENOMEM, "load: no memory for names");
	return 0;
}

int fs_stage_remove_name(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_name_v1 *record = object;
	struct fs_inode *parent = fs_staged_inode(loading, record->parent);

	if (begin_one_by_one(loading))
		return -ENOMEM;
	if (!parent)
		return gw_fail(EINVAL, "load: a name in inode %llu is taken back, which is unknown",
			       (unsigned long long)record->parent);
	if (fs_names_feed_end(loading->inodes, &loading->feed))
		return gw_fail(ENOMEM, "load: no memory for names");
	fs_name_gone(loading->inodes, parent, record->name.data, record->name.len);
	return 0;
}
