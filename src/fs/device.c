/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/device.c - the virtio-fs device (VIRTIO 1.3, 5.11): its model, its life, its queues. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bigpage.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/collector.h"
#include "fs/counters.h"
#include "fs/dispatch.h"
#include "fs/foreign_virtiofsd.h"
#include "fs/fuse_wire.h"
#include "fs/handle.h"
#include "fs/journal.h"
#include "fs/handover.h"
#include "fs/hidden.h"
#include "fs/inode.h"
#include "fs/locks.h"
#include "fs/model.h"
#include "fs/notify.h"
#include "fs/expect.h"
#include "fs/pool.h"
#include "fs/precopied.h"
#include "fs/records.h"
#include "fs/redo.h"
#include "fs/report.h"
#include "fs/resolver.h"
#include "fs/root.h"
#include "fs/session.h"
#include "fs/table.h"
#include "fs/waits.h"
#include "fs/watch.h"
#include "fs/xattrmap.h"
#include "godwit/error.h"

#define VIRTIO_ID_FS 26
static const struct gw_model *const models[] = {&fs_model, NULL};

static unsigned request_queues(const struct fs *fs)
{
	unsigned configured = fs->host->num_request_queues;

	return (unsigned)gw_params_get(fs->params, "num-request-queues",
				       configured ? configured : FS_REQUEST_QUEUES_DEFAULT);
}

static void fs_destroy(void *dev)
{
	struct fs *fs = dev;

	if (fs->has_descriptors && fs->host->descriptors_taken)
		*fs->host->descriptors_taken = false;
	fs_handover_free(fs->handover);
	gw_close(&fs->handover_peer);
	if (fs->iterating)
		fs_iterate(fs, false);
	fs_collector_free(fs->collector);
	fs_resolver_free(fs->resolver);
	fs_expect_end(fs);
	fs_precopied_free(atomic_load(&fs->precopied));
	fs_pool_free(gw_take_ptr(fs->pool));
	fs_redo_free(fs->redo);
	fs_counters_free(fs->counters);
	fs_waits_free(fs->waits);
	fs_watch_free(fs->watch);
	fs_notify_free(fs->notify);
	fs_locks_free(fs->locks);
	fs_handles_free(fs->handles);
	fs_hidden_free(fs->hidden);
	fs_inodes_free(fs->inodes);
	fs_root_close(fs);
	fs_xattrmap_free(fs->xattrmap);
	free(fs);
}

static int check_handles(const struct fs *fs)
{
	const char *asked = NULL;

	if (fs->host->handles == FS_HANDLES_MANDATORY)
		asked = "--inode-file-handles=mandatory";
	else if (fs->host->migration_mode == FS_MIGRATION_HANDLES)
		asked = "--migration-mode=file-handles";
	if (!asked || fs_mount_fd(fs->inodes, 0) >= 0)
		return 0;
	return gw_fail(EOPNOTSUPP,
		       "shared directory %s: files there cannot be opened by handle, which %s "
		       "requires (that takes root's CAP_DAC_READ_SEARCH outside of a user "
		       "namespace, and a file system that has handles)",
		       fs->host->shared_dir, asked);
}

/* Of those that the host has once. Where guests come and go between connections (stateless mode),
 * the second device is there for as long as it takes; it is not the one that stays. */
static int take_descriptors(struct fs *fs)
{
	const struct fs_host *host = fs->host;
	int ret = 0;

	if (host->descriptors_taken && *host->descriptors_taken)
		return 0;
	fs->has_descriptors = true;
	if (host->descriptors_taken)
		*host->descriptors_taken = true;
	if (host->handover_peer_fd)
		fs->handover_peer = gw_take_fd(host->handover_peer_fd);
	if (host->watch_fd)
		ret = fs_watch_new(&fs->watch, host->watch_fd, fs->notify);
	if (ret == 0 && host->handover_fd > 0)
		ret = fs_handover_new(&fs->handover, fs, host->handover_fd);
	return ret;
}

static int fs_create(void **dev, const struct gw_params *instance, const void *host)
{
	struct fs *fs;
	int ret = fs_host_check(host);

	if (ret < 0)
		return ret;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		return gw_fail(ENOMEM, "virtio-fs: no memory");
	fs->host = host;
	fs->params = instance;
	fs_policy_apply(fs);
	fs->root_fd = fs->proc_fd = -1;
	fs->handover_peer = -1;
	/* Modes are the guest's: its own umask is in them already. */
	umask(0);
	ret = fs_host_ids(fs->host, &fs->uids, &fs->gids);
	if (ret == 0 && fs->host->xattrmap)
		ret = fs_xattrmap_new(&fs->xattrmap, fs->host->xattrmap);
	if (ret == 0)
		ret = fs_root_open(fs);
	if (ret == 0)
		ret = fs_inodes_new(&fs->inodes, fs);
	if (ret == 0)
		ret = check_handles(fs);
	if (ret == 0)
		ret = fs_handles_new(&fs->handles, fs);
	if (ret == 0)
		ret = fs_hidden_new(&fs->hidden, fs);
	if (ret == 0)
		ret = fs_locks_new(&fs->locks);
	if (ret == 0)
		ret = fs_resolver_new(&fs->resolver);
	if (ret == 0)
		ret = fs_counters_new(&fs->counters, FS_POOL_THREADS_MAX);
	if (ret == 0)
		ret = fs_waits_new(&fs->waits);
	if (ret == 0)
		ret = fs_pool_new(&fs->pool, fs, fs->host->thread_pool_size);
	if (ret == 0)
		ret = fs_collector_new(&fs->collector, fs);
	if (ret == 0)
		ret = fs_notify_new(&fs->notify);
	if (ret == 0)
		ret = take_descriptors(fs);
	if (ret < 0) {
		fs_destroy(fs);
		return ret;
	}
	fs_expect_any();
	*dev = fs;
	return 0;
}

