/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/save_virtiofsd.c - the device's state as virtiofsd would say it: for the way back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collect.h"
#include "fs/foreign_virtiofsd.h"
#include "fs/handles.h"
#include "fs/hidden.h"
#include "fs/locks.h"
#include "fs/records.h"
#include "fs/session.h"
#include "godwit/error.h"

/*
 * What is said is V2 with paths, which every virtiofsd of that version can load with no privilege.
 * docs/virtiofsd-streams.md has what cannot be said.
 */
#define ROOT_REFERENCES 2 /* virtiofsd's own of its root */
#define FIRST_ROOM	64u

struct saving {
	struct fs *fs;
	struct fs_virtiofsd state;
	uint32_t inode_room, open_room;
	uint64_t lost;
};

static void *another(void **array, uint32_t count, uint32_t *room, size_t size)
{
	if (count == *room) {
		uint32_t more = *room ? *room * 2 : FIRST_ROOM;
		void *bigger = reallocarray(*array, more, size);

		if (!bigger)
			return NULL;
		*array = bigger;
		*room = more;
	}
	return memset((char *)*array + count * size, 0, size);
}

/* Its latest name, if that is one that virtiofsd can say. */
static int locate(struct saving *saving, struct fs_inode *inode, struct fs_virtiofsd_inode *entry)
{
	struct fs_name_copy name;
	struct gw_bytes text;

	entry->kind = FS_VIRTIOFSD_INVALID;
	if (fs_inode_has(inode, FS_INODE_LOST) ||
	    !fs_name_first(saving->fs->inodes, inode, &name)) {
		saving->lost++;
		return 0;
	}
	entry->parent_id = fs_inode_id(name.parent);
	fs_inode_put(name.parent);
	text = (struct gw_bytes){.data = name.name, .len = name.len};
	if (!fs_virtiofsd_is_utf8(&text)) {
		saving->lost++;
		return 0;
	}
	text.data = strndup(name.name, name.len);
	if (!text.data)
		return gw_fail(ENOMEM, "save: no memory for names");
	entry->kind = FS_VIRTIOFSD_PATH;
	entry->name = text;
	return 0;
}

static int note_inode(struct saving *saving, struct fs_inode *inode)
{
	struct fs_inodes *inodes = saving->fs->inodes;
	struct fs_virtiofsd *state = &saving->state;
	struct fs_virtiofsd_inode *entry = another((void **)&state->inodes, state->inode_count,
						   &saving->inode_room, sizeof(*entry));

	if (!entry)
		return gw_fail(ENOMEM, "save: no memory for inodes");
	state->inode_count++;
	entry->id = fs_inode_id(inode);
	entry->references = fs_lookups_count(inodes, inode);
	state->next_inode = GW_MAX(state->next_inode, entry->id + 1);
	if (inode != inodes->root)
		return locate(saving, inode, entry);
	entry->references = ROOT_REFERENCES;
	return 0;
}

/* Putting names right may bring parents into the table. */
static int collect(struct saving *saving, struct fs_inode *inode)
{
	int found = fs_collect(saving->fs->inodes, inode);

	return found < 0 ? gw_fail(-found, "save: names of inode %llu: %s",
				   (unsigned long long)fs_inode_id(inode), strerror(-found))
			 : 0;
}

static int each_inode(struct saving *saving, int (*fn)(struct saving *, struct fs_inode *))
{
	struct fs_inode *inode;
	uint32_t at = 0;
	int err = 0;

	while (!err && (inode = fs_slots_next(&saving->fs->inodes->slots, &at))) {
		if (!fs_slot_try_pin(&inode->slot))
			continue;
		err = fn(saving, inode);
		fs_inode_put(inode);
	}
	return err;
}

static int by_id(const void *a, const void *b)
{
	const struct fs_virtiofsd_inode *one = a, *two = b;

	return (one->id > two->id) - (one->id < two->id);
}

static struct fs_virtiofsd_inode *find(const struct fs_virtiofsd *state, uint64_t id)
{
	const struct fs_virtiofsd_inode key = {.id = id};

	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): as many as inode_count says */
	return bsearch(&key, state->inodes, state->inode_count, sizeof(key), by_id);
}

