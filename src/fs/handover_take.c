/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handover_take.c - the process that a guest comes to takes what the one before has open. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/handover.h"
#include "fs/load.h"
#include "fs/open.h"
#include "godwit/error.h"

static int order(const struct fs_handed_item *a, const struct fs_handed_item *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->owner == b->owner ? 0 : a->owner < b->owner ? -1 : 1;
}

static int compare(const void *a, const void *b)
{
	return order(&((const struct fs_handed_entry *)a)->item,
		     &((const struct fs_handed_entry *)b)->item);
}

static int make_room(struct fs_handed *handed, size_t more)
{
	size_t room = GW_MAX(handed->room * 2, handed->count + more);
	struct fs_handed_entry *entries;

	if (handed->count + more <= handed->room)
		return 0;
	entries = room > FS_HANDED_MAX ? NULL : realloc(handed->entries, room * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	handed->entries = entries;
	handed->room = room;
	return 0;
}

static int check_batch(const struct fs_handed_batch *batch, unsigned fds)
{
	if (batch->count > FS_HANDED_BATCH || batch->count != fds)
		return gw_fail(EPROTO, "hand-over: %llu things with %u descriptors",
			       (unsigned long long)batch->count, fds);
	for (uint64_t i = 0; i < batch->count; i++) {
		if (batch->items[i].kind < FS_HANDED_INODE ||
		    batch->items[i].kind > FS_HANDED_LOCKS)
			return gw_fail(EPROTO, "hand-over: a thing of kind %llu",
				       (unsigned long long)batch->items[i].kind);
	}
	return 0;
}

/* 1: there are more. */
static int take_batch(struct fs_handed *handed, int peer, struct fs_handed_batch *batch)
{
	int fds[FS_HANDED_BATCH];
	unsigned count = FS_HANDED_BATCH;
	uint8_t ack = 0;
	int err = fs_handed_recv(peer, batch, sizeof(*batch), fds, &count);

	if (err)
		return gw_fail(-err, "hand-over: %s", strerror(-err));
	err = check_batch(batch, count);
	if (!err && make_room(handed, count))
		err = gw_fail(ENOMEM, "hand-over: %zu descriptors are too many",
			      handed->count + count);
	for (unsigned i = 0; i < count; i++) {
		if (err)
			gw_close(&fds[i]);
		else
			handed->entries[handed->count++] =
				(struct fs_handed_entry){.item = batch->items[i], .fd = fds[i]};
	}
	if (err)
		return err;
	err = fs_handed_send(peer, &ack, sizeof(ack), NULL, 0);
	return err ? gw_fail(-err, "hand-over: %s", strerror(-err)) : count > 0;
}

static int take_all(struct fs_handed *handed, int peer, const uint8_t *ticket)
{
	GW_AUTO_FREE struct fs_handed_batch *batch = malloc(sizeof(*batch));
	struct fs_handed_hello hello = {.magic = FS_HANDED_MAGIC};
	int err;

	if (!batch)
		return gw_fail(ENOMEM, "hand-over: no memory");
	memcpy(hello.ticket, ticket, sizeof(hello.ticket));
	err = fs_handed_send(peer, &hello, sizeof(hello), NULL, 0);
	if (err)
		return gw_fail(-err, "hand-over: %s", strerror(-err));
	do
		err = take_batch(handed, peer, batch);
	while (err > 0);
	if (!err && handed->count)
		qsort(handed->entries, handed->count, sizeof(*handed->entries), compare);
	return err;
}

static void clear(struct fs_handed *handed)
{
	for (size_t i = 0; i < handed->count; i++)
		gw_close(&handed->entries[i].fd);
	free(handed->entries);
	*handed = (struct fs_handed){0};
}

void fs_handed_free(struct fs_handed *handed)
{
	clear(handed);
}

/* Whatever it is that fails, the state says all of it. */
int fs_handover_put(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_handover_v1 *record = object;
	struct fs *fs = loading->fs;

	/* What was open there is a file of another tree. */
	if (loading->handed.count || loading->is_copy)
		return 0;
	if (fs->handover_peer < 0) {
		loading->handed.patience = FS_HANDED_PATIENCE;
		return 0;
	}
	if (take_all(&loading->handed, fs->handover_peer, record->ticket)) {
		gw_warn("load: %s; the guest's files are opened instead", gw_last_error());
		clear(&loading->handed);
		loading->handed.patience = FS_HANDED_PATIENCE;
	} else {
		gw_info("load: %zu descriptors were handed over", loading->handed.count);
	}
	gw_close(&fs->handover_peer);
	return 0;
}

static struct fs_handed_entry *find(struct fs_handed *handed, const struct fs_handed_item *item)
{
	const struct fs_handed_entry key = {.item = *item};

	if (!handed->count)
		return NULL;
	return bsearch(&key, handed->entries, handed->count, sizeof(key), compare);
}

/*
 * Is it what the state says? The ticket proves who gave it, which is no reason to believe it. It
 * came through another process's mount, so that the device is compared and not the mount.
 */
static bool is_it(struct fs_inodes *inodes, const struct fs_inode *inode, int fd)
{
	const struct fs_evidence expected = {
		.type = fs_inode_type(inode), .ino = inode->ino, .btime = inode->btime};
	struct statx stx;

	return !fs_statx_fd(fd, &stx) && fs_mount_may_be(inodes, inode->mount, &stx) &&
	       fs_evidence_fits(&expected, -1, &stx);
}

int fs_handed_take(struct fs_loading *loading, enum fs_handed_kind kind, uint64_t id,
		   uint64_t owner, const struct fs_inode *inode)
{
	const struct fs_handed_item item = {.kind = kind, .id = id, .owner = owner};
	struct fs_handed_entry *entry = find(&loading->handed, &item);
	char text[FS_DESCRIBE_MAX];

	if (!entry || entry->fd < 0)
		return -1;
	if (is_it(loading->inodes, inode, entry->fd))
		return gw_take_fd(&entry->fd);
	if (!atomic_exchange(&loading->handed.is_strange, true))
		gw_warn("load: %s: what was handed over for it is another file, and not used",
			fs_describe(loading->inodes, (struct fs_inode *)inode, text));
	return -1;
}
