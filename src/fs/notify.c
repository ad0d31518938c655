/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/notify.c - the notification queue (VIRTIO 1.3, 5.11.6.2): the guest is told what to forget. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/fuse_wire.h"
#include "fs/notify.h"
#include "godwit/error.h"

/* Places for inodes. */
#define KNOWN 65536u

struct known {
	uint64_t key, nodeid;
};

struct fs_notify {
	pthread_mutex_t lock;
	/* All under the lock. */
	struct gw_elem *first; /* buffers of the guest; device_data: the next */
	struct known *known;   /* KNOWN of them, from the first on */
	struct fs_notify_stats stats;
};

int fs_notify_new(struct fs_notify **notify)
{
	*notify = calloc(1, sizeof(**notify));
	if (!*notify)
		return gw_fail(ENOMEM, "notifications: no memory");
	pthread_mutex_init(&(*notify)->lock, NULL);
	return 0;
}

void fs_notify_free(struct fs_notify *notify)
{
	if (!notify)
		return;
	pthread_mutex_destroy(&notify->lock);
	free(notify->known);
	free(notify);
}

void fs_notify_queue_ready(struct fs *fs, struct gw_queue *queue)
{
	struct fs_notify *notify = fs->notify;
	struct gw_elem *elem;

	while ((elem = gw_queue_pop(queue))) {
		GW_LOCK_SCOPE(&notify->lock);
		elem->device_data = notify->first;
		notify->first = elem;
	}
}

static struct gw_elem *take(struct fs_notify *notify)
{
	struct gw_elem *elem = notify->first;

	if (elem)
		notify->first = elem->device_data;
	return elem;
}

void fs_notify_queue_stop(struct fs *fs, struct gw_queue *queue)
{
	{
		GW_LOCK_SCOPE(&fs->notify->lock);
		struct gw_elem *elem;

		while ((elem = take(fs->notify)))
			gw_park(elem);
	}
	gw_queue_stopped(queue);
}

void fs_notify_learn(struct fs_notify *notify, uint64_t key, uint64_t nodeid)
{
	GW_LOCK_SCOPE(&notify->lock);

	if (!notify->known)
		notify->known = calloc(KNOWN, sizeof(*notify->known));
	/* Without memory the guest is told less. */
	if (notify->known)
		notify->known[key % KNOWN] = (struct known){key, nodeid};
}

/* 0: the guest does not know it, or that is not known here any more. */
static uint64_t node_of(const struct fs_notify *notify, uint64_t key)
{
	const struct known *known = notify->known ? &notify->known[key % KNOWN] : NULL;

	return known && known->key == key ? known->nodeid : 0;
}

/* A buffer may be too small: it goes back empty. */
static void send(struct fs_notify *notify, int32_t code, const void *body, size_t len)
{
	struct fuse_out_header header = {.len = (uint32_t)(sizeof(header) + len), .error = code};
	struct gw_elem *elem = take(notify);
	bool fits = elem && elem->in_len >= header.len;

	notify->stats.sent += fits;
	notify->stats.lost += !fits;
	if (fits) {
		gw_elem_copy_to(elem, 0, &header, sizeof(header));
		gw_elem_copy_to(elem, sizeof(header), body, len);
	}
	if (elem)
		gw_elem_push(elem, fits ? header.len : 0);
}

/* All of its content and its attributes. */
static void send_inode(struct fs_notify *notify, uint64_t nodeid)
{
	struct fuse_notify_inval_inode_out body = {.ino = nodeid};

	send(notify, FUSE_NOTIFY_INVAL_INODE, &body, sizeof(body));
}

void fs_notify_inode(struct fs_notify *notify, uint64_t key)
{
	GW_LOCK_SCOPE(&notify->lock);
	uint64_t nodeid = node_of(notify, key);

	if (nodeid)
		send_inode(notify, nodeid);
}

void fs_notify_entry(struct fs_notify *notify, uint64_t key, const char *name, size_t len)
{
	GW_LOCK_SCOPE(&notify->lock);
	struct {
		struct fuse_notify_inval_entry_out entry;
		char name[FS_NAME_MAX + 1];
	} body = {.entry = {.parent = node_of(notify, key), .namelen = (uint32_t)len}};

	if (!body.entry.parent || len > FS_NAME_MAX)
		return;
	memcpy(body.name, name, len);
	send(notify, FUSE_NOTIFY_INVAL_ENTRY, &body, sizeof(body.entry) + len + 1);
	/* What the guest keeps of the directory's listing, too. */
	send_inode(notify, body.entry.parent);
}

void fs_notify_stats(struct fs_notify *notify, struct fs_notify_stats *stats)
{
	GW_LOCK_SCOPE(&notify->lock);

	*stats = notify->stats;
}