/* A parent has a reference of each that it is told of as the parent of. */
static void count_references(struct fs_virtiofsd *state)
{
	if (!state->inode_count)
		return;
	qsort(state->inodes, state->inode_count, sizeof(*state->inodes), by_id);
	for (uint32_t i = 0; i < state->inode_count; i++) {
		if (state->inodes[i].kind == FS_VIRTIOFSD_PATH)
			find(state, state->inodes[i].parent_id)->references++;
	}
	/* Held by an open file alone: virtiofsd knows nothing without a reference. */
	for (uint32_t i = 0; i < state->inode_count; i++)
		state->inodes[i].references = GW_MAX(state->inodes[i].references, UINT64_C(1));
}

static int note_open(struct saving *saving, const struct fs_open *open)
{
	struct fs_virtiofsd *state = &saving->state;
	struct fs_virtiofsd_open *entry = another((void **)&state->opens, state->open_count,
						  &saving->open_room, sizeof(*entry));
	const struct fs_virtiofsd_inode *inode = find(state, fs_inode_id(open->handle.inode));

	if (!entry)
		return gw_fail(ENOMEM, "save: no memory for handles");
	state->open_count++;
	entry->id = fs_slot_id(&open->slot);
	entry->inode = (uint32_t)(inode - state->inodes);
	entry->flags = (int32_t)open->handle.flags;
	state->next_open = GW_MAX(state->next_open, entry->id + 1);
	return 0;
}

static int by_open_id(const void *a, const void *b)
{
	const struct fs_virtiofsd_open *one = a, *two = b;

	return (one->id > two->id) - (one->id < two->id);
}

static int note_opens(struct saving *saving)
{
	struct fs_virtiofsd *state = &saving->state;
	struct fs_open *open;
	uint32_t at = 0;
	int err = 0;

	while (!err && (open = fs_slots_next(&saving->fs->handles->slots, &at))) {
		if (!fs_slot_try_pin(&open->slot))
			continue;
		err = note_open(saving, open);
		fs_handle_put(&open->handle);
	}
	if (state->open_count)
		qsort(state->opens, state->open_count, sizeof(*state->opens), by_open_id);
	return err;
}

static void note_session(struct saving *saving)
{
	struct fs_virtiofsd *state = &saving->state;
	uint64_t flags = saving->fs->session.flags;

	state->writeback = flags & FUSE_WRITEBACK_CACHE;
	state->announce_submounts = flags & FUSE_SUBMOUNTS;
	state->posix_acl = flags & FUSE_POSIX_ACL;
	state->supp_groups = flags & FUSE_CREATE_SUPP_GROUP;
}

/* What would not be understood there is not sent. */
static int check_sayable(const struct fs *fs)
{
	int64_t queues = gw_params_get(fs->params, "num-request-queues", 1);

	if (queues != 1)
		return gw_fail(EINVAL,
			       "save: virtiofsd has one request queue, this device %lld "
			       "(--num-request-queues=1)",
			       (long long)queues);
	return 0;
}

static int note_all(struct saving *saving)
{
	int err = 0;

	saving->state.version = 2;
	saving->state.next_inode = FS_ROOT_ID + 1;
	if (!saving->fs->session.initialised)
		return 0; /* nothing yet, and the root comes with INIT */
	note_session(saving);
	err = each_inode(saving, collect);
	if (!err)
		err = each_inode(saving, note_inode);
	if (err)
		return err;
	count_references(&saving->state);
	return note_opens(saving);
}

static void end(struct saving *saving)
{
	for (uint32_t i = 0; i < saving->state.inode_count; i++)
		free((void *)(uintptr_t)saving->state.inodes[i].name.data);
	fs_virtiofsd_clear(&saving->state);
}

int fs_save_foreign(void *dev, void **bytes, size_t *len)
{
	struct saving saving = {.fs = dev};
	int err;

	if (saving.fs->host->state_format != FS_STATE_VIRTIOFSD_V2)
		return -ENOENT;
	if (!bytes)
		return 0;
	err = check_sayable(saving.fs);
	if (!err)
		err = fs_locks_check_none(saving.fs);
	if (!err)
		err = note_all(&saving);
	if (!err)
		err = fs_virtiofsd_encode(&saving.state, bytes, len);
	if (!err)
		err = fs_hidden_save(saving.fs->hidden);
	if (!err && saving.lost)
		gw_warn("save: %llu inodes cannot be told of in virtiofsd's format: no name leads "
			"to "
			"them, or one that is not UTF-8",
			(unsigned long long)saving.lost);
	end(&saving);
	return err;
}
