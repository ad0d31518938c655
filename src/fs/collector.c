/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/collector.c - the thread that makes a device ready to be saved beside its guest. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/thread.h"
#include "fs/collect.h"
#include "fs/collector.h"
#include "fs/ready.h"
#include "fs/seeker.h"
#include "fs/sync.h"
#include "godwit/error.h"

/* Where processors are short, a tenth of what a queue's thread gets (sched(7)). */
#define NICENESS 10
/* Between two rounds; a long one is followed by a longer rest, so that who changes much does not
 * pay for it all the time. */
#define REST_MIN_MS 20
#define REST_FACTOR 9

struct fs_collector {
	struct fs *fs;
	pthread_t thread;
	bool joinable; /* the control thread's */
	pthread_mutex_t lock;
	pthread_cond_t news;
	/* Under the lock. */
	bool wanted, held, busy;
	bool ended; /* there is no thread, or it has nothing more to do */
	uint64_t rounds;

	/* The thread's own. */
	struct fs_maker maker;
	struct fs_seeker seeker;
	uint32_t unit;
	struct timespec began;
	int64_t rest_ns;
};

static int64_t ns_since(const struct timespec *then)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - then->tv_sec) * INT64_C(1000000000) + now.tv_nsec - then->tv_nsec;
}

/* Settled is who has a name. All others are looked at once more when the guest stands still. */
static int settle(void *opaque, struct fs_inode *inode)
{
	struct fs_collector *collector = opaque;
	int found = fs_check(fs_table_of(inode), inode);

	if (found == FS_FOUND_NOWHERE || found == FS_FOUND_GONE)
		fs_seeker_note(&collector->seeker, inode);
	return found < 0 || found == FS_FOUND_NAMED ? found : 1;
}

static bool is_ready(const struct fs_inodes *inodes, uint32_t unit)
{
	return fs_unit_is_settled(inodes, unit) && fs_unit_is_made(inodes, unit);
}

/* One unit that is not ready. False: there is none left in this round. */
static bool work(struct fs_collector *collector)
{
	struct fs_inodes *inodes = collector->fs->inodes;
	uint32_t unit = collector->unit;
	int err;

	while (fs_unit_next(&inodes->slots, &unit) && is_ready(inodes, unit))
		unit++;
	if (!fs_unit_next(&inodes->slots, &unit))
		return fs_seeker_step(&collector->seeker, inodes);
	collector->unit = unit + 1;
	collector->maker.inodes = inodes;
	err = fs_unit_settle(inodes, unit, settle, collector);
	if (!err)
		err = fs_unit_make(&collector->maker, unit);
	if (err)
		gw_debug("collecting: %s; SAVE will try again", strerror(-err));
	return true;
}

static void begin_round(struct fs_collector *collector)
{
	collector->unit = 0;
	collector->rest_ns = 0;
	clock_gettime(CLOCK_MONOTONIC, &collector->began);
}

static void end_round(struct fs_collector *collector)
{
	collector->rest_ns =
		GW_MAX(ns_since(&collector->began) * REST_FACTOR, REST_MIN_MS * INT64_C(1000000));
	clock_gettime(CLOCK_MONOTONIC, &collector->began);
}

/* The lock is held. Until there is something to do. */
static void pause_here(struct fs_collector *collector)
{
	struct timespec until = collector->began;

	until.tv_sec += (until.tv_nsec + collector->rest_ns) / 1000000000;
	until.tv_nsec = (until.tv_nsec + collector->rest_ns) % 1000000000;
	if (collector->held && fs_seeker_is_busy(&collector->seeker)) {
		fs_seeker_drop(&collector->seeker);
		pthread_cond_broadcast(&collector->news);
	}
	while (collector->held)
		pthread_cond_wait(&collector->news, &collector->lock);
	while (collector->wanted && !collector->held && collector->rest_ns &&
	       ns_since(&collector->began) < collector->rest_ns)
		pthread_cond_timedwait(&collector->news, &collector->lock, &until);
}

