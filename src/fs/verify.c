/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/verify.c - how much of what was cached is looked for before the guest goes on. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/load.h"
#include "fs/precopied.h"
#include "godwit/error.h"

/* The time a sample may take, which counts where caches are cold. */
#define SAMPLE_NS 5000000u
/* Slots that are looked at for a sample of who came ahead; of a table that is a quarter full it is
 * whole. */
#define AGAIN_TRIES (4 * FS_SAMPLE_INODES)
/* Inodes by which a mount is looked for, until one is found. */
#define MOUNT_TRIES 16u

static bool is_wanted(const struct fs_inode *inode)
{
	return fs_inode_has(inode, FS_INODE_STAGED) && fs_inode_has(inode, FS_INODE_UNRESOLVED) &&
	       !fs_inode_has(inode, FS_INODE_LOST);
}

/* Without memory for it the load fails later, as one inode is not proven. */
static void note_missed(struct fs_loading *loading, struct fs_inode *inode, int err)
{
	GW_LOCK_SCOPE(&loading->missed_lock);

	if (loading->missed_count == loading->missed_room) {
		size_t room = GW_MAX(loading->missed_room * 2, (size_t)64);
		struct fs_missed *missed = realloc(loading->missed, room * sizeof(*missed));

		if (!missed)
			return;
		loading->missed = missed;
		loading->missed_room = room;
	}
	loading->missed[loading->missed_count++] = (struct fs_missed){.inode = inode, .err = err};
}

static void prove(struct fs_loading *loading, struct fs_inode *inode)
{
	int err = is_wanted(inode) ? fs_inode_check(loading->inodes, inode) : 0;

	if (err)
		note_missed(loading, inode, err);
}

/* What other errors there are (of memory, of descriptors) is not the inode's fault. */
static int tell_missed(struct fs_loading *loading, const struct fs_missed *missed)
{
	struct fs_inode *inode = missed->inode;

	if (missed->err == -ENOMEM || missed->err == -EMFILE || missed->err == -ENFILE)
		return gw_fail(-missed->err, "load: inodes: %s", strerror(-missed->err));
	if (!is_wanted(inode)) /* a second try was better, or it was told */
		return 0;
	/* Marked first, so that nobody takes a stranger for it from here on. */
	fs_mark_lost(loading, inode);
	return fs_miss(loading, inode, missed->err, "is not to be found");
}

static int tell_all_missed(struct fs_loading *loading)
{
	int err = 0;

	for (size_t i = 0; i < loading->missed_count && !err; i++)
		err = tell_missed(loading, &loading->missed[i]);
	loading->missed_count = 0;
	return err;
}

/*
 * Mounts below the share. Which one it is here the first inode tells that is found on it: as a rule
 * its top, the directory whose parent is on another mount.
 */
static bool is_top(struct fs_loading *loading, const struct fs_inode *inode)
{
	const struct fs_name *name = fs_name_at(loading->inodes, atomic_load(&inode->names));
	const struct fs_inode *parent =
		name ? fs_slot_at(&loading->inodes->slots, name->parent) : NULL;

	return parent && parent->mount != inode->mount;
}

/* With its descriptor, so that it is known at once what handles are good for there. */
static void try_by(struct fs_loading *loading, struct fs_inode *inode, uint8_t *tries)
{
	struct fs_mount *mount = &loading->inodes->mounts[inode->mount];
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;

	if (!inode->mount || mount->known || !is_wanted(inode) ||
	    tries[inode->mount] == MOUNT_TRIES)
		return;
	tries[inode->mount]++;
	fs_inode_fd(inode, &fd);
}

static void look_for_mounts(struct fs_loading *loading, bool tops)
{
	uint8_t tries[FS_MOUNTS_MAX] = {0};

	for (size_t i = 0; i < loading->staged_count; i++) {
		struct fs_inode *inode = fs_staged_at(loading, i);

		if (inode->mount && is_wanted(inode) && is_top(loading, inode) == tops)
			try_by(loading, inode, tries);
	}
}

/* Of what nothing is found, nothing is there. */
static int lose_mount_of(struct fs_loading *loading, struct fs_inode *inode)
{
	if (!inode->mount || loading->inodes->mounts[inode->mount].known || !is_wanted(inode))
		return 0;
	fs_mark_lost(loading, inode);
	if (loading->fs->host->verify == FS_VERIFY_NONE)
		return 0;
	return fs_miss(loading, inode, -ENODEV, "is on a mount that is not to be found");
}

void fs_verify_mounts_ahead(struct fs_loading *loading)
{
	/* A copy may be on one file system, or on others. */
	if (!loading->has_mounts || loading->is_copy)
		return;
	look_for_mounts(loading, true);
	look_for_mounts(loading, false);
}

int fs_verify_mounts(struct fs_loading *loading)
{
	int err = 0;

	fs_verify_mounts_ahead(loading);
	if (!loading->has_mounts || loading->is_copy)
		return 0;
	for (size_t i = 0; i < loading->staged_count && !err; i++)
		err = lose_mount_of(loading, fs_staged_at(loading, i));
	return err;
}

