/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/notify.h - the notification queue (VIRTIO 1.3, 5.11.6.2): the guest is told what to forget. */
#ifndef GW_FS_NOTIFY_H
#define GW_FS_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/inode.h"
#include "godwit/queue.h"

/* Experimental: no Linux guest negotiates it. With it this is queue 1, and those for requests come
 * after it. */
#define FS_F_NOTIFICATION  (UINT64_C(1) << 0)
#define FS_NOTIFY_QUEUE	   1
#define FS_NOTIFY_BUF_SIZE 512 /* the header, a name, and what is between them */

/*
 * The guest's buffers wait here, and do not keep its queue from stopping: they are parked then, and
 * come again where it goes on. Which inode has which file handle is remembered as it is told to the
 * guest; the latest of those whose handles share a place is.
 */
int fs_notify_new(struct fs_notify **notify);
void fs_notify_free(struct fs_notify *notify); /* NULL is allowed */

static inline bool fs_notify_agreed(const struct fs *fs)
{
	return fs->features & FS_F_NOTIFICATION;
}

/* struct gw_device_ops, for queue FS_NOTIFY_QUEUE. */
void fs_notify_queue_ready(struct fs *fs, struct gw_queue *queue);
void fs_notify_queue_stop(struct fs *fs, struct gw_queue *queue);

/* @key (changed.h) is @nodeid's, from now on. */
void fs_notify_learn(struct fs_notify *notify, uint64_t key, uint64_t nodeid);

/* What has @key was changed; with @name: in it a name came or went. The watching thread's. */
void fs_notify_inode(struct fs_notify *notify, uint64_t key);
void fs_notify_entry(struct fs_notify *notify, uint64_t key, const char *name, size_t len);

/* How many were sent, and not, for want of a buffer. */
struct fs_notify_stats {
	uint64_t sent, lost;
};
void fs_notify_stats(struct fs_notify *notify, struct fs_notify_stats *stats);

#endif
