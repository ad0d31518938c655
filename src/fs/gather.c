/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/gather.c - at a save: what no name leads to, and what becomes of it. */
#include <errno.h>
#include <string.h>

#include "fs/dir.h"
#include "fs/gather.h"
#include "fs/handles.h"
#include "fs/ready.h"
#include "godwit/error.h"

struct gathering {
	struct fs *fs;
	struct fs_gathered *gathered;
	struct fs_inode_list missing, orphans;
};

/* Where it belongs: NULL for what has a name. */
static struct fs_inode_list *list_for(struct gathering *gathering, int found)
{
	switch (found) {
	case FS_FOUND_ORPHAN:
		return &gathering->orphans;
	case FS_FOUND_NOWHERE:
	case FS_FOUND_GONE:
		return &gathering->missing;
	default:
		return NULL;
	}
}

/* 1: it has no name that leads to it, so that the next save has to ask again. */
static int collect(void *opaque, struct fs_inode *inode)
{
	struct gathering *gathering = opaque;
	int found = fs_collect(gathering->fs->inodes, inode);
	struct fs_inode_list *list = list_for(gathering, found);
	int err = found < 0 ? found : 0;

	if (!err && list)
		err = fs_list_note(list, inode);
	if (err)
		return gw_fail(-err, "save: names of inode %llu: %s",
			       (unsigned long long)fs_inode_id(inode), strerror(-err));
	return found != FS_FOUND_NAMED;
}

static int collect_all(struct gathering *gathering)
{
	struct fs_inodes *inodes = gathering->fs->inodes;
	int err = 0;

	for (uint32_t unit = 0; !err && fs_unit_next(&inodes->slots, &unit); unit++) {
		if (!fs_unit_is_settled(inodes, unit))
			err = fs_unit_settle(inodes, unit, collect, gathering);
	}
	return err;
}

/* It has a name, somewhere. Where it is open somebody needs it; else the destination decides, which
 * may have its handle. */
static int nowhere(struct gathering *gathering, struct fs_inode *inode)
{
	struct fs_inodes *inodes = gathering->fs->inodes;
	char text[FS_DESCRIBE_MAX];

	gw_fail(ENOENT,
		"save: %s: inode %llu (host's number %llu) is %s and has a name that is nowhere "
		"to be found in the share",
		fs_describe(inodes, inode, text), (unsigned long long)fs_inode_id(inode),
		(unsigned long long)inode->ino, fs_fdcache_is_idle(inode) ? "cached" : "open");
	if (gathering->fs->host->migration_mode != FS_MIGRATION_HANDLES &&
	    !fs_fdcache_is_idle(inode)) {
		if (gathering->fs->host->on_error == FS_ON_ERROR_ABORT)
			return -ENOENT;
		gw_warn("%s; the guest will get errors for it", gw_last_error());
		return fs_list_note(&gathering->gathered->lost, inode);
	}
	gw_warn("%s", gw_last_error());
	return 0;
}

/* All in one go; what was sought beside the guest is not sought again. */
static int search(struct gathering *gathering)
{
	struct fs_inode_list unsought = {0};
	int err = 0;

	for (size_t i = 0; !err && i < gathering->missing.count; i++) {
		if (!fs_inode_has(gathering->missing.inodes[i], FS_INODE_SOUGHT))
			err = fs_list_note(&unsought, gathering->missing.inodes[i]);
	}
	if (!err && unsought.count)
		err = fs_search(gathering->fs->inodes, &unsought);
	fs_list_free(&unsought);
	return err;
}

/* What no name leads to, nor a descriptor, is looked for once more. */
static int collect_missing(struct gathering *gathering)
{
	struct fs_inodes *inodes = gathering->fs->inodes;
	const struct fs_inode_list *missing = &gathering->missing;
	int err = search(gathering);

	for (size_t i = 0; !err && i < missing->count; i++) {
		struct fs_inode *inode = missing->inodes[i];
		int found = fs_collect(inodes, inode);

		if (found == FS_FOUND_NOWHERE)
			err = nowhere(gathering, inode);
		else if (found == FS_FOUND_GONE)
			err = fs_list_note(&gathering->gathered->lost, inode);
		else if (found == FS_FOUND_ORPHAN)
			err = fs_list_note(&gathering->orphans, inode);
	}
	return err == -ENOMEM ? gw_fail(ENOMEM, "save: no memory for missing inodes") : err;
}

/* Which of them go, and what becomes of the others. */
static int choose(struct gathering *gathering)
{
	struct fs_unnamed_list *unnamed = &gathering->gathered->unnamed;
	struct fs *fs = gathering->fs;
	int err = fs_unnamed_weigh(unnamed, fs, &gathering->orphans);

	if (!err && fs->host->on_error == FS_ON_ERROR_ABORT)
		err = fs_unnamed_check(unnamed, fs);
	for (size_t i = 0; !err && i < unnamed->count; i++) {
		if (unnamed->files[i].fate > FS_UNNAMED_HANDED)
			err = fs_list_note(&gathering->gathered->lost, unnamed->files[i].inode);
	}
	return err == -ENOMEM ? gw_fail(ENOMEM, "save: no memory for unnamed files") : err;
}

static int judge_directory(const struct fs *fs, struct fs_open *open)
{
	char text[FS_DESCRIBE_MAX];

	if (!open->handle.dir || fs_dir_can_travel(open->handle.dir))
		return 0;
	gw_fail(EOVERFLOW,
		"save: %s: the guest is reading it, and has been given more entries than the %u "
		"that are remembered (--dir-limit)",
		fs_describe(fs->inodes, open->handle.inode, text), fs_dir_limit(fs));
	if (fs->host->on_error == FS_ON_ERROR_ABORT)
		return -EOVERFLOW;
	gw_warn("%s; it has to begin anew", gw_last_error());
	return 0;
}

/* Where reading goes on must not be guessed. */
static int judge_directories(const struct fs *fs)
{
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = judge_directory(fs, open);
		fs_handle_put(&open->handle);
	}
	return err;
}

int fs_gather(struct fs *fs, struct fs_gathered *gathered)
{
	struct gathering gathering = {.fs = fs, .gathered = gathered};
	int err = judge_directories(fs);

	if (!err)
		err = collect_all(&gathering);
	if (!err)
		err = collect_missing(&gathering);
	if (!err)
		err = choose(&gathering);
	fs_list_free(&gathering.missing);
	fs_list_free(&gathering.orphans);
	return err;
}

void fs_gathered_free(struct fs_gathered *gathered)
{
	fs_list_free(&gathered->lost);
	fs_unnamed_free(&gathered->unnamed);
}