/*
 * Inodes.
 */

static void prove_one(struct fs_loading *loading, size_t i)
{
	prove(loading, fs_staged_at(loading, i));
}

static int lose_unproven(struct fs_loading *loading)
{
	int err = 0;

	for (size_t i = 0; i < loading->staged_count && !err; i++) {
		struct fs_inode *inode = fs_staged_at(loading, i);

		if (!is_wanted(inode))
			continue;
		fs_mark_lost(loading, inode);
		err = fs_miss(loading, inode, -ETIME,
			      "was not looked for within --migration-verify-budget");
	}
	return err;
}

static int prove_all(struct fs_loading *loading)
{
	unsigned given = loading->fs->host->verify_budget;
	uint64_t ns = (uint64_t)(given ? given : FS_VERIFY_BUDGET_DEFAULT) * 1000000u;
	int err;

	fs_each(loading, loading->staged_count, ns, prove_one);
	err = tell_all_missed(loading);
	return err ? err : lose_unproven(loading);
}

/* xorshift64*: what matters is that whoever wrote the stream does not know it. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static void prove_sampled(struct fs_loading *loading, size_t i)
{
	prove(loading, fs_slot_at(&loading->inodes->slots, loading->sample[i]));
}

static uint64_t seed(void)
{
	uint64_t state = 0;

	return getrandom(&state, sizeof(state), 0) < 0 || !state ? fs_now() : state;
}

/* All of them if they are few. */
static size_t draw_sample(struct fs_loading *loading)
{
	size_t count = GW_MIN(loading->staged_count, (size_t)FS_SAMPLE_INODES);
	bool all = count == loading->staged_count;
	uint64_t state = seed();

	for (size_t i = 0; i < count; i++) {
		size_t at = all ? i : next_random(&state) % loading->staged_count;

		loading->sample[i] = loading->staged[at];
	}
	return count;
}

/* What came ahead is proven since then, and may have been changed here. Some of it is staged once
 * more, and so among those that a sample is drawn from. */
static int restage(struct fs_loading *loading, uint32_t slot)
{
	struct fs_inode *inode = fs_slot_at(&loading->inodes->slots, slot);

	if (!inode || !inode->slot.id || !fs_staged_inode(loading, inode->slot.id) ||
	    !fs_inode_has(inode, FS_INODE_UNRESOLVED))
		return 0;
	return fs_restage(loading, inode);
}

static int restage_all(struct fs_loading *loading)
{
	struct fs_inode *inode;
	uint32_t at = 0;
	int err = 0;

	while (!err && (inode = fs_slots_next(&loading->inodes->slots, &at)))
		err = restage(loading, at - 1);
	return err;
}

int fs_verify_again(struct fs_loading *loading)
{
	uint32_t end = fs_slots_end(&loading->inodes->slots);
	uint64_t state = seed();
	int err = 0;

	if (loading->fs->host->verify == FS_VERIFY_NONE)
		return 0;
	if (loading->fs->host->verify == FS_VERIFY_ALL || end <= AGAIN_TRIES)
		return restage_all(loading);
	for (unsigned i = 0; i < AGAIN_TRIES && !err; i++) {
		if (loading->staged_count >= FS_SAMPLE_INODES)
			break;
		err = restage(loading, (uint32_t)(next_random(&state) % end));
	}
	return err;
}

struct fs_work fs_verify_sample(struct fs_loading *loading)
{
	bool wanted = loading->fs->host->verify == FS_VERIFY_OPEN;

	return (struct fs_work){.fn = prove_sampled,
				.count = wanted ? draw_sample(loading) : 0,
				.budget = SAMPLE_NS};
}

/* One that is stale puts all in doubt. */
int fs_verify_sampled(struct fs_loading *loading)
{
	int err;

	if (!loading->missed_count)
		return 0;
	err = loading->precopied ? restage_all(loading) : 0;
	return err ? err : prove_all(loading);
}

int fs_verify_all(struct fs_loading *loading)
{
	return loading->fs->host->verify == FS_VERIFY_ALL ? prove_all(loading) : 0;
}

/* What the guest has removed since is not there either, and that may be all there was. */
static void put_off(struct fs_loading *loading)
{
	for (size_t i = 0; i < loading->missed_count; i++)
		loading->missed[i].inode->slot.link = 1;
	loading->missed_count = 0;
}

void fs_verify_ahead(struct fs_loading *loading)
{
	switch (loading->fs->host->verify) {
	case FS_VERIFY_ALL:
		/* All is looked for when the state has come, which may be long after. */
		if (fs_precopied_is_kept(loading))
			break;
		fs_each(loading, loading->staged_count, 0, prove_one);
		break;
	case FS_VERIFY_OPEN:
		fs_each(loading, draw_sample(loading), 0, prove_sampled);
		break;
	case FS_VERIFY_NONE:
		break;
	}
	put_off(loading);
}
