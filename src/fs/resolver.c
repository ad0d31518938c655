/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/resolver.c - after a move, what the guest has cached is looked for beside its requests. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/thread.h"
#include "fs/handles.h"
#include "fs/index.h"
#include "fs/open.h"
#include "fs/resolver.h"
#include "fs/table.h"
#include "godwit/error.h"

/*
 * Requests come first: so much is done at once (some tens of microseconds where the cache is warm,
 * which is what a request may have to wait for a processor), and then nothing for a while. That is
 * a tenth of one processor, and a million inodes in less than a minute.
 */
#define BATCH	 8u
#define PAUSE_NS 300000
/* Slots of whom nothing is wanted cost next to nothing, and yet are not passed by the million. */
#define STEPS 4096u

struct fs_resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool end; /* under the lock */

	bool started;
	pthread_t thread;
	struct fs_inodes *inodes;
	struct fs_handles *handles;
};

/*
 * Directories are what paths begin from, and keep a descriptor. So does, while there is room, what
 * could not be found again after the host has moved it; for the rest it is enough to have been
 * seen.
 */
static bool should_hold(struct fs_inodes *inodes, const struct fs_inode *inode)
{
	if (inode->type == S_IFDIR >> 12)
		return fs_fdcache_has_room(inodes);
	/* What was only found by its path so far is on a mount that nobody knows. */
	if (fs_inode_is_copied(inode) || fs_mount_fd(inodes, inode->mount) >= 0)
		return false;
	return fs_fdcache_has_room(inodes);
}

static void resolve(struct fs_inodes *inodes, struct fs_inode *inode)
{
	FS_AUTO_PATHFD struct fs_fd fd = FS_PATHFD_INIT;
	int err = should_hold(inodes, inode) ? fs_inode_fd(inode, &fd)
					     : fs_inode_check(inodes, inode);

	if (err && err != -ESTALE)
		gw_debug("inode %llu cannot be looked for: %s",
			 (unsigned long long)fs_inode_id(inode), strerror(-err));
}

/* False at the end of the table. */
static bool resolve_some(struct fs_inodes *inodes, uint32_t *at)
{
	unsigned left = BATCH;

	for (unsigned steps = STEPS; left && steps; steps--) {
		struct fs_inode *inode = fs_slots_next(&inodes->slots, at);

		if (!inode)
			return false;
		/* A slot that is nobody's may just become somebody's. */
		if (!fs_slot_try_pin(&inode->slot))
			continue;
		if (fs_inode_has(inode, FS_INODE_UNRESOLVED) &&
		    !fs_inode_has(inode, FS_INODE_LOST)) {
			resolve(inodes, inode);
			left--;
		}
		fs_inode_put(inode);
	}
	return true;
}

/* False if it is to end. */
static bool pause_for_requests(struct fs_resolver *resolver)
{
	struct timespec until;
	GW_LOCK_SCOPE(&resolver->lock);

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PAUSE_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	while (!resolver->end && !pthread_cond_timedwait(&resolver->wake, &resolver->lock, &until))
		;
	return !resolver->end;
}

static void *resolver_main(void *opaque)
{
	struct fs_resolver *resolver = opaque;
	struct fs_inodes *inodes = resolver->inodes;
	uint32_t at = FS_ROOT_ID + 1, open = 0;

	/* What the first requests are about is open, as a rule, and takes no hash. */
	if (pause_for_requests(resolver))
		fs_index_settle(inodes);
	while (pause_for_requests(resolver)) {
		/* What is open comes first. */
		if (fs_handles_hold(resolver->handles, &open, BATCH) || resolve_some(inodes, &at))
			continue;
		gw_info("cached inodes were looked for: %llu found, %llu missing",
			(unsigned long long)atomic_load(&inodes->lazy.resolved),
			(unsigned long long)atomic_load(&inodes->lazy.stale));
		break;
	}
	return NULL;
}

int fs_resolver_new(struct fs_resolver **out)
{
	struct fs_resolver *resolver = calloc(1, sizeof(*resolver));
	pthread_condattr_t attr;

	if (!resolver)
		return gw_fail(ENOMEM, "resolver: no memory");
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&resolver->wake, &attr);
	pthread_condattr_destroy(&attr);
	*out = resolver;
	return 0;
}

void fs_resolver_free(struct fs_resolver *resolver)
{
	if (!resolver)
		return;
	fs_resolver_stop(resolver);
	pthread_cond_destroy(&resolver->wake);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

void fs_resolver_start(struct fs_resolver *resolver, struct fs *fs)
{
	fs_resolver_stop(resolver);
	if (!resolver ||
	    (!atomic_load(&fs->inodes->lazy.unresolved) && !atomic_load(&fs->handles->unheld) &&
	     !atomic_load(&fs->inodes->indexing)))
		return;
	resolver->end = false;
	resolver->inodes = fs->inodes;
	resolver->handles = fs->handles;
	if (gw_thread_start(&resolver->thread, GW_THREAD_TRANSFER, "fs-resolver", resolver_main,
			    resolver))
		gw_warn("%s: cached inodes are looked for when they are used", gw_last_error());
	else
		resolver->started = true;
}

void fs_resolver_stop(struct fs_resolver *resolver)
{
	if (!resolver || !resolver->started)
		return;
	{
		GW_LOCK_SCOPE(&resolver->lock);
		resolver->end = true;
		pthread_cond_signal(&resolver->wake);
	}
	pthread_join(resolver->thread, NULL);
	resolver->started = false;
}
