/* SPDX-License-Identifier: BSD-3-Clause */
/* fs/handover_take.c - the process that a guest comes to takes what the one before has open. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "fs/attic_kept.h"
#include "fs/handover.h"
#include "fs/load.h"
#include "fs/locks_kept.h"
#include "fs/open.h"
#include "godwit/error.h"

static int take_all(struct fs_handed *handed, int peer, const uint8_t *ticket)
{
	struct gw_handover_hello hello = {.magic = FS_HANDED_MAGIC};
	int err;

	memcpy(hello.ticket, ticket, sizeof(hello.ticket));
	err = gw_handover_send(peer, &hello, sizeof(hello), NULL, 0);
	if (err)
		return gw_fail(-err, "hand-over: %s", strerror(-err));
	return gw_handed_take(&handed->all, peer, FS_HANDED_LOCKS);
}

int fs_handed_take_kept(struct fs_loading *loading)
{
	const struct gw_outliving *outliving = &loading->fs->outliving;
	uint64_t id;
	int fd;

	for (unsigned i = 0; (fd = outliving->kept(outliving->opaque, i, &id)) >= 0; i++) {
		const struct gw_handed_item item = {.kind = FS_HANDED_INODE, .id = id};
		bool is_inode = !fs_kept_is_attic(id) && !fs_kept_is_lock(id);
		int err = !is_inode ? 0 : gw_handed_add(&loading->handed.all, item, fd);

		if (err)
			return gw_fail(-err, "recovery: no room for what has no name");
	}
	return 0;
}

void fs_handed_free(struct fs_handed *handed)
{
	gw_handed_clear(&handed->all);
	*handed = (struct fs_handed){0};
}

/* Whatever it is that fails, the state says all of it. */
int fs_handover_put(void *opaque, const void *object)
{
	struct fs_loading *loading = opaque;
	const struct gw_fs_handover_v1 *record = object;
	struct fs *fs = loading->fs;

	/* What was open there is a file of another tree. */
	if (loading->handed.all.count || loading->is_copy)
		return 0;
	if (fs->handover_peer < 0) {
		loading->handed.patience = FS_HANDED_PATIENCE;
		return 0;
	}
	if (take_all(&loading->handed, fs->handover_peer, record->ticket)) {
		gw_warn("load: %s; the guest's files are opened instead", gw_last_error());
		loading->handed.patience = FS_HANDED_PATIENCE;
	} else {
		gw_info("load: %zu descriptors were handed over", loading->handed.all.count);
	}
	gw_close(&fs->handover_peer);
	return 0;
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
	struct gw_handed_entry *entry =
		gw_handed_find(&loading->handed.all,
			       (struct gw_handed_item){.kind = kind, .id = id, .owner = owner});
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
