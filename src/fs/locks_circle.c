/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/locks_circle.c - processes of the guest that wait for one another's locks. */
#include <fcntl.h>

#include "base/cleanup.h"
#include "fs/handle.h"
#include "fs/lock_owners.h"
#include "fs/ops.h"
#include "fs/waits.h"

/* Beyond so many that stand in each other's way, who would wait waits. */
#define CIRCLE_MAX 128

/* Who stands in the way of @seek, directly or not; and of whom this is asked. */
struct circle {
	uint64_t seek, at;
	uint64_t owners[CIRCLE_MAX];
	unsigned count;
};

static bool stands_in_the_way(const struct fs_lock_owner *owner, const struct fs_range *range)
{
	for (unsigned i = 0; i < owner->ranges.count; i++) {
		const struct fs_range *held = &owner->ranges.at[i];

		if (held->start <= range->end && range->start <= held->end &&
		    (held->type == F_WRLCK || range->type == F_WRLCK))
			return true;
	}
	return false;
}

static void note(struct circle *circle, uint64_t id)
{
	for (unsigned i = 0; i < circle->count; i++) {
		if (circle->owners[i] == id)
			return;
	}
	if (circle->count < CIRCLE_MAX)
		circle->owners[circle->count++] = id;
}

static void note_who_blocks(struct circle *circle, const struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;
	FS_AUTO_HANDLE struct fs_handle *handle = fs_handle_get(req->fs->handles, in->fh);
	struct fs_locks *locks = req->fs->locks;
	struct fs_range range;

	if (!handle || fs_lock_parse(&in->lk, &range) < 0)
		return;
	GW_LOCK_SCOPE(&locks->lock);
	for (const struct fs_lock_owner *i = locks->first; i; i = i->next) {
		if (i->inode == handle->inode && i->id != in->owner && stands_in_the_way(i, &range))
			note(circle, i->id);
	}
}

static void if_it_waits(void *opaque, const struct fs_request *req)
{
	struct circle *circle = opaque;
	const struct fuse_lk_in *in = req->arg;

	if (in->owner == circle->at && !(in->lk_flags & FUSE_LK_FLOCK))
		note_who_blocks(circle, req);
}

bool fs_lock_closes_circle(const struct fs_request *req)
{
	const struct fuse_lk_in *in = req->arg;
	struct circle circle = {.seek = in->owner};

	note_who_blocks(&circle, req);
	for (unsigned i = 0; i < circle.count; i++) {
		circle.at = circle.owners[i];
		if (circle.at == circle.seek)
			return true;
		fs_waits_each(req->fs, if_it_waits, &circle);
	}
	return false;
}