/* The lock is held, and let go for the work. */
static void step(struct fs_collector *collector)
{
	bool first, more;

	if (collector->rest_ns)
		begin_round(collector);
	first = !collector->unit;
	collector->busy = true;
	pthread_mutex_unlock(&collector->lock);
	if (first)
		fs_sync_begin(collector->fs);
	/* A table that took the place of another is begun anew. */
	more = !fs_tracking_start(&collector->fs->inodes->tracking) && work(collector);
	if (!more)
		end_round(collector);
	pthread_mutex_lock(&collector->lock);
	collector->busy = false;
	collector->rounds += !more;
	pthread_cond_broadcast(&collector->news);
}

static void *collect_main(void *opaque)
{
	struct fs_collector *collector = opaque;

	bool able = !fs_maker_init(&collector->maker);

	if (setpriority(PRIO_PROCESS, 0, NICENESS) < 0)
		gw_debug("collecting: priority: %s", strerror(errno));
	begin_round(collector);
	pthread_mutex_lock(&collector->lock);
	for (;;) {
		pause_here(collector);
		if (collector->held)
			continue;
		if (!collector->wanted || !able)
			break;
		step(collector);
	}
	fs_seeker_end(&collector->seeker, collector->fs->inodes);
	fs_tracking_stop(&collector->fs->inodes->tracking, &collector->fs->inodes->slots);
	fs_maker_fini(&collector->maker);
	collector->ended = true;
	pthread_mutex_unlock(&collector->lock);
	return NULL;
}

int fs_collector_new(struct fs_collector **out, struct fs *fs)
{
	struct fs_collector *collector = calloc(1, sizeof(*collector));
	pthread_condattr_t attr;

	if (!collector)
		return gw_fail(ENOMEM, "collecting: no memory");
	collector->fs = fs;
	collector->ended = true;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&collector->news, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&collector->lock, NULL);
	*out = collector;
	return 0;
}

/* One that ended, or is about to: nothing else is waited for. */
static void join(struct fs_collector *collector)
{
	if (collector->joinable)
		pthread_join(collector->thread, NULL);
	collector->joinable = false;
}

void fs_collector_free(struct fs_collector *collector)
{
	if (!collector)
		return;
	fs_collector_stop(collector);
	join(collector);
	pthread_cond_destroy(&collector->news);
	pthread_mutex_destroy(&collector->lock);
	free(collector);
}

/* One that was told to end and has not come to it goes on. */
static bool go_on(struct fs_collector *collector)
{
	GW_LOCK_SCOPE(&collector->lock);

	collector->wanted = true;
	return !collector->ended;
}

int fs_collector_start(struct fs_collector *collector)
{
	int err;

	if (go_on(collector))
		return 0;
	join(collector);
	collector->ended = false;
	err = gw_thread_start(&collector->thread, GW_THREAD_TRANSFER, "fs-collect", collect_main,
			      collector);
	collector->joinable = !err;
	if (err)
		collector->ended = true;
	return err;
}

void fs_collector_stop(struct fs_collector *collector)
{
	GW_LOCK_SCOPE(&collector->lock);

	collector->wanted = false;
	pthread_cond_broadcast(&collector->news);
}

void fs_collector_hold(struct fs_collector *collector)
{
	GW_LOCK_SCOPE(&collector->lock);

	collector->held = true;
	while (collector->busy || fs_seeker_is_busy(&collector->seeker))
		pthread_cond_wait(&collector->news, &collector->lock);
}

void fs_collector_release(struct fs_collector *collector)
{
	GW_LOCK_SCOPE(&collector->lock);

	collector->held = false;
	pthread_cond_broadcast(&collector->news);
}

uint64_t fs_collector_rounds(struct fs_collector *collector)
{
	GW_LOCK_SCOPE(&collector->lock);

	return collector->rounds;
}