static int fs_negotiated(void *dev, uint64_t features)
{
	struct fs *fs = dev;

	fs->features = features;
	return 0;
}

/* With the notification queue there is one member more. */
struct config {
	struct fuse_virtio_config fs;
	uint32_t notify_buf_size;
};
static_assert(sizeof(struct config) == 44, "VIRTIO 1.3, 5.11.4");

static uint64_t fs_features(void *dev)
{
	const struct fs *fs = dev;

	return fs->policy.notification ? FS_F_NOTIFICATION : 0;
}

static int fs_config_get(void *dev, size_t offset, void *buf, size_t len)
{
	const struct fs *fs = dev;
	struct config config = {.fs.num_request_queues = request_queues(fs),
				.notify_buf_size = FS_NOTIFY_BUF_SIZE};
	size_t size = fs->policy.notification ? sizeof(config) : sizeof(config.fs);

	/* Without a tag of ours QEMU has its own, and warns of a back-end that has one too. */
	if (!fs->host->tag)
		return gw_fail(ENOTSUP, "virtio-fs: no tag is configured");
	if (!gw_range_within(offset, len, size))
		return gw_fail(EINVAL,
			       "virtio-fs: configuration space has %zu bytes, %zu at %zu "
			       "are asked for",
			       size, len, offset);
	memcpy(config.fs.tag, fs->host->tag, strlen(fs->host->tag));
	memcpy(buf, (const char *)&config + offset, len);
	return 0;
}

static int fs_queue_start(void *dev, struct gw_queue *queue)
{
	return fs_waits_queue_start(dev, queue);
}

static bool is_for_notifications(const struct fs *fs, const struct gw_queue *queue)
{
	return fs_notify_agreed(fs) && gw_queue_index(queue) == FS_NOTIFY_QUEUE;
}

static void fs_queue_stop(void *dev, struct gw_queue *queue)
{
	if (is_for_notifications(dev, queue))
		fs_notify_queue_stop(dev, queue);
	else
		fs_waits_queue_stop(dev, queue);
}

static void fs_queue_ready(void *dev, struct gw_queue *queue)
{
	if (is_for_notifications(dev, queue))
		fs_notify_queue_ready(dev, queue);
	else
		fs_serve_queue(dev, queue);
}

static void fs_reset(void *dev)
{
	struct fs *fs = dev;

	fs_resolver_stop(fs->resolver);
	fs_handover_withdraw(fs->handover);
	fs_session_end(fs);
	fs->session = (struct fs_session){.initialised = false};
	fs->features = 0;
}

/* The new parameters live as long as they are in force. */
static int fs_adopt(void *dev, const struct gw_params *adopted)
{
	struct fs *fs = dev;

	fs->params = adopted;
	fs_policy_apply(fs);
	return 0;
}

static void fs_run(void *dev, enum gw_why why)
{
	struct fs *fs = dev;

	/* Whatever it was before, if it was saved and goes on here. */
	fs_handover_withdraw(fs->handover);
	fs_locks_retake(fs);
	fs_hidden_run(fs->hidden);
	gw_big_release();
	if (why != GW_RUN_FRESH)
		fs_resolver_start(fs->resolver, fs);
}

static void fs_environment(void *dev, struct gw_environment *environment)
{
	const struct fs *fs = dev;

	fs_host_environment(fs->host, fs_mount_fd(fs->inodes, 0) >= 0, environment);
}

/* Files may be open on both sides, so nobody has to be told more. */
static void fs_outcome(void *dev, enum gw_outcome outcome)
{
	struct fs *fs = dev;

	if (outcome != GW_OUTCOME_FAILED && outcome != GW_OUTCOME_COPIED)
		return;
	fs_locks_retake(fs);
	fs_hidden_run(fs->hidden);
	gw_big_release();
}

/* And the high-priority one, which comes first. */
static unsigned fs_queues(void *dev)
{
	const struct fs *fs = dev;

	return 1 + fs->policy.notification + request_queues(fs);
}

const struct gw_device_ops fs_device_ops = {
	.size = sizeof(struct gw_device_ops),
	.name = "virtio-fs",
	.virtio_id = VIRTIO_ID_FS,
	.max_queues = FS_QUEUES_MAX,
	.config_len = sizeof(struct config),
	.ownership = GW_SHARED,
	.models = models,
	.check = fs_model_check,
	.create = fs_create,
	.destroy = fs_destroy,
	.features = fs_features,
	.negotiated = fs_negotiated,
	.config_get = fs_config_get,
	.queue_start = fs_queue_start,
	.queue_ready = fs_queue_ready,
	.queue_stop = fs_queue_stop,
	.reset = fs_reset,
	.adopt = fs_adopt,
	.prepare = fs_prepare,
	.save = fs_save,
	.load = fs_load,
	.run = fs_run,
	.outcome = fs_outcome,
	.foreign = fs_foreign_formats,
	.save_foreign = fs_save_foreign,
	.queues = fs_queues,
	.report = fs_report,
	.journal = fs_journal_begin,
	.checkpoint = fs_checkpoint,
	.fold = fs_fold,
	.environment = fs_environment,
	.pending = fs_pending,
	.iterate = fs_iterate,
	.expect = fs_expect,
	.precopy = fs_precopy,
	.precopy_load = fs_precopy_load,
};
